"""From an event that has just been recorded to the HTTP request that it makes due, while nothing else happens.

Recorded means: the call that records it has returned.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psycopg

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale, plain
from bench.measure import Sample, timed
from orderflow.sandbox import Glopal, Request, Response, Shop, serve

_PATIENCE = 60.0


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="wakeup",
            title="Event recorded → its HTTP request arrives, idle",
            unit="ms, p50",
            note=(
                f"{scale.wakes} orders, 0.8 to 1.4 s apart, while all loops of `orderflow work` idle. The clock runs "
                f"from the time "
                "that the event has in the log, which is before its commit, to the arrival of the GET for its details "
                "at a server in "
                "the same process. How soon Glopal's feed is pulled is another matter and not in it."
            ),
            figure="p50",
            contestants=(Contestant("orderflow", OURS, _wakes),),
            goals=(Goal("recorded → HTTP request, idle", "p50 ≤ 15 ms", "orderflow", figure="p50", at_most=15.0),),
        )
    ]


def _wakes(ground: Ground) -> Sample:
    rng, arrivals = Random(1), dict[str, datetime]()  # noqa: S311  a play, not a secret
    glopal, shop = Glopal(clock=_now, rng=Random(2)), Shop(clock=_now, rng=Random(3))  # noqa: S311  as above

    glopal.open(ours.STORE)

    def stamped(request: Request) -> Response:
        arrivals.setdefault(request.path.rstrip("/").rsplit("/", 1)[-1], _now())
        return glopal.handle(request)

    url, began = ground.fresh(), time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        serve(stamped) as at_glopal,
        serve(shop.handle) as at_shop,
        ours.wired(Path(home), url, at_glopal.url, at_shop.url, [ours.STORE], ground.scale.workers) as app,
        ours.running(app),
    ):
        placed = []
        for _ in range(ground.scale.wakes):
            time.sleep(rng.uniform(0.8, 1.4))
            placed.append(glopal.place(ours.STORE))
        _until(lambda: arrivals.keys() >= set(placed))
    with psycopg.connect(plain(url)) as conn:
        rows = conn.execute("SELECT order_id, recorded_at FROM orderflow.events WHERE type = 'OrderReceived'")
        recorded: dict[str, datetime] = dict(rows.fetchall())
    waits = [(arrivals[order_id] - recorded[order_id]).total_seconds() for order_id in placed]
    return timed(waits, time.perf_counter() - began)


def _until(done: Callable[[], bool]) -> None:
    ends = time.perf_counter() + _PATIENCE
    while not done():
        assert time.perf_counter() < ends, "the requests never came"
        time.sleep(0.01)


def _now() -> datetime:
    return datetime.now(UTC)
