"""Where in Glopal's order details each thing stands that a shop order is made from.

It never guesses: what is not found is named as not mapped, and a sum that does not hold is told.

Every default below is ASSUMED (reference 8.3): Glopal's public pages show no name for these members, so the integrator
sets them from the real API description. A path is names (or list places) joined by dots; an empty one says "there is
no such thing".
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, localcontext
from typing import Final

from orderflow.glopal.jsontext import Json, amount, canonical, money


@dataclass(frozen=True, slots=True)
class Mapping:
    """Paths from the top of the details; those of a line (`sku` to `unit_price`) from the line."""

    items: str = "items"
    sku: str = "sku"
    name: str = "name"
    quantity: str = "quantity"
    unit_price: str = "unit_price"
    shipping_method: str = "shipping.method"
    shipping_price: str = "shipping.price"
    discount: str = "totals.discount"
    tax: str = "totals.tax"
    duty: str = "totals.duty"
    fees: str = "totals.fees"
    total: str = "totals.total"
    customer: str = "customer"
    billing_address: str = "billing_address"
    shipping_address: str = "shipping_address"
    note: str = "customer_note"  # SAMPLE (8.1), the one name that is known


def mapping_from(overrides: Dict[str, object]) -> Mapping:
    """The defaults with `overrides` put over them. ValueError names the key that is unknown or no text."""
    known = {one.name for one in fields(Mapping)}
    for key, path in overrides.items():
        if key not in known:
            raise ValueError(f"mapping.{key}: there is no such field; known are {', '.join(sorted(known))}")
        if not isinstance(path, str):
            raise ValueError(f"mapping.{key}: must be a text")  # noqa: TRY004 - a setting is wrong, not a call
    return replace(Mapping(), **{key: str(path) for key, path in overrides.items()})


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `unit_price` in the order's currency, as exact as it came."""

    sku: str
    name: str | None
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """An order as shops understand it, without any reference of ours. Optional amounts are None where not given.

    Customer and addresses are passed on as they came.
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
    customer: Json = field(default=None, repr=False)
    billing_address: Json = field(default=None, repr=False)
    shipping_address: Json = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)

    def basis(self) -> bytes:
        """All of it in canonical bytes: equal exactly if a shop request built from it would be equal. Personal."""
        plain: dict[str, Json] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            plain[one.name] = money(value) if isinstance(value, Decimal) else value
        plain["lines"] = [[line.sku, line.name, line.quantity, money(line.unit_price)] for line in self.lines]
        return canonical(plain)


@dataclass(frozen=True, slots=True)
class Unmapped:
    """No shop order can be made. `missing` names each required path that was not found or held something else."""

    missing: tuple[str, ...]


def at(value: Json, path: str) -> Json:
    """What stands at the path; None if it is absent, null, or the path is empty."""
    if not path:
        return None
    for part in path.split("."):
        if isinstance(value, Dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def shop_order(details: Json, mapping: Mapping, currency: str | None) -> ShopOrder | Unmapped:
    """The shop order in these details (as `jsontext.parse` gives them). `currency` is the one that was read already."""
    reader = _Reader()
    lines = reader.lines(at(details, mapping.items), mapping)
    total = reader.amount(details, mapping.total, required=True)
    if currency is None:
        reader.missing.append("currency")
    extras = {
        "shipping": reader.amount(details, mapping.shipping_price),
        "discount": reader.amount(details, mapping.discount),
        "tax": reader.amount(details, mapping.tax),
        "duty": reader.amount(details, mapping.duty),
        "fees": reader.amount(details, mapping.fees),
    }
    if reader.missing or total is None or currency is None:
        return Unmapped(tuple(reader.missing))
    method, note = at(details, mapping.shipping_method), at(details, mapping.note)
    return ShopOrder(
        currency,
        lines,
        total,
        shipping_method=method if isinstance(method, str) else None,
        customer=at(details, mapping.customer),
        billing_address=at(details, mapping.billing_address),
        shipping_address=at(details, mapping.shipping_address),
        note=note if isinstance(note, str) and note else None,
        **extras,
    )


class _Reader:
    """Collects what is missing while it reads."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def lines(self, items: Json, mapping: Mapping) -> tuple[Line, ...]:
        if not isinstance(items, list) or not items:
            self.missing.append(mapping.items or "items")
            return ()
        found = [self._line(item, f"{mapping.items}[{index}]", mapping) for index, item in enumerate(items)]
        return tuple(line for line in found if line is not None)

    def _line(self, item: Json, place: str, mapping: Mapping) -> Line | None:
        sku, name = at(item, mapping.sku), at(item, mapping.name)
        quantity, price = _quantity(at(item, mapping.quantity)), amount(at(item, mapping.unit_price))
        wrong = [
            f"{place}.{path}"
            for path, value in ((mapping.sku, sku), (mapping.quantity, quantity), (mapping.unit_price, price))
            if not value and value != 0  # a price may be 0
        ]
        self.missing += wrong
        if wrong or not isinstance(sku, str) or quantity is None or price is None:
            if not wrong:
                self.missing.append(f"{place}.{mapping.sku}")
            return None
        return Line(sku, name if isinstance(name, str) else None, quantity, price)

    def amount(self, details: Json, path: str, *, required: bool = False) -> Decimal | None:
        """The amount at the path. One that is there but is no amount counts as missing: it is not taken for zero."""
        value = at(details, path)
        found = amount(value)
        if found is None and (required or value is not None):
            self.missing.append(path or "total")
        return found


def _quantity(value: Json) -> int | None:
    """A whole number from 1; `2`, `2.0` and `"2"` are."""
    found = amount(value)
    return int(found) if found is not None and found >= 1 and found == int(found) else None


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
    """
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
