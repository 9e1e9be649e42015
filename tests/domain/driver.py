"""A pure simulation of "do what is due, record the outcome": a model of Glopal and of a shop, and virtual time.

It is the relay reduced to its rules: an intent before every write, a look-up before every resend, and every end of an
attempt by `conclusions`. It has no queue, no leases and no threads; those are tested around the real relay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from orderflow.domain.conclusions import conclude, not_executed, still_wanted
from orderflow.domain.decisions import Accept, Cancel, decide
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import (
    Destination,
    DetailsFetched,
    Effect,
    EffectDelivered,
    EffectIntended,
    EffectNotExecuted,
    EffectUnknown,
    Event,
    Ids,
    LookedUp,
    Position,
    Recorded,
    RefundQuoted,
    Reported,
    ShopState,
    Sighting,
    Version,
)
from orderflow.domain.evolve import evolve
from orderflow.domain.machine import Status
from orderflow.domain.order import Order, Phase, Slot
from orderflow.domain.policy import StorePolicy

from .histories import T0, seconds

SETTLE = seconds(120)
"""The settle window of both destinations: longer than any lag in these tests."""
SEND = seconds(30)
"""From an intent to its `send_by`; the call's own timeout is in `counts_from`."""
LOOKUPS = 4
"""Look-ups of one attempt before the driver leaves it to a person."""


class Fault(StrEnum):
    """What happens to one write."""

    NONE = "none"
    REFUSED = "refused"
    BUSY = "busy"  # 429: not executed, and the attempt is not burnt
    DOWN = "down"  # 503: not executed
    LOST_BEFORE = "lost before"  # cut before the other side acted
    LOST_AFTER = "lost after"  # the other side acted, the reply was lost
    LATE = "late"  # cut, and the other side acts a while later, yet before the settle window is over


Write = tuple[Event, ...]


@dataclass
class Glopal:
    """What is true at Glopal. `lag`: for how long after a change a GET may still show what was before."""

    truth: list[tuple[datetime, Status]]
    lag: timedelta = timedelta(0)
    external: Ids | None = None
    accepts: list[Ids] = field(default_factory=list)

    @property
    def status(self) -> Status:
        return self.truth[-1][1]

    def shown(self, at: datetime) -> Status:
        """What a GET sent at `at` shows: the newest truth that is older than the lag, else the first."""
        return next((status for time, status in reversed(self.truth) if time + self.lag <= at), self.truth[0][1])

    def become(self, status: Status, at: datetime) -> None:
        self.truth.append((at, status))

    def accept(self, ids: Ids, at: datetime) -> str | None:
        """None is a 200. Takes effect only where the order is READY."""
        if self.external not in (None, ids):
            return "accepted with other ids"
        if self.status is Status.CANCELLED:
            return "cancelled"
        self.accepts.append(ids)
        self.external = ids
        if self.status is Status.READY:
            self.become(Status.ACCEPTED, at)
        return None

    def cancel(self, at: datetime) -> str | None:
        if self.status is Status.CANCELLED:
            return "cancelled already"
        self.become(Status.CANCELLED, at)
        return None


@dataclass
class ModelShop:
    """A shop without unique references: every create makes one more. `two_ids`: a real order has another id."""

    two_ids: bool = False
    orders: dict[str, Sighting] = field(default_factory=dict)
    fulfilled: bool = False
    promotions: int = 0

    def create(self) -> Sighting:
        name = f"new{len(self.orders) + 1}"
        self.orders[name] = Sighting(name, f"#{name}", ShopState.DRAFT)
        return self.orders[name]

    def promote(self, shop_id: str) -> Sighting | str:
        order = self.orders.get(shop_id)
        if order is None or order.state is ShopState.GONE:
            return "no such draft"
        if order.state is ShopState.DRAFT:
            self.promotions += 1
        real_id = f"real-{shop_id}" if self.two_ids else ""
        self.orders[shop_id] = Sighting(shop_id, order.number, ShopState.ORDER, promoted=True, real_id=real_id)
        return self.orders[shop_id]

    def withdraw(self, shop_id: str, seen: ShopState | None) -> Sighting | str:
        order = self.orders.get(shop_id)
        if order is None:
            return Sighting(shop_id, "", ShopState.GONE)
        if order.state is ShopState.ORDER and (self.fulfilled or seen is ShopState.DRAFT):
            return "it is fulfilled" if self.fulfilled else "not a draft"
        self.orders[shop_id] = replace(order, state=ShopState.GONE)
        return self.orders[shop_id]

    def look_up(self, shop_id: str = "") -> tuple[Sighting, ...]:
        """By our reference; and by id, if one is given, which says also what is gone."""
        found = tuple(self.orders.values())
        if shop_id and shop_id not in self.orders:
            found += (Sighting(shop_id, "", ShopState.GONE),)
        return found


