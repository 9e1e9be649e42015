"""The bare database: psycopg into the very same table, with the same indexes and constraints, and nothing else.

No version is checked, no duplicate looked for, nothing hashed or sealed: it is the limit, not a log.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from bench.fill import COLUMNS, TYPES
from bench.ground import plain

_PLACES: Final = ", ".join(["%s"] * len(COLUMNS))
INSERT: Final = f"INSERT INTO orderflow.events ({', '.join(COLUMNS)}) VALUES ({_PLACES})"
UNNEST: Final = (
    f"INSERT INTO orderflow.events ({', '.join(COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in TYPES)})"
)
_DIGEST: Final = bytes(range(32))
_KEY: Final = UUID(int=7)

Row = tuple[object, ...]


@dataclass
class Rows:
    """Rows for the table, each with the next position, as a writer without any rules would make them."""

    store: str
    bodies: Sequence[bytes]
    _positions: Iterator[int] = field(default_factory=lambda: count(1))

    def next(self, order_id: str, version: int) -> Row:
        """One more event of an order."""
        position, now = next(self._positions), datetime.now(UTC)
        body = self.bodies[position % len(self.bodies)]
        clear = f'{{"name":"order.received","entity_id":null,"event_at":"{now:%Y-%m-%dT%H:%M:%SZ}"}}'
        return (
            self.store,
            position,
            order_id,
            version,
            uuid4(),
            "OrderReceived",
            "glopal",
            f"e{position}",
            now,
            now,
            clear,
            body,
            _KEY,
            _DIGEST,
            '{"machine":2}',
            _DIGEST,
            _DIGEST,
        )


def columns(rows: Sequence[Row]) -> list[list[Any]]:
    """The same rows as one array a column, for `UNNEST`."""
    return [list(column) for column in zip(*rows, strict=True)]


def connect(url: str) -> psycopg.Connection:
    """A connection whose statements are transactions of their own."""
    return psycopg.connect(plain(url), autocommit=True)


@dataclass
class _Waiting:
    row: Row
    done: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.done.acquire()


class GroupCommit:
    """One connection and one thread that writes: one commit for all rows that wait."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._queue: deque[_Waiting] = deque()
        self._news = threading.Semaphore(0)
        self._stopped = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def insert(self, row: Row) -> None:
        """Return once `row` is durable."""
        mine = _Waiting(row)
        self._queue.append(mine)
        self._news.release()
        mine.done.acquire()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End the thread; nobody waits any more."""
        self._stopped = True
        self._news.release()
        self._thread.join()

    def _write(self) -> None:
        while True:
            self._news.acquire()
            batch = [self._queue.popleft() for _ in range(len(self._queue))]
            if not batch:
                if self._stopped:
                    return
                continue
            try:
                if len(batch) == 1:
                    self._conn.execute(INSERT, batch[0].row, binary=True)
                else:
                    self._conn.execute(UNNEST, columns([one.row for one in batch]), binary=True)
            except psycopg.Error as error:
                self.error = error
            for one in batch:
                one.done.release()


@contextmanager
def group_commit(url: str) -> Iterator[GroupCommit]:
    """The writer of one process."""
    with connect(url) as conn:
        writer = GroupCommit(conn)
        try:
            yield writer
        finally:
            writer.stop()
