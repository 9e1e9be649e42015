"""Leases: a worker takes outbox rows for a while, and puts them back as the fold has them, many in one statement.

It never waits for a row that another worker is at, and never writes one whose fence has gone on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from orderflow.store.arrays import bigints, ints, texts
from orderflow.store.direct import fetch
from orderflow.store.epochs import EFFECTS_OPEN
from orderflow.store.gates import Place
from orderflow.store.outbox import COLUMNS, Key, Row, row_of

_CLOCK: Final = "clock AS MATERIALIZED (SELECT orderflow.wall_clock() AS now)"
_LANES: Final = "(VALUES ('live'), ('redrive'), ('reconcile')) AS lanes (lane)"
_PLACES: Final = """
    places AS MATERIALIZED (
        SELECT p.store, p.destination, p.turn, gate.shut_until, p.paced OR coalesce(gate.guarded, false) AS guarded
        FROM unnest(CAST(:stores AS text[]), CAST(:destinations AS text[]), CAST(:paced AS boolean[])) WITH ORDINALITY
            AS p (store, destination, paced, turn)
        LEFT JOIN LATERAL (
            SELECT g.shut_until, g.guarded FROM orderflow.gates g
            WHERE g.store = p.store AND g.destination = p.destination
            ORDER BY g.seq DESC LIMIT 1
        ) AS gate ON true
        WHERE NOT EXISTS (
            SELECT FROM orderflow.pauses WHERE pauses.store = p.store AND pauses.scope = p.destination)
    )
"""
_FREE: Final = f"""
    (o.store, o.destination, o.lane) = (p.store, p.destination, lanes.lane) AND NOT o.parked
    AND (o.lease_until IS NULL OR o.lease_until <= (SELECT now FROM clock))
    AND (o.reads OR o.state <> 'planned' OR {EFFECTS_OPEN})
