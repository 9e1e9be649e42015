"""Epochs of a log: where it forked in a restore, the recovery that follows, and whether effects are open.

It never opens an epoch by itself, and never forgets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from orderflow.store import log
from orderflow.store.server import STAYED
from orderflow.store.tables import epochs, events, left_out, recoveries

EFFECTS_OPEN: Final = f"""
    ({STAYED}
     AND NOT EXISTS (SELECT FROM orderflow.recoveries r WHERE r.store = o.store AND r.opened_at IS NULL)
     AND NOT EXISTS (SELECT FROM orderflow.left_out l WHERE l.store = o.store AND l.order_id = o.order_id))
"""
"""SQL: effects may leave for the outbox row `o`. Every worker asks it with every lease, so it stops all at once."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A fork that was noticed. Effects are kept back while `opened_at` is None.

    `fork` is the last position that was kept, `read_to` the head once Glopal's feed had been read to its end again:
    only orders known by then can have lost something. `sealed_size` and `sealed_chain` are of the seal known then.
    """

    store: str
    epoch: int
    reason: str
    noticed_at: datetime
    fork: int
    restored_to: datetime | None
    sealed_size: int | None
    sealed_chain: bytes | None
    read_to: int | None
    opened_at: datetime | None
    opened_by: str | None
    why: str | None


def _recoveries(store: str) -> sa.Select[Any]:
    known = sa.and_(epochs.c.store == recoveries.c.store, epochs.c.epoch == recoveries.c.epoch)
    columns = [
        (epochs.c.first_position - 1).label("fork") if name == "fork" else recoveries.c[name]
        for name in Recovery.__slots__
    ]
    query = sa.select(*columns).join(epochs, known).where(recoveries.c.store == store)
    return query.order_by(recoveries.c.epoch.desc()).limit(1)


def newest(conn: sa.Connection, store: str) -> Recovery | None:
    """The last recovery of `store`, open or not."""
    row = conn.execute(_recoveries(store)).one_or_none()
    return None if row is None else Recovery(*row)


def pending(conn: sa.Connection, store: str) -> Recovery | None:
    """The recovery that keeps effects back, if one does."""
    found = newest(conn, store)
    return found if found is not None and found.opened_at is None else None


def begin(
    conn: sa.Connection, store: str, reason: str, sealed_size: int | None, sealed_chain: bytes | None, above: int
) -> int:
    """Begin the next epoch of `store`, numbered above `above`, and keep its effects back. Returns the epoch."""
    epoch: int = conn.execute(_BEGIN, {"store": store, "above": above}).scalar_one()
    row = {"store": store, "epoch": epoch, "reason": reason, "size": sealed_size, "chain": sealed_chain}
    conn.execute(_NOTICE, row)
    return epoch


_BEGIN: Final = sa.text("SELECT orderflow.begin_epoch(:store, :above)")
_NOTICE: Final = sa.text(
    """
    INSERT INTO orderflow.recoveries (store, epoch, reason, restored_to, sealed_size, sealed_chain)
    VALUES (:store, :epoch, :reason, greatest(
        (SELECT e.recorded_at FROM orderflow.events e WHERE e.store = :store ORDER BY e.position DESC LIMIT 1),
        (SELECT c.moved_at FROM orderflow.cursors c WHERE c.store = :store ORDER BY c.seq DESC LIMIT 1)
    ), :size, :chain)
    """
)


def note_read(conn: sa.Connection, recovery: Recovery) -> None:
    """Glopal's feed has been read to its end: orders that come later are news, not losses."""
    mine = (recoveries.c.store == recovery.store, recoveries.c.epoch <= recovery.epoch, recoveries.c.read_to.is_(None))
    conn.execute(sa.update(recoveries).where(*mine).values(read_to=log.head(conn, recovery.store)))


