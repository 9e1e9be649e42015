"""How many reports a second the compiled table judges.

No database, one thread.
"""

from __future__ import annotations

from random import Random

from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch
from orderflow.domain.machine import Report, Status, judge, machine

_MANY = 100_000


def cases(scale: Scale) -> list[Case]:
    """One case."""
    del scale
    return [
        Case(
            name="machine",
            title="The compiled machine",
            unit="transitions/s",
            note=(
                "A loop over random pairs of status and report; the loop itself is inside. The library: one shared "
                "machine is asked."
            ),
            contestants=(
                Contestant("orderflow", OURS, _judged),
                Contestant("transitions' machine, asked", "transitions", _asked),
            ),
            goals=(Goal("compiled machine", "≥ 2 M judged transitions/s", "orderflow", at_least=2e6),),
        )
    ]


def _pairs(count: int) -> list[tuple[Status, Report]]:
    rng = Random(1)  # noqa: S311  figures, not secrets
    statuses, reports = list(Status), list(Report)
    return [(rng.choice(statuses), rng.choice(reports)) for _ in range(count)]


def _judged(ground: Ground) -> Sample:
    del ground
    pairs = _pairs(_MANY)
    with stopwatch() as clock:
        for _ in range(5):
            for status, report in pairs:
                judge(status, report)
    return Sample(5 * _MANY, clock.seconds)


def _asked(ground: Ground) -> Sample:
    del ground
    pairs, ask = _pairs(_MANY // 100), machine().get_transitions
    with stopwatch() as clock:
        for status, report in pairs:
            ask(report.value, status.value)
    return Sample(len(pairs), clock.seconds)
