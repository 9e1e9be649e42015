"""Sixteen writers and one tailing reader, on anything that can append and read: the log, or a plain sequence."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import sqlalchemy as sa

from orderflow.store import log
from orderflow.store.entry import Entry
from orderflow.store.log import Conflict, Unit

WRITERS = 16
ROUNDS = 12


class Kept(Protocol):
    """Something that numbers what is written to it."""

    def write(self, conn: sa.Connection, names: Sequence[str], rng: Random) -> int | None:
        """Write all `names`, in this transaction; the place of the first, None if it was refused."""
        ...

    def read(self, conn: sa.Connection, after: int) -> list[tuple[int, str]]:
        """Places and names behind the place `after`, in order."""
        ...


@dataclass(frozen=True)
class Log:
    """Our log: facts, and decisions on the version that was read just before."""

    store: str

    def write(self, conn: sa.Connection, names: Sequence[str], rng: Random) -> int | None:
        order_id = f"o{rng.randrange(5)}"
        expected = len(log.read_stream(conn, self.store, order_id)) if rng.random() < 0.3 else None
        unit = Unit(tuple(Entry(order_id, "NoteAdded", "test", name, "{}") for name in names), expected)
        [result] = log.append(conn, self.store, [unit])
        return None if isinstance(result, Conflict) else result.position

    def read(self, conn: sa.Connection, after: int) -> list[tuple[int, str]]:
        return [(record.position, record.source_id) for record in log.read(conn, self.store, after, 50)]


class Sequence_:  # noqa: N801 - `Sequence` is taken
    """What every second event store began with: a serial column, and a cursor at the last number seen."""

    CREATE = "CREATE TABLE public.serial (id bigserial PRIMARY KEY, name text NOT NULL)"

    def write(self, conn: sa.Connection, names: Sequence[str], rng: Random) -> int | None:
        insert = sa.text("INSERT INTO public.serial (name) VALUES (:name) RETURNING id")
        return min(conn.scalar(insert, {"name": name}) for name in names)

    def read(self, conn: sa.Connection, after: int) -> list[tuple[int, str]]:
        query = sa.text("SELECT id, name FROM public.serial WHERE id > :after ORDER BY id LIMIT 50")
        return [(id_, name) for id_, name in conn.execute(query, {"after": after})]


@dataclass
class Tail:
    """A reader that keeps its cursor at the last place it saw."""

    engine: sa.Engine
    kept: Kept
    cursor: int = 0
    seen: list[str] = field(default_factory=list)

    def poll(self) -> int:
        with self.engine.begin() as conn:
            found = self.kept.read(conn, self.cursor)
        places = [place for place, _ in found]
        assert places == sorted(places)
        self.seen += [name for _, name in found]
        self.cursor = places[-1] if places else self.cursor
        return len(found)


def race(engine: sa.Engine, kept: Kept) -> tuple[set[str], Tail]:
    """All names that were committed, and the reader that tailed them meanwhile.

    Every transaction may be held open before its commit, or rolled back. The first one of all is held until the reader
    has gone past it, if that can be: on a log it cannot, and half a second is waited for it in vain.
    """
    committed: set[str] = set()
    tail = Tail(engine, kept)
    written = threading.Event()
    done = threading.Event()

    def writer(number: int) -> None:
        rng = Random(number)
        if number:
            written.wait()
        for turn in range(ROUNDS):
            names = [f"{number}-{turn}-{n}" for n in range(rng.choice((1, 1, 3)))]
            with engine.connect() as conn:
                place = kept.write(conn, names, rng)
                if number == turn == 0:
                    written.set()
                    _wait(lambda: tail.cursor > 1, 0.5)
                elif rng.random() < 0.3:
                    time.sleep(rng.uniform(0.0, 0.01))
                if place is None or (rng.random() < 0.1 and (number or turn)):
                    conn.rollback()
                    continue
                conn.commit()
                committed.update(names)

    def reader() -> None:
        """Until all is read; whether all is written is asked before reading, or the last commit is missed."""
        while True:
            over = done.is_set()
            if not tail.poll() and over:
                return
            time.sleep(0.001)

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reading = pool.submit(reader)
        writing = [pool.submit(writer, number) for number in range(WRITERS)]
        try:
            for one in writing:
                one.result()
        finally:
            done.set()
        reading.result()
    return committed, tail


def _wait(happened: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not happened() and time.monotonic() < until:
        time.sleep(0.002)
    return happened()
