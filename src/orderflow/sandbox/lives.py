"""Scripts of order lives: what Glopal and the buyers do, step by step; `player` performs them.

What orderflow does in between is up to orderflow. Seeded: the same generator gives the same lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Literal, TypeAlias

from orderflow.sandbox.glopal import Glopal
from orderflow.sandbox.glopal.emissions import Emission
from orderflow.sandbox.wire import Json

Story: TypeAlias = Literal[
    "straight",  # received, ready, accepted by orderflow, completed
    "cancelled_before_ready",
    "cancelled_after_ready",
    "doubled",  # every event is listed twice
    "late",  # events arrive late
    "ready_first",  # READY is seen before RECEIVED
    "cancelled_first",  # CANCELLED is seen before READY
    "lost_create",  # the shop acts, its reply to the create is lost
    "lost_promote",
    "lost_accept",  # Glopal accepts, its reply is lost
    "contradiction",  # CANCELLED is reported, but the order lives on: orderflow must hold it for a person
    "told",  # whatever a scenario file says
]
Act: TypeAlias = Literal["place", "ready", "complete", "cancel", "withdraw", "report_cancelled", "deed"]
Deed: TypeAlias = Callable[[Glopal, str, str], object]  # store, order id

_WEIGHTS: dict[Story, int] = {
    "straight": 50,
    "cancelled_before_ready": 8,
    "cancelled_after_ready": 8,
    "doubled": 8,
    "late": 8,
    "ready_first": 5,
    "cancelled_first": 4,
    "lost_create": 4,
    "lost_promote": 2,
    "lost_accept": 3,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One act, `after` the step before it.

    "cancel" is Glopal's, "withdraw" a person's in the Merchant Account; "report_cancelled" emits an event that is not
    true; "deed" is anything else. "complete" waits until the order is ACCEPTED, however long that takes. Where the
    emission is None, the switch of that name decides.
    """

    after: timedelta
    act: Act
    emission: Emission | None = None
    deed: Deed | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """One order of one store, and what happens to it; its first step counts from the start of the play.

    `members` replace members of the order as it is placed.
    """

    store: str
    story: Story
    steps: tuple[Step, ...]
    members: Mapping[str, Json] = field(default_factory=dict)

    @property
    def completes(self) -> bool:
        """Whether it is meant to end COMPLETED."""
        return any(step.act == "complete" for step in self.steps)


def lives(
    rng: Random, n: int, stores: Sequence[str], *, spread: timedelta = timedelta(seconds=20), pace: float = 1.0
) -> list[Life]:
    """`n` lives over the stores, beginning within `spread`, with exactly one contradiction (if n > 0).

    With pace 1 a life takes a few seconds; 2 is twice as slow.
    """
    stories: list[Story] = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=max(0, n - 1))
    if n > 0:
        stories.insert(rng.randrange(n), "contradiction")

    def pause(least: float, most: float) -> timedelta:
        return timedelta(seconds=rng.uniform(least, most) * pace)

    return [Life(rng.choice(stores), story, _steps(story, spread * rng.random(), pause)) for story in stories]


def _steps(story: Story, begin: timedelta, pause: Callable[[float, float], timedelta]) -> tuple[Step, ...]:
    place, ready, complete = Step(begin, "place"), Step(pause(0.3, 1.5), "ready"), Step(pause(0.2, 1.0), "complete")
    twice = Emission(copies=2)
    match story:
        case "straight" | "lost_create" | "lost_promote" | "lost_accept":
            return place, ready, complete
        case "cancelled_before_ready":
            return place, Step(ready.after, "cancel")
        case "cancelled_after_ready":
            return place, ready, Step(pause(0.0, 2.0), "withdraw")
        case "doubled":
            return replace(place, emission=twice), replace(ready, emission=twice), complete
        case "late":
            return place, replace(ready, emission=Emission(delay=pause(0.5, 2.0))), complete
        case "ready_first":
            late = Emission(delay=ready.after + pause(0.1, 0.8))
            return replace(place, emission=late), ready, complete
        case "cancelled_first":
            late = Emission(delay=pause(0.1, 0.8))
            return place, replace(ready, emission=late), Step(timedelta(0), "cancel")
        case "contradiction":
            return place, ready, Step(timedelta(0), "report_cancelled")
        case "told":
            raise ValueError("a scenario file tells its own steps")
