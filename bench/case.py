"""A case: a few contestants who do the same, and the goals that their figures are held to.

It never runs anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.ground import Ground
from bench.measure import Sample

OURS = "orderflow"


@dataclass(frozen=True, slots=True)
class Contestant:
    """`label` is shown; `who` is orderflow, bare, or the name of the package that it needs."""

    label: str
    who: str
    run: Callable[[Ground], Sample]


@dataclass(frozen=True, slots=True)
class Goal:
    """Left's figure, divided by right's if there is one, is at least or at most so much.

    `words` is how the goal is shown. The ratio is taken within each round; the median of the ratios counts.
    """

    what: str
    words: str
    left: str
    right: str | None = None
    figure: str = "rate"
    at_least: float | None = None
    at_most: float | None = None
    needs_full: bool = False

    def met(self, value: float) -> bool:
        """Is the goal met by this ratio or figure?"""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Case:
    """`unit` is what is counted; `note` says what is inside the timing, and what is not."""

    name: str
    title: str
    unit: str
    note: str
    contestants: tuple[Contestant, ...]
    goals: tuple[Goal, ...] = ()
    figure: str = "rate"
