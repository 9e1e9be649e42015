"""One producer that waits for each event: how long does it wait?

Nobody else is there, so nothing can be batched.
"""

from __future__ import annotations

from functools import partial

from bench.case import OURS, Case, Contestant, Goal
from bench.cases.append import run_eventsourcing, run_insert, run_ours
from bench.ground import Scale


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [
        Case(
            name=f"single-{size}",
            title=f"Append, one producer, {size} B bodies",
            unit="ms, p50",
            note="As above with a single thread.",
            figure="p50",
            contestants=(
                Contestant("orderflow", OURS, partial(run_ours, size, 1)),
                Contestant("bare INSERT + commit", "bare", partial(run_insert, size, 1)),
                Contestant("eventsourcing", "eventsourcing", partial(run_eventsourcing, size, 1)),
            ),
            goals=(
                Goal(
                    f"append, one producer, {size} B",
                    "p50 ≤ 2× one bare INSERT + commit",
                    "orderflow",
                    "bare INSERT + commit",
                    figure="p50",
                    at_most=2.0,
                ),
            ),
        )
        for size in scale.sizes
    ]
