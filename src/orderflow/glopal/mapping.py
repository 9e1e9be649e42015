"""Where in Glopal's order details each thing stands that orderflow reads: the mapping file of a store.

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
class EndingMapping:
    """Places from the top of the details: who cancelled the order, and why."""

    by: Place = Place(("cancellation.by",))
    reason: Place = Place(("cancellation.reason",))
    at: Place = Place(("cancellation.cancelled_at",))


@dataclass(frozen=True, slots=True)
class RefundMapping:
    """Places within one refund."""

    id: Place = Place(("id",))
    amount: Place = Place(("amount",))
    currency: Place = Place(("currency",))
    reason: Place = Place(("reason",))
    by: Place = Place(("by",))
    at: Place = Place(("created_at",))


@dataclass(frozen=True, slots=True)
class ReturnMapping:
    """Places within one return."""

    id: Place = Place(("id",))  # STATED (9)
    status: Place = Place(("status",))
    shipment: Place = Place(("shipment.status",))


@dataclass(frozen=True, slots=True)
class Mapping:
    """Places from the top of the details; those of `line`, `refunded` and `returned` from one member of their list."""

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
    cancelled: EndingMapping = EndingMapping()
    refunds: Place = Place(("refunds",))
    refunded: RefundMapping = RefundMapping()
    returns: Place = Place(("returns",))  # STATED (9)
    returned: ReturnMapping = ReturnMapping()


Table = LineMapping | EndingMapping | RefundMapping | ReturnMapping
TABLES: Final[Dict[str, type[Table]]] = {
    "line": LineMapping,
    "cancelled": EndingMapping,
    "refunded": RefundMapping,
    "returned": ReturnMapping,
}
"""Fields of `Mapping` that are tables of places."""
WITHIN: Final = {"line": "items", "refunded": "refunds", "returned": "returns"}
"""The list that each of these tables speaks of the members of."""


def mapping_from(given: Dict[str, object]) -> Mapping:
    """The defaults with `given`, the contents of a mapping file, put over them. ValueError names the key."""
    _check(given, [one.name for one in fields(Mapping)], "")
    changes: dict[str, Whole | Table] = {}
    for key, value in given.items():
        if key in TABLES:
            changes[key] = _table(key, value)
        elif key in _MEMBERS and isinstance(value, Dict) and "value" not in value:
            _check(value, _MEMBERS[key], f"{key}.")
            changes[key] = Members({name: place(f"{key}.{name}", one) for name, one in value.items()})
        else:
            changes[key] = place(key, value)
    return replace(Mapping(), **changes)  # type: ignore[arg-type]  # checked above, by name


def _table(key: str, given: object) -> Table:
    kind = TABLES[key]
    if not isinstance(given, Dict):
        where = f"within one of {WITHIN[key]}" if key in WITHIN else "from the top of the details"
        raise ValueError(f"{key}: must be a table of places {where}, as in [{key}]")  # noqa: TRY004 - a setting
    _check(given, [one.name for one in fields(kind)], f"{key}.")
    places = {name: place(f"{key}.{name}", one) for name, one in given.items()}
    return kind(**places)


def _check(given: Dict[str, object], known: tuple[str, ...] | list[str], before: str) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{before}{key}: there is no such field; known are {', '.join(known)}")