@dataclass
class Driver:
    """One order, one policy, one world. `faults` are used up by the writes, in turn; then all goes well."""

    policy: StorePolicy
    glopal: Glopal
    shop: ModelShop = field(default_factory=ModelShop)
    order: Order = field(default_factory=Order)
    now: datetime = T0
    latency: timedelta = timedelta(seconds=0.2)
    faults: list[Fault] = field(default_factory=list)
    arrivals: list[tuple[datetime, Event]] = field(default_factory=list)
    check: Callable[[Driver], None] | None = None
    history: list[Recorded] = field(default_factory=list)
    intents: set[tuple[Effect, int, int]] = field(default_factory=set)
    pending: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    looked: tuple[Slot | None, int, datetime] = (None, 0, T0)

    # --- time ---

    def record(self, *told: Event) -> None:
        """At the end of the history, now."""
        for event in told:
            position = max(self.order.position, 0) + 1
            recorded = Recorded(event, Position(position), Version(position), self.now)
            self.history.append(recorded)
            self.order = evolve(self.order, recorded)
            if self.check is not None:
                self.check(self)

    def wait(self, until: datetime) -> None:
        """Let time pass; what happens by itself meanwhile happens."""
        while True:
            happening = [at for at, _ in (*self.arrivals[:1], *self.pending[:1]) if at <= until]
            if not happening:
                break
            self.now = max(self.now, min(happening))
            while self.pending and self.pending[0][0] <= self.now:
                self.pending.pop(0)[1]()
            while self.arrivals and self.arrivals[0][0] <= self.now:
                self.record(self.arrivals.pop(0)[1])
        self.now = max(self.now, until)

    def settle(self, bound: int = 200) -> int:
        """Do what is due now until nothing is. The number of things done; more than `bound` is no rest."""
        done = 0
        while self.step():
            done += 1
            assert done <= bound, f"no rest: {[r.event for r in self.history[-8:]]}"
        return done

    def run(self, until: datetime, bound: int = 600) -> int:
        """Rest, and wake for everything that falls due until `until`."""
        done = self.settle()
        while (at := self.wakes()) is not None and at <= until:
            self.wait(at)
            done += self.settle() + 1
            assert done <= bound, f"too much to do: {[r.event for r in self.history[-8:]]}"
        self.wait(until)
        return done

    def wakes(self) -> datetime | None:
        """When something happens next, by itself or because it is due."""
        times = [d.not_before for d in effects_due(self.order, self.policy)]
        times += [at for at, _ in (*self.arrivals[:1], *self.pending[:1])]
        times += [at for place in Destination if (at := self._looks_at(place)) is not None]
        return min((t for t in times if t > self.now), default=None)

    # --- what is due ---

    def due(self) -> tuple[Due, ...]:
        return tuple(d for d in effects_due(self.order, self.policy) if d.not_before <= self.now)

    def step(self) -> bool:
        """One thing that is due now; False at rest."""
        for place in Destination:
            slot = self.order.slot(place)
            if slot is not None and slot.phase is Phase.AGAIN and not still_wanted(self.order, self.policy, slot):
                self.record(not_executed(self.order, self.policy, slot, "no longer due", retry_in=0.0))
                return True
            at = self._looks_at(place)
            if slot is not None and at is not None and at <= self.now:
                self._look(place, slot)
                return True
        for due in self.due():
            self._perform(due)
            return True
        return False

    def _looks_at(self, place: Destination) -> datetime | None:
        slot = self.order.slot(place)
        if slot is None or slot.phase is not Phase.OPEN:
            return None
        of, times, last = self.looked
        if of is None or (of.effect, of.generation, of.attempt) != (slot.effect, slot.generation, slot.attempt):
            return slot.counts_from
        return None if times >= LOOKUPS else max(slot.counts_from, last + seconds(60))

    def _look(self, place: Destination, slot: Slot) -> None:
        """A look-up of the attempt under way; then what all observations say about it."""
        of, times, _ = self.looked
        same = of is not None and (of.effect, of.generation, of.attempt) == (slot.effect, slot.generation, slot.attempt)
        self.looked = (slot, times + 1 if same else 1, self.now)
        if place is Destination.GLOPAL:
            self.fetch()
        else:
            self._look_at_shop(slot.effect, slot.generation, slot.attempt, slot.target)
        self.conclude(place)

    def conclude(self, place: Destination, refusal: str | None = None) -> None:
        found = conclude(self.order, self.policy, place, retry_in=10.0, refusal=refusal)
        if found is not None:
            self.record(found)

    # --- calls ---

    def _perform(self, due: Due) -> None:
        if due.effect is Effect.FETCH:
            self.fetch()
        elif due.effect is Effect.REAP:
            self._look_at_shop(due.effect, due.generation, 1)
        elif due.effect is Effect.QUOTE:
            self.record(RefundQuoted(due.target, Decimal(1), Decimal(0), "EUR"))
        else:
            self._write(due)

    def fetch(self) -> None:
        """A GET. What arrives before its reply is recorded before it."""
        sent, asked_after = self.now, self.order.position
        status, external = self.glopal.shown(sent), self.glopal.external
        self.wait(self.now + self.latency)
        self.record(
            DetailsFetched(
                Position(asked_after),
                sent,
                sent + SETTLE,
                status,
                status.value,
                external,
                "live",
                "EUR",
                None,
                None,
                "b",
            )
        )

    def _look_at_shop(self, effect: Effect, generation: int, attempt: int, target: str = "") -> None:
        sent, found = self.now, self.shop.look_up(target)
        self.wait(self.now + self.latency)
        self.record(LookedUp(effect, generation, attempt, sent, found))

    def _write(self, due: Due) -> None:
        if due.effect is Effect.ACCEPT:
            assert due.ids is not None
            self.record(*decide(self.order, Accept(due.ids, "policy")))
        if due.effect is Effect.CANCEL and self.order.cancel_reason is None:
            self.record(*decide(self.order, Cancel("refused by the shop", "policy")))
        before = self.order.slot(due.destination)
        attempt = before.attempt + 1 if before is not None else 1
        key = (due.effect, due.generation, attempt)
        assert key not in self.intents, f"{key} was used before"
        self.intents.add(key)
        own = self.order.shop.get(due.target)
        seen = own.state if own is not None else None
        send_by = self.now + SEND
        self.record(EffectIntended(*key, due.target, "digest", send_by, send_by + seconds(10) + SETTLE, seen))
        fault = self.faults.pop(0) if self.faults else Fault.NONE
        if fault is Fault.NONE:
            answer = self._execute(due, seen)
            self.wait(self.now + self.latency)
            self._answered(due, key, answer)
            return
        if fault is Fault.LOST_AFTER:
            self._execute(due, seen)
        if fault is Fault.LATE:
            self.pending.append((self.now + seconds(60), lambda: self._execute(due, seen)))
            self.pending.sort(key=lambda one: one[0])
        self.wait(self.now + self.latency)
        if fault is Fault.REFUSED:
            self._answered(due, key, "no")
        elif fault in (Fault.BUSY, Fault.DOWN):
            self._turned_away(due, fault)
        else:
            self.record(EffectUnknown(*key, fault.value))

    def _execute(self, due: Due, seen: ShopState | None) -> Sighting | str | None:
        """What the other side does: a sighting, a refusal, or (at Glopal) None for a 200."""
        match due.effect:
            case Effect.DRAFT:
                return self.shop.create()
            case Effect.PROMOTE:
                return self.shop.promote(due.target)
            case Effect.WITHDRAW:
                return self.shop.withdraw(due.target, seen)
            case Effect.ACCEPT:
                assert due.ids is not None
                return self.glopal.accept(due.ids, self.now)
            case Effect.CANCEL:
                return self.glopal.cancel(self.now)
            case _:
                return None

    def _answered(self, due: Due, key: tuple[Effect, int, int], answer: Sighting | str | None) -> None:
        """A refusal is read back before it counts."""
        if not isinstance(answer, str):
            self.record(EffectDelivered(*key, answer))
            return
        if due.destination is Destination.GLOPAL:
            self.fetch()
        else:
            self._look_at_shop(*key, due.target)
        self.conclude(due.destination, answer)

    def _turned_away(self, due: Due, fault: Fault) -> None:
        slot = self.order.slot(due.destination)
        if slot is None:
            return
        burnt = fault is Fault.DOWN
        found = not_executed(self.order, self.policy, slot, fault.value, retry_in=10.0, burnt=burnt)
        assert isinstance(found, EffectNotExecuted) or burnt or not still_wanted(self.order, self.policy, slot)
        self.record(found)


def reports_at(start: datetime, gap: timedelta, reports: Iterable[Reported]) -> list[tuple[datetime, Event]]:
    """Arrivals, `gap` apart."""
    return [(start + n * gap, report) for n, report in enumerate(reports)]
