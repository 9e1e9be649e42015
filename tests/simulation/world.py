"""The world of one seed: virtual time, a fake Glopal and shop behind faulty wires, the scripts of one to three orders.

It never looks at what orderflow thinks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from orderflow.sandbox import App, Cut, Faults, Glopal, GlopalOptions, Request, Shop, ShopOptions, deliver
from orderflow.sandbox.glopal.options import Emission

if TYPE_CHECKING:
    from tests.simulation.check import Wiretap

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@dataclass
class Clock:
    """Virtual time. It only goes forward."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def boottime(self) -> float:
        return (self.now - BEGIN).total_seconds()


@dataclass(order=True)
class Happening:
    """Something that the world will do by itself."""

    at: datetime
    number: int
    action: Callable[[], None] = field(compare=False)


@dataclass
class Life:
    """One order, and what its operator still means to do."""

    order_id: str
    operator_cancels: bool = False
    operator_accepts: bool = False


class Wire(httpx.BaseTransport):
    """Carries requests to an app in this process, with faults; every write is shown to the wiretap."""

    def __init__(self, world: World, app: App, faults: Faults, place: str) -> None:
        self.world, self.app, self.faults, self.place = world, app, faults, place

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wire = Request(
            request.method,
            request.url.raw_path.split(b"?")[0].decode(),
            tuple(request.url.params.multi_items()),
            {name.lower(): value for name, value in request.headers.items()},
            request.content,
        )
        fault, tap = self.faults.choose(wire), self.world.tap if request.method != "GET" else None
        if tap is not None and fault.kind != "refused":
            tap.write(self.place, wire)
            self.world.stir()
        try:
            answer = deliver(self.app, wire, fault, self.world.later)
        except Cut as cut:
            if not cut.sent:
                raise httpx.ConnectError("refused", request=request) from None
            if tap is not None:
                tap.answered(self.place, wire, None, b"")
            raise httpx.ReadTimeout("no answer", request=request) from None
        if tap is not None:
            tap.answered(self.place, wire, answer.status, answer.body)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


