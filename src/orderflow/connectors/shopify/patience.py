"""How much of Shopify's patience is left: calls cost points, and points come back at a steady rate.

It never waits by itself: it only says for how long Shopify wants to be left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from orderflow.connectors.graphql import inside
from orderflow.glopal.jsontext import Json, amount

_RESERVE: Final = Decimal(200)
"""Points: what several workers' calls may cost at once. With less than that left, Shopify is left alone for a while."""
_LONGEST: Final = 60.0


def rest(extensions: Mapping[str, Json]) -> float:
    """Seconds until so many points are back that nobody need be turned away; 0 where there are enough, or none told."""
    most, left, rate = _bucket(extensions)
    return _seconds(min(_RESERVE, most / 2) - left, rate)


def wait(extensions: Mapping[str, Json]) -> float:
    """Seconds for one that was turned away: until its points are back and some more, at least one where none are told.

    Some more, because a move may be several calls: who comes again as soon as there is enough for the first of them
    spends it, is turned away at the second, and hinders everybody.
    """
    cost = amount(inside(extensions.get("cost"), "requestedQueryCost"))
    _, left, rate = _bucket(extensions)
    return max(_seconds(cost - left, rate) if cost is not None else 0.0, rest(extensions)) or 1.0


def _bucket(extensions: Mapping[str, Json]) -> tuple[Decimal, Decimal, Decimal]:
    """How many points there may be, how many are left, and how many come back each second."""
    status = inside(extensions.get("cost"), "throttleStatus")
    most, left, rate = (amount(inside(status, n)) for n in ("maximumAvailable", "currentlyAvailable", "restoreRate"))
    return (most, left, rate) if most is not None and left is not None and rate is not None else (Decimal(0),) * 3


def _seconds(missing: Decimal, rate: Decimal) -> float:
    return min(float(missing / rate), _LONGEST) if missing > 0 and rate > 0 else 0.0
