"""Where a contestant runs: fresh databases in one durable server, and how much it shall do.

It never lets a sample meet what another one left behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count

import psycopg
from sqlalchemy import make_url

from orderflow.store import migrate

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done. `seconds`: of each timed sample; `events`: in a log that is read; `grown`: in a large one.

    `reader_minutes`: how long the old snapshot was open before anything is measured beside it. `full`: the sizes that
    the goals are said for.
    """

    seconds: float = 0.7
    events: int = 20_000
    rebuilt: int = 50_000
    grown: int = 100_000
    reader_minutes: float = 0.1
    effects: int = 400
    wakes: int = 10
    orders: int = 100
    producers: int = 16
    workers: int = 4
    sizes: tuple[int, ...] = (400, 4096)
    full: bool = False


FULL = Scale(
    seconds=2.0,
    events=100_000,
    rebuilt=1_000_000,
    grown=10_000_000,
    reader_minutes=10.0,
    effects=2000,
    wakes=100,
    orders=1000,
    full=True,
)
TINY = Scale(
    seconds=0.15,
    events=600,
    rebuilt=600,
    grown=600,
    reader_minutes=0.0,
    effects=8,
    wakes=3,
    orders=4,
    producers=3,
    workers=2,
)


def shrunk(scale: Scale, times: int) -> Scale:
    """The same with so many times fewer events, effects and orders."""
    counts = {
        name: max(1, getattr(scale, name) // times) for name in ("events", "rebuilt", "grown", "effects", "orders")
    }
    return replace(scale, **counts, full=False)


@dataclass
class Ground:
    """Databases of one case. `fresh` ones live as long as a sample, those of `once` as long as the case."""

    server: str
    scale: Scale
    holds: ExitStack = field(default_factory=ExitStack)
    """What is to be let go when the case ends: an open snapshot, a process."""
    _once: dict[str, str] = field(default_factory=dict)
    _fresh: list[str] = field(default_factory=list)

    def fresh(self, copy_of: str | None = None) -> str:
        """A new database's URL: migrated and empty, or a copy of one that `once` has made."""
        url = self._create(copy_of or self.once("", lambda _url: None))
        self._fresh.append(url)
        self.checkpoint()
        return url

    def once(self, name: str, build: Callable[[str], object], copy_of: str | None = None) -> str:
        """A database that is built by the first who asks for it; after that it is for reading, or to be copied."""
        if name not in self._once:
            url = self._create(copy_of)
            self._once[name] = url
            if copy_of is None:
                migrate.upgrade(url)
            build(url)
            with psycopg.connect(plain(url), autocommit=True) as conn:
                conn.execute("VACUUM (ANALYZE, FREEZE)")
                conn.execute("CHECKPOINT")
        return self._once[name]

    def checkpoint(self) -> None:
        """Let nobody pay for what was written before."""
        with psycopg.connect(plain(self.server), autocommit=True) as conn:
            conn.execute("CHECKPOINT")

    def sweep(self) -> None:
        """A sample has ended: drop its databases."""
        while self._fresh:
            self._drop(self._fresh.pop())

    def close(self) -> None:
        """The case has ended."""
        self.holds.close()
        self.sweep()
        while self._once:
            self._drop(self._once.popitem()[1])

    def _create(self, copy_of: str | None) -> str:
        name = f"bench-{os.getpid()}-{next(_NUMBERS)}"  # other processes may use the same server
        template = "" if copy_of is None else f' TEMPLATE "{make_url(copy_of).database}" STRATEGY file_copy'
        with psycopg.connect(plain(self.server), autocommit=True) as conn:
            conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            conn.execute(f'CREATE DATABASE "{name}"{template}')
        return make_url(self.server).set(database=name).render_as_string(hide_password=False)

    def _drop(self, url: str) -> None:
        with psycopg.connect(plain(self.server), autocommit=True) as conn:
            conn.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')


def plain(url: str) -> str:
    """The URL as psycopg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
