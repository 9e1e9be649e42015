"""What Shopify's answers show: draft orders and orders.

It never takes a completed draft for an order without the order's own id, nor one for ours that does not carry our
reference to the letter.

At Shopify a draft order and the order that it becomes are two things with two ids. We go by the draft's id, a global
one (`gid://shopify/DraftOrder/7`); the order's own is its plain number (`9001`), as the admin and every other app show
it. An order that has no draft of ours goes by its own.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from orderflow.connectors.graphql import inside
from orderflow.connectors.shopify.order import REFERENCE, TOTAL
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json, amount, problem_of_text

_DRAFT_ID: Final = re.compile(r"gid://shopify/DraftOrder/[0-9]{1,20}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_ORDER_ID: Final = re.compile(r"(?:gid://shopify/Order/)?([0-9]{1,20})", re.ASCII)


def is_draft_id(shop_id: str) -> bool:
    """The global id of a draft order."""
    return _DRAFT_ID.fullmatch(shop_id) is not None


def order_number(shop_id: Json) -> str | None:
    """The plain number of an order's id, given plainly or as a global one; None for anything else."""
    known = _ORDER_ID.fullmatch(shop_id) if isinstance(shop_id, str) else None
    return known[1] if known else None


def global_id(shop_id: str) -> str | None:
    """The id as Shopify takes it; None for what is no id there."""
    number = order_number(shop_id)
    if number is not None:
        return f"gid://shopify/Order/{number}"
    return shop_id if is_draft_id(shop_id) else None


def attribute(row: Json, key: str) -> str | None:
    """A custom attribute of a draft, an order or a line."""
    found = inside(row, "customAttributes")
    for one in found if isinstance(found, list) else ():
        if inside(one, "key") == key:
            value = inside(one, "value")
            return value if isinstance(value, str) else None
    return None


def is_ours(row: Json, reference: str) -> bool:
    """Does it carry exactly this reference?"""
    return attribute(row, REFERENCE) == reference


def total(row: Json) -> tuple[Decimal, str] | None:
    """What it comes to, in the buyer's currency."""
    found = inside(row, "totalPriceSet", "presentmentMoney")
    return _money(inside(found, "amount"), inside(found, "currencyCode"))


def wanted_total(row: Json) -> tuple[Decimal, str] | None:
    """What one of ours must come to; None for any other."""
    amount_, _, currency = (attribute(row, TOTAL) or "").partition(" ")
    return _money(amount_, currency)


def misses_total(row: Json) -> bool:
    """Does a draft of ours come to anything but what the order comes to? Never, while Shopify still calculates."""
    wanted = wanted_total(row)
    return wanted is not None and inside(row, "ready") is True and total(row) != wanted


def _money(value: Json, currency: Json) -> tuple[Decimal, str] | None:
    known = amount(value)
    if known is None or not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        return None
    return known, currency


def order_sighting(row: Json, shop_id: str = "") -> Sighting | str:
    """An order, under the id that we go by (its own, if none is given); or what is wrong with it."""
    number = order_number(inside(row, "id"))
    if number is None:
        return "an order without a readable id"
    cancelled, name = inside(row, "cancelledAt"), inside(row, "name")
    if not isinstance(row, dict) or "cancelledAt" not in row or not isinstance(cancelled, str | None):
        return "an order that does not say whether it is cancelled"
    state = ShopState.ORDER if cancelled is None else ShopState.GONE
    shown = name if isinstance(name, str) and problem_of_text(name) is None else number
    return Sighting(shop_id or number, shown, state, promoted=True, real_id="" if shop_id in {"", number} else number)


def draft_sighting(row: Json) -> Sighting | str:
    """A draft order, or the order that it has become; or what is wrong with it.

    One that comes to another total than it should has not been made: the engine withdraws it.
    """
    shop_id, status, name = inside(row, "id"), inside(row, "status"), inside(row, "name")
    if not isinstance(shop_id, str) or not is_draft_id(shop_id):
        return "a draft without a readable id"
    if status == "COMPLETED":
        order = inside(row, "order")
        return "a completed draft without its order" if order is None else order_sighting(order, shop_id)
    if status not in {"OPEN", "INVOICE_SENT"}:
        return "a draft of unknown status"
    shown = name if isinstance(name, str) and problem_of_text(name) is None else ""
    return Sighting(shop_id, shown, ShopState.BEGUN if misses_total(row) else ShopState.DRAFT)
