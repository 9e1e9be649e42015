"""The outbox: what is to be done, one row per key. How a worker takes rows and puts them back stands in `leases`.

It never decides: rows follow the fold. What has ended leaves the outbox; its history stands in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from orderflow.store.arrays import texts
from orderflow.store.direct import fetch

LIVE: Final = "live"
"""The lane of what news brought. No other lane may keep it waiting."""
REDRIVE: Final = "redrive"
"""The lane of what a person had done to many orders at once."""


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
    lane: str
    now: datetime


_KEY: Final = tuple(Key.__slots__)
COLUMNS: Final = (*_KEY, *Row.__slots__[1:-1])
"""All but the time, as they stand in the table."""


def rows_of(conn: sa.Connection, store: str, order_id: str) -> list[Row]:
    """The open rows of one order, locked against workers until the transaction ends."""
    return [row_of(row) for row in conn.execute(_ROWS, {"store": store, "order_id": order_id})]


_ROWS: Final = sa.text(
    f"SELECT {', '.join(COLUMNS)}, orderflow.wall_clock() FROM orderflow.outbox "
    "WHERE store = :store AND order_id = :order_id ORDER BY destination, effect, generation FOR UPDATE"
)


# --- many rows by one statement ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Planned:
    """A row as it is to stand in the outbox."""

    key: Key
    target: str
    reads: bool
    next_at: datetime
    parked: bool = False
    shadow: bool = False
    lane: str = LIVE


@dataclass(frozen=True, slots=True)
class Replanned:
    """A planned row as it is to be from now on."""

    key: Key
    next_at: datetime
    parked: bool
    shadow: bool
    reason: str
    lane: str = LIVE


def rows_of_many(conn: sa.Connection, store: str, order_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The open rows of these orders, locked against workers until the transaction ends; an order without is missing."""
    found: dict[str, list[Row]] = {}
    for row in map(row_of, fetch(conn, _ROWS_OF_MANY, (store, texts(order_ids)))):
        found.setdefault(row.key.order_id, []).append(row)
    return found


_encode: Final = msgspec.json.Encoder().encode
"""Many rows travel as one JSON document: the driver takes ten times as long for arrays."""
_ROWS_OF_MANY: Final = f"""
    SELECT {", ".join(COLUMNS)}, orderflow.wall_clock() FROM orderflow.outbox
    WHERE store = %s AND order_id = ANY (%s)
    ORDER BY order_id COLLATE "C", destination COLLATE "C", effect COLLATE "C", generation FOR UPDATE
"""


def rewrite(
    conn: sa.Connection, removed: Sequence[Key], changed: Sequence[Replanned], planned: Sequence[Planned]
) -> None:
    """Take rows out, change others, then put new ones in. A new row whose key exists already leaves that as it is."""
    if removed:
        conn.execute(_REMOVE, {"rows": _encode([_key(key) for key in removed]).decode()})
    for statement, rows in ((_REPLAN, changed), (_PLAN, planned)):
        if rows:
            conn.execute(statement, {"rows": _encode([_flat(row) for row in rows]).decode()})


def _flat(row: Planned | Replanned) -> dict[str, Any]:
    return _key(row.key) | {name: getattr(row, name) for name in type(row).__slots__ if name != "key"}


_SAME: Final = f"({', '.join(f'o.{name}' for name in _KEY)}) = ({', '.join(f'n.{name}' for name in _KEY)})"
_GIVEN: Final = "json_populate_recordset(CAST(NULL AS orderflow.outbox), CAST(:rows AS json)) AS n"
_REMOVE: Final = sa.text(f"DELETE FROM orderflow.outbox o USING {_GIVEN} WHERE {_SAME}")
_REPLAN: Final = sa.text(
    f"""
    UPDATE orderflow.outbox o SET next_at = n.next_at, parked = n.parked, shadow = n.shadow, reason = n.reason,
        lane = n.lane
    FROM {_GIVEN} WHERE {_SAME}
    """
)
_PLANNED: Final = ", ".join((*_KEY, *Planned.__slots__[1:]))
_PLAN: Final = sa.text(
    f"INSERT INTO orderflow.outbox ({_PLANNED}) SELECT {_PLANNED} FROM {_GIVEN} ON CONFLICT DO NOTHING"
)


# --- when, and what a row is ------------------------------------------------------------------------------------------


_NEXT_TIME: Final = sa.text(
    """
    SELECT min(greatest(o.next_at, o.lease_until, (
        SELECT g.shut_until FROM orderflow.gates g
        WHERE g.store = o.store AND g.destination = o.destination ORDER BY g.seq DESC LIMIT 1)))
    FROM orderflow.outbox o
    WHERE NOT o.parked AND (CAST(:store AS text) IS NULL OR o.store = :store)
    """
)


def next_time(conn: sa.Connection, store: str | None = None) -> datetime | None:
    """When the next row will want attention, and its destination will take it."""
    found: datetime | None = conn.scalar(_NEXT_TIME, {"store": store})
    return found


def row_of(row: Sequence[Any]) -> Row:
    """The row in `COLUMNS` and the time."""
    return Row(Key(*row[: len(_KEY)]), *row[len(_KEY) :])


def unplanned(key: Key, now: datetime, reason: str) -> Row:
    """A row that stands in no outbox: what is asked for beside it."""
    return Row(
        key,
        state="planned",
        target="",
        next_at=now,
        attempt=0,
        failures=0,
        parked=False,
        shadow=False,
        request=None,
        request_key=None,
        digest=None,
        send_by=None,
        counts_from=None,
        fence=0,
        reason=reason,
        lane=LIVE,
        now=now,
    )


def _key(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _KEY}
