"""The outbox: what is to be done, one row per key, leased to one worker at a time.

It never decides: rows follow the fold. What has ended leaves the outbox; its history stands in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from orderflow.store.epochs import EFFECTS_OPEN
from orderflow.store.tables import outbox


@dataclass(frozen=True, slots=True)
class Key:
    """What makes a side effect one and the same, whoever plans or sends it."""

    store: str
    order_id: str
    destination: str
    effect: str
    generation: int

    def __str__(self) -> str:
        return f"{self.order_id}:{self.destination}:{self.effect}:{self.generation}"


@dataclass(frozen=True, slots=True)
class Row:
    """One open outbox row, as leased. `now` is the database's clock at the time."""

    key: Key
    state: str
    target: str
    next_at: datetime
    attempt: int
    failures: int
    parked: bool
    shadow: bool
    request: bytes | None
    request_key: UUID | None
    digest: str | None
    send_by: datetime | None
    counts_from: datetime | None
    fence: int
    reason: str
    now: datetime


_KEY: Final = tuple(Key.__slots__)
_COLUMNS: Final = (*_KEY, *Row.__slots__[1:-1])
"""All but the time, as they stand in the table."""

_LEASE: Final = sa.text(
    f"""
    WITH clock AS MATERIALIZED (SELECT orderflow.wall_clock() AS now),
    next AS (
        SELECT o.store, o.order_id, o.destination, o.effect, o.generation
        FROM orderflow.outbox o
        WHERE NOT o.parked AND o.next_at <= (SELECT now FROM clock)
          AND (o.lease_until IS NULL OR o.lease_until <= (SELECT now FROM clock))
          AND (CAST(:stores AS text[]) IS NULL OR o.store = ANY (CAST(:stores AS text[])))
          AND NOT EXISTS (
              SELECT FROM orderflow.pauses p WHERE p.store = o.store AND p.scope = o.destination)
          AND (o.reads OR o.state <> 'planned' OR {EFFECTS_OPEN})
        ORDER BY o.next_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    UPDATE orderflow.outbox o
    SET fence = o.fence + 1, owner = :owner, lease_until = clock.now + CAST(:lease AS interval)
    FROM next, clock
    WHERE (o.store, o.order_id, o.destination, o.effect, o.generation)
        = (next.store, next.order_id, next.destination, next.effect, next.generation)
    RETURNING {", ".join(f"o.{column}" for column in _COLUMNS)}, clock.now
    """
)


def lease(conn: sa.Connection, owner: str, seconds: float, stores: list[str] | None = None) -> Row | None:
    """The next row whose time has come, leased to `owner` by the database's clock; its fence goes up by one."""
    row = conn.execute(_LEASE, {"owner": owner, "lease": f"{seconds} seconds", "stores": stores}).one_or_none()
    return None if row is None else _row(row)


def rows_of(conn: sa.Connection, store: str, order_id: str) -> list[Row]:
    """The open rows of one order, locked against workers until the transaction ends."""
    return [_row(row) for row in conn.execute(_ROWS, {"store": store, "order_id": order_id})]


_ROWS: Final = sa.text(
    f"SELECT {', '.join(_COLUMNS)}, orderflow.wall_clock() FROM orderflow.outbox "
    "WHERE store = :store AND order_id = :order_id ORDER BY destination, effect, generation FOR UPDATE"
)


def plan(
    conn: sa.Connection,
    key: Key,
    *,
    target: str,
    reads: bool,
    next_at: datetime,
    parked: bool = False,
    shadow: bool = False,
) -> None:
    """A new planned row; a row with this key that exists already stays as it is."""
    said = {"target": target, "reads": reads, "next_at": next_at, "parked": parked, "shadow": shadow}
    conn.execute(insert(outbox).values(_key(key) | said).on_conflict_do_nothing())


def change(
    conn: sa.Connection,
    key: Key,
    *,
    fence: int | None = None,
    **columns: Any,
) -> bool:
    """Change a row; with `fence` only if nobody leased it since. False if it was not touched."""
    return conn.execute(sa.update(outbox).where(*_is(key, fence)).values(**columns)).rowcount > 0


def remove(conn: sa.Connection, key: Key, *, fence: int | None = None) -> bool:
    """Take a row out: superseded, or ended. With `fence` only if nobody leased it since."""
    return conn.execute(sa.delete(outbox).where(*_is(key, fence))).rowcount > 0


_NEXT_TIME: Final = sa.text(
    """
    SELECT min(greatest(next_at, lease_until)) FROM orderflow.outbox
    WHERE NOT parked AND (CAST(:store AS text) IS NULL OR store = :store)
    """
)


def next_time(conn: sa.Connection, store: str | None = None) -> datetime | None:
    """When the next row will want attention."""
    found: datetime | None = conn.scalar(_NEXT_TIME, {"store": store})
    return found


def _row(row: Sequence[Any]) -> Row:
    return Row(Key(*row[: len(_KEY)]), *row[len(_KEY) :])


def _key(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _KEY}


def _is(key: Key, fence: int | None) -> list[sa.ColumnElement[bool]]:
    columns = [outbox.c[name] == value for name, value in _key(key).items()]
    return columns if fence is None else [*columns, outbox.c.fence == fence]
