"""The whole script of a Vendure draft, made before the first call.

It never rounds: what Vendure's whole numbers cannot hold is not sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from orderflow.connectors import FreezeError
from orderflow.glopal.jsontext import Json, money
from orderflow.glopal.money import parts, smallest_unit
from orderflow.glopal.shop_order import ShopOrder

_MOST: Final = 2**31 - 1
"""Vendure keeps amounts in 32 bits."""


@dataclass(frozen=True, slots=True)
class Script:
    """A draft as Vendure takes it, with SKUs and codes in the place of ids. Amounts are in minor units.

    `marks` are the custom fields of the order: our reference and what the finished draft must come to. Each line is
    the input of `addItemToDraftOrder` beside its SKU.
    """

    reference: str
    currency: str
    method: str
    marks: Mapping[str, Json]
    lines: tuple[tuple[str, Mapping[str, Json]], ...]
    customer: Mapping[str, Json] = field(repr=False)
    shipping: Mapping[str, Json] = field(repr=False)
    billing: Mapping[str, Json] | None = field(default=None, repr=False)

    def plain(self) -> dict[str, Json]:
        """All of it as JSON."""
        lines: list[Json] = [{"sku": sku, "item": dict(item)} for sku, item in self.lines]
        return {
            "reference": self.reference,
            "currency": self.currency,
            "method": self.method,
            "marks": self.marks,
            "lines": lines,
            "customer": self.customer,
            "shipping": self.shipping,
            "billing": self.billing,
        }

    @property
    def skus(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(sku for sku, _ in self.lines))

    @property
    def email(self) -> str:
        """The buyer's, as Vendure keeps it. Personal."""
        return str(self.customer.get("emailAddress", "")).lower()


def thawed(value: object) -> Script | None:
    """What `plain` gave; None for anything else."""
    match value:
        case {
            "reference": str(reference),
            "currency": str(currency),
            "method": str(method),
            "marks": dict(marks),
            "lines": list(rows),
            "customer": dict(customer),
            "shipping": dict(shipping),
            "billing": dict() | None as billing,
        }:
            lines = tuple(_thawed_line(row) for row in rows)
            known = tuple(line for line in lines if line is not None)
            if len(known) < len(lines):
                return None
            return Script(reference, currency, method, marks, known, customer, shipping, billing)
        case _:
            return None


def _thawed_line(row: Json) -> tuple[str, Mapping[str, Json]] | None:
    match row:
        case {"sku": str(sku), "item": dict(item)}:
            return sku, item
        case _:
            return None


# --- out of a shop order --------------------------------------------------------------------------------------------


def script(order: ShopOrder, reference: str, method: str, charges_sku: str | None) -> Script:
    """The script for `order`. Raises `FreezeError`.

    Vendure knows lines and shipping, and no tax, duty, fees or discount from elsewhere: each of these becomes a line of
    the variant `charges_sku`, so that the order comes to Glopal's total to the last cent.
    """
    unit = order.currency
    goods = [
        (line.sku, _item(line.quantity, _minor(line.unit_price, unit, f"items[{n}].unit_price")))
        for n, line in enumerate(order.lines)
    ]
    charges = _charges(order)
    if charges and charges_sku is None:
        raise FreezeError(f"{', '.join(charges)}: Vendure has no place for it; name a variant in vendure.charges_sku")
    lines = [*goods, *((charges_sku or "", _item(1, amount, name)) for name, amount in charges.items())]
    marks: dict[str, Json] = {
        "glopalReference": reference,
        "glopalTotal": _minor(order.total, unit, "total"),
        "glopalQuantity": sum(line.quantity for line in order.lines) + len(charges),
        "glopalShipping": _minor(order.shipping or Decimal(0), unit, "shipping"),
    }
    customer = _customer(order)
    shipping = _address(order.shipping_address, "shipping_address")
    billing = None if order.billing_address is None else _address(order.billing_address, "billing_address")
    return Script(reference, unit, method, marks, tuple(lines), customer, shipping, billing)


def _item(quantity: int, price: int, charge: str | None = None) -> dict[str, Json]:
    fields: dict[str, Json] = {"glopalPrice": price}
    if charge is not None:
        fields["glopalCharge"] = charge
    return {"quantity": quantity, "customFields": fields}


def _charges(order: ShopOrder) -> dict[str, int]:
    """What is neither goods nor shipping, by name. What all parts together miss of the total is rounding."""
    amounts = {name: _minor(part, order.currency, name) for name, part in parts(order).items()}
    missed = _minor(order.total, order.currency, "total") - sum(amounts.values())
    charges = {name: amount for name, amount in amounts.items() if name not in {"lines", "shipping"}}
    return {name: amount for name, amount in (charges | {"rounding": missed}).items() if amount}


def _minor(amount: Decimal, currency: str, name: str) -> int:
    units = Fraction(amount) / Fraction(smallest_unit(currency))
    if units.denominator != 1:
        raise FreezeError(f"{name} is {money(amount)}, and {currency} has no such coin")
    if abs(units) > _MOST:
        raise FreezeError(f"{name} is more than Vendure can hold")
    return int(units)


def _customer(order: ShopOrder) -> dict[str, Json]:
    """The buyer, with the names of the addressee where the buyer has none."""
    places = (order.customer, order.billing_address, order.shipping_address)
    email = _first("email", *places)
    if not email:
        raise FreezeError("customer.email is missing: Vendure keeps no order without one")
    wanted = {"firstName": "first_name", "lastName": "last_name"}
    names: dict[str, Json] = {name: _first(ours, *places) for name, ours in wanted.items()}
    phone = _first("phone", *places)
    return {"emailAddress": email, **names, **({"phoneNumber": phone} if phone else {})}


_ADDRESS: Final = {
    "company": "company",
    "streetLine1": "line1",
    "streetLine2": "line2",
    "city": "city",
    "province": "region",
    "postalCode": "postal_code",
    "countryCode": "country",
    "phoneNumber": "phone",
}


def _address(address: Json, place: str) -> dict[str, Json]:
    """An address by our names in Vendure's. Raises `FreezeError` without street or country."""
    found: dict[str, Json] = {name: text for name, ours in _ADDRESS.items() if (text := _first(ours, address))}
    missing = [_ADDRESS[name] for name in ("streetLine1", "countryCode") if name not in found]
    if missing:
        raise FreezeError(f"{place}.{missing[0]} is missing: Vendure keeps no address without it")
    name = " ".join(part for part in (_first("first_name", address), _first("last_name", address)) if part)
    return {**({"fullName": name} if name else {}), **found}


def _first(name: str, *places: Json) -> str:
    """The first text of that name; empty if there is none."""
    for place in places:
        found = place.get(name) if isinstance(place, Mapping) else None
        if isinstance(found, str) and found:
            return found
    return ""
