"""How events get into the feed: once and at once by default; doubled, late or out of order where a switch says so.

It decides nothing about what happened to an order, only about when and how often the feed shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Emission:
    """How an event gets into the feed.

    `copies` = 0 withholds it; 2 or more list the same event (same id) again. With `delay` it becomes visible that much
    later: at the end of the feed, or, when `backdated`, at the place it would have had without the delay, which a
    client whose cursor has passed that place never sees by reading forward.
    """

    copies: int = 1
    delay: timedelta = timedelta(0)
    backdated: bool = False


PLAIN: Final = Emission()
WITHHELD: Final = Emission(copies=0)

EmissionStyle: TypeAlias = Literal["plain", "doubled", "late", "out of order", "backdated"]

_LATE: Final = Emission(delay=timedelta(seconds=20))
_OUT_OF_ORDER: Final[Mapping[str, Emission]] = {  # the earlier in an order's life, the later in the feed
    "order.received": Emission(delay=timedelta(seconds=6)),
    "order.ready": Emission(delay=timedelta(seconds=4)),
    "order.accepted": Emission(delay=timedelta(seconds=2)),
}
_BACKDATED: Final[Mapping[str, Emission]] = {  # were all of them so late, no cursor would pass the gap
    "order.ready": Emission(delay=timedelta(seconds=20), backdated=True),
    "order.cancelled": Emission(delay=timedelta(seconds=20), backdated=True),
}


def emission_of(rule: EmissionStyle | Callable[[str], Emission], event_name: str) -> Emission:
    """How an event of this name is emitted, in a style or by a rule of one's own."""
    match rule:
        case "plain":
            return PLAIN
        case "doubled":
            return Emission(copies=2)
        case "late":
            return _LATE
        case "out of order":
            return _OUT_OF_ORDER.get(event_name, PLAIN)
        case "backdated":
            return _BACKDATED.get(event_name, PLAIN)
        case _:
            return rule(event_name)
