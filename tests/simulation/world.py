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

from tests.simulation.faults import Fired
from tests.simulation.wire import Swarm, Wire

from orderflow.sandbox import Glopal, GlopalOptions, Shop, ShopOptions
from orderflow.sandbox.glopal.feed import Entry
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
    operator_refunds: bool = False
    accepted_by_hand: bool = False


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
        self.odd = False  # did anything come into the feed that was not as it should be?
        self.was_closed = False
        self.closed = False  # was a door closed that a person has to open again?
        self.calling = ""  # the effect of the call that is being made
        self.fired = Fired()
        self.wire_broke: Exception | None = None
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
                pages=rng.choice(["plain", "plain", "plain", "overlapping", "shrinking"]),
                filtering=rng.choice(["before the cut"] * 4 + ["after the cut"]),
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
        self.swarms = {"glopal": Swarm.drawn(rng), "shop": Swarm.drawn(rng)}
        if rng.random() < 0.1:
            begins = BEGIN + seconds(rng.uniform(0, 200))
            outage = begins, begins + seconds(rng.choice([120, 1800, 7200, 21600]))
            self.swarms[rng.choice(["glopal", "shop"])].outage = outage
        for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
            self._script()

    def feed(self) -> list[Entry]:
        """Every place of Glopal's feed."""
        return self.glopal._world.stores[self.store].feed.entries

    def out_of_reach(self) -> set[str | None]:
        """Events that appeared below the cursor while Glopal could not be asked: the window may have closed over them.

        Their orders are found out by the details; only the reports are missing.
        """
        outage = self.swarms["glopal"].outage is not None
        found, earliest = set[str | None](), None
        for entry in reversed(self.feed()) if outage or self.was_closed else ():
            if earliest is not None and entry.visible_at > earliest:
                found.add(entry.event_id)
            earliest = entry.visible_at if earliest is None else min(earliest, entry.visible_at)
        return found

    def made(self, order_id: str) -> list[Any]:
        """Every shop order ever made for it."""
        return [entry for entry in self.shop.ledger() if entry.reference == f"glopal:{self.store}:{order_id}"]

    def wire(self, place: str) -> Wire:
        app = self.glopal.handle if place == "glopal" else self.shop.handle
        return Wire(self, app, self.swarms[place], place)

    @property
    def all_well_from(self) -> datetime:
        """When the last outage is over."""
        return max((swarm.outage[1] for swarm in self.swarms.values() if swarm.outage is not None), default=BEGIN)

    def stop(self) -> None:
        """No more faults."""
        for swarm in self.swarms.values():
            swarm.on = False

    def close(self) -> None:
        """A door closes. A person opens it again after a while."""
        self.was_closed = True
        self.later(seconds(self.rng.choice([5, 60, 600])), self._open)

    def _open(self) -> None:
        self.closed = self.news = True

    # ---- chance ----------------------------------------------------------------------------------------------------

    def _emission(self) -> Emission:
        rng, odd = self.rng, self.rng.random()
        delay = seconds(rng.choice([1, 30, 200])) if odd < 0.2 else timedelta(0)
        self.later(delay, self._stir_below if odd < 0.05 else self.stir)
        self.odd = self.odd or bool(delay)
        if odd < 0.05:
            self.fired.fire("E05", "feed")
        if 0.2 <= odd < 0.3:
            self.fired.fire("E01", "feed")
        return Emission(copies=2 if 0.2 <= odd < 0.3 else 1, delay=delay, backdated=odd < 0.05)

    def _stir_below(self) -> None:
        """There may be something below the cursor: who reads the trailing window often enough will find it."""
        self.below = True
        self.stir()

    def stir(self) -> None:
        """There may be something in the feed, now and once an accept has taken its time."""
        self.news = True
        if self.glopal.options.accept_takes:
            self.later(self.glopal.options.accept_takes, self._look)

    def _look(self) -> None:
        self.news = True

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
        if rng.random() < 0.15:
            odd = rng.choice([self._evidence, self._mystery, self._poison])
            self.later(
                seconds(rng.choice([2.0, 30.0, 200.0])) * rng.random() + at * rng.random(), lambda: odd(life.order_id)
            )

    def _act(self, order_id: str, act: str, tries: int) -> None:
        """Some acts have to wait for others; they are tried again for a while."""
        self.news = True
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

    def _report(self, order_id: str, name: str) -> None:
        """Something that nothing caused; no bogus status is among it (that would have to end in a named exception)."""
        self.glopal.report(self.store, order_id, name)
        self.news = True

    def _evidence(self, order_id: str) -> None:
        """The same event id twice, with other contents."""
        event_id = self.glopal.report(self.store, order_id, "order.received")
        self.glopal.report(
            self.store, order_id, "order.received", event_id=event_id, event_at=self.clock.now - seconds(86400)
        )
        self.odd = self.news = True

    def _mystery(self, order_id: str) -> None:
        """An event of a name that nobody has heard of."""
        self._element(order_id, "order.pondered", "")

    def _poison(self, order_id: str) -> None:
        """An event that cannot be read, of this order or of nobody knows which."""
        known = self.rng.random() < 0.7
        if not known:
            self.fired.fire("E08", "feed")
        problem = self.rng.choice([',"event_at":5', ',"entity_id":"\\u0000\\ud800"', f',"entity_id":{"9" * 5000}'])
        self._element(order_id if known else "\\u0000", "return.requested", problem)

    def _element(self, order_id: str, name: str, more: str) -> None:
        event_id = f"ODD{next(self.numbers):05d}"
        text = f'{{"event_id":"{event_id}","event_name":"{name}","order_id":"{order_id}"{more}}}'
        self.glopal.poison(self.store, text, event_id=event_id, event_name="order.ready")
        self.odd = self.news = True

    # ---- time ------------------------------------------------------------------------------------------------------

    def later(self, delay: timedelta, action: Callable[[], None]) -> None:
        heapq.heappush(self.ahead, Happening(self.clock.now + delay, next(self.numbers), action))

    def pass_until(self, time: datetime) -> None:
        """Let time pass, and happen what is to happen on the way."""
        while self.ahead and self.ahead[0].at <= time:
            happening = heapq.heappop(self.ahead)
            self.clock.now = max(self.clock.now, happening.at)
            happening.action()
        self.clock.now = max(self.clock.now, time)
