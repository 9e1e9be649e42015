"""A faithful fake of Glopal's Order API 2.3.2, with a driving side that makes orders live.

`handle` is what a client sees; `place`, `ready`, `cancel` and their like are Glopal and its buyers; `ledger` is for
judging afterwards. It must never know or ask what orderflow thinks.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random
from threading import RLock
from typing import Any
from urllib.parse import quote, unquote

from orderflow.sandbox import ids
from orderflow.sandbox.details import order_details
from orderflow.sandbox.feed import Entry, Feed, UnknownCursor
from orderflow.sandbox.glopal_options import Emission, GlopalOptions
from orderflow.sandbox.glopal_orders import (
    AcceptCall,
    By,
    CancelCall,
    GlopalOrder,
    Ids,
    Refund,
    amount_of,
    external_text,
    refuse_accept,
    refuse_cancel,
    refuse_refund,
)
from orderflow.sandbox.wire import (
    Json,
    Request,
    Response,
    decimal_of,
    json_object,
    json_response,
    render,
    render_members,
)

OK: Json = {"status": "ok"}  # SAMPLE (reference 5)


@dataclass(frozen=True, slots=True)
class GlopalEntry:
    """Everything that happened to one order at Glopal; never written by orderflow's opinion.

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

    @property
    def applied_accepts(self) -> tuple[AcceptCall, ...]:
        """The accepts that set the ids: at most one."""
        return tuple(call for call in self.accepts if call.applied)


@dataclass(slots=True)
class _Store:
    feed: Feed = field(default_factory=Feed)
    orders: dict[str, GlopalOrder] = field(default_factory=dict)


