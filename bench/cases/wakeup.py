"""From an event that has just been recorded to the HTTP request that it makes due, while nothing else happens.

Recorded means: the call that records it has returned.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale
from bench.measure import Sample, timed
from orderflow.sandbox import Glopal, Request, Response, Shop, serve

_PATIENCE = 10.0


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="wakeup",
            title="Event recorded → its HTTP request arrives, idle",
            unit="ms, p50",
            note=(
                f"{scale.wakes} orders, 0.8 to 1.4 s apart, each received while all loops of `orderflow work` idle. The clock runs from "
                "the return of the call that records the event to the arrival of the GET for its details at a server in the same "
                "process."
            ),
            figure="p50",
            contestants=(Contestant("orderflow", OURS, _wakes),),
            goals=(Goal("recorded → HTTP request, idle", "p50 ≤ 15 ms", "orderflow", figure="p50", at_most=15.0),),
        )
    ]


def _wakes(ground: Ground) -> Sample:
    rng, arrivals = Random(1), dict[str, float]()  # noqa: S311  a play, not a secret
    arrived = Event()
    glopal, shop = (kind(clock=lambda: datetime.now(UTC), rng=Random(2)) for kind in (Glopal, Shop))  # noqa: S311  as above

    def stamped(request: Request) -> Response:
        order_id = request.path.rstrip("/").rsplit("/", 1)[-1]
        if request.method == "GET" and order_id not in arrivals:
            arrivals[order_id] = time.perf_counter()
            arrived.set()
        return glopal.handle(request)

    waits, began = [], time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        serve(stamped) as at_glopal,
        serve(shop.handle) as at_shop,
        ours.wired(Path(home), ground.fresh(), at_glopal.url, at_shop.url, [ours.STORE], ground.scale.workers) as app,
        ours.running(replace(app, feeds={})),
    ):
        for _ in range(ground.scale.wakes):
            order_id = glopal.place(ours.STORE)
            head = {"event_id": f"e{order_id}", "event_name": "order.received", "order_id": order_id}
            elements = ours.page(b'{"events": [' + json.dumps(head).encode() + b"]}")
            time.sleep(rng.uniform(0.8, 1.4))
            arrived.clear()
            assert ours.record(app.engine, elements) == 1
            recorded = time.perf_counter()
            assert arrived.wait(_PATIENCE), "the request never came"
            waits.append(max(0.0, arrivals[order_id] - recorded))
    return timed(waits, time.perf_counter() - began)
