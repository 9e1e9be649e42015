"""Rebuild the orders projection from position 1.

Every event is read, decoded and folded; every order's row is written.
"""

from __future__ import annotations

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.cases.replay import log_of
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch


def cases(scale: Scale) -> list[Case]:
    """One case."""
    words = "1 M events ≤ 20 s"
    if not scale.full:
        words += f" (from {scale.rebuilt:,} events)"
    return [
        Case(
            name="rebuild",
            title="Rebuild of the orders projection",
            unit="events/s",
            note=f"{scale.rebuilt:,} events of 400 B lives; the goal of 1 M events in 20 s is 50,000 events/s.",
            contestants=(Contestant("orderflow", OURS, _ours),),
            goals=(Goal("rebuild of orders", words, "orderflow", at_least=50_000.0),),
        )
    ]


def _ours(ground: Ground) -> Sample:
    events = ground.scale.rebuilt
    url = ground.fresh(ground.once("live", ours.before_rebuild, copy_of=log_of(ground, events, 400)))
    with stopwatch() as clock:
        done = ours.rebuild_orders(url)
    assert done == events
    return Sample(done, clock.seconds)
