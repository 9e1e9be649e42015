"""A fake shop that speaks the generic HTTP contract (`connectors/shop.openapi.yaml`), as forgiving as real shops are.

It knows references, drafts and orders, and nothing of Glopal. `handle` is the wire, `fulfil` and its like are the
people in the shop, `ledger` is for judging afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any, Literal

from orderflow.sandbox import ids
from orderflow.sandbox.wire import (
    Json,
    Request,
    Response,
    decimal_of,
    json_object,
    json_response,
    segments,
)

State = Literal["draft", "order", "cancelled", "deleted"]
Refuse = Callable[[Mapping[str, Any]], str | None]  # the body of a create -> the code of a refusal, or None


@dataclass(frozen=True, slots=True)
class ShopOptions:
    """Switches of the shop."""

    unique_reference: bool = False  # False, like most shops: the same create again makes a second draft
    search_lag: timedelta | Callable[[], timedelta] = timedelta(0)  # for look-ups by reference; GET by id is immediate
    refuse: Refuse | None = None  # asked first; an item with the SKU REFUSE-ME is refused in any case
    answer_without_id: float = 0.0  # how often a create answers 200 {} although the draft was made
    first_number: int = 92  # numbers are text with leading zeros: "000092"


@dataclass(frozen=True, slots=True)
class ShopEntry:
    """Everything that happened to one shop order; times are None for what never happened."""

    id: str
    number: str
    reference: str
    state: State
    fulfilled: bool
    states: tuple[tuple[datetime, State], ...]
    created_at: datetime
    promoted_at: datetime | None
    deleted_at: datetime | None
    cancelled_at: datetime | None


@dataclass(slots=True)
class _Order:
    id: str
    number: str
    reference: str
    currency: str
    total: str
    states: list[tuple[datetime, State]]
    fulfilled_at: datetime | None = None
    body: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.states[-1][1]

    def state_at(self, at: datetime) -> State | None:
        """The state at that time; None before the creation."""
        for since, state in reversed(self.states):
            if since <= at:
                return state
        return None

    def since(self, state: State) -> datetime | None:
        return next((at for at, became in self.states if became == state), None)


class Shop:
    """One shop. Thread-safe; the same seed and the same calls give the same ids. `clock` returns aware UTC."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: Random,
        key: str = "shop-sandbox",
        options: ShopOptions | None = None,
    ) -> None:
        self.key = key
        self.options = options or ShopOptions()
        self._clock = clock
        self._rng = rng
        self._orders: dict[str, _Order] = {}
        self._by_reference: dict[str, list[_Order]] = {}
        self._lock = RLock()

    # ---- the wire ----------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request of the contract."""
        with self._lock:
            if request.headers.get("authorization") != f"Bearer {self.key}":
                return _error(401, "unauthorized", "a valid key is needed")
            match request.method, segments(request.path):
                case "POST", ["orders"]:
                    return self._create(request)
                case "GET", ["orders"]:
                    return self._search(request)
                case "GET", ["orders", order_id]:
                    return self._with(order_id, lambda order: _shown(order, self._clock() - request.stale))
                case "DELETE", ["orders", order_id]:
                    return self._with(order_id, self._delete)
                case "POST", ["orders", order_id, "promote"]:
                    return self._with(order_id, self._promote)
                case "POST", ["orders", order_id, "cancel"]:
                    return self._with(order_id, self._cancel)
                case _, ["orders"] | ["orders", _] | ["orders", _, "promote" | "cancel"]:
                    return _error(405, "method_not_allowed", f"{request.method} is not possible here")
                case _:
                    return _error(404, "not_found", "there is no such address")

    def _with(self, order_id: str, answer: Callable[[_Order], Response]) -> Response:
        order = self._orders.get(order_id)
        if order is None or order.state == "deleted":
            return _error(404, "order_not_found", f"there is no order {order_id}")
        return answer(order)

    def _create(self, request: Request) -> Response:
        body = json_object(request.body)
        fault = "the body must be a JSON object" if body is None else _fault(body)
        if body is None or fault is not None:
            return _error(400, "invalid_request", fault or "")
        refusal = self.options.refuse(body) if self.options.refuse else None
        if refusal is None and any(item["sku"] == "REFUSE-ME" for item in body["items"]):
            refusal = "unknown_sku"
        if refusal is not None:
            return _error(422, refusal, "the shop refuses this order")
        namesakes = self._by_reference.setdefault(body["reference"], [])
        taken = next((order for order in namesakes if order.state != "deleted"), None)
        if self.options.unique_reference and taken is not None:
            problem: Json = {"code": "reference_taken", "message": "an order with this reference exists"}
            return json_response(409, {"error": problem, "order": _document(taken)})
        order = _Order(
            id=f"ord_{ids.crockford(self._rng, 12)}",
            number=f"{self.options.first_number + len(self._orders):06d}",
            reference=body["reference"],
            currency=body["currency"],
            total=body["total"],
            states=[(self._clock(), "draft")],
            body=body,
            items=[{name: item[name] for name in ("sku", "quantity", "unit_price")} for item in body["items"]],
        )
        self._orders[order.id] = order
        namesakes.append(order)
        if self.options.answer_without_id and self._rng.random() < self.options.answer_without_id:
            return json_response(200, {})  # seen at a real shop: success without saying of what
        return json_response(201, _document(order))

    def _search(self, request: Request) -> Response:
        reference = next((value for key, value in request.query if key == "reference"), "")
        if not reference:
            return _error(400, "invalid_request", "name a reference")
        lag = self.options.search_lag
        at = self._clock() - request.stale - (lag if isinstance(lag, timedelta) else lag())
        found = [
            _document(order, at)
            for order in self._by_reference.get(reference, ())
            if order.state_at(at) not in (None, "deleted")
        ]
        return json_response(200, {"orders": found})

    def _promote(self, order: _Order) -> Response:
        if order.state != "draft":
            return _error(409, "not_a_draft", f"the order is {order.state}", order)
        order.states.append((self._clock(), "order"))
        return json_response(200, _document(order))

    def _delete(self, order: _Order) -> Response:
        if order.state != "draft":
            return _error(409, "not_a_draft", f"the order is {order.state}", order)
        order.states.append((self._clock(), "deleted"))
        return Response(204, headers={})

    def _cancel(self, order: _Order) -> Response:
        if order.state == "draft":
            return _error(409, "is_a_draft", "a draft is deleted, not cancelled", order)
        if order.state == "cancelled":
            return _error(409, "already_cancelled", "the order is cancelled", order)
        if order.fulfilled_at is not None:
            return _error(409, "fulfilled", "the goods have left", order)
        order.states.append((self._clock(), "cancelled"))
        return json_response(200, _document(order))

    # ---- the people in the shop --------------------------------------------------------------------------------

    def fulfil(self, order_id: str) -> None:
        """The goods leave: the order can no longer be cancelled. ValueError unless it is a real order."""
        with self._lock:
            order = self._orders[order_id]
            if order.state != "order":
                raise ValueError(f"shop order {order_id} is {order.state}")
            order.fulfilled_at = order.fulfilled_at or self._clock()

    def promote_by_hand(self, order_id: str) -> None:
        """A person turns a draft into an order. ValueError unless it is a draft."""
        self._by_hand(order_id, self._promote)

    def cancel_by_hand(self, order_id: str) -> None:
        """A person cancels an order. ValueError unless it is a real order and not fulfilled."""
        self._by_hand(order_id, self._cancel)

    def delete_by_hand(self, order_id: str) -> None:
        """A person deletes a draft. ValueError unless it is a draft."""
        self._by_hand(order_id, self._delete)

    def lose_by_hand(self, order_id: str) -> None:
        """A person, or a restored backup, takes an order away, whatever it is."""
        with self._lock:
            self._orders[order_id].states.append((self._clock(), "deleted"))

    def revive_by_hand(self, order_id: str) -> None:
        """A cancelled or deleted order is made a real order again."""
        with self._lock:
            self._orders[order_id].states.append((self._clock(), "order"))

    def change_by_hand(self, order_id: str, **changed: Any) -> None:
        """A person changes what the order shows: `total`, `currency`, `number`, `reference`, or its `items`."""
        with self._lock:
            order = self._orders[order_id]
            for name, value in changed.items():
                setattr(order, name, value)

    def _by_hand(self, order_id: str, action: Callable[[_Order], Response]) -> None:
        with self._lock:
            answer = action(self._orders[order_id])
            if answer.status >= 400:
                raise ValueError(f"shop order {order_id}: {answer.body.decode()}")

    # ---- judging -----------------------------------------------------------------------------------------------

    def ledger(self) -> list[ShopEntry]:
        """Every order ever made, deleted ones included, in order of creation."""
        with self._lock:
            return [
                ShopEntry(
                    order.id,
                    order.number,
                    order.reference,
                    order.state,
                    order.fulfilled_at is not None,
                    tuple(order.states),
                    order.states[0][0],
                    order.since("order"),
                    order.since("deleted"),
                    order.since("cancelled"),
                )
                for order in self._orders.values()
            ]

    def created_from(self, order_id: str) -> dict[str, Any]:
        """The body that made this order, as parsed JSON."""
        with self._lock:
            return self._orders[order_id].body


