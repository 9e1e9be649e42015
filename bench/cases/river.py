"""The whole river: from Glopal's feed to the accepted order, over HTTP, as many orders as one machine carries.

Glopal and the shop are the sandbox, in a process of their own; they share the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import psycopg

from bench import ours
from bench.case import OURS, Case, Contestant
from bench.ground import Ground, Scale, plain
from bench.measure import Sample
from bench.town import Town, town
from bench.working import working

STORES = (1, 2, 4)
PROCESSES = (2, 4)
_PATIENCE = 600.0


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="river",
            title="The whole river",
            unit="orders/s",
            note=(
                f"{scale.orders} orders, that become READY at Glopal when the clock starts, over 1, 2 or 4 stores: "
                f"pulled, recorded, projected, "
                "fetched, drafted, promoted, accepted; until Glopal holds the last accept. `orderflow work` is one "
                "process with so many "
                "workers, or one a store. Glopal and the shop (the sandbox, a Python process) and Postgres share its "
                "machine."
            ),
            contestants=(
                *(
                    Contestant(label(stores, scale.workers), OURS, partial(_river, stores, scale.workers))
                    for stores in STORES
                ),
                *(
                    Contestant(
                        label(stores, scale.workers, processes=stores), OURS, partial(_processes, stores, scale.workers)
                    )
                    for stores in PROCESSES
                ),
                Contestant(label(1, 1), OURS, partial(_river, 1, 1)),
                Contestant(label(1, 2 * scale.workers), OURS, partial(_river, 1, 2 * scale.workers)),
            ),
        )
    ]


def label(stores: int, workers: int, processes: int = 1) -> str:
    """How a contestant is called."""
    said = f"{stores} store{'s' if stores > 1 else ''}, {workers} worker{'s' if workers > 1 else ''}"
    return said if processes == 1 else f"{said}, {processes} processes"


def _river(stores: int, workers: int, ground: Ground) -> Sample:
    url, names, each = ground.fresh(), _names(stores), max(1, ground.scale.orders // stores)
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        town() as there,
        ours.wired(Path(home), url, there.glopal, there.shop, names, workers) as app,
    ):
        return _timed(url, there, names, each, ours.running(ours.prompt(app)))


def _processes(stores: int, workers: int, ground: Ground) -> Sample:
    url, names, each = ground.fresh(), _names(stores), max(1, ground.scale.orders // stores)
    with tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home, town() as there:
        work = [working(Path(home), url, there.glopal, there.shop, name, workers) for name in names]
        return _timed(url, there, names, each, *work)


def _names(stores: int) -> list[str]:
    return [f"store{number}" for number in range(1, stores + 1)]


def _timed(url: str, there: Town, names: Sequence[str], each: int, *work: AbstractContextManager[None]) -> Sample:
    """From the moment that the orders stand at Glopal, while everybody idles, to the last accept."""
    orders, before = each * len(names), _size(url)
    for name in names:
        there.open(name)
    with ExitStack() as stack:
        for one in work:
            stack.enter_context(one)
        spent, began = time.process_time(), time.perf_counter()
        for name in names:
            there.place(name, each)
        while sum(there.accepted(name) for name in names) < orders:
            assert time.perf_counter() - began < _PATIENCE, "it never ends"
            time.sleep(0.1)
        elapsed, spent = time.perf_counter() - began, time.process_time() - spent
    extra = {"bytes an order": (_size(url) - before) / orders, "events an order": _events(url) / orders}
    return Sample(orders, elapsed, extra=extra | ({"cores of orderflow": spent / elapsed} if len(work) == 1 else {}))


def _size(url: str) -> int:
    return _asked(url, "SELECT pg_database_size(current_database())")


def _events(url: str) -> int:
    return _asked(url, "SELECT count(*) FROM orderflow.events")


def _asked(url: str, query: str) -> int:
    with psycopg.connect(plain(url), autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0
