"""A leaky bucket of points: each call costs some, and they come back at a steady rate, up to a full bucket.

It never goes below zero: a call that costs more than there is does not run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from orderflow.sandbox.wire import Json


class Bucket:
    """One app's points at one shop. Not thread-safe: its shop locks."""

    def __init__(self, clock: Callable[[], datetime], size: float, rate: float) -> None:
        self.size, self.rate = size, rate
        self._clock = clock
        self._left, self._at = size, clock()

    def spend(self, points: float) -> bool:
        """Take the points for a call, if they are there."""
        now = self._clock()
        self._left = min(self.size, self._left + max(0.0, (now - self._at).total_seconds()) * self.rate)
        self._at = now
        if points > self._left:
            return False
        self._left -= points
        return True

    def drain(self) -> None:
        """Somebody else spends everything."""
        self.spend(0)
        self._left = 0.0

    def status(self) -> dict[str, Json]:
        """As Shopify tells it: `extensions.cost.throttleStatus`. Whole points are enough for a fake."""
        return {
            "maximumAvailable": int(self.size),
            "currentlyAvailable": int(self._left),
            "restoreRate": int(self.rate),
        }
