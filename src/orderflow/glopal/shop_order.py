"""A Glopal order as shops understand it.

It never rounds, and never holds a reference of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal

from orderflow.glopal.jsontext import Json, canonical, money


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `unit_price` in the order's currency, as exact as it came. What is None was not mapped or not there.

    `tax`, `discount` and `total` are the line's own, handed on and never added up.
    """

    sku: str
    name: str | None
    quantity: int
    unit_price: Decimal
    tax: Decimal | None = None
    discount: Decimal | None = None
    total: Decimal | None = None
    product_id: str | None = None
    variant_id: str | None = None


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """An order as shops understand it. What is None was not mapped or not there.

    `rounding`: what the parts miss of the total after a conversion (`money.in_base`); it is in the shop's request.

    Customer, addresses, payment and cart are passed on as they came.
    """

    currency: str
    lines: tuple[Line, ...]
    total: Decimal
    shipping: Decimal | None = None
    shipping_method: str | None = None
    discount: Decimal | None = None
    tax: Decimal | None = None
    duty: Decimal | None = None
    fees: Decimal | None = None
    rounding: Decimal | None = None
    language: str | None = None
    customer: Json = field(default=None, repr=False)
    billing_address: Json = field(default=None, repr=False)
    shipping_address: Json = field(default=None, repr=False)
    shipping_address_romanised: Json = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)
    internal_note: str | None = field(default=None, repr=False)
    payment: Json = field(default=None, repr=False)
    cart: Json = field(default=None, repr=False)

    def basis(self) -> bytes:
        """All of it in canonical bytes: equal exactly if a shop request built from it would be equal. Personal."""
        lines = [_plain(line) for line in self.lines]
        return canonical(_plain(self) | {"lines": lines})


def _plain(one: Line | ShopOrder) -> dict[str, Json]:
    values = {name.name: getattr(one, name.name) for name in fields(one)}
    return {name: money(value) if isinstance(value, Decimal) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Unmapped:
    """No shop order can be made. `missing` names each required path that was not found or held something else."""

    missing: tuple[str, ...]
