"""Thousands of seeds in a few processes, and a table of which fault really fired where, how often.

`python -m tests.simulation.campaign 5000`. It fails where a promise was broken, and where a fault that applies never
fired: a campaign that met no trouble proves nothing.
"""
# ruff: noqa: T201 - a command answers

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from tests.simulation.check import DOUBLED, LOST, UNKNOWN, Broken
from tests.simulation.faults import Fired, never, table, total
from tests.simulation.simulate import Database, simulate

from orderflow.store import embedded, migrate

CHUNK = 10


@dataclass
class Tally:
    """What a number of seeds came to."""

    seeds: int = 0
    fired: Counter[tuple[str, str]] = field(default_factory=Fired)
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Both together."""
        self.seeds += other.seeds
        self.fired.update(other.fired)
        self.counts.update(other.counts)
        self.broken += other.broken


_mine: list[Database] = []
"""The database of this process."""


def _begin(server_url: str) -> None:
    name = f"simulation_{os.getpid()}"
    owner = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with owner.connect() as conn:
        conn.exec_driver_sql(f'CREATE DATABASE "{name}"')
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    migrate.upgrade(url)
    _mine.append(Database(url))


def _simulated(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        tally.seeds += 1
        try:
            run = simulate(_mine[0], seed)
        except Broken as broken:
            tally.broken.append((seed, broken.promise.name, str(broken)))
        else:
            tally.fired.update(run.world.fired)
            tally.counts.update(run.counts)
    return tally


def campaign(first: int, number: int, processes: int, minutes: float) -> Tally:
    """Run them, or as many as there is time for; says how far it has come."""
    chunks = [range(start, min(start + CHUNK, first + number)) for start in range(first, first + number, CHUNK)]
    tally, began = Tally(), time.monotonic()
    scratch = tempfile.TemporaryDirectory(prefix="orderflow-simulation-", ignore_cleanup_errors=True)
    with scratch as home, embedded.start(Path(home), durable=False) as server:
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(processes, _begin, (server.url,)) as pool:
            for part in pool.imap_unordered(_simulated, chunks):
                tally.add(part)
                if tally.seeds % 100 == 0:
                    said = f"{tally.seeds} seeds, {len(tally.broken)} broken, {time.monotonic() - began:.0f} s"
                    print(said, file=sys.stderr, flush=True)
                if time.monotonic() - began > minutes * 60:
                    break
    return tally


def told(tally: Tally, seconds: float, processes: int) -> str:
    """The table and the totals, as Markdown."""
    kinds = [name for _, name, _ in tally.broken]

    def of(promises: Iterable[object]) -> int:
        return sum(kind in {promise.name for promise in promises} for kind in kinds)  # type: ignore[attr-defined]

    known = {one.name for one in DOUBLED | LOST | UNKNOWN}
    orders = sum(count for name, count in tally.counts.items() if name.startswith("end "))
    sent = sum(count for name, count in tally.counts.items() if name.startswith("send "))
    looked = sum(count for name, count in tally.counts.items() if name.startswith("look_up "))
    lines = [
        table(tally.fired),
        "",
        f"{tally.seeds} schedules of {orders} orders: {tally.counts['steps']} steps, {sent} writes, {looked} look-ups.",
        f"{total(tally.fired)} faults fired.",
        f"{of(DOUBLED)} doubled, {of(LOST)} lost, {of(UNKNOWN)} left unknown.",
        f"{sum(kind not in known for kind in kinds)} other promises broken.",
        f"{seconds:.0f} s in {processes} processes.",
    ]
    return "\n".join(lines)


def main() -> int:
    """The exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("seeds", type=int, nargs="?", default=5000)
    asked.add_argument("--first", type=int, default=0)
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--minutes", type=float, default=60.0, help="end after so many, wherever it is")
    given = asked.parse_args()
    began = time.monotonic()
    tally = campaign(given.first, given.seeds, given.processes, given.minutes)
    print(told(tally, time.monotonic() - began, given.processes))
    for seed, _, text in sorted(tally.broken):
        print(f"seed {seed}: {text}")
    silent = never(tally.fired)
    if silent:
        print(f"never fired: {', '.join(silent)}")
    return 1 if tally.broken or silent else 0


if __name__ == "__main__":
    sys.exit(main())
