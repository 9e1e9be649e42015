"""The log: one append-only, gapless, hash-chained sequence of events per store, one stream per order.

It never knows what an event means, and never skips a hole: a hole can only be damage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa

from orderflow.store.tables import epochs, events, streams

INTAKE: Final = "~intake"
"""The stream of what names no order."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Sealed bytes, the vault key they are sealed with, and a keyed MAC of the plain bytes."""

    data: bytes
    key: UUID
    mac: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on its way into the log. `(source, source_id)` is its identity; `clear` is allow-listed JSON."""

    order_id: str
    type: str
    source: str
    source_id: str
    clear: str
    occurred_at: datetime | None = None
    body: Sealed | None = None
    meta: str = "{}"
    event_id: UUID = field(default_factory=uuid4)


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


# --- leaf and chain -------------------------------------------------------------------------------------------------


def leaf(store: str, entry: Entry) -> bytes:
    """SHA-256 over the columns that are known before the lock, each with its length in front."""
    sealed = entry.body
    columns: tuple[bytes | str | None, ...] = (
        store,
        entry.order_id,
        entry.event_id.bytes,
        entry.type,
        entry.source,
        entry.source_id,
        None if entry.occurred_at is None else _micros(entry.occurred_at),
        entry.clear,
        sealed.data if sealed else None,
        sealed.key.bytes if sealed else None,
        sealed.mac if sealed else None,
        entry.meta,
    )
    digest = hashlib.sha256()
    for column in columns:
        plain = column.encode() if isinstance(column, str) else column
        digest.update(b"-" if plain is None else b"+" + len(plain).to_bytes(8, "big") + plain)
    return digest.digest()


def chain(previous: bytes, epoch: int, position: int, version: int, recorded_at: datetime, leaf_: bytes) -> bytes:
    """The hash that `append_events` computes in SQL, here for checking it."""
    place = epoch.to_bytes(4, "big") + position.to_bytes(8, "big") + version.to_bytes(8, "big")
    return hashlib.sha256(previous + place + _micros(recorded_at) + leaf_).digest()


def genesis(store: str) -> bytes:
    """What the first event of a store is chained to."""
    return hashlib.sha256(f"orderflow {store}".encode()).digest()


def _micros(time: datetime) -> bytes:
    return ((time - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big", signed=True)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def verify(conn: sa.Connection, store: str, batch: int = 1000) -> Iterator[int]:
    """Recompute contiguity, leaves, chain and stream versions from position 1; yields each position reached.

    Raises `LogDamagedError` at the first row that is not what was written. What is appended meanwhile is left for the
    next time: the end of the log and the versions of its streams are taken by one statement at the beginning.
    """
    end, standing = _standing(conn, store)
    begun = sa.select(epochs.c.first_position, epochs.c.epoch).where(epochs.c.store == store).order_by(epochs.c.epoch)
    epoch_of: dict[int, int] = {row[0]: row[1] for row in conn.execute(begun)}
    versions: dict[str, int] = {}
    previous, epoch, last, recorded = genesis(store), 0, 0, None
    while last < end:
        for row in _whole(conn, store, last, min(batch, end - last)):
            last += 1
            epoch = epoch_of.get(last, epoch)
            versions[row.order_id] = versions.get(row.order_id, 0) + 1
            if row.position != last:
                raise LogDamagedError(store, last, "it is missing")
            if row.version != versions[row.order_id]:
                raise LogDamagedError(store, last, f"its version is {row.version}, not {versions[row.order_id]}")
            if recorded is not None and row.recorded_at < recorded:
                raise LogDamagedError(store, last, "it was recorded before its predecessor")
            if leaf(store, _entry(row)) != row.leaf:
                raise LogDamagedError(store, last, "its contents do not match its leaf")
            previous = chain(previous, epoch, last, row.version, row.recorded_at, row.leaf)
            if previous != row.hash:
                raise LogDamagedError(store, last, "its hash does not continue the chain")
            recorded = row.recorded_at
        yield last
    if standing != versions:
        order_id = min(order_id for order_id, _ in standing.items() ^ versions.items())
        raise LogDamagedError(store, last, f"stream {order_id} stands elsewhere than its events say")


def _standing(conn: sa.Connection, store: str) -> tuple[int, dict[str, int]]:
    """The last position and the version of every stream, as of one moment."""
    end = sa.select(sa.func.coalesce(sa.func.max(events.c.position), 0)).where(events.c.store == store)
    one = sa.select(sa.literal(1)).subquery()
    query = sa.select(end.scalar_subquery(), streams.c.order_id, streams.c.version)
    found = conn.execute(query.select_from(one.outerjoin(streams, streams.c.store == store))).all()
    return found[0][0], {order_id: version for _, order_id, version in found if order_id is not None}


def _whole(conn: sa.Connection, store: str, after: int, limit: int) -> Sequence[sa.Row[Any]]:
    query = sa.select(events).where(events.c.store == store, events.c.position > after)
    return conn.execute(query.order_by(events.c.position).limit(limit)).all()


def _entry(row: sa.Row[Any]) -> Entry:
    sealed = None if row.body is None else Sealed(row.body, row.body_key, row.body_mac)
    return Entry(
        row.order_id, row.type, row.source, row.source_id, row.clear, row.occurred_at, sealed, row.meta, row.event_id
    )


def one_each(entries: Iterable[Entry]) -> list[Unit]:
    """Facts that stand alone: a unit each, whatever the version."""
    return [Unit((entry,)) for entry in entries]
