"""What the answers of a Medusa say.

It never takes an answer for a success that does not show the very order that was spoken about, in the state that it
should have, and never a draft for whole whose total is another than was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from orderflow.connectors import Delivered, Refused, Result, Retry, Unknown, View, ViewedLine
from orderflow.connectors.exchange import json_object, unwelcome
from orderflow.connectors.medusa.order import EXTRA
from orderflow.connectors.shop_answers import is_id
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal import codes
from orderflow.glopal.jsontext import Json, amount
from orderflow.glopal.replies import Reply

FIELDS: Final = "id,display_id,status,is_draft_order,currency_code,metadata,created_at,canceled_at,*summary"
"""What every answer is asked to show of an order: not all of it is among Medusa's defaults."""


def sighting(order: Json) -> Sighting | None:
    """The order as it stands there; None where something is missing that tells.

    A draft that does not come to the total it was made for is only begun: it must never be promoted.
    """
    if not isinstance(order, Mapping):
        return None
    shop_id, number, status, draft = (order.get(name) for name in ("id", "display_id", "status", "is_draft_order"))
    if not isinstance(shop_id, str) or not is_id(shop_id) or not isinstance(status, str) or not isinstance(draft, bool):
        return None
    shown = str(number) if isinstance(number, int) and not isinstance(number, bool) else shop_id
    if status == "canceled":
        return Sighting(shop_id, shown, ShopState.GONE, promoted=not draft)
    if not draft:
        return Sighting(shop_id, shown, ShopState.ORDER, promoted=True)
    whole = comes_to_its_total(order)
    return None if whole is None else Sighting(shop_id, shown, ShopState.DRAFT if whole else ShopState.BEGUN)


def comes_to_its_total(order: Mapping[str, Json]) -> bool | None:
    """Whether the shop's total is the one in the metadata, if there is one; None where the shop's cannot be read."""
    total = exact(_inner(order, "summary"), "current_order_total")
    wanted = _inner(order, "metadata").get("total")
    return None if total is None else wanted is None or amount(wanted) == total


def reference(order: Mapping[str, Json]) -> Json:
    """Our reference, where it carries one."""
    return _inner(order, "metadata").get("reference")


def exact(members: Mapping[str, Json], name: str) -> Decimal | None:
    """An amount from Medusa's `raw_` member: the plain one has passed through floating point."""
    return amount(_inner(members, f"raw_{name}").get("value"))


def reached(reply: Reply, name: str, wanted: str, asked_for: str, state: ShopState) -> Result:
    """A 2xx with an order under `name`: delivered, if it is ours and in this state.

    `wanted`: its id, "" for a new one, which must show the reference `asked_for`.
    """
    document = json_object(reply.body)
    order = document.get(name) if document else None
    shown = sighting(order)
    if not isinstance(order, Mapping) or shown is None:
        return Unknown(f"{reply.status} without an order", reply.status, reply.body)
    if (wanted and shown.shop_id != wanted) or (not wanted and reference(order) != asked_for):
        return Unknown(f"{reply.status} about another order", reply.status, reply.body)
    if shown.state is ShopState.BEGUN:
        return Refused("the shop's total is another than the order's", reply.status, reply.body)
    if shown.state is not state:
        return Unknown(f"{reply.status}, but the order is not {state}", reply.status, reply.body)
    return Delivered(shown, reply.status, reply.body)


def revived(reply: Reply) -> bool:
    """Whether a promotion brought an order back to life that had been cancelled as a draft."""
    document = json_object(reply.body) or {}
    order = _inner(document, "order")
    return order.get("canceled_at") is not None and order.get("status") != "canceled"


def deleted(reply: Reply, wanted: str) -> Result:
    """A 2xx to a deletion: delivered, if it says so."""
    match json_object(reply.body):
        case {"id": shop_id, "deleted": True} if shop_id == wanted:
            return Delivered(Sighting(wanted, "", ShopState.GONE), reply.status, reply.body)
        case _:
            return Unknown(f"{reply.status} that does not say so", reply.status, reply.body)


def no_such_order(reply: Reply) -> bool:
    """404 in Medusa's own words; a proxy or a wrong address says it differently."""
    return reply.status == 404 and (json_object(reply.body) or {}).get("type") == "not_found"


def refused(reply: Reply) -> Result:
    """An answer other than 2xx to a write. What it is about stands in `type` where there is no code.

    A 404 without Medusa's word comes from somewhere else: nothing goes through until the address is mended.
    """
    result = unwelcome(reply)
    if reply.status == 404 and not no_such_order(reply):
        return Retry(reply.summary, burnt=False, closed=True, status=404, reply=reply.body)
    word = codes.code((json_object(reply.body) or {}).get("type"))
    if isinstance(result, Refused) and reply.code is None and word:
        return replace(result, reason=f"{reply.status} {word}")
    return result


def view(order: Mapping[str, Json], shown: Sighting) -> View:
    """The order for comparing; lines for tax, duty and the like are no goods, and left out."""
    ours, currency = reference(order), order.get("currency_code")
    return View(
        shown,
        ours if isinstance(ours, str) else None,
        currency.upper() if isinstance(currency, str) else None,
        exact(_inner(order, "summary"), "current_order_total"),
        _goods(order.get("items")),
        status=200,
    )


def _goods(items: Json) -> tuple[ViewedLine, ...] | None:
    """None if a line cannot be read."""
    if not isinstance(items, list):
        return None
    found = []
    for item in items:
        quantity, sku = (item.get("quantity"), item.get("variant_sku")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(quantity, int) or not isinstance(sku, str | None):
            return None
        if EXTRA not in _inner(item, "metadata"):
            found.append(ViewedLine(sku, quantity, exact(item, "unit_price")))
    return tuple(found)


def _inner(members: Json, name: str) -> Mapping[str, Json]:
    found = members.get(name) if isinstance(members, Mapping) else None
    return found if isinstance(found, Mapping) else {}
