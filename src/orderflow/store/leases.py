"""Leases: a worker takes outbox rows for a while, and puts them back as the fold has them, many in one statement.

It never waits for a row that another worker is at, and never writes one whose fence has gone on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from orderflow.store.arrays import bigints, ints, texts
from orderflow.store.direct import fetch
from orderflow.store.epochs import EFFECTS_OPEN
from orderflow.store.outbox import COLUMNS, Key, Row, row_of

Place = tuple[str, str]
"""A destination of a store."""

_CLOCK: Final = "clock AS MATERIALIZED (SELECT orderflow.wall_clock() AS now)"
_PLACES: Final = """
    places AS MATERIALIZED (
        SELECT p.store, p.destination, p.turn
        FROM unnest(CAST(:stores AS text[]), CAST(:destinations AS text[])) WITH ORDINALITY
            AS p (store, destination, turn)
        WHERE NOT EXISTS (
            SELECT FROM orderflow.pauses WHERE pauses.store = p.store AND pauses.scope = p.destination)
    )
"""
_FREE: Final = f"""
    (o.store, o.destination) = (p.store, p.destination) AND NOT o.parked
    AND (o.lease_until IS NULL OR o.lease_until <= (SELECT now FROM clock))
    AND (o.reads OR o.state <> 'planned' OR {EFFECTS_OPEN})
"""
_READY: Final = f"{_FREE} AND o.next_at <= (SELECT now FROM clock)"

# One row an order: its rows are prepared on one fold, and a second unit would conflict with the first.
_LEASE: Final = sa.text(
    f"""
    WITH {_CLOCK}, {_PLACES},
    place AS MATERIALIZED (
        SELECT p.store, p.destination FROM places p
        WHERE EXISTS (SELECT FROM orderflow.outbox o WHERE {_READY})
        ORDER BY p.turn
        LIMIT 1
    ),
    ready AS MATERIALIZED (
        SELECT o.*
        FROM place p CROSS JOIN LATERAL (
            SELECT o.store, o.order_id, o.destination, o.effect, o.generation, o.next_at
            FROM orderflow.outbox o WHERE {_READY}
            ORDER BY o.next_at
            LIMIT :most
            FOR UPDATE SKIP LOCKED
        ) AS o
    ),
    next AS (SELECT DISTINCT ON (order_id) * FROM ready ORDER BY order_id, next_at)
    UPDATE orderflow.outbox o
    SET fence = o.fence + 1, owner = :owner, lease_until = clock.now + CAST(:lease AS interval)
    FROM next, clock
    WHERE (o.store, o.order_id, o.destination, o.effect, o.generation)
        = (next.store, next.order_id, next.destination, next.effect, next.generation)
    RETURNING {", ".join(f"o.{column}" for column in COLUMNS)}, clock.now
    """
)


def lease(conn: sa.Connection, owner: str, seconds: float, places: Sequence[Place], most: int = 1) -> list[Row]:
    """The next rows whose time has come, of different orders, leased to `owner`; the fence of each goes up by one.

    Of the first of `places` that has any and is not paused: `most` at most, the longest due first. The database's
    clock counts.
    """
    values = {"owner": owner, "lease": f"{seconds} seconds", "most": most} | _places(places)
    return sorted(map(row_of, conn.execute(_LEASE, values)), key=lambda row: (row.next_at, row.key.order_id))


_SOONEST: Final = sa.text(
    f"""
    WITH {_CLOCK}, {_PLACES}
    SELECT extract(epoch FROM min(first.next_at) - (SELECT now FROM clock))
    FROM places p
    CROSS JOIN LATERAL (SELECT o.next_at FROM orderflow.outbox o WHERE {_FREE} ORDER BY o.next_at LIMIT 1) AS first
    """
)


def soonest(conn: sa.Connection, places: Sequence[Place]) -> float | None:
    """The seconds until the next row at `places` that nobody holds wants attention; None if there is none.

    A lease that will run out is not foreseen: whoever waits also looks now and then.
    """
    found = conn.scalar(_SOONEST, _places(places))
    return None if found is None else float(found)


def _places(places: Sequence[Place]) -> dict[str, list[str]]:
    return {"stores": [store for store, _ in places], "destinations": [destination for _, destination in places]}


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
    SELECT {", ".join(f"mine.{column}" for column in COLUMNS)}, clock.now
    FROM (SELECT orderflow.wall_clock() AS now) AS clock LEFT JOIN mine ON true
"""


@dataclass(frozen=True, slots=True)
class Held:
    """Which rows are still leased under the fence that their callers know, as they stand; the database's time."""

    rows: dict[Key, Row]
    now: datetime


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
        ),
    )
    return Held({row.key: row for row in map(row_of, found) if row.fence}, found[0][-1])


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
