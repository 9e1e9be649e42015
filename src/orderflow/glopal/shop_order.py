"""A Glopal order as shops understand it, and whether its money adds up.

It never rounds, and never holds a reference of ours.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, fields
from decimal import Decimal, localcontext
from typing import Final

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


_EXPONENTS: Final[Dict[str, int]] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def smallest_unit(currency: str) -> Decimal:
    """0.01 for EUR, 1 for JPY, 0.001 for KWD (ISO 4217)."""
    return Decimal(1).scaleb(-_EXPONENTS.get(currency, 2))


def money_problem(order: ShopOrder) -> str | None:
    """None if lines + shipping + tax + duty + fees - discount = total within one smallest unit; else the sum.

    Parts that the order does not have are left out of the sum. Where prices include tax, the mapping's `tax` is "".
    A sale never has a negative price or total, whatever the sum says.
    """
    if order.total < 0:
        return f"the total is negative: {money(order.total)} {order.currency}"
    for number, line in enumerate(order.lines):
        if line.unit_price < 0:
            return f"the price of line {number} is negative: {money(line.unit_price)} {order.currency}"
    with localcontext(prec=200):  # the default would round sums of long decimals
        parts = {
            "lines": sum((line.quantity * line.unit_price for line in order.lines), Decimal(0)),
            "shipping": order.shipping,
            "tax": order.tax,
            "duty": order.duty,
            "fees": order.fees,
            "discount": None if order.discount is None else -order.discount,
        }
        given = {name: part for name, part in parts.items() if part is not None}
        found = sum(given.values(), Decimal(0))
        if abs(found - order.total) <= smallest_unit(order.currency):
            return None
    shown = ", ".join(f"{name} {money(part)}" for name, part in given.items() if part)
    return f"{shown} make {money(found)} {order.currency}, but the total is {money(order.total)}"