class Glopal:
    """Glopal for any number of stores. Thread-safe; the same seed and the same calls give the same ids and bytes.

    `clock` returns aware UTC. A store is known once `open` or `place` has named it.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: Random,
        key: str = "GL.sandbox",
        options: GlopalOptions | None = None,
    ) -> None:
        self.key = key
        self.options = options or GlopalOptions()
        self._clock = clock
        self._rng = rng
        self._stores: dict[str, _Store] = {}
        self._due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._sequence = count()
        self._lock = RLock()
        self._routes = [
            (operation, method, re.compile(template.replace("{store}", "([^/]+)").replace("{order}", "([^/]+)")))
            for operation, (method, template) in self.options.routes.items()
        ]
        self._answers: dict[str, Callable[[GlopalOrder, Request, datetime], Response]] = {
            "order": self._get,
            "accept": self._accept,
            "cancel": self._cancel,
            "refund": self._refund,
            "quote": self._quote,
        }

    # ---- the API -----------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request; changes state exactly as the real one would, and reaches nothing outside."""
        with self._lock:
            now = self._now()
            wrong_method = False
            for operation, method, pattern in self._routes:
                match = pattern.fullmatch(request.path)
                if match is None:
                    continue
                if method != request.method:
                    wrong_method = True
                    continue
                names = [unquote(part) for part in match.groups()]
                refusal = self._refuse_key(request, names[0])
                if refusal is not None:
                    return refusal
                store = self._stores[names[0]]
                if operation == "events":
                    return self._events(names[0], store, request, now)
                order = store.orders.get(names[1])
                if order is None:
                    return self._error(404, "order_not_found", "there is no such order")
                return self._answers[operation](order, request, now)
            if wrong_method:
                return self._error(405, "method_not_allowed", f"{request.method} is not possible here")
            return self._error(404, "not_found", "there is no such address")

    def _refuse_key(self, request: Request, store: str) -> Response | None:
        """Bearer authentication (SAMPLE, 1); which code means what is ASSUMED (12)."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        own = self.options.store_keys
        if scheme.lower() != "bearer" or (key != self.key and key not in own.values()):
            return self._error(401, "unauthorized", "a valid key is needed")
        if store not in self._stores or (key != self.key and own.get(store) != key):
            return self._error(403, "forbidden", "the key is not for this store")
        return None

    def _events(self, name: str, store: _Store, request: Request, now: datetime) -> Response:
        """`GET events`: STATED (3.1) repeatable `event`, exclusive `after_event_id`, 20 by default; rest ASSUMED."""
        names: set[str] = set()
        after = before = None
        limit = self.options.page_default
        for key, value in request.query:
            if key == "event":
                names.add(value)
            elif key == "after_event_id":
                if not value and self.options.empty_cursor == "rejected":
                    return self._error(400, "invalid_cursor", "after_event_id must be a valid event id")
                after = value or None
            elif key == "before_event_id":
                before = value or None
            elif key == "limit":
                if not value.isascii() or not value.isdecimal() or int(value) < 1:
                    return self._error(400, "invalid_limit", "limit must be a positive integer")
                limit = min(int(value), self.options.page_cap)
        if after and before:
            return self._error(400, "invalid_cursor", "only one cursor at a time")
        if not names and self.options.event_filter == "required":
            return self._error(400, "event_required", "name at least one event")
        try:
            if before:
                page = store.feed.before(before, names, limit, now)
            else:
                page = store.feed.after(after, names, limit, now)
        except UnknownCursor:
            return self._error(400, "invalid_cursor", "the cursor is not a valid event id")
        events = ",".join([self._event_text(store, entry) for entry in page])
        links = self._links(request, name, page, after, limit)
        return Response(200, f'{{{links}"events":[{events}]}}'.encode())

    def _event_text(self, store: _Store, entry: Entry) -> str:
        if self.options.event_external == "as then" or entry.order_id is None:
            return entry.head + entry.external + entry.tail
        order = store.orders.get(entry.order_id)
        return entry.head + external_text(order.ids if order else None, self.options) + entry.tail

    def _links(self, request: Request, store: str, page: list[Entry], after: str | None, limit: int) -> str:
        """The member `links` with its comma (SAMPLE names, UNKNOWN values, 3.2)."""
        style = self.options.links
        if style == "absent":
            return ""
        host = request.headers.get("host", "glopal.sandbox")
        root = "" if style == "relative" else f"http://{host}"
        base = f"{root}{request.path}?limit={limit}"
        base += "".join([f"&event={quote(value)}" for key, value in request.query if key == "event"])
        last = page[-1].event_id if page else after
        ended = style == "null at the end" and not page
        return "\"links\":" + render({
            "next": None if ended or last is None else f"{base}&after_event_id={quote(last)}",
            "current": f"{base}&after_event_id={quote(after)}" if after else base,
            "previous": f"{base}&before_event_id={quote(page[0].event_id)}" if page and page[0].event_id else None,
        }) + ","

    def _get(self, order: GlopalOrder, _request: Request, now: datetime) -> Response:
        """`GET order`; it may lag behind the events (UNKNOWN whether Glopal's does)."""
        order.gets += 1
        if order.served_instead is not None:
            return Response(*order.served_instead)
        lag = self.options.get_lag
        return Response(200, order.as_of(now - (lag if isinstance(lag, timedelta) else lag())))

    def _accept(self, order: GlopalOrder, request: Request, now: datetime) -> Response:
        """Accept: STATED semantics (5), ASSUMED body."""
        given = self._accept_ids(json_object(request.body))
        if given is None:
            return self._error(400, "invalid_request", "order_id and order_number are needed, as strings")
        code = refuse_accept(order, given)
        applied = code is None and order.ids is None
        order.accepts.append(AcceptCall(given, now, 200 if code is None else 400, applied))
        if code is not None:
            return self._error(400, code, "the order cannot be accepted with these ids")
        if applied:
            self._take_ids(order, given, now)
        return json_response(200, OK)

    def _accept_ids(self, body: dict[str, Any] | None) -> Ids | None:
        style = self.options.accept_body
        nested = body.get("external") if body else None
        source = nested if isinstance(nested, dict) and style != "flat" else body if style != "nested" else None
        if not source:
            return None
        one, two = source.get("order_id"), source.get("order_number")
        return (one, two) if isinstance(one, str) and isinstance(two, str) and one and two else None

    def _take_ids(self, order: GlopalOrder, given: Ids, now: datetime) -> None:
        order.ids = given
        order.snapshot(now, self.options)  # ASSUMED (5): the ids show in `external` also before READY
        if order.status == "READY":
            self._later(now + self.options.accept_takes, lambda at: self._become_accepted(order, at))

    def _become_accepted(self, order: GlopalOrder, at: datetime) -> None:
        if order.status != "READY":
            return  # cancelled meanwhile
        order.became("ACCEPTED", at)
        order.snapshot(at, self.options)
        if self.options.emit_accepted_completed:
            self._emit(order.store, order.order_id, "order.accepted", at)
        if self.options.completes_after is not None:
            self._later(at + self.options.completes_after, lambda then: self._become_completed(order, then))

    def _become_completed(self, order: GlopalOrder, at: datetime, emission: Emission | None = None) -> None:
        if order.status != "ACCEPTED":
            return
        order.became("COMPLETED", at)
        order.snapshot(at, self.options)
        if self.options.emit_accepted_completed:
            self._emit(order.store, order.order_id, "order.completed", at, emission)

    def _cancel(self, order: GlopalOrder, request: Request, now: datetime) -> Response:
        """Cancel: STATED (6) voids the payment, counts as the merchant's, not when shipped, emits order.cancelled."""
        body = json_object(request.body) if request.body else {}
        reason = None if body is None else body.get("reason")
        if body is None or not isinstance(reason, str | None):
            return self._error(400, "invalid_request", "the body must be an object with a reason")
        code = refuse_cancel(order, "merchant", self.options)
        applied = code is None and order.status != "CANCELLED"
        order.cancels.append(CancelCall(reason, now, 200 if code is None else 400, applied, "merchant"))
        if code is not None:
            return self._error(400, code, "the order cannot be cancelled")
        if applied:
            self._become_cancelled(order, reason, "merchant", now)
        return json_response(200, OK)

    def _become_cancelled(
        self, order: GlopalOrder, reason: str | None, by: By, now: datetime, emission: Emission | None = None
    ) -> None:
        order.cancelled_by, order.cancel_reason, order.cancelled_at = by, reason, now
        order.became("CANCELLED", now)  # ASSUMED (5): ids of an early accept remain in `external`
        order.snapshot(now, self.options)
        self._emit(order.store, order.order_id, "order.cancelled", now, emission)

    def _refund(self, order: GlopalOrder, request: Request, now: datetime) -> Response:
        """Refund: every call moves money again (nothing says it is idempotent, 7); body and answer ASSUMED."""
        body = json_object(request.body) or {}
        amount = decimal_of(body.get("amount"))
        code = refuse_refund(order, amount, self.options)
        if code is not None or amount is None:
            return self._error(400, code or "invalid_amount", "this amount cannot be refunded")
        reason = body.get("reason")
        refund = Refund(ids.crockford(self._rng, 12), amount, reason if isinstance(reason, str) else None, now)
        order.refunds.append(refund)
        order.snapshot(now, self.options)
        return json_response(200, {"status": "ok", "refund_id": refund.refund_id})

    def _quote(self, order: GlopalOrder, request: Request, _now: datetime) -> Response:
        """Quote a refund: no side effect (INFERRED, 7); body and answer ASSUMED."""
        body = json_object(request.body) or {}
        amount = decimal_of(body.get("amount"))
        share = decimal_of(body.get("glopal_amount", 0))
        code = refuse_refund(order, amount, self.options)
        if code is not None or amount is None or share is None or not 0 <= share <= amount:
            return self._error(400, code or "invalid_amount", "this amount cannot be refunded")
        liability: Json = {
            "merchant": amount_of(amount - share, self.options),
            "glopal": amount_of(share, self.options),
        }
        return json_response(
            200, {"amount": amount_of(amount, self.options), "currency": order.currency, "liability": liability}
        )

    def _error(self, status: int, code: str, message: str) -> Response:
        """A refusal in the chosen body style; STATED is only "400 with a JSON error description" (12)."""
        style = self.options.error_body
        if style == "nested":
            return json_response(status, {"error": {"code": code, "message": message}})
        if style == "flat":
            return json_response(status, {"status": "error", "message": message})
        if style == "string":
            return json_response(status, {"error": message})
        if style == "problem":
            return json_response(status, {"title": code, "status": status, "detail": message})
        return Response(status, message.encode(), {"content-type": "text/plain"})

    # ---- the driving side --------------------------------------------------------------------------------------

    def open(self, store: str) -> None:
        """Make the store known without placing an order."""
        with self._lock:
            self._stores.setdefault(store, _Store())

    def place(self, store: str, *, emission: Emission | None = None, **overrides: Any) -> str:
        """A buyer orders: RECEIVED, and `order.received` is emitted. Returns the order id.

        `overrides` replace members of the order (`id=`, `currency=`, `items=`, `environment=`, ...); money as Decimal.
        """
        with self._lock:
            now = self._now()
            known = self._stores.setdefault(store, _Store())
            order_id = overrides.pop("id", None) or self._new_order_id(known)
            if order_id in known.orders:
                raise ValueError(f"order {order_id} exists already")
            details = order_details(self._rng)
            details["environment"] = self.options.environment
            details["created_at"] = ids.stamp(now)
            details.update(overrides)
            total = decimal_of((details.get("totals") or {}).get("total")) or Decimal(0)
            fixed = render_members(self._styled(details))
            order = GlopalOrder(store, order_id, now, str(details["currency"]), total, fixed)
            order.became("RECEIVED", now)
            order.snapshot(now, self.options)
            known.orders[order_id] = order
            self._emit(store, order_id, "order.received", now, emission)
            return order_id

    def _new_order_id(self, store: _Store) -> str:
        while (order_id := ids.order_id(self._rng, self.options.order_ids)) in store.orders:
            pass
        return order_id

    def _styled(self, details: dict[str, Any]) -> dict[str, Any]:
        styled = dict(details)
        if self.options.language == "object":  # SAMPLE artefact (8.1)
            styled["language"] = {"0": details["language"]}
        if self.options.amounts == "string":
            rates = styled["exchange_rates"]
            styled = _amounts_as_text(styled)
            styled["exchange_rates"] = rates  # SAMPLE: a rate is a number
        return styled

    def ready(self, store: str, order_id: str, *, emission: Emission | None = None) -> None:
        """Glopal confirms order and payment: RECEIVED -> READY, emits `order.ready`; an early accept takes effect."""
        with self._lock:
            now, order = self._now(), self._order(store, order_id)
            _expect(order, "RECEIVED")
            order.became("READY", now)
            order.snapshot(now, self.options)
            self._emit(store, order_id, "order.ready", now, emission)
            if order.ids is not None:
                self._later(now + self.options.accept_takes, lambda at: self._become_accepted(order, at))

    def complete(self, store: str, order_id: str, *, emission: Emission | None = None) -> None:
        """Glopal finishes: ACCEPTED -> COMPLETED; emits `order.completed` only if such events are switched on."""
        with self._lock:
            now, order = self._now(), self._order(store, order_id)
            _expect(order, "ACCEPTED")
            self._become_completed(order, now, emission)

    def ship(self, store: str, order_id: str) -> None:
        """The parcel left: from now on cancel is refused (STATED, 6; how Glopal learns it is UNKNOWN)."""
        with self._lock:
            _expect(order := self._order(store, order_id), "ACCEPTED", "COMPLETED")
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
            now, order = self._now(), self._order(store, order_id)
            if (code := refuse_cancel(order, by, self.options)) or order.status == "CANCELLED":
                raise ValueError(f"order {order_id} cannot be cancelled: {code or 'already_cancelled'}")
            order.cancels.append(CancelCall(reason, now, 0, True, by))
            self._become_cancelled(order, reason, by, now, emission)

    def accept_elsewhere(self, store: str, order_id: str, external_id: str, number: str) -> None:
        """Somebody else accepts the order with ids that are not orderflow's."""
        with self._lock:
            now, order, given = self._now(), self._order(store, order_id), (external_id, number)
            if code := refuse_accept(order, given):
                raise ValueError(f"order {order_id} cannot be accepted: {code}")
            applied = order.ids is None
            order.accepts.append(AcceptCall(given, now, 0, applied, "elsewhere"))
            if applied:
                self._take_ids(order, given, now)

    def amend(self, store: str, order_id: str, **overrides: Any) -> None:
        """Replace the details of an order by fresh ones plus `overrides`; its status and feed stay as they are."""
        with self._lock:
            now, order = self._now(), self._order(store, order_id)
            details = order_details(self._rng)
            details["environment"] = self.options.environment
            details["created_at"] = ids.stamp(order.created_at)
            details.update(overrides)
            order.currency = str(details["currency"])
            order.total = decimal_of((details.get("totals") or {}).get("total")) or Decimal(0)
            order.fixed = render_members(self._styled(details))
            order.snapshot(now, self.options)

    def serve_instead(self, store: str, order_id: str, status: int = 200, body: bytes | None = None) -> None:
        """Make every GET of this order answer so; `body=None` ends it."""
        with self._lock:
            self._order(store, order_id).served_instead = None if body is None else (status, body)

    def returned(self, store: str, order_id: str, status: str = "REQUESTED", return_id: str | None = None) -> str:
        """A return is requested, or an existing one becomes AUTHORIZED or CANCELLED; emits `return.*` (STATED, 9)."""
        with self._lock:
            now, order = self._now(), self._order(store, order_id)
            return_id = return_id or str(len(order.returns) + 1)
            order.returns[return_id] = status
            order.snapshot(now, self.options)
            self._emit(store, order_id, f"return.{status.lower()}", now, entity_id=return_id)
            return return_id

    def report(
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

        With the `event_id` of an earlier event the feed lists that id again, with this name, order and time.
        """
        with self._lock:
            self._stores.setdefault(store, _Store())
            return self._emit(
                store, order_id, event_name, self._now(), Emission(copies, delay, backdated),
                event_id=event_id, event_at=event_at, entity_id=entity_id,
            )

    def poison(self, store: str, element: str, event_id: str | None = None, name: str = "") -> None:
        """Put a raw JSON text into the feed as if it were an event; `event_id` makes it usable as a cursor."""
        with self._lock:
            known = self._stores.setdefault(store, _Store())
            known.feed.append(Entry(event_id, name, element, "", "", None, self._now()))

    # ---- judging -----------------------------------------------------------------------------------------------

    def ledger(self, store: str) -> list[GlopalEntry]:
        """What happened to every order of the store, in order of placement."""
        with self._lock:
            self._now()
            known = self._stores.get(store, _Store())
            return [
                GlopalEntry(
                    order.store, order.order_id, order.status, tuple(order.statuses), order.ids, order.shipped,
                    tuple(order.accepts), tuple(order.cancels), tuple(order.refunds), order.gets,
                )
                for order in known.orders.values()
            ]

    def status(self, store: str, order_id: str) -> str:
        """The true status now. KeyError if there is no such order."""
        with self._lock:
            self._now()
            return self._order(store, order_id).status

    def stores(self) -> list[str]:
        """The stores known so far."""
        with self._lock:
            return list(self._stores)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        """The time, after everything that has fallen due until then has happened at its own time."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, _, action = heapq.heappop(self._due)
            action(at)
        return now

    def _later(self, at: datetime, action: Callable[[datetime], None]) -> None:
        if at <= self._clock():
            action(at)
        else:
            heapq.heappush(self._due, (at, next(self._sequence), action))

    def _order(self, store: str, order_id: str) -> GlopalOrder:
        return self._stores[store].orders[order_id]

    def _emit(
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
        known = self._stores[store]
        how = emission or self.options.emission(name)
        event_id = event_id or ids.event_id(self._rng)
        head = render({
            "event_id": event_id,
            "event_name": name,
            "event_at": ids.stamp(event_at or now),
            "order_id": order_id,
        })[:-1]
        order = known.orders.get(order_id)
        external = external_text(order.ids if order else None, self.options)
        tail = self._entity_text(order_id, entity_id)
        visible_at = now + how.delay
        for _ in range(how.copies):
            entry = Entry(event_id, name, head, tail, external, order_id, visible_at)
            if how.backdated:
                known.feed.append(entry)
            else:
                self._later(visible_at, partial(_show, known.feed, entry))
        return event_id

    def _entity_text(self, order_id: str, entity_id: str | None) -> str:
        """The end of an event, with `entity_id` (STATED on returns, UNKNOWN on orders, 3.2)."""
        if entity_id is None and self.options.entity_id == "absent":
            return "}"
        value = order_id if entity_id is None and self.options.entity_id == "order id" else entity_id
        return f',"entity_id":{render(value)}}}'


def _show(feed: Feed, entry: Entry, _at: datetime) -> None:
    feed.append(entry)


def _expect(order: GlopalOrder, *statuses: str) -> None:
    if order.status not in statuses:
        raise ValueError(f"order {order.order_id} is {order.status}, not {' or '.join(statuses)}")


def _amounts_as_text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {key: _amounts_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_amounts_as_text(item) for item in value]
    return value
