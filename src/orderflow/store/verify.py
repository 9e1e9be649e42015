"""Recompute a log from its first event: contiguity, leaves, chain, epochs and the versions of its streams.

It never changes anything, and names the first row that is not what was written.

Rows are taken as the bytes that Postgres sends: they are what a leaf is made of, and nothing is decoded for nothing.
`chain` says the same in plain words; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final, NoReturn

import psycopg
import sqlalchemy as sa
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy.exc import DBAPIError

from orderflow.store import chain
from orderflow.store.log import LogDamagedError
from orderflow.store.tables import epochs, events, streams

BATCH: Final = 1000


def verify(conn: sa.Connection, store: str, batch: int = BATCH) -> Iterator[int]:
    """Recompute the log from position 1; yields each position reached. Raises as `walk` does."""
    last = 0
    for hashes in walk(conn, store, batch):
        last += len(hashes)
        yield last


def walk(conn: sa.Connection, store: str, batch: int = BATCH) -> Iterator[list[bytes]]:
    """Recompute contiguity, leaves, chain and stream versions from position 1; yields the hashes, batch by batch.

    Raises `LogDamagedError` at the first row that is not what was written, after the hashes of those before it. What is
    appended meanwhile is left for the next time: the end of the log and the versions of its streams are taken by one
    statement at the beginning.
    """
    end, standing = _standing(conn, store)
    begun = sa.select(epochs.c.first_position, epochs.c.epoch, epochs.c.forked_from_hash)
    found = conn.execute(begun.where(epochs.c.store == store).order_by(epochs.c.epoch)).all()
    progress = _Progress(store, {row[0]: (row[1], row[2]) for row in found})
    while progress.last < end:
        hashes: list[bytes] = []
        upto = min(progress.last + batch, end)
        try:
            _check(progress, raw(conn, store, progress.last, upto), hashes)
            if progress.last < upto:
                progress.damaged("it is missing", progress.last + 1)
        except LogDamagedError:
            if hashes:
                yield hashes
            raise
        yield hashes
    versions = {order_id.decode(): version for order_id, version in progress.versions.items()}
    if standing != versions:
        order_id = min(order_id for order_id, _ in standing.items() ^ versions.items())
        progress.damaged(f"stream {order_id} stands elsewhere than its events say", progress.last)


class _Progress:
    """How far it has come, and what the next row is held against."""

    __slots__ = ("begun", "epoch", "head", "last", "previous", "recorded", "store", "versions")

    def __init__(self, store: str, begun: dict[int, tuple[int, bytes | None]]) -> None:
        self.store = store
        self.begun = begun
        self.head = _MARKS[len(store.encode())] + store.encode()
        self.previous = chain.genesis(store)
        self.epoch = (0).to_bytes(4, "big")
        self.last = 0
        self.recorded = -(2**63)
        self.versions: dict[bytes, int] = {}

    def damaged(self, what: str, position: int) -> NoReturn:
        """Name the first bad row."""
        raise LogDamagedError(self.store, position, what)


def _check(progress: _Progress, rows: list[tuple[Any, ...]], hashes: list[bytes]) -> None:
    """Check consecutive rows, and put the hashes of good ones into `hashes`."""
    versions, marks, number, head = progress.versions, _MARKS, int.from_bytes, progress.head
    for (
        position, version, recorded, leaf, hash_, order_id, event_id, type_, source, source_id, occurred, clear,
        body, key, mac, meta,
    ) in rows:  # fmt: skip
        last = progress.last + 1
        if number(position, "big") != last:
            progress.damaged("it is missing", last)
        if last in progress.begun:
            _begin(progress, last)
        versions[order_id] = count = versions.get(order_id, 0) + 1
        if number(version, "big", signed=True) != count:
            progress.damaged(f"its version is {number(version, 'big', signed=True)}, not {count}", last)
        time = number(recorded, "big", signed=True)
        if time < progress.recorded:
            progress.damaged("it was recorded before its predecessor", last)
        parts = (
            head, marks[len(order_id)], order_id, marks[16], event_id, marks[len(type_)], type_,
            marks[len(source)], source, marks[len(source_id)], source_id,
            b"-" if occurred is None else marks[8] + _unix(number(occurred, "big", signed=True)),
            marks[len(clear)], clear,
            b"-" if body is None else marks[len(body)], body or b"",
            b"-" if key is None else marks[len(key)], key or b"",
            b"-" if mac is None else marks[len(mac)], mac or b"",
            marks[len(meta)], meta,
        )  # fmt: skip
        if sha256(b"".join(parts)).digest() != leaf:
            progress.damaged("its contents do not match its leaf", last)
        made = sha256(progress.previous + progress.epoch + position + version + _unix(time) + leaf).digest()
        if made != hash_:
            progress.damaged("its hash does not continue the chain", last)
        progress.previous, progress.last, progress.recorded = made, last, time
        hashes.append(made)


def _begin(progress: _Progress, position: int) -> None:
    """A new epoch begins here; it names the event that it goes on from."""
    epoch, forked_from = progress.begun[position]
    if epoch > 1 and forked_from != progress.previous:
        progress.damaged(f"epoch {epoch} does not go on from the event before it", position)
    progress.epoch = epoch.to_bytes(4, "big")


class _Marks(dict[int, bytes]):
    """What stands in front of a value of so many bytes."""

    def __missing__(self, length: int) -> bytes:
        """Made when it is needed; only those of short values are kept."""
        mark = b"+" + length.to_bytes(8, "big")
        if length < 65536:
            self[length] = mark
        return mark


_MARKS: Final = _Marks()
_SHIFT: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where Postgres counts from."""


def _unix(time: int) -> bytes:
    return (time + _SHIFT).to_bytes(8, "big", signed=True)


_COLUMNS: Final = (
    "position, version, recorded_at, leaf, hash, order_id, event_id, type, source, source_id, occurred_at, clear, "
    "body, body_key, body_mac, meta"
)


def raw(conn: sa.Connection, store: str, after: int, upto: int, columns: str = _COLUMNS) -> list[tuple[Any, ...]]:
    """Columns of the events after position `after` up to `upto`, in order, as the bytes that Postgres sends.

    Both ends are named, so that no stale statistics lead the planner astray.
    """
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    where = "store = %s AND position > %s AND position <= %s"
    query = f"SELECT {columns} FROM orderflow.events WHERE {where} ORDER BY position"
    try:
        with driver.cursor(binary=True) as cursor:
            for kind in ("text", "uuid", "timestamptz", "int8", "bytea"):
                cursor.adapters.register_loader(kind, ByteaBinaryLoader)
            return cursor.execute(query.encode(), (store, after, upto)).fetchall()
    except psycopg.Error as error:  # as SQLAlchemy tells it, which everybody expects
        broken = driver.broken or driver.closed
        raise DBAPIError.instance(
            query, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=broken, dialect=conn.dialect
        ) from None


def _standing(conn: sa.Connection, store: str) -> tuple[int, dict[str, int]]:
    """The last position and the version of every stream, as of one moment."""
    end = sa.select(sa.func.coalesce(sa.func.max(events.c.position), 0)).where(events.c.store == store)
    one = sa.select(sa.literal(1)).subquery()
    query = sa.select(end.scalar_subquery(), streams.c.order_id, streams.c.version)
    found = conn.execute(query.select_from(one.outerjoin(streams, streams.c.store == store))).all()
    return found[0][0], {order_id: version for _, order_id, version in found if order_id is not None}
