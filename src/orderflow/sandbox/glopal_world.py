"""Glopal's own state: stores, orders, feeds, and the steps an order takes; what is due later happens at its time.

No HTTP, no authentication, no lock: `glopal.Glopal` holds the lock, `glopal_api` answers requests.
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
from orderflow.sandbox.details import order_details
from orderflow.sandbox.feed import Entry, Feed
from orderflow.sandbox.glopal_options import Emission, GlopalOptions
from orderflow.sandbox.glopal_orders import By, GlopalOrder, Ids, external_text
from orderflow.sandbox.wire import Json, decimal_of, render, render_members


@dataclass(slots=True)
class Store:
    """One merchant's store."""

    feed: Feed = field(default_factory=Feed)
    orders: dict[str, GlopalOrder] = field(default_factory=dict)


class World:
    """All stores, and the key that is good for each. `clock` returns aware UTC and never goes back."""

    def __init__(self, clock: Callable[[], datetime], rng: Random, key: str, options: GlopalOptions) -> None:
        self.key = key
        self.rng = rng
        self.options = options
        self.stores: dict[str, Store] = {}
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
        details["created_at"] = ids.stamp(order.created_at)
        details.update(overrides)
        totals = details.get("totals")
        order.currency = str(details["currency"])
        order.total = decimal_of(totals.get("total") if isinstance(totals, Mapping) else None) or Decimal(0)
        order.fixed = render_members(self._styled(details))

    def _styled(self, details: dict[str, Json]) -> dict[str, Json]:
        styled = dict(details)
        if self.options.amounts == "string":
            rates = details["exchange_rates"]  # SAMPLE: a rate is a number
            styled = {**{key: _amounts_as_text(value) for key, value in details.items()}, "exchange_rates": rates}
        if self.options.language == "object":  # SAMPLE artefact (8.1)
            styled["language"] = {"0": details["language"]}
        return styled

    def _become(self, order: GlopalOrder, status: str, at: datetime) -> None:
        order.became(status, at)
        order.snapshot(at, self.options)

    def take_ids(self, order: GlopalOrder, given: Ids, now: datetime) -> None:
        """The merchant's ids are set, for good. STATED (5): ACCEPTED only if and after READY."""
        order.ids = given
        order.snapshot(now, self.options)  # ASSUMED (5): the ids show in `external` also before READY
        self._accept_when_ready(order, now)

    def _accept_when_ready(self, order: GlopalOrder, now: datetime) -> None:
        if order.status == "READY" and order.ids is not None:
            self.later(now + self.options.accept_takes, now, partial(self._become_accepted, order))

    def become_ready(self, order: GlopalOrder, now: datetime, emission: Emission | None) -> None:
        """RECEIVED -> READY; an early accept takes effect now, after `order.ready` (ASSUMED, 5)."""
        self._become(order, "READY", now)
        self.emit(order.store, order.order_id, "order.ready", now, emission)
        self._accept_when_ready(order, now)

    def _become_accepted(self, order: GlopalOrder, at: datetime) -> None:
        if order.status != "READY":
            return  # cancelled meanwhile
        self._become(order, "ACCEPTED", at)
        if self.options.emit_accepted_completed:
            self.emit(order.store, order.order_id, "order.accepted", at)
        if self.options.completes_after is not None:
            self.later(at + self.options.completes_after, at, partial(self.become_completed, order))

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
        self.emit(order.store, order.order_id, "order.cancelled", now, emission)

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
        how = emission or self.options.emission(name)
        event_id = event_id or ids.event_id(self.rng)
        visible_at = now + how.delay
        order = known.orders.get(order_id)
        entry = Entry(
            event_id=event_id,
            name=name,
            head=_event_head(event_id, name, event_at or now, order_id),
            tail=self._event_tail(order_id, entity_id),
            external=external_text(order.ids if order else None, self.options),
            order_id=order_id,
            visible_at=visible_at,
        )
        for _ in range(how.copies):
            if how.backdated:
                known.feed.append(entry)
            else:
                self.later(visible_at, now, partial(_append, known.feed, entry))
        return event_id

    def event_text(self, store: Store, entry: Entry) -> str:
        """The event as JSON."""
        if self.options.event_external == "as then" or entry.order_id is None:
            return entry.head + entry.external + entry.tail
        order = store.orders.get(entry.order_id)
        return entry.head + external_text(order.ids if order else None, self.options) + entry.tail

    def _event_tail(self, order_id: str, entity_id: str | None) -> str:
        """The end of an event, with `entity_id` (STATED on returns, UNKNOWN on orders, 3.2)."""
        if entity_id is None and self.options.entity_id == "absent":
            return "}"
        value = order_id if entity_id is None and self.options.entity_id == "order id" else entity_id
        return f',"entity_id":{render(value)}}}'


def _event_head(event_id: str, name: str, at: datetime, order_id: str) -> str:
    """The start of an event, up to `external` (SAMPLE, 3.2)."""
    return (
        f'{{"event_id":{render(event_id)},"event_name":{render(name)},'
        f'"event_at":"{ids.stamp(at)}","order_id":{render(order_id)}'
    )


def _append(feed: Feed, entry: Entry, _at: datetime) -> None:
    feed.append(entry)


def _amounts_as_text(value: Json) -> Json:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _amounts_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_amounts_as_text(item) for item in value]
    return value