"""
_READY: Final = f"{_FREE} AND o.next_at <= (SELECT now FROM clock)"

# Each lane is looked through by itself: the rows of one stand behind none of another. Out of what each has, first the
# few that are set aside for the others, then live rows, then whatever else there is room for. One row an order: its
# rows are prepared on one fold, and a second unit would conflict with the first.
_LEASE: Final = sa.text(
    f"""
    WITH {_CLOCK}, {_PLACES},
    place AS MATERIALIZED (
        SELECT p.store, p.destination, p.guarded AND NOT :through AS guarded FROM places p
        WHERE (:through OR p.shut_until IS NULL OR p.shut_until <= (SELECT now FROM clock))
          AND EXISTS (SELECT FROM {_LANES} CROSS JOIN LATERAL (SELECT FROM orderflow.outbox o WHERE {_READY} LIMIT 1) r)
        ORDER BY p.turn
        LIMIT 1
    ),
    ready AS MATERIALIZED (
        SELECT o.*, row_number() OVER (PARTITION BY o.lane ORDER BY o.next_at) AS nth
        FROM place p CROSS JOIN {_LANES} CROSS JOIN LATERAL (
            SELECT o.store, o.order_id, o.destination, o.effect, o.generation, o.next_at, o.lane
            FROM orderflow.outbox o WHERE {_READY} AND (NOT :asking OR o.reads OR o.state <> 'planned')
            ORDER BY o.next_at
            LIMIT CASE WHEN p.guarded THEN 0 WHEN lanes.lane = 'live' THEN :most ELSE :others END
            FOR UPDATE SKIP LOCKED
        ) AS o
    ),
    ranked AS (
        SELECT *, row_number() OVER (PARTITION BY lane = 'live' ORDER BY nth, next_at, lane) AS turn FROM ready
    ),
    chosen AS (
        SELECT * FROM ranked WHERE lane = 'live' OR turn <= :others
        ORDER BY CASE WHEN lane = 'live' THEN 1 WHEN turn <= :aside THEN 0 ELSE 2 END, turn
        LIMIT :most
    ),
    next AS (SELECT DISTINCT ON (order_id) * FROM chosen ORDER BY order_id, next_at),
    leased AS (
        UPDATE orderflow.outbox o
        SET fence = o.fence + 1, owner = :owner, lease_until = clock.now + CAST(:lease AS interval)
        FROM next, clock
        WHERE (o.store, o.order_id, o.destination, o.effect, o.generation)
            = (next.store, next.order_id, next.destination, next.effect, next.generation)
        RETURNING {", ".join(f"o.{column}" for column in COLUMNS)}, clock.now
    )
    SELECT place.store AS at_store, place.destination AS at_destination, place.guarded, leased.*
    FROM place LEFT JOIN leased ON true
    """
)


@dataclass(frozen=True, slots=True)
class Share:
    """What the lanes beside *live* get of a lease: `others` rows at most, `aside` of them before any live one."""

    others: int
    aside: int = 0


@dataclass(frozen=True, slots=True)
class Guarded:
    """The first place that has rows due is guarded: whoever holds its gate may lease there, by `lease_through`."""

    place: Place


def lease(
    conn: sa.Connection,
    owner: str,
    seconds: float,
    places: Sequence[Place],
    most: int = 1,
    *,
    share: Share | None = None,
    paced: Collection[Place] = (),
) -> list[Row] | Guarded:
    """The next rows whose time has come, of different orders, leased to `owner`; the fence of each goes up by one.

    Of the first of `places` that has any and is neither paused nor shut: `most` at most, the longest due first of each
    lane. Nothing is leased if that place is guarded, or one of `paced`. The database's clock counts.
    """
    values = _places(places, paced) | {"through": False, "asking": False}
    found = conn.execute(_LEASE, values | _terms(owner, seconds, most, share)).all()
    if found and found[0].guarded:
        return Guarded((found[0].at_store, found[0].at_destination))
    return _rows(found)


def lease_through(
    conn: sa.Connection,
    owner: str,
    seconds: float,
    place: Place,
    most: int,
    *,
    share: Share | None = None,
    asking: bool = False,
) -> list[Row]:
    """The same at one place whose gate the caller holds. `asking`: only rows that ask and change nothing there."""
    values = _places([place]) | {"through": True, "asking": asking}
    return _rows(conn.execute(_LEASE, values | _terms(owner, seconds, most, share)).all())


def _terms(owner: str, seconds: float, most: int, share: Share | None) -> dict[str, Any]:
    given = share or Share(others=most)
    terms = {"owner": owner, "lease": f"{seconds} seconds", "most": most}
    return terms | {"others": min(given.others, most), "aside": given.aside}


def _rows(found: Sequence[sa.Row[Any]]) -> list[Row]:
    leased = (row_of(tuple(row)[3:]) for row in found if row.fence is not None)
    return sorted(leased, key=lambda row: (row.next_at, row.key.order_id))


_SOONEST: Final = sa.text(
    f"""
    WITH {_CLOCK}, {_PLACES}
    SELECT extract(epoch FROM min(greatest(first.next_at, p.shut_until)) - (SELECT now FROM clock))
    FROM places p CROSS JOIN {_LANES}
    CROSS JOIN LATERAL (SELECT o.next_at FROM orderflow.outbox o WHERE {_FREE} ORDER BY o.next_at LIMIT 1) AS first
    WHERE :beside OR lanes.lane = 'live'
    """
)


def soonest(conn: sa.Connection, places: Sequence[Place], *, beside: bool = True) -> float | None:
    """The seconds until the next row at `places` that nobody holds wants attention; None if there is none.

    Without `beside` only live rows count.

    A lease that will run out is not foreseen: whoever waits also looks now and then.
    """
    found = conn.scalar(_SOONEST, _places(places) | {"beside": beside})
    return None if found is None else float(found)


def _places(places: Sequence[Place], paced: Collection[Place] = ()) -> dict[str, list[Any]]:
    return {
        "stores": [store for store, _ in places],
        "destinations": [destination for _, destination in places],
        "paced": [place in paced for place in places],
    }


# In byte order, as everybody else goes through the rows of many orders: nobody waits in a circle.
_HOLD: Final = f"""
    WITH mine AS MATERIALIZED (
        SELECT {", ".join(f"o.{column}" for column in COLUMNS)}
        FROM orderflow.outbox o
        WHERE (o.store, o.order_id, o.destination, o.effect, o.generation, o.fence) IN (
            SELECT %s::text, * FROM unnest(%s, %s, %s, %s, %s))
        ORDER BY o.order_id COLLATE "C", o.destination COLLATE "C", o.effect COLLATE "C", o.generation
        FOR UPDATE
    )
    SELECT {", ".join(f"mine.{column}" for column in COLUMNS)}, here.now, here.watched
    FROM (
        SELECT orderflow.wall_clock() AS now, ARRAY(
            SELECT d.destination FROM (VALUES ('glopal'), ('shop')) AS d (destination) CROSS JOIN LATERAL (
                SELECT g.watched FROM orderflow.gates g WHERE g.store = %s AND g.destination = d.destination
                ORDER BY g.seq DESC LIMIT 1
            ) AS gate WHERE gate.watched
        ) AS watched
    ) AS here LEFT JOIN mine ON true
