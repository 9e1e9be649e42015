"""Replay seeds: `python -m tests.simulation 17` shows every step, `python -m tests.simulation 0 2000` runs a range."""
# ruff: noqa: T201 - a command answers

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.check import Broken
from tests.simulation.faults import Fired, table
from tests.simulation.simulate import Database, simulate

from orderflow.store import embedded, migrate


def main(arguments: list[str]) -> int:
    seeds = [int(arguments[0])] if len(arguments) == 1 else range(int(arguments[0]), int(arguments[1]))
    counts: Counter[str] = Counter()
    fired = Fired()
    broken = 0
    scratch = tempfile.TemporaryDirectory(prefix="orderflow-simulation-", ignore_cleanup_errors=True)
    with scratch as home, embedded.start(Path(home), durable=False) as server:
        migrate.upgrade(server.url)
        database = Database(server.url)
        began = time.monotonic()
        for seed in seeds:
            try:
                run = simulate(database, seed, verbose=len(arguments) == 1)
                counts += run.counts
                fired += run.world.fired
            except Broken as error:
                broken += 1
                print(f"seed {seed}: {error}")
        took = time.monotonic() - began
        database.dispose()
    print(table(fired))
    for name, count in sorted(counts.items()):
        print(f"{count:8} {name}")
    print(f"{len(seeds)} seeds, {broken} broken, {took:.1f} s")
    return 1 if broken else 0


sys.exit(main(sys.argv[1:]))