def _shown(order: _Order, at: datetime) -> Response:
    """The order as it was at `at`, but not before it was there, with its items."""
    return json_response(200, _document(order, max(at, order.states[0][0])) | {"items": [*order.items]})


def _document(order: _Order, at: datetime | None = None) -> dict[str, Json]:
    """The order as the contract shows it, now or as it was at `at`."""
    return {
        "id": order.id,
        "number": order.number,
        "reference": order.reference,
        "state": order.state if at is None else order.state_at(at),
        "fulfilled": order.fulfilled_at is not None and (at is None or order.fulfilled_at <= at),
        "currency": order.currency,
        "total": order.total,
        "created_at": ids.stamp(order.states[0][0]),
    }


def _error(status: int, code: str, message: str, order: _Order | None = None) -> Response:
    problem: dict[str, Json] = {"error": {"code": code, "message": message}}
    if order is not None:
        problem["order"] = _document(order)
    return json_response(status, problem)


def _fault(body: Mapping[str, Any]) -> str | None:
    """What is malformed in the body of a create; None if nothing is."""
    reference, currency = body.get("reference"), body.get("currency")
    if not isinstance(reference, str) or not 0 < len(reference) <= 200:
        return "reference must be a text of 1 to 200 characters"
    if not isinstance(currency, str) or len(currency) != 3 or not currency.isupper():
        return "currency must be three capitals (ISO 4217)"
    items = body.get("items")
    if not isinstance(items, list) or not items:
        return "items must be a list with at least one element"
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("sku"), str) or not item["sku"]:
            return "every item needs a sku"
        quantity = item.get("quantity")
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            return "every quantity must be a whole number from 1"
        if not _is_amount(item.get("unit_price")):
            return "every unit_price must be a decimal string"
    if not _is_amount(body.get("total")):
        return "total must be a decimal string"
    shipping = body.get("shipping")
    if shipping is not None and (not isinstance(shipping, dict) or not _is_amount(shipping.get("price"))):
        return "shipping needs a price as a decimal string"
    return None


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and decimal_of(value) is not None
