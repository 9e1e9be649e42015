"""How long an effect is still tried: the next try, and by when it is left to a person at the latest.

It only adds up what `Windows` and the store's policy say; it reads no clock, and never decides when anything is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from orderflow.relay.work import Windows


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be tried of one effect: `most` tries of it all in all, times as `windows` has them, in seconds.

    `settles`: how long its destination may not show what was done.
    """

    windows: Windows
    most: int
    settles: float = 0.0

    def by(self, next_at: datetime, tries: int, *, sent: bool = False, reads: bool = False) -> datetime:
        """The latest time at which it is given up if every try fails, `tries` of which have been made.

        `next_at` is the next try; or, of one that was `sent` and whose outcome is not known, the time from which it may
        count as missing. An upper bound: each pause at its longest, each try as long as one may take. Longer only where
        the destination does not answer questions, turns calls away for their rate, or is not called at all.
        """
        seconds = self._told() if sent else 0.0
        if sent and tries < self.most:
            seconds += self.windows.pause(tries)
        for number in range(tries + 1, self.most + 1):
            seconds += self.windows.call if reads else self._try()
            seconds += self.windows.pause(number) if number < self.most else 0.0
        return next_at + timedelta(seconds=seconds)

    def _try(self) -> float:
        """A try whose reply is lost, and that is looked for until it counts as missing."""
        return self.windows.send + self.windows.call + self.settles + self._told()

    def _told(self) -> float:
        """Two look-ups that find nothing, once they count."""
        return 2 * (self.windows.call + self.windows.look_up)
