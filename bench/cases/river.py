"""The whole river: from Glopal's feed to the accepted order, over HTTP, as many orders as one machine carries.

Glopal and the shop are the sandbox, in a process of their own; they share the machine.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg

from bench import ours
from bench.case import OURS, Case, Contestant
from bench.ground import Ground, Scale, plain
from bench.measure import Sample
from bench.town import town

STORES = (1, 2, 4)
_PATIENCE = 600.0


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="river",
            title="The whole river",
            unit="orders/s",
            note=(
                f"{scale.orders} orders, READY at Glopal when the clock starts, over 1, 2 or 4 stores: pulled, recorded, projected, "
                "fetched, drafted, promoted, accepted; until Glopal holds the last accept. One process of `orderflow work`; Glopal and "
                "the shop (the sandbox, a Python process) and Postgres share its machine."
            ),
            contestants=(
                *(
                    Contestant(
                        f"{stores} store{'s' if stores > 1 else ''}, {scale.workers} workers",
                        OURS,
                        partial(_river, stores, scale.workers),
                    )
                    for stores in STORES
                ),
                Contestant("1 store, 1 worker", OURS, partial(_river, 1, 1)),
                Contestant(f"1 store, {2 * scale.workers} workers", OURS, partial(_river, 1, 2 * scale.workers)),
            ),
        )
    ]


def _river(stores: int, workers: int, ground: Ground) -> Sample:
    url, names = ground.fresh(), [f"store{number}" for number in range(1, stores + 1)]
    each = max(1, ground.scale.orders // stores)
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        town() as there,
        ours.wired(Path(home), url, there.glopal, there.shop, names, workers) as app,
    ):
        for name in names:
            there.place(name, each)
        tenants = {name: replace(tenant, policy=ours.prompt(tenant.policy)) for name, tenant in app.tenants.items()}
        before, spent, began = _size(url), time.process_time(), time.perf_counter()
        with ours.running(replace(app, tenants=tenants)):
            while sum(there.accepted(name) for name in names) < each * stores:
                assert time.perf_counter() - began < _PATIENCE, "it never ends"
                time.sleep(0.2)
            elapsed = time.perf_counter() - began
            spent = time.process_time() - spent
    orders = each * stores
    extra = {"bytes an order": (_size(url) - before) / orders, "events an order": _events(url) / orders}
    return Sample(orders, elapsed, extra=extra | {"cores of orderflow": spent / elapsed})


def _size(url: str) -> int:
    return _asked(url, "SELECT pg_database_size(current_database())")


def _events(url: str) -> int:
    return _asked(url, "SELECT count(*) FROM orderflow.events")


def _asked(url: str, query: str) -> int:
    with psycopg.connect(plain(url), autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()  # type: ignore[arg-type]  # one of two constants
        return int(row[0]) if row else 0