class World:
    """Glopal, the shop, and what is going to happen."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.clock = Clock()
        self.store = f"s{seed}"
        self.ahead: list[Happening] = []
        self.numbers = count()
        self.news = True
        self.below = False
        self.tap: Wiretap | None = None
        self.get_lag = rng.choice([0.0, 0.0, 5.0, 20.0])
        self.search_lag = rng.choice([0.0, 0.0, 3.0, 10.0])
        self.lives: list[Life] = []
        self.glopal = Glopal(
            clock=self.clock,
            rng=Random(rng.random()),
            options=GlopalOptions(
                emit_accepted_completed=rng.random() < 0.5,
                get_lag=lambda: seconds(rng.uniform(0, self.get_lag)),
                emission=lambda _name: self._emission(),
                accept_takes=seconds(rng.choice([0, 0, 2, 40])),
                external_before_accept=rng.choice(["null", "absent", "null members"]),
            ),
        )
        self.shop = Shop(
            clock=self.clock,
            rng=Random(rng.random()),
            options=ShopOptions(
                unique_reference=rng.random() < 0.3,
                search_lag=lambda: seconds(rng.uniform(0, self.search_lag)),
                answer_without_id=rng.choice([0.0, 0.0, 0.3]),
                refuse=(lambda _body: "no_stock") if rng.random() < 0.05 else None,
            ),
        )
        self.glopal_faults = self._faults()
        self.shop_faults = self._faults()
        for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
            self._script()

    def made(self, order_id: str) -> list[Any]:
        """Every shop order ever made for it."""
        return [entry for entry in self.shop.ledger() if entry.reference == f"glopal:{self.store}:{order_id}"]

    def wire(self, place: str) -> Wire:
        if place == "glopal":
            return Wire(self, self.glopal.handle, self.glopal_faults, place)
        return Wire(self, self.shop.handle, self.shop_faults, place)

    # ---- chance ----------------------------------------------------------------------------------------------------

    def _faults(self) -> Faults:
        """A swarm: each seed draws which faults are on, and how often."""
        rng = self.rng
        kinds = ["refused", "cut_before", "cut_after", "late", "throttled", "error_500", "error_503", "error_after"]
        on: dict[Any, float] = {kind: rng.choice([0.02, 0.1, 0.2]) for kind in kinds if rng.random() < 0.3}
        total = sum(on.values())
        rates = {kind: rate * min(1.0, 0.7 / total) for kind, rate in on.items()} if total else {}
        return Faults(Random(rng.random()), rates, delay=lambda: seconds(rng.choice([1, 20, 90, 600, 5000])))

    def _emission(self) -> Emission:
        rng, odd = self.rng, self.rng.random()
        delay = seconds(rng.choice([1, 30, 200])) if odd < 0.2 else timedelta(0)
        self.later(delay, self._stir_below if odd < 0.05 else self.stir)
        return Emission(copies=2 if 0.2 <= odd < 0.3 else 1, delay=delay, backdated=odd < 0.05)

    def _stir_below(self) -> None:
        """There may be something below the cursor: who reads the trailing window often enough will find it."""
        self.below = True
        self.stir()

    def stir(self) -> None:
        """There may be something in the feed, now and once an accept has taken its time."""
        self.news = True
        self.later(self.glopal.options.accept_takes, lambda: None)

    # ---- the script ------------------------------------------------------------------------------------------------

    def _script(self) -> None:
        """One life: where it goes, when, and what people do to it meanwhile."""
        rng = self.rng
        life = Life(self.glopal.place(self.store))
        self.lives.append(life)
        gap = rng.choice([0.5, 3.0, 30.0, 300.0])
        acts: list[str] = []
        if rng.random() < 0.85:
            acts.append("ready")
        if rng.random() < 0.1:
            acts.append("accept_elsewhere")
        if rng.random() < 0.4:
            acts.append("complete")
        if rng.random() < 0.45:
            acts.insert(rng.randint(0, len(acts)), "cancel")
        if rng.random() < 0.05:
            acts.append("fulfil")
        life.operator_cancels = rng.random() < 0.12
        life.operator_accepts = rng.random() < 0.05
        at = timedelta(0)
        for act in acts:
            at += seconds(rng.expovariate(1 / gap))
            self.later(at, lambda act=act: self._act(life.order_id, act, 0))
        if rng.random() < 0.1:
            name = rng.choice(["order.received", "order.returned", "return.requested"])
            self.later(at * rng.random(), lambda: self._report(life.order_id, name))

    def _act(self, order_id: str, act: str, tries: int) -> None:
        """Some acts have to wait for others; they are tried again for a while."""
        try:
            match act:
                case "ready":
                    self.glopal.ready(self.store, order_id)
                case "complete":
                    self.glopal.complete(self.store, order_id)
                case "cancel":
                    self.glopal.cancel(self.store, order_id, by=self.rng.choice(["glopal", "merchant"]))
                case "accept_elsewhere":
                    self.glopal.accept_elsewhere(self.store, order_id, f"elsewhere {order_id}", "E-1")
                case "fulfil":
                    made = self.made(order_id)
                    promoted = next((entry.id for entry in made if entry.state == "order"), made[0].id if made else "")
                    self.shop.fulfil(promoted)
        except (ValueError, KeyError):
            if tries < 8:
                self.later(seconds(30.0 * (tries + 1)), lambda: self._act(order_id, act, tries + 1))
        self.news = True

    def _report(self, order_id: str, name: str) -> None:
        """Something that nothing caused; no bogus status is among it (that would have to end in a named exception)."""
        self.glopal.report(self.store, order_id, name)
        self.news = True

    # ---- time ------------------------------------------------------------------------------------------------------

    def later(self, delay: timedelta, action: Callable[[], None]) -> None:
        heapq.heappush(self.ahead, Happening(self.clock.now + delay, next(self.numbers), action))

    def pass_until(self, time: datetime) -> None:
        """Let time pass, and happen what is to happen on the way."""
        while self.ahead and self.ahead[0].at <= time:
            happening = heapq.heappop(self.ahead)
            self.clock.now = max(self.clock.now, happening.at)
            happening.action()
            self.news = True
        self.clock.now = max(self.clock.now, time)
