"""The log: one append-only, gapless, hash-chained sequence of events per store, one stream per order.

It never knows what an event means, and never skips a hole: a hole can only be damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from orderflow.store.chain import leaf
from orderflow.store.entry import Entry, Sealed
from orderflow.store.tables import epochs, events

INTAKE: Final = "~intake"
"""The stream of what names no order."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Entries of one order that go in together or not at all. `expected`: the version its stream must have."""

    entries: tuple[Entry, ...]
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """Written: position of the unit's first event, version of its last."""

    position: int
    version: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A source id of the unit was known; nothing was written. Place and contents of the first such event."""

    position: int
    version: int
    order_id: str
    clear: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The stream stands at another version than expected; nothing was written."""

    version: int


Result = Appended | Duplicate | Conflict


@dataclass(frozen=True, slots=True)
class Record:
    """A stored event without its body."""

    position: int
    order_id: str
    version: int
    type: str
    source: str
    source_id: str
    occurred_at: datetime | None
    recorded_at: datetime
    clear: str
    meta: str


class LogDamagedError(Exception):
    """The log is not what was written: a missing, altered or misplaced row. `position` is the first bad one."""

    def __init__(self, store: str, position: int, what: str) -> None:
        self.store = store
        self.position = position
        super().__init__(f"the log of store {store} is damaged at position {position}: {what}")


_APPEND: Final = sa.text(
    """
    SELECT unit, outcome, at_position, at_version, known_order, known_clear FROM orderflow.append_events(
        :store, CAST(:unit AS int[]), CAST(:order_id AS text[]), CAST(:expected AS bigint[]),
        CAST(:event_id AS uuid[]), CAST(:type AS text[]), CAST(:source AS text[]), CAST(:source_id AS text[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:clear AS text[]), CAST(:body AS bytea[]),
        CAST(:body_key AS uuid[]), CAST(:body_mac AS bytea[]), CAST(:meta AS text[]), CAST(:leaf AS bytea[]))
    """
)


def append(conn: sa.Connection, store: str, units: Sequence[Unit]) -> list[Result]:
    """Append `units` to the log of `store`; one result a unit, in order. A unit that conflicts fails alone.

    Takes the store's lock until the transaction ends: call it last. Raises ValueError for a unit without events.
    """
    if not units:
        return []
    if not all(unit.entries for unit in units):
        raise ValueError("a unit holds at least one event")
    flat = [(number, unit.expected, entry) for number, unit in enumerate(units) for entry in unit.entries]
    arguments = {
        "store": store,
        "unit": [number for number, _, _ in flat],
        "expected": [expected for _, expected, _ in flat],
        "body": [e.body.data if e.body else None for _, _, e in flat],
        "body_key": [e.body.key if e.body else None for _, _, e in flat],
        "body_mac": [e.body.mac if e.body else None for _, _, e in flat],
        "leaf": [leaf(store, e) for _, _, e in flat],
    }
    for name in ("order_id", "event_id", "type", "source", "source_id", "occurred_at", "clear", "meta"):
        arguments[name] = [getattr(entry, name) for _, _, entry in flat]
    return [_result(row) for row in conn.execute(_APPEND, arguments)]


def _result(row: sa.Row[Any]) -> Result:
    if row.outcome == "appended":
        return Appended(row.at_position, row.at_version)
    if row.outcome == "duplicate":
        return Duplicate(row.at_position, row.at_version, row.known_order, row.known_clear)
    return Conflict(row.at_version)


_RECORD: Final = ", ".join(Record.__slots__)
_READ: Final = sa.text(
    f"SELECT {_RECORD} FROM orderflow.events WHERE store = :store AND position > :after ORDER BY position LIMIT :limit"
)
_READ_STREAM: Final = sa.text(
    f"SELECT {_RECORD} FROM orderflow.events WHERE store = :store AND order_id = :order_id "
    "AND version > :after AND version <= coalesce(CAST(:upto AS bigint), 9223372036854775807) ORDER BY version"
)


def read(conn: sa.Connection, store: str, after: int, limit: int = 500) -> list[Record]:
    """The next events after position `after`, in order. Raises `LogDamagedError` where one is missing."""
    found = [Record(*row) for row in conn.execute(_READ, {"store": store, "after": after, "limit": limit})]
    for expected, record in enumerate(found, start=after + 1):
        if record.position != expected:
            raise LogDamagedError(store, expected, "it is missing")
    return found


def read_stream(
    conn: sa.Connection, store: str, order_id: str, after: int = 0, upto: int | None = None
) -> list[Record]:
    """One order's events after version `after`, up to `upto`. Raises `LogDamagedError` where one is missing."""
    values = {"store": store, "order_id": order_id, "after": after, "upto": upto}
    found = [Record(*row) for row in conn.execute(_READ_STREAM, values)]
    for expected, record in enumerate(found, start=after + 1):
        if record.version != expected:
            raise LogDamagedError(store, record.position, f"version {expected} of order {order_id} is missing")
    return found


# OFFSET 0 keeps it one look into the index for each order, whatever the planner believes of the table.
_READ_TAILS: Final = sa.text(
    f"""
    SELECT {", ".join(f"e.{name}" for name in Record.__slots__)}
    FROM unnest(CAST(:order_ids AS text[]), CAST(:after AS bigint[])) AS w (order_id, after)
    CROSS JOIN LATERAL (
        SELECT * FROM orderflow.events e
        WHERE e.store = :store AND e.order_id = w.order_id AND e.version > w.after
        ORDER BY e.version OFFSET 0
    ) AS e
    """
)


def read_tails(conn: sa.Connection, store: str, after: Mapping[str, int]) -> dict[str, list[Record]]:
    """Each order's events after the version named for it, in order. Raises `LogDamagedError` where one is missing."""
    values = {"store": store, "order_ids": list(after), "after": list(after.values())}
    tails: dict[str, list[Record]] = {order_id: [] for order_id in after}
    for row in conn.execute(_READ_TAILS, values):
        record = Record(*row)
        tail = tails[record.order_id]
        expected = after[record.order_id] + len(tail) + 1
        if record.version != expected:
            raise LogDamagedError(store, record.position, f"version {expected} of order {record.order_id} is missing")
        tail.append(record)
    return tails


def head(conn: sa.Connection, store: str) -> int:
    """The last position of `store`; 0 for an empty log."""
    return (
        conn.scalar(sa.select(sa.func.coalesce(sa.func.max(events.c.position), 0)).where(events.c.store == store)) or 0
    )


def stores(conn: sa.Connection) -> list[str]:
    """All stores that have a log."""
    return list(conn.scalars(sa.select(epochs.c.store).distinct().order_by(epochs.c.store)))


def body(conn: sa.Connection, store: str, position: int) -> tuple[UUID, Sealed] | None:
    """Event id and sealed body at `position`, if it has one."""
    query = sa.select(events.c.event_id, events.c.body, events.c.body_key, events.c.body_mac).where(
        events.c.store == store, events.c.position == position
    )
    row = conn.execute(query).one_or_none()
    return None if row is None or row[1] is None else (row[0], Sealed(row[1], row[2], row[3]))


def one_each(entries: Iterable[Entry]) -> list[Unit]:
    """Facts that stand alone: a unit each, whatever the version."""
    return [Unit((entry,)) for entry in entries]
