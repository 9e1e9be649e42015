"""A faithful fake of Glopal's Order API 2.3.2, with a driving side that makes orders live.

`handle` is what a client sees; `place`, `ready`, `cancel` and their like are Glopal and its buyers; `ledger` is for
judging afterwards. It must never know or ask what orderflow thinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from threading import RLock
from typing import Literal

from orderflow.sandbox.glopal import api
from orderflow.sandbox.glopal.emissions import Emission
from orderflow.sandbox.glopal.feed import Entry
from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.orders import (
    AcceptCall,
    By,
    CancelCall,
    GlopalOrder,
    Ids,
    Initiator,
    Refund,
    Return,
    refuse_accept,
    refuse_cancel,
    refuse_refund,
)
from orderflow.sandbox.glopal.world import Notice, World
from orderflow.sandbox.wire import Json, Request, Response

ReturnStatus = Literal["REQUESTED", "AUTHORIZED", "CANCELLED", "PENDING", "DELIVERED"]


@dataclass(frozen=True, slots=True)
class GlopalEntry:
    """Everything that happened to one order at Glopal, whatever orderflow thinks of it.

    `accepts` are all accepts received, refused ones included; `applied_accepts` those that set the ids.
    """

    store: str
    order_id: str
    status: str
    statuses: tuple[tuple[datetime, str], ...]
    ids: Ids | None
    shipped: bool
    accepts: tuple[AcceptCall, ...]
    cancels: tuple[CancelCall, ...]
    refunds: tuple[Refund, ...]
    gets: int
    quotes: int

    @property
    def applied_accepts(self) -> tuple[AcceptCall, ...]:
        """The accepts that set the ids: at most one."""
        return tuple(call for call in self.accepts if call.applied)


class Glopal:
    """Glopal for any number of stores. Thread-safe; the same seed and the same calls give the same ids and bytes.

    `clock` returns aware UTC and never goes back. A store is known once `open`, `place` or `report` has named it.
    The driving calls raise KeyError for an unknown order and ValueError for a step that it cannot take.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: Random,
        key: str = "GL.sandbox",
        options: GlopalOptions | None = None,
    ) -> None:
        self._world = World(clock, rng, key, options or GlopalOptions())
        self._lock = RLock()

    @property
    def options(self) -> GlopalOptions:
        """The switches; assign other ones at any time."""
        return self._world.options

    @options.setter
    def options(self, options: GlopalOptions) -> None:
        with self._lock:
            self._world.options = options

    def handle(self, request: Request) -> Response:
        """Answer one request; changes state exactly as the real one would, and reaches nothing outside."""
        with self._lock:
            return api.answer(self._world, request, self._world.now())

    def listen(self, listener: Callable[[Notice, datetime], None]) -> None:
        """Have the listener told of every event from now on, as it becomes visible. It must be quick."""
        with self._lock:
            self._world.listeners.append(listener)

    def settle(self) -> None:
        """Let happen what has fallen due; every other call does so, too."""
        with self._lock:
            self._world.now()

    # ---- the lives of orders -------------------------------------------------------------------------------------

    def open(self, *stores: str) -> None:
        """Make stores known without placing an order."""
        with self._lock:
            for store in stores:
                self._world.store(store)

    def place(self, store: str, *, emission: Emission | None = None, **overrides: Json) -> str:
        """A buyer orders: RECEIVED, and `order.received` is emitted. Returns the order id.

        `overrides` replace members of the order (`id=`, `currency=`, `items=`, `environment=`, ...); money as Decimal.
        """
        with self._lock:
            now = self._world.now()
            order = self._world.place(store, overrides, now)
            self._world.emit(store, order.order_id, "order.received", now, emission)
            return order.order_id

    def ready(self, store: str, order_id: str, *, emission: Emission | None = None) -> None:
        """Glopal confirms order and payment: RECEIVED -> READY, emits `order.ready`; an early accept takes effect."""
        with self._lock:
            now, order = self._order(store, order_id)
            _expect(order, "RECEIVED")
            self._world.become_ready(order, now, emission)

    def complete(self, store: str, order_id: str, *, emission: Emission | None = None) -> None:
        """Glopal finishes: ACCEPTED -> COMPLETED; emits `order.completed` only if such events are switched on."""
        with self._lock:
            now, order = self._order(store, order_id)
            _expect(order, "ACCEPTED")
            self._world.become_completed(order, now, emission)

    def ship(self, store: str, order_id: str) -> None:
        """The parcel left: from now on cancel is refused (STATED, 6; how Glopal learns it is UNKNOWN)."""
        with self._lock:
            _, order = self._order(store, order_id)
            _expect(order, "ACCEPTED", "COMPLETED")
            order.shipped = True

    def cancel(
        self,
        store: str,
        order_id: str,
        reason: str = "payment_failed",
        by: By = "glopal",
        *,
        emission: Emission | None = None,
    ) -> None:
        """Glopal cancels, or a person in the Merchant Account (`by="merchant"`); emits `order.cancelled`."""
        with self._lock:
            now, order = self._order(store, order_id)
            code = "already_cancelled" if order.status == "CANCELLED" else refuse_cancel(order, by, self.options)
            if code is not None:
                raise ValueError(f"order {order_id} cannot be cancelled: {code}")
            order.cancels.append(CancelCall(reason, now, status=0, applied=True, by=by))
            self._world.become_cancelled(order, reason, by, now, emission)

    def accept_elsewhere(self, store: str, order_id: str, external_id: str, number: str) -> None:
        """Somebody else accepts the order, with ids that are not orderflow's."""
        with self._lock:
            now, order = self._order(store, order_id)
            given = (external_id, number)
            if code := refuse_accept(order, given):
                raise ValueError(f"order {order_id} cannot be accepted: {code}")
            applied = order.ids is None
            order.accepts.append(AcceptCall(given, now, 0, applied, "elsewhere"))
            if applied:
                self._world.take_ids(order, given, now)

    def refund(
        self,
        store: str,
        order_id: str,
        amount: Decimal,
        reason: str | None = "goodwill",
        by: Initiator = "merchant",
    ) -> str:
        """A person gives money back in the Merchant Account, or Glopal does, or a dispute was lost; emits nothing.

        Returns the refund's id.
        """
        with self._lock:
            now, order = self._order(store, order_id)
            code = refuse_refund(order, amount, self.options) if by == "merchant" else None
            if code is not None:
                raise ValueError(f"order {order_id} cannot be refunded: {code}")
            return self._world.give_back(order, amount, reason, by, now).refund_id

    def returned(
        self, store: str, order_id: str, status: ReturnStatus = "REQUESTED", return_id: str | None = None
    ) -> str:
        """A return is requested, or an existing one goes on; the request's steps emit `return.*` (STATED, 9).

        The parcel's own steps, PENDING and DELIVERED, emit nothing. Returns the return's id: the event's `entity_id`.
        """
        with self._lock:
            now, order = self._order(store, order_id)
            return_id = return_id or str(len(order.returns) + 1)
            known = order.returns.get(return_id, Return())
            match status:
                case "PENDING" | "DELIVERED":
                    order.returns[return_id] = replace(known, shipment=status)
                case "REQUESTED" | "AUTHORIZED" | "CANCELLED":
                    order.returns[return_id] = replace(known, request=status)
                    self._world.emit(store, order_id, f"return.{status.lower()}", now, entity_id=return_id)
            self._world.show(order, now)
            return return_id

    # ---- what should not happen ----------------------------------------------------------------------------------

    def report(  # noqa: PLR0913 - all but the first three are oddities, named where used
        self,
        store: str,
        order_id: str,
        event_name: str,
        *,
        delay: timedelta = timedelta(0),
        copies: int = 1,
        backdated: bool = False,
        event_id: str | None = None,
        event_at: datetime | None = None,
        entity_id: str | None = None,
    ) -> str:
        """Emit an event that nothing caused: late, doubled, bogus, for an order that may not exist. Returns its id.

        `delay`, `copies`, `backdated` as in `Emission`. With the `event_id` of an earlier event the feed lists that
        id again, with this name, order and time.
        """
        with self._lock:
            return self._world.emit(
                store,
                order_id,
                event_name,
                self._world.now(),
                Emission(copies, delay, backdated),
                event_id=event_id,
                event_at=event_at,
                entity_id=entity_id,
            )

    def poison(self, store: str, element: str, *, event_id: str | None = None, event_name: str = "") -> None:
        """Put a raw JSON text into the feed as if it were an event; `event_id` makes it usable as a cursor."""
        with self._lock:
            now = self._world.now()
            self._world.store(store).feed.append(Entry(event_id, event_name, element, "", "", None, now))

    def amend(self, store: str, order_id: str, **overrides: Json) -> None:
        """Describe the order anew, with `overrides`; its status and its events stay as they are."""
        with self._lock:
            now, order = self._order(store, order_id)
            self._world.describe(order, overrides)
            self._world.show(order, now)

    def serve_instead(self, store: str, order_id: str, body: bytes | None, status: int = 200) -> None:
        """Make every GET of this order answer so; `body=None` ends it."""
        with self._lock:
            _, order = self._order(store, order_id)
            order.served_instead = None if body is None else (status, body)

    # ---- judging -------------------------------------------------------------------------------------------------

    def ledger(self, store: str) -> list[GlopalEntry]:
        """What happened to every order of the store, in order of placement; empty for an unknown store."""
        with self._lock:
            self._world.now()
            known = self._world.stores.get(store)
            return [_entry(order) for order in known.orders.values()] if known else []

    def status(self, store: str, order_id: str) -> str:
        """The true status now."""
        with self._lock:
            return self._order(store, order_id)[1].status

    def stores(self) -> list[str]:
        """The stores known so far."""
        with self._lock:
            return list(self._world.stores)

    def _order(self, store: str, order_id: str) -> tuple[datetime, GlopalOrder]:
        now = self._world.now()
        return now, self._world.order(store, order_id)


def _expect(order: GlopalOrder, *statuses: str) -> None:
    if order.status not in statuses:
        raise ValueError(f"order {order.order_id} is {order.status}, not {' or '.join(statuses)}")


def _entry(order: GlopalOrder) -> GlopalEntry:
    return GlopalEntry(
        store=order.store,
        order_id=order.order_id,
        status=order.status,
        statuses=tuple(order.statuses),
        ids=order.ids,
        shipped=order.shipped,
        accepts=tuple(order.accepts),
        cancels=tuple(order.cancels),
        refunds=tuple(order.refunds),
        gets=order.gets,
        quotes=order.quotes,
    )
