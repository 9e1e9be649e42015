"""A Vendure order as its admin API shows it: what it is to us, and whether it is whole.

It never calls a draft whole because a field says so: what the shop itself adds up must be what we meant to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orderflow.connectors import View, ViewedLine
from orderflow.connectors.graphql import inside
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json, problem_of_text
from orderflow.glopal.money import smallest_unit

FIELDS: Final = (
    "id code state orderPlacedAt currencyCode totalWithTax totalQuantity customer { id } "
    "shippingAddress { countryCode } shippingLines { id } "
    "customFields { glopalReference glopalTotal glopalQuantity }"
)
LINES: Final = (
    "lines { quantity orderPlacedQuantity unitPriceWithTax productVariant { sku } customFields { glopalCharge } }"
)

CART: Final = "AddingItems"
DRAFT: Final = "Draft"
PAYING: Final = "ArrangingPayment"
CANCELLED: Final = "Cancelled"
FULFILLED: Final = frozenset({"PartiallyShipped", "Shipped", "PartiallyDelivered", "Delivered"})


@dataclass(frozen=True, slots=True)
class Standing:
    """One order. `placed`: it has been a real order, cancelled since or not. `whole`: it is what was to be made."""

    shop_id: str
    code: str
    state: str
    placed: bool
    whole: bool
    reference: str | None
    currency: str

    @property
    def sighting(self) -> Sighting:
        """What it is to us: an order in payment binds nobody yet, so it is a draft still."""
        return Sighting(self.shop_id, self.code, self._known_as, promoted=self.placed)

    @property
    def _known_as(self) -> ShopState:
        if self.state == CANCELLED:
            return ShopState.GONE
        if self.placed:
            return ShopState.ORDER
        return ShopState.DRAFT if self.whole else ShopState.BEGUN


def standing(row: Json) -> Standing | None:
    """The order in `FIELDS`; None where it does not say what it is."""
    if not isinstance(row, Mapping) or "orderPlacedAt" not in row:
        return None
    texts = [row.get(name) for name in ("id", "code", "state", "currencyCode")]
    shop_id, code, state, currency = (one if isinstance(one, str) and not problem_of_text(one) else "" for one in texts)
    reference = inside(row, "customFields", "glopalReference")
    if not (shop_id and code and state and currency) or not isinstance(reference, str | None):
        return None
    placed = row["orderPlacedAt"] is not None
    return Standing(shop_id, code, state, placed, _is_whole(row), reference, currency)


def _is_whole(row: Mapping[str, Json]) -> bool:
    """All parts are there, and the shop's own sums are those that the reference came with.

    The number of pieces is compared beside the total: a missing line may have cost nothing. A buyer's own cart
    is nothing of ours, whatever it bears.
    """
    marks = row.get("customFields")
    if not isinstance(marks, Mapping):
        return False
    sums = [
        (row.get("totalWithTax"), marks.get("glopalTotal")),
        (row.get("totalQuantity"), marks.get("glopalQuantity")),
    ]
    alike = all(isinstance(found, int) and found == meant for found, meant in sums)
    named = inside(row, "customer", "id") is not None and bool(inside(row, "shippingAddress", "countryCode"))
    return alike and named and bool(row.get("shippingLines")) and row.get("state") != CART


def view(row: Mapping[str, Json], order: Standing) -> View:
    """The order in `FIELDS` and `LINES` for comparing.

    Of a cancelled one Vendure counts nothing any more, so it shows no total, and the lines as they were when it was
    placed. Lines for tax, duty and the like are no goods, and left out.
    """
    gone = order.state == CANCELLED
    total = None if gone else major(row.get("totalWithTax"), order.currency)
    shown = not gone or order.placed
    return View(order.sighting, order.reference, order.currency, total, _goods(row, order) if shown else None, 200)


def _goods(row: Mapping[str, Json], order: Standing) -> tuple[ViewedLine, ...] | None:
    """None if a line cannot be read."""
    rows = row.get("lines")
    if not isinstance(rows, list):
        return None
    counted = "orderPlacedQuantity" if order.state == CANCELLED else "quantity"
    found = []
    for line in rows:
        quantity, sku = inside(line, counted), inside(line, "productVariant", "sku")
        if not isinstance(quantity, int) or not isinstance(sku, str | None):
            return None
        if not inside(line, "customFields", "glopalCharge"):
            found.append(ViewedLine(sku, quantity, major(inside(line, "unitPriceWithTax"), order.currency)))
    return tuple(found)


def major(amount: Json, currency: str) -> Decimal | None:
    """An amount in Vendure's minor units, 7499, as 74.99."""
    if not isinstance(amount, int) or isinstance(amount, bool):
        return None
    return Decimal(amount) * smallest_unit(currency)
