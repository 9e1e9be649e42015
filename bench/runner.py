"""Run cases: rounds in which every contestant takes its turn, forwards and backwards by turns.

It never puts a failed sample down as a slow one: an error ends the case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from bench import server
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale
from bench.measure import Sample, spread

Say = Callable[[str], None]
Samples = dict[str, list[Sample]]


def run(case: Case, url: str, scale: Scale, rounds: int, say: Say, *, peers: bool = True) -> dict[str, Any]:
    """All rounds of one case, as it goes into the results."""
    taking = [one for one in case.contestants if is_here(one, peers=peers)]
    say(f"{case.title}")
    samples: Samples = {one.label: [] for one in taking}
    before, ground = server.steal(), Ground(url, scale)
    try:
        for number in range(rounds):
            for one in taking if number % 2 == 0 else reversed(taking):
                try:
                    sample = one.run(ground)
                finally:
                    ground.sweep()
                samples[one.label].append(sample)
                say(f"  {number + 1}/{rounds}  {one.label:32} {_told(case, sample)}")
    finally:
        ground.close()
    return {
        "title": case.title,
        "unit": case.unit,
        "note": case.note,
        "figure": case.figure,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "full": scale.full,
        "scale": asdict(scale),
        "steal": _stolen(before, server.steal()),
        "load": server.load(),
        "contestants": [
            {"label": one.label, "who": one.who, "samples": [_written(sample) for sample in samples[one.label]]}
            for one in taking
        ],
        "goals": list(judged(case.goals, samples, full=scale.full)),
    }


def is_here(one: Contestant, *, peers: bool) -> bool:
    """Can this contestant run: is its package installed, and are peers wanted?"""
    return one.who in {OURS, "bare"} or (peers and find_spec(one.who) is not None)


def judged(goals: Sequence[Goal], samples: Samples, *, full: bool) -> Iterator[dict[str, Any]]:
    """Each goal whose contestants ran: the ratio of every round, their median, and whether that meets it."""
    for goal in goals:
        left, right = (_figures(samples, label, goal.figure) for label in (goal.left, goal.right))
        if not left or (goal.right is not None and not right):
            continue
        values = left if goal.right is None else [a / b for a, b in zip(left, right, strict=True)]
        told = spread(values)
        yield {
            "what": goal.what,
            "words": goal.words,
            "left": goal.left,
            "right": goal.right,
            "figure": goal.figure,
            "value": asdict(told),
            "met": goal.met(told.median),
            "smaller": goal.needs_full and not full,
        }


def _figures(samples: Samples, label: str | None, figure: str) -> list[float]:
    found = [one.figure(figure) for one in samples.get(label or "", [])]
    return [one for one in found if one is not None]


def _written(sample: Sample) -> dict[str, Any]:
    return {key: value for key, value in (asdict(sample) | {"rate": sample.rate}).items() if value not in (None, {})}


def _told(case: Case, sample: Sample) -> str:
    found = sample.figure(case.figure)
    more = f"   p50 {sample.p50:.2f} ms, p99 {sample.p99:.2f} ms" if sample.p50 is not None and sample.p99 else ""
    more += "".join(f"   {name} {value:,.2f}" for name, value in sample.extra.items())
    return f"{found or 0.0:>12,.2f} {case.unit}{more}"


def _stolen(before: tuple[float, float] | None, after: tuple[float, float] | None) -> float | None:
    """Percent of all processor time that the host gave to others meanwhile."""
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round(100 * (after[0] - before[0]) / (after[1] - before[1]), 2)