def note_opened(conn: sa.Connection, recovery: Recovery, by: str, why: str) -> None:
    """Effects of the store are open again; with it ends every recovery that was overtaken by this one."""
    conn.execute(
        sa.update(recoveries)
        .where(recoveries.c.store == recovery.store, recoveries.c.opened_at.is_(None))
        .values(
            read_to=sa.func.coalesce(recoveries.c.read_to, recovery.read_to),
            opened_at=sa.func.orderflow.wall_clock(),
            opened_by=by,
            why=why,
        )
    )


# --- orders left out ------------------------------------------------------------------------------------------------


def leave_out(conn: sa.Connection, recovery: Recovery, order_id: str, by: str, why: str) -> None:
    """Open the epoch without this order: no effect leaves for it until it was looked up."""
    row = {"store": recovery.store, "order_id": order_id, "epoch": recovery.epoch, "by": by, "why": why}
    conn.execute(insert(left_out).values(row).on_conflict_do_nothing())  # one of an earlier recovery stays as it is


def take_in(conn: sa.Connection, store: str, order_id: str) -> None:
    """The order was looked up after all."""
    conn.execute(sa.delete(left_out).where(left_out.c.store == store, left_out.c.order_id == order_id))


def orders_left_out(conn: sa.Connection, store: str) -> list[str]:
    """The orders for which no effect leaves although the epoch is open."""
    query = sa.select(left_out.c.order_id).where(left_out.c.store == store)
    return list(conn.scalars(query.order_by(left_out.c.order_id)))


# --- cursors of readers ---------------------------------------------------------------------------------------------


class ForkedError(Exception):
    """A reader's cursor points to what is not in this log. `fork` is the last position that it shares with the log.

    `epoch` is the log's present one: (`epoch`, `fork`) is where the reader may go on.
    """

    def __init__(self, store: str, cursor: tuple[int, int], epoch: int, fork: int, what: str) -> None:
        self.store = store
        self.epoch = epoch
        self.fork = fork
        super().__init__(
            f"cursor {cursor[1]} of epoch {cursor[0]} is not in the log of store {store}: {what}. Undo what was taken "
            f"from positions above {fork}, and go on from epoch {epoch}, position {fork}"
        )


def current(conn: sa.Connection, store: str) -> int:
    """The epoch in which the log of `store` is written now; 1 before anything was."""
    return conn.scalar(sa.select(sa.func.max(epochs.c.epoch)).where(epochs.c.store == store)) or 1


def check_cursor(conn: sa.Connection, store: str, epoch: int, position: int, hash_: bytes | None = None) -> None:
    """Raise `ForkedError` if a reader that has read up to `position` in `epoch` has read what this log does not hold.

    With the `hash_` of the last event read it is certain also where a fork was noticed late, or an epoch's number was
    given twice: by two restores to a moment before the first of them.
    """
    now, head = current(conn, store), log.head(conn, store)
    later = sa.select(sa.func.min(epochs.c.first_position)).where(epochs.c.store == store, epochs.c.epoch > epoch)
    begun = conn.scalar(later)
    kept = head if begun is None else min(head, begun - 1)
    if position > kept:
        what = f"the log was restored and forked at position {kept}" if begun is not None else f"it ends at {head}"
        raise ForkedError(store, (epoch, position), now, kept, what)
    if epoch > now:
        raise ForkedError(store, (epoch, position), now, _shared(conn, store, now), f"it knows no epoch above {now}")
    if hash_ is None or position == 0:
        return
    at = sa.select(events.c.hash).where(events.c.store == store, events.c.position == position)
    if conn.scalar(at) != hash_:
        raise ForkedError(store, (epoch, position), now, _shared(conn, store, now), "another event stands there")


def _shared(conn: sa.Connection, store: str, epoch: int) -> int:
    """What a reader of some lost history surely has in common with the log: all before its present epoch."""
    first = sa.select(epochs.c.first_position).where(epochs.c.store == store, epochs.c.epoch == epoch)
    return (conn.scalar(first) or 1) - 1
