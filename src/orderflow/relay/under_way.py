"""The calls of one process between their preparation and their record: how many, where, and for how long.

It never lets more be prepared than the callers will begin within a moment: a request leaves in time or never. Nor does
it let a few orders whose calls hang, or a redrive of many, take the callers from all the others.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from orderflow.relay.work import Call, Reply
from orderflow.store.gates import Place
from orderflow.store.outbox import LIVE

_MOMENT: Final = 0.2
"""Seconds: what is prepared ahead of the callers is begun within so long."""
_AHEAD: Final = 64
"""Calls prepared ahead of the callers, and in one transaction, at most."""
_UNSETTLED: Final = 256
"""Calls between intent and record, at most: the next are prepared while the last are settled, but not without end."""
_SLOW: Final = 1.0
"""Seconds: a place whose calls take longer does not get the last caller."""
_HANGS: Final = 3.0
"""A call that goes on for so many times as long as is usual there is put aside: a spare caller takes its place."""
_QUICK: Final = 0.1
"""Seconds: no call that is quicker hangs, however quick is usual."""
_RARELY: Final = 0.25
"""The share of calls that hang up to which that is the trouble of single orders, and not of the place."""
_REMEMBERED: Final = 60.0
"""Seconds: for so long a place is judged by its last calls."""


def spare(workers: int) -> int:
    """Callers that a process has beside its `workers`, for calls that are put aside."""
    return max(4, 2 * workers)


class UnderWay:
    """Thread-safe. `workers` calls are made at a time, beside those put aside; `clock` is monotonic, in seconds."""

    def __init__(self, workers: int, clock: Callable[[], float]) -> None:
        self._workers, self._clock = workers, clock
        self._changed = threading.Condition()
        self._calls: dict[int, Place] = {}
        self._beside: set[int] = set()
        self._started: dict[int, float] = {}
        self._made: set[int] = set()
        self._took: dict[Place, tuple[float, float]] = {}
        self._usual: dict[Place, float] = {}
        self._hung: dict[Place, float] = {}
        self._back: deque[tuple[Call, Reply]] = deque()

    # ---- what may be prepared --------------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more calls may be prepared now.

        One for each free caller, and as many more as will be begun within a moment, going by the slowest place; but
        none while half of those still wait: a few now and then would cost as much as many. A slow place gets all
        callers but one.
        """
        with self._changed:
            seconds, aside = self._seconds(), self._aside()
            ahead = self._ahead(seconds, aside)
            unmade = len(self._calls) - len(self._made) - len(aside)
            if unmade - self._workers > ahead // 2:
                return 0
            room = min(self._workers + ahead - unmade, self._workers + _UNSETTLED - len(self._calls), _AHEAD)
            here = self._here(aside)
            left = [self._most() - here[place] for place, took in seconds.items() if took > _SLOW]
            return min([room, *(number for number in left if number > 0)])

    def beside(self) -> int:
        """How many of them may be of other lanes than *live*: those have half of all room at most."""
        with self._changed:
            half = max(1, (self._workers + self._ahead(self._seconds(), self._aside())) // 2)
            return max(0, half - len(self._beside - self._made))

    def full(self) -> list[Place]:
        """Slow places that have all the callers that they may have."""
        with self._changed:
            here = self._here(self._aside())
            slow = (place for place, took in self._seconds().items() if took > _SLOW)
            return [place for place in slow if here[place] >= self._most()]

    def _most(self) -> int:
        return max(1, self._workers - 1)

    def _here(self, aside: set[int]) -> Counter[Place]:
        return Counter(place for number, place in self._calls.items() if number not in aside)

    def _ahead(self, seconds: dict[Place, float], aside: set[int]) -> int:
        slowest = max(seconds.values(), default=_MOMENT)
        if slowest >= _MOMENT or len(aside) > max(1, self._workers // 4):
            return 0
        return min(_AHEAD, int(self._workers * _MOMENT / max(slowest, 0.001)))

    def _seconds(self) -> dict[Place, float]:
        """How long a call takes at each place: the last ones, and those that go on. No haste where nothing is known."""
        now = self._clock()
        known = {place: took for place, (took, when) in self._took.items() if now - when < _REMEMBERED}
        for number in self._started.keys() - self._aside():
            place = self._calls[number]
            known[place] = max(known.get(place, _MOMENT), now - self._started[number])
        return known

    def _aside(self) -> set[int]:
        """The calls that hang where calls rarely do, the oldest first, as many as there are spare callers."""
        now = self._clock()
        hang = [
            (began, number)
            for number, began in self._started.items()
            if self._hangs(self._calls[number], now - began) and self._rarely_hangs(self._calls[number])
        ]
        return {number for _, number in sorted(hang)[: spare(self._workers)]}

    def _hangs(self, place: Place, seconds: float) -> bool:
        return seconds > max(_QUICK, _HANGS * self._usual.get(place, _SLOW))

    def _rarely_hangs(self, place: Place) -> bool:
        return self._hung.get(place, 1.0) < _RARELY

    # ---- the life of a call ----------------------------------------------------------------------------------------

    def begin(self, calls: Sequence[Call]) -> None:
        """They are prepared, and wait for their callers."""
        with self._changed:
            self._calls |= {id(call): (call.row.key.store, call.effect.destination.value) for call in calls}
            self._beside |= {id(call) for call in calls if call.row.lane != LIVE}

    def start(self, call: Call) -> None:
        """It is being made."""
        with self._changed:
            self._started[id(call)] = self._clock()

    def come_back(self, call: Call, reply: Reply) -> None:
        """It has been made, and waits to be settled."""
        with self._changed:
            self._over(call)
            self._made.add(id(call))
            self._back.append((call, reply))
            self._changed.notify_all()

    def back(self) -> int:
        """How many wait to be settled."""
        with self._changed:
            return len(self._back)

    def take(self, most: int) -> list[tuple[Call, Reply]]:
        """Whatever has come back by now, `most` at most."""
        with self._changed:
            return [self._back.popleft() for _ in range(min(most, len(self._back)))]

    def calls(self) -> int:
        """How many are prepared and not settled yet."""
        with self._changed:
            return len(self._calls)

    def wait(self, seconds: float) -> None:
        """Wait until one has come back, or was given up, but so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._back or not self._calls, seconds)

    def end(self, calls: Sequence[Call]) -> None:
        """They are settled, or given up."""
        with self._changed:
            for call in calls:
                self._over(call)
                self._calls.pop(id(call), None)
                self._made.discard(id(call))
                self._beside.discard(id(call))
            self._changed.notify_all()

    def _over(self, call: Call) -> None:
        began = self._started.pop(id(call), None)
        if began is None:
            return
        now, place = self._clock(), self._calls[id(call)]
        took, before = now - began, self._took.get(place)
        hung, was = float(self._hangs(place, took)), self._hung.get(place)
        self._hung[place] = hung if was is None else was + (hung - was) / 16
        if hung and self._rarely_hangs(place):
            return  # the trouble of one order says nothing about the place
        usual = self._usual.get(place, took)
        self._usual[place] = usual + (took - usual) / 16
        smooth = took if before is None or took > before[0] else before[0] + (took - before[0]) / 8
        self._took[place] = (smooth, now)