"""


@dataclass(frozen=True, slots=True)
class Held:
    """Which rows are still leased under the fence that their callers know, as they stand; the database's time.

    `watched`: the store's destinations whose gates take note of whatever comes back.
    """

    rows: dict[Key, Row]
    now: datetime
    watched: frozenset[str]


def hold(conn: sa.Connection, store: str, rows: Iterable[Row]) -> Held:
    """Lock those of `rows` that nobody has leased since, until the transaction ends."""
    leased = list(rows)
    keys = [row.key for row in leased]
    found = fetch(
        conn,
        _HOLD,
        (
            store,
            texts([key.order_id for key in keys]),
            texts([key.destination for key in keys]),
            texts([key.effect for key in keys]),
            ints([key.generation for key in keys]),
            bigints([row.fence for row in leased]),
            store,
        ),
    )
    held = (row_of(row[:-1]) for row in found if row[0] is not None)
    return Held({row.key: row for row in held}, found[0][-2], frozenset(found[0][-1]))


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a leased row: it stands as `row`, still leased or not any more; or it `ends`."""

    row: Row
    leased: bool = False
    ends: bool = False


_PUT: Final = (
    "state", "next_at", "attempt", "failures", "parked", "shadow", "request", "request_key", "digest", "send_by",
    "counts_from", "reason",
)  # fmt: skip
_PLACED: Final = ("store", "order_id", "destination", "effect", "generation", "fence")
_GIVEN: Final = "json_populate_recordset(CAST(NULL AS orderflow.outbox), CAST(:rows AS json)) AS c"
_SAME: Final = f"({', '.join(f'o.{name}' for name in _PLACED)}) = ({', '.join(f'c.{name}' for name in _PLACED)})"
_END: Final = sa.text(f"DELETE FROM orderflow.outbox o USING {_GIVEN} WHERE {_SAME}")
_STAND: Final = sa.text(
    f"""
    UPDATE orderflow.outbox o
    SET {", ".join(f"{column} = c.{column}" for column in _PUT)},
        lease_until = CASE WHEN c.owner IS NOT NULL THEN o.lease_until END
    FROM {_GIVEN} WHERE {_SAME}
    """
)


def write(conn: sa.Connection, store: str, changes: Sequence[Change]) -> None:
    """Let the leased rows of `store` stand as `changes` say. Only under a lock: by `lease` or `hold`."""
    ended = [_placed(store, change.row) for change in changes if change.ends]
    standing = [_standing(store, change) for change in changes if not change.ends]
    for statement, rows in ((_END, ended), (_STAND, standing)):
        if rows:
            conn.execute(statement, {"rows": msgspec.json.encode(rows).decode()})


def _placed(store: str, row: Row) -> dict[str, Any]:
    key = row.key
    return {
        "store": store,
        "order_id": key.order_id,
        "destination": key.destination,
        "effect": key.effect,
        "generation": key.generation,
        "fence": row.fence,
    }


def _standing(store: str, change: Change) -> dict[str, Any]:
    row = change.row
    columns = {name: getattr(row, name) for name in _PUT}
    request = None if row.request is None else f"\\x{row.request.hex()}"
    leased = "leased" if change.leased else None
    return _placed(store, row) | columns | {"request": request, "owner": leased}


_OPEN_ROWS: Final = """
    SELECT order_id, destination, effect, generation FROM orderflow.outbox
    WHERE store = %s AND order_id = ANY (%s) AND state IN ('intent', 'unknown')
"""


def open_rows(conn: sa.Connection, store: str, order_ids: Sequence[str]) -> list[Key]:
    """The rows of these orders whose intent or unknown has not ended yet.

    Read without a lock: whoever makes another one also appends to the order's history, on the version that it knows.
    """
    return [Key(store, *row) for row in fetch(conn, _OPEN_ROWS, (store, texts(order_ids)))]
