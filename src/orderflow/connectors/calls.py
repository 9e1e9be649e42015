"""Several calls that make one send: the first leaves in time or none does, and all of them end within one deadline.

It never sends anything once that deadline has passed, on a clock that goes on while the machine sleeps: a sender that
was suspended half-way must not wake up and write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orderflow.connectors.exchange import Outbound, Outcome, exchange
from orderflow.glopal.client import Endpoint
from orderflow.glopal.replies import NotSent, always


def boottime() -> float:
    """Seconds on a clock that counts suspension too, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class Calls:
    """The calls of one send or one look-up. `seconds` bounds them together, as it bounds a single call elsewhere."""

    endpoint: Endpoint
    in_time: Callable[[], bool] = always
    clock: Callable[[], float] = boottime
    _ends_at: float | None = field(default=None, init=False)

    def call(self, outbound: Outbound) -> Outcome:
        """The next call. Never raises."""
        now = self.clock()
        if self._ends_at is None:
            self._ends_at = now + self.endpoint.total_seconds
            return exchange(self.endpoint, outbound, in_time=self.in_time)
        if self._left() <= 0:
            return NotSent("it was too late to send", late=True)
        return exchange(self.endpoint, outbound, in_time=lambda: self._left() > 0, total_seconds=self._left())

    def _left(self) -> float:
        return (self._ends_at or 0.0) - self.clock()
