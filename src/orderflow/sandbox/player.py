"""Performs the lives of orders against the fakes, in virtual time or by the wall clock.

It does what Glopal, the buyers and people do, and never what orderflow does.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count

from orderflow.sandbox.faults import Faults, Kind
from orderflow.sandbox.glopal import Glopal
from orderflow.sandbox.ledger import reference_of
from orderflow.sandbox.lives import Act, Life, Step, Story
from orderflow.sandbox.wire import Request


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
        self.refused: list[str] = []  # why an act was not possible when its time had come
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
            order_id = glopal.place(store, emission=emission, **life.members)
            self.order_ids[index] = order_id
            self._script_faults(life, order_id)
            return
        order_id = self.order_ids[index]
        try:
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
                case "deed":
                    if step.deed is not None:
                        step.deed(glopal, store, order_id)
        except ValueError as error:  # orderflow or a person was faster, by a cancellation for example
            self.refused.append(str(error))

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
