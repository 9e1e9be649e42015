"""How far everybody is: checkpoints of readers, cursors and heartbeats of pulls, pauses.

Checkpoints, cursors and heartbeats are inserted and trimmed, never updated: under an old snapshot an updated row grows
a tail of dead versions that every reader has to walk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from orderflow.store.applied import Applied, nothing
from orderflow.store.tables import checkpoints, cursors, pauses, recoveries

_KEPT: Final = 8
"""At most so many older checkpoints of a reader are left standing between trims."""


def claim(conn: sa.Connection, readers: Sequence[str], store: str) -> dict[str, Applied]:
    """What `readers` have applied, held for this transaction.

    One that another process holds right now is missing. The places are read by a statement of their own: it must see
    what the former holder committed.
    """
    held = [name for name, got in conn.execute(_CLAIM, {"readers": list(readers), "store": store}) if got]
    return applied(conn, held, store) if held else {}


def positions(conn: sa.Connection, readers: Sequence[str], store: str) -> dict[str, int]:
    """How far each of `readers` has come; 0 before it began."""
    return {name: one.position for name, one in applied(conn, readers, store).items()}


def applied(conn: sa.Connection, readers: Sequence[str], store: str) -> dict[str, Applied]:
    """What each of `readers` has applied; `nothing` before it began."""
    found = conn.execute(_APPLIED, {"readers": list(readers), "store": store})
    return {name: nothing(store) if place is None else Applied(place, *rest) for name, place, *rest in found}


_LOCK: Final = "hashtextextended({} || ' ' || :store, 1)"
_CLAIM: Final = sa.text(
    f"SELECT r.name, pg_try_advisory_xact_lock({_LOCK.format('r.name')}) "
    "FROM unnest(CAST(:readers AS text[])) AS r (name)"
)
_APPLIED: Final = sa.text(
    """
    SELECT r.name, c.position, c.count, c.hash
    FROM unnest(CAST(:readers AS text[])) AS r (name) LEFT JOIN LATERAL (
        SELECT * FROM orderflow.checkpoints c
        WHERE c.reader = r.name AND c.store = :store ORDER BY c.position DESC LIMIT 1
    ) AS c ON true
    """
)


def advance(conn: sa.Connection, store: str, places: Mapping[str, Applied]) -> None:
    """Record what each reader has applied by now. Only under `claim`."""
    if not places:
        return
    arguments = {
        "store": store,
        "readers": list(places),
        "positions": [one.position for one in places.values()],
        "counts": [one.count for one in places.values()],
        "hashes": [one.hash for one in places.values()],
    }
    conn.execute(_ADVANCE, arguments)


_ADVANCE: Final = sa.text(
    f"""
    WITH given AS (
        SELECT * FROM unnest(CAST(:readers AS text[]), CAST(:positions AS bigint[]), CAST(:counts AS bigint[]),
                             CAST(:hashes AS bytea[])) AS g (reader, position, count, hash)
    ), trimmed AS (
        DELETE FROM orderflow.checkpoints c USING given
        WHERE c.reader = given.reader AND c.store = :store AND c.position < given.position - given.position % {_KEPT}
    )
    INSERT INTO orderflow.checkpoints (reader, store, position, count, hash)
    SELECT reader, :store, position, count, hash FROM given
    """
)


def wait_for(conn: sa.Connection, reader: str, store: str) -> Applied:
    """What `reader` has applied. Waits for whoever reads in its name now, and keeps everybody out until the end."""
    conn.execute(_WAIT, {"reader": reader, "store": store})
    return applied(conn, [reader], store)[reader]


_WAIT: Final = sa.text(f"SELECT pg_advisory_xact_lock({_LOCK.format('CAST(:reader AS text)')})")


def put(conn: sa.Connection, reader: str, store: str, there: Applied | None) -> None:
    """Put `reader` where it has not come by itself; None takes it away. Only under `wait_for`."""
    conn.execute(sa.delete(checkpoints).where(checkpoints.c.reader == reader, checkpoints.c.store == store))
    if there is not None:
        advance(conn, store, {reader: there})


def reset(conn: sa.Connection, reader: str, store: str) -> None:
    """Let `reader` begin anew. Waits for whoever reads in its name right now, and keeps everybody out until the end."""
    wait_for(conn, reader, store)
    put(conn, reader, store, None)


# --- pull cursors ---------------------------------------------------------------------------------------------------


class CursorMovedError(Exception):
    """Another puller recorded this page already."""


def cursor_of(conn: sa.Connection, store: str) -> tuple[int, str | None]:
    """The pull cursor and its sequence number; (0, None) before the first page."""
    row = conn.execute(_CURSOR, {"store": store}).one_or_none()
    return (0, None) if row is None else (row[0], row[1])


_CURSOR: Final = sa.text("SELECT seq, cursor FROM orderflow.cursors WHERE store = :store ORDER BY seq DESC LIMIT 1")


def move_cursor(conn: sa.Connection, store: str, seen: int, cursor: str) -> None:
    """Move on from the cursor numbered `seen`. Raises `CursorMovedError` if somebody else did: compare-and-set."""
    moved = insert(cursors).values(store=store, seq=seen + 1, cursor=cursor).on_conflict_do_nothing()
    # RETURNING, since an insert's rowcount is not told (-1).
    if conn.scalar(moved.returning(cursors.c.seq)) is None or cursor_of(conn, store)[0] != seen + 1:
        raise CursorMovedError(store)


def cursor_before(conn: sa.Connection, store: str, window: timedelta) -> str | None:
    """Where to begin a trailing re-read that covers `window`: the newest cursor at least that old; trims older ones.

    None re-reads from the beginning, as long as nothing is older than the window. After a restore, and until the feed
    was read again, the window counts from before it: what was learnt late is not in the log any more.
    """
    restored = sa.select(sa.func.min(recoveries.c.restored_to)).where(
        recoveries.c.store == store, recoveries.c.read_to.is_(None)
    )
    until = sa.func.least(sa.func.orderflow.wall_clock(), restored.scalar_subquery())
    old = sa.select(cursors.c.seq, cursors.c.cursor).where(
        cursors.c.store == store,
        cursors.c.moved_at <= sa.select(sa.cast(until, sa.DateTime(timezone=True))).scalar_subquery() - window,
    )
    row = conn.execute(old.order_by(cursors.c.seq.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    seq, cursor = row
    conn.execute(sa.delete(cursors).where(cursors.c.store == store, cursors.c.seq < seq))
    return str(cursor)


def note_pull(conn: sa.Connection, store: str) -> None:
    """Take note that the feed was read with success and held nothing new; at most one note in ten seconds is kept."""
    noted = conn.execute(_NOTE, {"store": store}).scalar()
    if noted is not None:
        conn.execute(_TRIM_NOTES, {"store": store, "at": noted})


_NOTE: Final = sa.text(
    """
    INSERT INTO orderflow.pulls (store, at)
    SELECT :store, now.at FROM (SELECT orderflow.wall_clock() AS at) AS now
    WHERE NOT EXISTS (
        SELECT FROM orderflow.pulls p
        WHERE p.store = :store AND p.at > now.at - interval '10 seconds' AND p.at <= now.at
    )
    ON CONFLICT DO NOTHING RETURNING at
    """
)
_TRIM_NOTES: Final = sa.text("DELETE FROM orderflow.pulls WHERE store = :store AND at <> :at")


def last_pull(conn: sa.Connection, store: str) -> datetime | None:
    """When the feed was last read with success, to about ten seconds; None if it never was."""
    found = conn.execute(_LAST_PULL, {"store": store}).scalar_one()
    return found if isinstance(found, datetime) else None


_LAST_PULL: Final = sa.text(
    """
    SELECT greatest(
        (SELECT max(at) FROM orderflow.pulls WHERE store = :store),
        (SELECT moved_at FROM orderflow.cursors WHERE store = :store ORDER BY seq DESC LIMIT 1)
    )
    """
)


def pulled_within(conn: sa.Connection, store: str, span: timedelta) -> bool:
    """Was the feed read with success in the last `span`?"""
    last, now = last_pull(conn, store), conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
    return last is not None and now is not None and last > now - span


# --- pauses ---------------------------------------------------------------------------------------------------------


def pause(conn: sa.Connection, store: str, scope: str, reason: str, by: str) -> None:
    """Stop `scope` (pull, glopal or shop) of `store`; an earlier pause and its reason stay."""
    conn.execute(insert(pauses).values(store=store, scope=scope, reason=reason, by=by).on_conflict_do_nothing())


def resume(conn: sa.Connection, store: str, scope: str) -> bool:
    """Lift a pause; False if there was none."""
    found = conn.execute(sa.delete(pauses).where(pauses.c.store == store, pauses.c.scope == scope))
    return found.rowcount > 0


def paused(conn: sa.Connection, store: str) -> dict[str, tuple[str, datetime]]:
    """Reason and beginning of each pause of `store`, by scope."""
    return {scope: (reason, since) for scope, reason, since in conn.execute(_PAUSES, {"store": store})}


_PAUSES: Final = sa.text("SELECT scope, reason, since FROM orderflow.pauses WHERE store = :store")
