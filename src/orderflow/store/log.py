"""The log: one append-only, gapless, hash-chained sequence of events per store, one stream per order.

It never knows what an event means, and never skips a hole: a hole can only be damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from orderflow.store.arrays import bigints, ints, octets, texts, times, uuids
from orderflow.store.chain import leaves
from orderflow.store.connect import at_once
from orderflow.store.direct import fetch
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


class Record(NamedTuple):
    """A stored event without its body. A tuple, as the driver makes it: a dataclass costs more than the reading."""

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


_APPEND: Final = f"""
    SELECT unit, outcome, at_position, at_version, known_order, known_clear
    FROM orderflow.append_events({", ".join(["%b"] * 15)})
    """


def append(conn: sa.Connection, store: str, units: Sequence[Unit]) -> list[Result]:
    """Append `units` to the log of `store`; one result a unit, in order. A unit that conflicts fails alone.

    Takes the store's lock until the transaction ends: call it last. Raises ValueError for a unit without events.
    """
    return written(conn, prepared(store, units)) if units else []


Prepared: TypeAlias = tuple[Any, ...]
"""What a call of the function is given: all that can be computed before the lock, leaves among it."""


def prepared(store: str, units: Sequence[Unit], leaves_: Sequence[bytes] | None = None) -> Prepared:
    """`units` as they are handed over, in the order of the function's arguments. Raises ValueError as `append` does.

    `leaves_` are those of all entries, where they are known already.
    """
    if not all(unit.entries for unit in units):
        raise ValueError("a unit holds at least one event")
    entries = [entry for unit in units for entry in unit.entries]
    bodies = [entry.body for entry in entries]
    return (
        store,
        ints([number for number, unit in enumerate(units) for _ in unit.entries]),
        texts([entry.order_id for entry in entries]),
        bigints([unit.expected for unit in units for _ in unit.entries]),
        uuids([entry.event_id for entry in entries]),
        texts([entry.type for entry in entries]),
        texts([entry.source for entry in entries]),
        texts([entry.source_id for entry in entries]),
        times([entry.occurred_at for entry in entries]),
        texts([entry.clear for entry in entries]),
        octets([None if body is None else body.data for body in bodies]),
        uuids([None if body is None else body.key for body in bodies]),
        octets([None if body is None else body.mac for body in bodies]),
        texts([entry.meta for entry in entries]),
        octets(leaves_ or leaves(store, entries)),
    )


def written(conn: sa.Connection, given: Prepared) -> list[Result]:
    """Append what `prepared` made ready; as `append` otherwise."""
    return [_result(*row) for row in fetch(conn, _APPEND, given)]


def append_at_once(engine: sa.Engine, given: Prepared) -> list[Result]:
    """Append what `prepared` made ready in a transaction of its own, and one round trip.

    As with `transact`, it is sent again when the connection breaks: what was written is then a `Duplicate`.
    """
    return [_result(*row) for row in at_once(engine, _APPEND, given)]


def _result(
    _unit: int, outcome: str, position: int, version: int, known_order: str | None, known_clear: str | None
) -> Result:
    if outcome == "appended":
        return Appended(position, version)
    if known_order is None or known_clear is None:
        return Conflict(version)
    return Duplicate(position, version, known_order, known_clear)


_READ: Final = """
    SELECT position, order_id, version, type, source, source_id, occurred_at, recorded_at, clear, meta
    FROM orderflow.events WHERE store = %s AND position > %s ORDER BY position LIMIT %s
"""
_READ_STREAM: Final = """
    SELECT position, order_id, version, type, source, source_id, occurred_at, recorded_at, clear, meta
    FROM orderflow.events WHERE store = %s AND order_id = %s AND version > %s AND version <= %s ORDER BY version
"""
_NO_END: Final = 2**63 - 1


def read(conn: sa.Connection, store: str, after: int, limit: int = 500) -> list[Record]:
    """The next events after position `after`, in order. Raises `LogDamagedError` where one is missing."""
    found = [*map(Record._make, fetch(conn, _READ, (store, after, limit)))]
    for expected, record in enumerate(found, start=after + 1):
        if record.position != expected:
            raise LogDamagedError(store, expected, "it is missing")
    return found


def read_stream(
    conn: sa.Connection, store: str, order_id: str, after: int = 0, upto: int | None = None
) -> list[Record]:
    """One order's events after version `after`, up to `upto`. Raises `LogDamagedError` where one is missing."""
    last = _NO_END if upto is None else upto
    found = [*map(Record._make, fetch(conn, _READ_STREAM, (store, order_id, after, last)))]
    for expected, record in enumerate(found, start=after + 1):
        if record.version != expected:
            raise LogDamagedError(store, record.position, f"version {expected} of order {order_id} is missing")
    return found


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
