"""Scripts of order lives for a demo, and a player that performs them against the fakes in real or virtual time.

The script says what Glopal and the buyers do; what orderflow does in between is up to orderflow. Seeded: the same
generator gives the same lives.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Literal, TypeAlias

from orderflow.sandbox.emissions import PLAIN, Emission
from orderflow.sandbox.faults import Faults, Kind
from orderflow.sandbox.glopal import Glopal
from orderflow.sandbox.ledger import reference_of
from orderflow.sandbox.wire import Request

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
]
Act: TypeAlias = Literal["place", "ready", "complete", "cancel", "withdraw", "report_cancelled"]

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
    true. "complete" waits until the order is ACCEPTED, however long that takes.
    """

    after: timedelta
    act: Act
    emission: Emission = PLAIN


@dataclass(frozen=True, slots=True)
class Life:
    """One order of one store, and what happens to it; its first step counts from the start of the play."""

    store: str
    story: Story
    steps: tuple[Step, ...]

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


class Player:
    """Performs lives. `step(now)` does what is due; or `start()` lets a thread do it by the wall clock.

    `glopal_faults` and `shop_faults` are where the lost replies are scripted; without them those lives are straight.
    """

    def __init__(
        self,
        script: Sequence[Life],
        glopal: Glopal,
        *,
        glopal_faults: Faults | None = None,
        shop_faults: Faults | None = None,
        begin: datetime,
    ) -> None:
        self.script = list(script)
        self.order_ids: dict[int, str] = {}  # place in the script -> order id, once placed
        self.acts: Counter[Act] = Counter()
        self._finished: Counter[Story] = Counter()
        self._glopal = glopal
        self._glopal_faults = glopal_faults
        self._shop_faults = shop_faults
        self._sequence = count()
        self._due: list[tuple[datetime, int, int, int]] = []  # when, tie-break, life, step
        self._waiting: dict[int, int] = {}  # life -> its step "complete", until the order is ACCEPTED
        self._stop = threading.Event()
        for index, life in enumerate(self.script):
            self._schedule(begin, index, 0, life)

    @property
    def placed(self) -> int:
        """Orders placed so far."""
        return len(self.order_ids)

    @property
    def waiting(self) -> int:
        """Orders that wait for orderflow to accept them."""
        return len(self._waiting)

    @property
    def finished(self) -> int:
        """Lives that are over."""
        return self._finished.total()

    @property
    def done(self) -> bool:
        """Whether every life is over."""
        return self.finished == len(self.script)

    def step(self, now: datetime) -> None:
        """Perform everything due until `now`."""
        for index, step in list(self._waiting.items()):
            status = self._glopal.status(self.script[index].store, self.order_ids[index])
            if status not in ("RECEIVED", "READY"):
                del self._waiting[index]
                if status == "ACCEPTED":
                    self._schedule(now, index, step, self.script[index])
                else:
                    self._finished[self.script[index].story] += 1  # someone else ended it
        while self._due and self._due[0][0] <= now:
            at, _, index, step = heapq.heappop(self._due)
            life = self.script[index]
            self._perform(index, life, life.steps[step])
            following = step + 1
            if following == len(life.steps):
                self._finished[life.story] += 1
            elif life.steps[following].act == "complete":
                self._waiting[index] = following
            else:
                self._schedule(at, index, following, life)

    def start(self, clock: Callable[[], datetime]) -> None:
        """Perform in a background thread until all is done or `stop`."""

        def run() -> None:
            while not self.done and not self._stop.wait(0.01):
                self.step(clock())

        threading.Thread(target=run, daemon=True).start()

    def stop(self) -> None:
        """End the thread; the play stays as it is."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait until the play is done, at most so long; whether it is."""
        end = time.monotonic() + seconds
        while not self.done and time.monotonic() < end:
            time.sleep(0.02)
        return self.done

    def _schedule(self, since: datetime, index: int, step: int, life: Life) -> None:
        heapq.heappush(self._due, (since + life.steps[step].after, next(self._sequence), index, step))

    def _perform(self, index: int, life: Life, step: Step) -> None:
        glopal, store, emission = self._glopal, life.store, step.emission
        self.acts[step.act] += 1
        if step.act == "place":
            order_id = glopal.place(store, emission=emission)
            self.order_ids[index] = order_id
            self._script_faults(life, order_id)
            return
        order_id = self.order_ids[index]
        with contextlib.suppress(ValueError):  # orderflow or a person was faster, by a cancellation for example
            match step.act:
                case "ready":
                    glopal.ready(store, order_id, emission=emission)
                case "complete":
                    glopal.complete(store, order_id, emission=emission)
                case "cancel":
                    glopal.cancel(store, order_id, "fraud_detected", emission=emission)
                case "withdraw":
                    glopal.cancel(store, order_id, "customer_request", "merchant", emission=emission)
                case "report_cancelled":
                    glopal.report(store, order_id, "order.cancelled")

    def _script_faults(self, life: Life, order_id: str) -> None:
        reference = reference_of(life.store, order_id).encode()
        kind: Kind = "cut_after"
        if life.story == "lost_accept" and self._glopal_faults is not None:
            self._glopal_faults.script(kind, method="POST", path=f"/{order_id}/accept$")
        if self._shop_faults is None:
            return
        if life.story == "lost_create":
            self._shop_faults.script(kind, method="POST", path="/orders$", where=_names(reference))
        elif (
            life.story == "lost_promote"
        ):  # its path names the shop's id, unknown here: the next promote loses its reply
            self._shop_faults.script(kind, method="POST", path="/promote$")


def _names(reference: bytes) -> Callable[[Request], bool]:
    return lambda request: reference in request.body


def play(
    script: Sequence[Life],
    glopal: Glopal,
    *,
    clock: Callable[[], datetime],
    glopal_faults: Faults | None = None,
    shop_faults: Faults | None = None,
) -> Player:
    """Begin to perform the lives in a background thread, from now on by `clock`; the player tells how far it is."""
    player = Player(script, glopal, glopal_faults=glopal_faults, shop_faults=shop_faults, begin=clock())
    player.start(clock)
    return player
