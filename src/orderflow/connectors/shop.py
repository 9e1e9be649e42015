"""Any shop, OMS or ERP that speaks the contract in `shop.openapi.yaml`.

It never trusts an answer that speaks of another order, nor a search that may ignore its filter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Unpack
from urllib.parse import quote

from orderflow.connectors import (
    Capabilities,
    Delivered,
    Found,
    FreezeError,
    Missing,
    Refused,
    Result,
    Retry,
    Sight,
    Subject,
    Task,
    Unreadable,
    Viewed,
)
from orderflow.connectors.exchange import (
    Outbound,
    Outcome,
    exchange,
    json_object,
    thawed,
    unread,
    unsent,
    unwelcome,
)
from orderflow.connectors.rate_headers import rested
from orderflow.connectors.shop_answers import done, is_id, oldest_first, sighting, taken, view
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.client import Endpoint, EndpointOptions
from orderflow.glopal.details import read_order
from orderflow.glopal.jsontext import Json, canonical, money
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.replies import Reply
from orderflow.glopal.shop_order import Line, ShopOrder

_LONGEST_KEY: Final = 255


class Shop:
    """The connector for one shop; thread-safe. `mapping` says how its orders are made from Glopal's details."""

    def __init__(
        self,
        base_url: str,
        key: str,
        mapping: Mapping | None = None,
        capabilities: Capabilities | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        self._endpoint = Endpoint(base_url, key, **options)
        self._mapping = mapping or Mapping()
        self._capabilities = capabilities or Capabilities()

    @property
    def capabilities(self) -> Capabilities:
        """What was declared for this shop."""
        return self._capabilities

    def close(self) -> None:
        """Close the idle connections."""
        self._endpoint.close()

    # ---- freeze ------------------------------------------------------------------------------------------------

    def freeze(self, task: Task) -> bytes:
        """The request for DRAFT, PROMOTE or WITHDRAW. Raises `FreezeError`."""
        if task.effect is Effect.DRAFT:
            return self._draft(task).frozen()
        if not is_id(task.target):
            raise FreezeError("target is no shop id")
        place = f"/orders/{quote(task.target, safe='')}"
        match task.effect, task.seen:
            case Effect.PROMOTE, _:
                outbound = Outbound("POST", f"{place}/promote", expects=_about("promote", task))
            case Effect.WITHDRAW, ShopState.DRAFT | ShopState.BEGUN:
                outbound = Outbound("DELETE", place, expects=_about("delete", task))
            case Effect.WITHDRAW, ShopState.ORDER:
                body = canonical({"reason": task.reason}) if task.reason else b""
                outbound = Outbound("POST", f"{place}/cancel", body, _about("cancel", task))
            case Effect.WITHDRAW, _:
                raise FreezeError("seen must be draft or order")
            case _:
                raise FreezeError(f"a shop knows no {task.effect}")
        return outbound.frozen()

    def _draft(self, task: Task) -> Outbound:
        if task.details is None:
            raise FreezeError("details are needed")
        order = read_order(task.details, self._mapping, task.order_id, task.base)
        if isinstance(order, str):
            raise FreezeError(order)
        if task.total is not None and order.total != task.total:
            known, now = money(task.total), money(order.total)
            raise FreezeError(f"the mapping gives {now} where {known} was recorded: `retry fetch` reads it anew")
        body = canonical(_new_order(order, task.reference))
        return Outbound("POST", "/orders", body, {"step": "create", "reference": task.reference})

    # ---- send --------------------------------------------------------------------------------------------------

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:
        """Send a frozen request. The key goes along as `Idempotency-Key`; nothing relies on it."""
        outbound = thawed(request)
        if isinstance(outbound, Refused):
            return outbound
        reply = exchange(self._endpoint, outbound, headers={"idempotency-key": _header(key)}, in_time=in_time)
        return rested(self._result(outbound, reply), reply)

    def _result(self, outbound: Outbound, reply: Outcome) -> Result:
        """What the answer to a write means."""
        if not isinstance(reply, Reply):
            return unsent(reply)
        step, wanted = outbound.expects.get("step", ""), outbound.expects.get("id", "")
        if reply.status < 300:
            return done(reply, step, wanted, outbound.expects.get("reference", ""))
        match reply.status, reply.code, step:
            case 404, "order_not_found", "delete" | "cancel":
                gone = Sighting(wanted, "", ShopState.GONE, promoted=step == "cancel")
                return Delivered(gone, reply.status, reply.body)
            case 404, code, _ if step == "create" or code != "order_not_found":
                # Without the contract's own word, 404 comes from somewhere else: a wrong address, a proxy.
                return Retry(reply.summary, burnt=False, closed=True, status=404, reply=reply.body)
            case 409, "already_cancelled", "cancel":
                gone = Sighting(wanted, "", ShopState.GONE, promoted=True)
                return Delivered(gone, reply.status, reply.body)
            case 409, "reference_taken", "create":
                return taken(reply, outbound.expects.get("reference", ""))
            case _:
                return unwelcome(reply)

    # ---- find --------------------------------------------------------------------------------------------------

    def find(self, subject: Subject) -> Sight:
        """Everything under the reference, and each known id by itself, which shows writes at once."""
        heard: list[Outcome] = []
        return rested(self._sight(subject, heard), *heard)

    def _sight(self, subject: Subject, heard: list[Outcome]) -> Sight:
        """What the answers show; each of them is added to `heard`."""
        rows = self._listed(subject.reference, heard)
        if isinstance(rows, Retry):
            return rows
        orders = {str(row["id"]): row for row in rows}
        gone = []
        for shop_id in subject.known:
            row = self._one(shop_id, heard)
            if isinstance(row, Retry):
                return row
            if row is None:
                orders.pop(shop_id, None)
                gone.append(Sighting(shop_id, "", ShopState.GONE))
            else:
                orders[shop_id] = row
        seen = [sighting(row) for row in oldest_first(list(orders.values()))]
        return Found((*(one for one in seen if one is not None), *gone), status=200)

    def view(self, shop_id: str) -> Viewed:
        """The order with this id, whole; `items`, `currency` and `total` as far as this shop shows them."""
        heard: list[Outcome] = []
        return rested(self._viewed(shop_id, heard), *heard)

    def _viewed(self, shop_id: str, heard: list[Outcome]) -> Viewed:
        if not is_id(shop_id):
            return Unreadable("it is no shop id", b"")
        row = self._one(shop_id, heard)
        if row is None:
            return Missing("404 order_not_found", 404)
        return row if isinstance(row, Retry) else view(row) or Unreadable("money or items cannot be read", b"", 200)

    def _listed(self, reference: str, heard: list[Outcome]) -> list[dict[str, Json]] | Retry:
        """The orders that carry exactly the reference, each of them readable."""
        reply = exchange(self._endpoint, Outbound("GET", f"/orders?reference={quote(reference, safe='')}"))
        heard.append(reply)
        if not isinstance(reply, Reply) or reply.status != 200:
            return unread(reply)
        document = json_object(reply.body)
        rows = document.get("orders") if document else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return Retry("the list of orders cannot be read", status=200, reply=reply.body)
        ours = [row for row in rows if isinstance(row, dict) and row.get("reference") == reference]
        if any(sighting(row) is None for row in ours):
            return Retry("an order in the list cannot be read", status=200, reply=reply.body)
        return ours

    def _one(self, shop_id: str, heard: list[Outcome]) -> dict[str, Json] | Retry | None:
        """The order with this id; None if it is deleted."""
        reply = exchange(self._endpoint, Outbound("GET", f"/orders/{quote(shop_id, safe='')}"))
        heard.append(reply)
        if isinstance(reply, Reply) and reply.status == 404 and reply.code == "order_not_found":
            return None
        if not isinstance(reply, Reply) or reply.status != 200:
            return unread(reply)
        row = json_object(reply.body)
        if row is None or sighting(row) is None or row["id"] != shop_id:
            return Retry("the order cannot be read", status=200, reply=reply.body)
        return row


def _about(step: str, task: Task) -> dict[str, str]:
    return {"step": step, "id": task.target, "reference": task.reference}


def _header(key: str) -> str:
    """The key as a header may hold it: visible ASCII, at most 255 characters."""
    text = quote(key, safe=":/~@!$&'()*+,;=")
    return text if len(text) <= _LONGEST_KEY else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _new_order(order: ShopOrder, reference: str) -> dict[str, Json]:
    """The body of a create: `NewOrder` in the contract. What was not mapped is null, or left out where it is rare."""
    shipping: Json = None
    if order.shipping is not None:
        shipping = {"method": order.shipping_method, "price": money(order.shipping)}
    rare: dict[str, Json] = {
        "discount": _money(order.discount),
        "tax": _money(order.tax),
        "duty": _money(order.duty),
        "fees": _money(order.fees),
        "rounding": _money(order.rounding),
        "language": order.language,
        "shipping_address_romanised": order.shipping_address_romanised,
        "internal_note": order.internal_note,
        "payment": order.payment,
        "cart": order.cart,
    }
    return {
        "reference": reference,
        "currency": order.currency,
        "items": [_item(line) for line in order.lines],
        "shipping": shipping,
        "total": money(order.total),
        "customer": order.customer,
        "billing_address": order.billing_address,
        "shipping_address": order.shipping_address,
        "note": order.note,
        **_given(rare),
    }


def _item(line: Line) -> dict[str, Json]:
    rare: dict[str, Json] = {
        "tax": _money(line.tax),
        "discount": _money(line.discount),
        "total": _money(line.total),
        "product_id": line.product_id,
        "variant_id": line.variant_id,
    }
    item: dict[str, Json] = {"sku": line.sku, "name": line.name, "quantity": line.quantity}
    return {**item, "unit_price": money(line.unit_price), **_given(rare)}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else money(amount)


def _given(members: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}
