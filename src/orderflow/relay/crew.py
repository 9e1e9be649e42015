"""The crew of one process: a clerk prepares and settles by turns, `workers` call side by side.

It never holds a reply back for a call that still goes on, never lets one slow destination have all the callers, never
lets other lanes starve live orders, and never prepares more than is sent within a moment.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from orderflow.relay.call import perform
from orderflow.relay.intent import prepare
from orderflow.relay.outcome import settle
from orderflow.relay.under_way import UnderWay, spare
from orderflow.relay.work import Call, Relay, Reply
from orderflow.store import leases
from orderflow.store.bell import Bell, Topic
from orderflow.store.connect import named, transact
from orderflow.store.gates import Place
from orderflow.store.leases import Share
from orderflow.store.outbox import LIVE, Row

_log = logging.getLogger("orderflow")
_TOGETHER: Final = 64
"""Replies recorded in one transaction, at most."""
_LOCKED: Final = 0.01
"""Seconds until rows are looked for again that somebody else is just at."""
_LONGEST: Final = 0.5
"""Seconds; nobody waits longer at a time, since the process may be about to end."""
_LONGEST_TROUBLE: Final = 30.0
"""Seconds; so long at most nothing is prepared after that has failed again and again."""
_LIVE_FOR_ONE: Final = 24
"""Live rows that are prepared for each one of another lane, as long as there are both."""


@dataclass(slots=True)
class Crew:
    """A relay with `workers` callers. `turn` is the clerk's; there is one clerk.

    To prepare and to settle at the same time does not pay: both are work of this process, both want the rows, and
    each commits while the other waits for the log. By turns, what came back meanwhile is settled together.
    """

    relay: Relay
    bell: Bell
    workers: int
    under_way: UnderWay = field(init=False)
    _callers: ThreadPoolExecutor = field(init=False)
    _turns: deque[Place] = field(init=False)
    _quiet: tuple[int, float] = (-1, 0.0)
    """Nothing is due until the bell has rung more often, or until that time."""
    _trouble: tuple[int, float] = (0, 0.0)
    """So many times in a row nothing could be prepared; not again before that time."""
    _live: int = 0
    """Live rows prepared since one of another lane was, as far as they still count for one."""

    def __post_init__(self) -> None:
        self.under_way = UnderWay(self.workers, self.relay.boottime)
        self._callers = ThreadPoolExecutor(self.workers + spare(self.workers), thread_name_prefix="call")
        self._turns = deque(self.relay.places)

    def turn(self) -> None:
        """Prepare what is due, as far as there is room, and settle what has come back by now; or wait for either.

        Whatever is wrong with what is due, what has come back is recorded meanwhile.
        """
        heard = self.bell.heard(Topic.DUE)
        prepared = self._prepare_unless_in_trouble(heard)
        settled = self.settle_some()
        if prepared or settled:
            return
        times = [self._trouble[1], *([self._quiet[1]] if self._is_quiet(heard) else [])]
        soon = max(times) - self.relay.boottime() if max(times) else _LONGEST
        self.bell.wait(Topic.DUE, heard, min(_LONGEST, max(0.0, soon)), unless=self.under_way.back)

    def prepare_some(self) -> int | None:
        """Prepare what is due, as far as there is room, and hand it to the callers. How many rows; None: no room."""
        room, full, beside = self.under_way.room(), self.under_way.full(), self.under_way.beside()
        if room <= 0:
            return None
        share = Share(others=beside, aside=min(beside, self._live // _LIVE_FOR_ONE))
        prepared = prepare(self.relay, room, [place for place in self._turns if place not in full], share)
        if not prepared:
            return 0
        self._go_on(prepared)
        calls = [one for one in prepared if isinstance(one, Call)]
        self.under_way.begin(calls)
        for call in calls:
            self._callers.submit(self._call, call)
        if len(calls) < len(prepared):  # a row was closed or given up, on the record
            self.bell.ring(Topic.FACTS)
        return len(prepared)

    def settle_some(self) -> int:
        """Record what has come back by now, and how much that is."""
        done = self.under_way.take(_TOGETHER)
        if not done:
            return 0
        gates_changed = False
        try:
            gates_changed = self._settle(done)
        finally:
            narrow = bool(self.under_way.full()) or not self.under_way.beside()
            self.under_way.end([call for call, _ in done])
            if gates_changed:
                self.bell.ring(Topic.DUE)  # of all processes: who was kept back may go on
            elif narrow:
                self.bell.hear(Topic.DUE)  # a place or a lane that was full has room again
        return len(done)

    def finish(self) -> None:
        """No more is prepared: let the calls end, each recorded as soon as it has."""
        self._callers.shutdown(wait=False)
        while self.under_way.calls():
            if not self.settle_some():
                self.under_way.wait(_LONGEST)
        self._callers.shutdown()

    def _prepare_unless_in_trouble(self, heard: int) -> bool:
        """No error of preparing keeps the clerk from settling: it is waited out here, ever longer."""
        failures, until = self._trouble
        if self.relay.boottime() < until:
            return False
        try:
            prepared = self._prepare_unless_quiet(heard)
        except Exception as error:  # noqa: BLE001  a worker outlives its database and its bugs
            wait = min(_LONGEST_TROUBLE, 0.1 * 2.0 ** min(failures + 1, 20))
            _log.error("nothing could be prepared: %s, again in %.1f s", named(error), wait)
            self._trouble = failures + 1, self.relay.boottime() + wait
            return False
        self._trouble = 0, 0.0
        return prepared

    def _prepare_unless_quiet(self, heard: int) -> bool:
        if self._is_quiet(heard):
            return False
        prepared = self.prepare_some()
        if prepared == 0:
            seconds = self._seconds_until_due()
            self._quiet = heard, self.relay.boottime() + self.bell.within(seconds)
        return bool(prepared)

    def _is_quiet(self, heard: int) -> bool:
        rung, until = self._quiet
        return rung == heard and self.relay.boottime() < until

    def _call(self, call: Call) -> None:
        self.under_way.start(call)
        try:
            reply = perform(self.relay, call)
        except Exception as error:  # noqa: BLE001  a connector raises nothing; should it, only this call is unknown
            _log.error("%s: %s while it was called", call.row.key, type(error).__name__)
            self.under_way.end([call])
            return
        self.under_way.come_back(call, reply)
        self.bell.stir()

    def _settle(self, done: Sequence[tuple[Call, Reply]]) -> bool:
        """All together; if that fails, each by itself: nobody's trouble costs the others what they have learnt.

        Whether a gate has changed.
        """
        try:
            changed = settle(self.relay, done)
        except Exception:
            if len(done) == 1:
                raise
            changed = True in [self._settle_alone(one) for one in done]
        self.bell.ring(Topic.FACTS)
        return changed

    def _settle_alone(self, one: tuple[Call, Reply]) -> bool:
        try:
            return settle(self.relay, [one])
        except Exception as error:  # noqa: BLE001  unrecorded, it is looked up like any other unknown
            _log.error("%s: %s while its outcome was recorded", one[0].row.key, named(error))
            return False

    def _seconds_until_due(self) -> float | None:
        full, beside = self.under_way.full(), self.under_way.beside() > 0
        places = [place for place in self._turns if place not in full]
        seconds = transact(self.relay.engine, lambda conn: leases.soonest(conn, places, beside=beside))
        return None if seconds is None else max(_LOCKED, seconds)

    def _go_on(self, prepared: Sequence[Call | Row]) -> None:
        """The place that was served goes behind the others. Other lanes have their turn once enough live rows had."""
        rows = [one.row if isinstance(one, Call) else one for one in prepared]
        key = rows[0].key
        self._turns.remove((key.store, key.destination))
        self._turns.append((key.store, key.destination))
        live = sum(row.lane == LIVE for row in rows)
        counted = self._live + live - _LIVE_FOR_ONE * (len(rows) - live)
        self._live = min(max(0, counted), 4 * _LIVE_FOR_ONE)
