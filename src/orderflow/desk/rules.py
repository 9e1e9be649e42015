"""Alert rules: what counts, within which window, and from which numbers on somebody is told.

A rule has a rate, a least number and a least spread, so that one odd order wakes nobody who need not be woken. It never
counts by itself; `measuring` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orderflow.domain.events import Effect
from orderflow.domain.exceptions import CLASSES, Of, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """Exceptions of `classes` (empty: of any), or calls that came to one of `outcomes`, for `effects` (empty: for any).

    It fires where at least `at_least` of them, of at least `orders` different orders, are more than `percent` per cent
    of the orders with news, or of all those calls, within `window`. `only`: for these stores; empty: for each.
    """

    name: str
    classes: tuple[Of, ...] = ()
    outcomes: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    only: tuple[str, ...] = ()
    window: timedelta = timedelta(minutes=30)
    at_least: int = 1
    orders: int = 0
    percent: float = 0.0


_HOUR: Final = timedelta(hours=1)

BUILT_IN: Final = (
    Rule("critical", tuple(of for of, about in CLASSES.items() if about.severity is Severity.CRITICAL)),
    Rule("unknown", (Of.UNKNOWN_TOO_LONG,)),
    Rule(
        "refusals",
        (Of.REFUSED_BY_SHOP, Of.REFUSED_BY_GLOPAL, Of.GIVEN_UP, Of.NOT_MAPPED),
        window=_HOUR,
        at_least=5,
        orders=5,
        percent=10.0,
    ),
    Rule("stuck", (Of.STUCK, Of.UNCONFIRMED), window=24 * _HOUR, at_least=5, orders=5, percent=1.0),
    Rule("calls", outcomes=("Refused", "Retry", "Unknown", "Unreadable"), at_least=25, orders=5, percent=50.0),
)
"""What wakes people at the usual size of a store; a rule of the same name in the settings stands in its place."""
