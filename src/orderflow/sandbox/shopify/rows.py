"""Drafts and orders as the fake keeps them, and as its answers show them.

A draft and the order that it becomes are two things with two ids, here as there; never one with two states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orderflow.sandbox.ids import stamp
from orderflow.sandbox.shopify.options import ShopifyOptions
from orderflow.sandbox.shopify.pricing import bag, total, unit_price
from orderflow.sandbox.wire import Json


@dataclass(slots=True)
class Order:
    """A real order. `cancels_at`: when the job that cancels it runs; `seen_at`: when searches show it."""

    number: int
    name: str
    given: Mapping[str, Any]
    currency: str
    total: str
    created_at: datetime
    seen_at: datetime
    pending: bool = False
    cancels_at: datetime | None = None
    restock: bool = False
    cancelled_at: datetime | None = None
    fulfilled_at: datetime | None = None
    states: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its global id."""
        return f"gid://shopify/Order/{self.number}"


@dataclass(slots=True)
class Draft:
    """A draft order. `given`: the input that it was made from, as a person may have changed it since."""

    number: int
    name: str
    given: dict[str, Any]
    created_at: datetime
    ready_at: datetime
    seen_at: datetime
    order: Order | None = None
    deleted_at: datetime | None = None
    purged: bool = False

    @property
    def id(self) -> str:
        """Its global id."""
        return f"gid://shopify/DraftOrder/{self.number}"

    @property
    def currency(self) -> str:
        """The buyer's."""
        return str(self.given.get("presentmentCurrencyCode") or "EUR")

    @property
    def living(self) -> bool:
        """Is it still there to be read?"""
        return self.deleted_at is None and not self.purged


def draft_document(draft: Draft, now: datetime, options: ShopifyOptions) -> dict[str, Any]:
    """A `DraftOrder`. While Shopify calculates, its shipping is not in the total yet."""
    ready = now >= draft.ready_at
    counted = draft.given if ready else {**draft.given, "shippingLine": None}
    return {
        "__typename": "DraftOrder",
        "id": draft.id,
        "name": draft.name,
        "createdAt": stamp(draft.created_at, "seconds"),
        "completedAt": stamp(draft.order.created_at, "seconds") if draft.order else None,
        "status": "COMPLETED" if draft.order else "OPEN",
        "ready": ready,
        "tags": sorted(draft.given.get("tags") or []),
        "taxExempt": bool(draft.given.get("taxExempt")),
        "customAttributes": _attributes(draft.given),
        "totalPriceSet": bag(total(counted, draft.currency, options), draft.currency),
        "lineItems": _lines(draft.given, draft.currency, options),
        "order": order_document(draft.order, options) if draft.order else None,
    }


def order_document(order: Order, options: ShopifyOptions) -> dict[str, Any]:
    """An `Order`. Tags and attributes came with the draft."""
    return {
        "__typename": "Order",
        "id": order.id,
        "name": order.name,
        "createdAt": stamp(order.created_at, "seconds"),
        "cancelledAt": stamp(order.cancelled_at, "seconds") if order.cancelled_at else None,
        "displayFinancialStatus": "PENDING" if order.pending else "PAID",
        "displayFulfillmentStatus": "FULFILLED" if order.fulfilled_at else "UNFULFILLED",
        "tags": sorted(order.given.get("tags") or []),
        "customAttributes": _attributes(order.given),
        "totalPriceSet": {
            name: {"amount": order.total, "currencyCode": order.currency} for name in ("presentmentMoney", "shopMoney")
        },
        "lineItems": _lines(order.given, order.currency, options),
    }


def _attributes(given: Mapping[str, Any]) -> list[Json]:
    return [{"key": one["key"], "value": one["value"]} for one in given.get("customAttributes") or []]


def _lines(given: Mapping[str, Any], currency: str, options: ShopifyOptions) -> dict[str, Json]:
    rows: list[Json] = [
        {
            "title": line.get("title") or "a product of the shop",
            "sku": line.get("sku"),
            "quantity": line["quantity"],
            "customAttributes": _attributes(line),
            "originalUnitPriceSet": bag(unit_price(line, currency, options), currency),
        }
        for line in given["lineItems"]
    ]
    return {"nodes": rows, "pageInfo": {"hasNextPage": False, "endCursor": None}}
