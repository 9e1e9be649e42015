"""Glopal's own state: stores, orders, feeds, and the steps an order takes; what is due later happens at its time.

No HTTP, no authentication, no lock: `glopal.Glopal` holds the lock, `glopal.api` answers requests.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random

from orderflow.sandbox import ids
from orderflow.sandbox.glopal.details import order_details
from orderflow.sandbox.glopal.emissions import Emission, emission_of
from orderflow.sandbox.glopal.feed import Entry, Feed
from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.orders import By, CancelCall, GlopalOrder, Ids, Initiator, Refund
from orderflow.sandbox.glopal.texts import described, event_head, event_tail, external_text, order_text
from orderflow.sandbox.wire import Json, decimal_of


@dataclass(slots=True)
class Store:
    """One merchant's store."""

    feed: Feed = field(default_factory=Feed)
    orders: dict[str, GlopalOrder] = field(default_factory=dict)
    asked: int = 0  # pages of the feed served so far


@dataclass(frozen=True, slots=True)
class Notice:
    """An event as a webhook would tell of it; `event` and `order` are JSON texts."""

    store: str
    event_id: str
    event: str
    order: str | None  # None: there is no such order


class World:
    """All stores, and the key that is good for each. `clock` returns aware UTC and never goes back."""

    def __init__(self, clock: Callable[[], datetime], rng: Random, key: str, options: GlopalOptions) -> None:
        self.key = key
        self.rng = rng
        self.options = options
        self.stores: dict[str, Store] = {}
        self.listeners: list[Callable[[Notice, datetime], None]] = []  # told of every event as it becomes visible
        self._clock = clock
        self._due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._sequence = count()

    def now(self) -> datetime:
        """The time, after everything that has fallen due until then has happened at its own time."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, _, action = heapq.heappop(self._due)
            action(at)
        return now

    def later(self, at: datetime, now: datetime, action: Callable[[datetime], None]) -> None:
        """Do `action(at)` when the time has come; at once if it has."""
        if at <= now:
            action(at)
        else:
            heapq.heappush(self._due, (at, next(self._sequence), action))

    def store(self, name: str) -> Store:
        """The store, known from now on."""
        return self.stores.setdefault(name, Store())

    def order(self, store: str, order_id: str) -> GlopalOrder:
        """The order; KeyError if there is none."""
        return self.stores[store].orders[order_id]

    # ---- the steps of an order -----------------------------------------------------------------------------------

    def place(self, store: str, overrides: Mapping[str, Json], now: datetime) -> GlopalOrder:
        """A new order, RECEIVED; nothing is emitted yet. ValueError if its id is taken."""
        orders = self.store(store).orders
        members = dict(overrides)
        given = members.pop("id", None)
        order_id = str(given) if given is not None else self._free_id(orders)
        if order_id in orders:
            raise ValueError(f"order {order_id} exists already")
        order = GlopalOrder(store, order_id, now)
        self.describe(order, members)
        orders[order_id] = order
        self._become(order, "RECEIVED", now)
        return order

    def _free_id(self, orders: Mapping[str, GlopalOrder]) -> str:
        while (order_id := ids.order_id(self.rng, self.options.order_ids)) in orders:
            pass
        return order_id

    def describe(self, order: GlopalOrder, overrides: Mapping[str, Json]) -> None:
        """Invent the contents of the order, with `overrides` put over them."""
        details = order_details(self.rng)
        details["environment"] = self.options.environment
        details["created_at"] = ids.stamp(order.created_at, self.options.times)
        details.update(overrides)
        totals = details.get("totals")
        order.currency = str(details["currency"])
        order.total = decimal_of(totals.get("total") if isinstance(totals, Mapping) else None) or Decimal(0)
        order.fixed = described(details, self.options)

    def _become(self, order: GlopalOrder, status: str, at: datetime) -> None:
        order.became(status, at)
        self.show(order, at)

    def show(self, order: GlopalOrder, at: datetime) -> None:
        """From `at` on a GET shows the order as it is now."""
        order.looks(order_text(order, self.options).encode(), at)

    def take_ids(self, order: GlopalOrder, given: Ids, now: datetime) -> None:
        """The merchant's ids are set, for good. STATED (5): ACCEPTED only if and after READY."""
        order.ids = given
        self.show(order, now)  # ASSUMED (5): the ids show in `external` also before READY
        self._accept_when_ready(order, now)

    def _accept_when_ready(self, order: GlopalOrder, now: datetime) -> None:
        if order.status == "READY" and order.ids is not None:
            self.later(now + self.options.accept_takes, now, partial(self._become_accepted, order))

    def become_ready(self, order: GlopalOrder, now: datetime, emission: Emission | None) -> None:
        """RECEIVED -> READY; an early accept takes effect now, after `order.ready` (ASSUMED, 5)."""
        self._become(order, "READY", now)
        if order.ids is None or self.options.early_ready == "emitted":
            self.emit(order.store, order.order_id, "order.ready", now, emission)
        self._accept_when_ready(order, now)
        if self.options.cancels_ready_after is not None:
            self.later(now + self.options.cancels_ready_after, now, partial(self._cancel_unasked, order, "READY"))

    def _become_accepted(self, order: GlopalOrder, at: datetime) -> None:
        if order.status != "READY":
            return  # cancelled meanwhile
        self._become(order, "ACCEPTED", at)
        if self.options.emit_accepted_completed:
            self.emit(order.store, order.order_id, "order.accepted", at)
        if self.options.completes_after is not None:
            self.later(at + self.options.completes_after, at, partial(self.become_completed, order))
        if self.options.cancels_accepted_after is not None:
            self.later(at + self.options.cancels_accepted_after, at, partial(self._cancel_unasked, order, "ACCEPTED"))

    def _cancel_unasked(self, order: GlopalOrder, status: str, at: datetime) -> None:
        """Glopal cancels what it said it would not (contradiction 11.6), if the order is in that status still."""
        if order.status == status and not order.shipped:
            order.cancels.append(CancelCall("push_failed", at, status=0, applied=True, by="glopal"))
            self.become_cancelled(order, "push_failed", "glopal", at)

    def become_completed(self, order: GlopalOrder, at: datetime, emission: Emission | None = None) -> None:
        """ACCEPTED -> COMPLETED; nothing if the order is something else by now."""
        if order.status != "ACCEPTED":
            return
        self._become(order, "COMPLETED", at)
        if self.options.emit_accepted_completed:
            self.emit(order.store, order.order_id, "order.completed", at, emission)

    def become_cancelled(
        self, order: GlopalOrder, reason: str | None, by: By, now: datetime, emission: Emission | None = None
    ) -> None:
        """Anything -> CANCELLED, for good (ASSUMED terminal, 4); ids of an earlier accept stay visible (ASSUMED, 5)."""
        order.cancelled_by, order.cancel_reason, order.cancelled_at = by, reason, now
        self._become(order, "CANCELLED", now)
        if self.options.cancel_emits:
            self.emit(order.store, order.order_id, "order.cancelled", now, emission)

    def give_back(
        self,
        order: GlopalOrder,
        amount: Decimal,
        reason: str | None,
        by: Initiator,
        now: datetime,
        share: Decimal | None = None,
        claim: str | None = None,
    ) -> Refund:
        """Money goes back, whoever wanted it; no event tells of it (none is named anywhere, 3.3)."""
        refund = Refund(ids.crockford(self.rng, 12), amount, reason, now, by, share, claim)
        order.refunds.append(refund)
        self.show(order, now)
        return refund

    # ---- the feed ------------------------------------------------------------------------------------------------

    def emit(
        self,
        store: str,
        order_id: str,
        name: str,
        now: datetime,
        emission: Emission | None = None,
        *,
        event_id: str | None = None,
        event_at: datetime | None = None,
        entity_id: str | None = None,
    ) -> str:
        """Put an event into the store's feed, as `emission` (else the options) says. Returns its id."""
        known = self.store(store)
        how = emission or emission_of(self.options.emission, name)
        event_id = event_id or ids.event_id(self.rng, self.options.event_ids)
        visible_at = now + how.delay
        order = known.orders.get(order_id)
        entry = Entry(
            event_id=event_id,
            name=name,
            head=event_head(event_id, name, event_at or now, order_id, self.options),
            tail=event_tail(order_id, entity_id, self.options),
            external=external_text(order, self.options),
            order_id=order_id,
            visible_at=visible_at,
        )
        for _ in range(how.copies):
            if how.backdated:
                known.feed.append(entry)
            else:
                self.later(visible_at, now, partial(_append, known.feed, entry))
        if how.copies and self.listeners:
            self.later(visible_at, now, partial(self._tell, store, order_id, event_id, entry))
        return event_id

    def _tell(self, store: str, order_id: str, event_id: str, entry: Entry, at: datetime) -> None:
        known = self.stores[store]
        order = known.orders.get(order_id)
        shown = order.as_of(at).decode() if order else None
        for listener in self.listeners:
            listener(Notice(store, event_id, self.event_text(known, entry), shown), at)

    def event_text(self, store: Store, entry: Entry) -> str:
        """The event as JSON."""
        if self.options.event_external == "as then" or entry.order_id is None:
            return entry.head + entry.external + entry.tail
        return entry.head + external_text(store.orders.get(entry.order_id), self.options) + entry.tail


def _append(feed: Feed, entry: Entry, _at: datetime) -> None:
    feed.append(entry)
