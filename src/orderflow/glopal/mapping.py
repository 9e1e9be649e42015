"""Where in Glopal's order details each thing stands that a shop order is made from: the mapping file of a store.

It never reads an order itself, and never lets a key pass that it does not know.

Every default below is ASSUMED (reference 8.3), but those marked SAMPLE: Glopal's public pages show no name for these
members, so the integrator sets them from the real API description. What has no default is handed on only where the
mapping file names it.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, fields, replace
from typing import Final

from orderflow.glopal.places import Members, Place, place

CUSTOMER: Final = ("first_name", "last_name", "company", "email", "phone")
ADDRESS: Final = (
    "first_name",
    "last_name",
    "company",
    "line1",
    "line2",
    "city",
    "region",
    "postal_code",
    "country",
    "phone",
    "email",
)
_MEMBERS: Final[Dict[str, tuple[str, ...]]] = {
    "customer": CUSTOMER,
    "billing_address": ADDRESS,
    "shipping_address": ADDRESS,
    "shipping_address_romanised": ADDRESS,
}
"""What may be given as a table: shops that need named members get them one by one."""

NOWHERE: Final = Place()
Whole = Place | Members


@dataclass(frozen=True, slots=True)
class LineMapping:
    """Places within one line."""

    sku: Place = Place(("sku",))
    name: Place = Place(("name",))
    quantity: Place = Place(("quantity",))
    unit_price: Place = Place(("unit_price",))
    tax: Place = NOWHERE
    discount: Place = NOWHERE
    total: Place = NOWHERE
    product_id: Place = NOWHERE
    variant_id: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Mapping:
    """Places from the top of the details; those of `line` from the line."""

    items: Place = Place(("items",))
    line: LineMapping = LineMapping()
    total: Place = Place(("totals.total",))
    shipping_method: Place = Place(("shipping.method",))
    shipping_price: Place = Place(("shipping.price",))
    discount: Place = Place(("totals.discount",))
    tax: Place = Place(("totals.tax",))
    duty: Place = Place(("totals.duty",))
    fees: Place = Place(("totals.fees",))
    language: Place = Place(("language",))  # SAMPLE (8.1)
    customer: Whole = Place(("customer",))  # SAMPLE (8.1), its members unknown
    billing_address: Whole = Place(("billing_address",))
    shipping_address: Whole = Place(("shipping_address",))
    shipping_address_romanised: Whole = Place(("shipping_address_romanized",))
    note: Place = Place(("customer_note",))  # SAMPLE (8.1)
    internal_note: Place = NOWHERE  # `internal_note` is SAMPLE (8.1); Glopal's own words, not for every shop
    payment: Whole = NOWHERE
    cart: Whole = NOWHERE


def mapping_from(given: Dict[str, object]) -> Mapping:
    """The defaults with `given`, the contents of a mapping file, put over them. ValueError names the key."""
    _check(given, [one.name for one in fields(Mapping)], "")
    changes: dict[str, Whole | LineMapping] = {}
    for key, value in given.items():
        if key == "line":
            changes[key] = _line(value)
        elif key in _MEMBERS and isinstance(value, Dict) and "value" not in value:
            _check(value, _MEMBERS[key], f"{key}.")
            changes[key] = Members({name: place(f"{key}.{name}", one) for name, one in value.items()})
        else:
            changes[key] = place(key, value)
    return replace(Mapping(), **changes)  # type: ignore[arg-type]  # checked above, by name


def _line(given: object) -> LineMapping:
    if not isinstance(given, Dict):
        raise ValueError("line: must be a table of places within one line, as in [line]")  # noqa: TRY004 - a setting
    _check(given, [one.name for one in fields(LineMapping)], "line.")
    return replace(LineMapping(), **{name: place(f"line.{name}", one) for name, one in given.items()})


def _check(given: Dict[str, object], known: tuple[str, ...] | list[str], before: str) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{before}{key}: there is no such field; known are {', '.join(known)}")
