"""A Glopal order as the body of a Medusa draft.

It never lets a cent go: what the lines and the shipping miss of the total stands in lines of its own, named for what
it is, and what cannot be said exactly is not said at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from types import MappingProxyType
from typing import Final

from orderflow.connectors import FreezeError, Task
from orderflow.glopal.details import read_order
from orderflow.glopal.jsontext import Json, canonical, money
from orderflow.glopal.mapping import Mapping as Places
from orderflow.glopal.money import parts
from orderflow.glopal.shop_order import Line, ShopOrder

EXTRA: Final = "glopal"
"""The member of a line's metadata that says: no goods, but the order's tax, duty, fees, discount or rounding."""

_DIGITS: Final = 15
"""Medusa adds up in binary floating point; amounts of so many digits come out of it as they went in."""
_EXACT: Final = Context(prec=200)
_ADDRESS: Final = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "line1": "address_1",
    "line2": "address_2",
    "city": "city",
    "region": "province",
    "postal_code": "postal_code",
    "phone": "phone",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the shop orders belong. `variants`: the variant of each SKU, for lines that name none themselves."""

    region_id: str
    sales_channel_id: str
    shipping_option_id: str
    variants: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def shop_order(task: Task, places: Places) -> ShopOrder:
    """The order in a task's details. Raises `FreezeError`."""
    if task.details is None:
        raise FreezeError("details are needed")
    order = read_order(task.details, places, task.order_id, task.base)
    if isinstance(order, str):
        raise FreezeError(order)
    if task.total is not None and order.total != task.total:
        known, now = money(task.total), money(order.total)
        raise FreezeError(f"the mapping gives {now} where {known} was recorded: `retry fetch` reads it anew")
    return order


def new_draft(order: ShopOrder, reference: str, place: Place) -> bytes:
    """The body of a create. Raises `FreezeError` where a line has no variant, or money or an address do not fit.

    The metadata holds our reference and the total that the draft must come to.
    """
    items = [_item(number, line, place) for number, line in enumerate(order.lines)]
    items += [_extra(name, amount) for name, amount in extras(order)]
    draft: dict[str, Json] = {
        "region_id": place.region_id,
        "sales_channel_id": place.sales_channel_id,
        "currency_code": order.currency.lower(),
        "items": items,
        "shipping_methods": [_shipping(order, place)],
        "no_notification_order": True,
        "metadata": _metadata(order, reference),
    }
    email = order.customer.get("email") if isinstance(order.customer, Mapping) else None
    rare: dict[str, Json] = {
        "email": email,
        "shipping_address": _address(order.shipping_address, "shipping_address"),
        "billing_address": _address(order.billing_address, "billing_address"),
    }
    return canonical({**draft, **{name: value for name, value in rare.items() if value is not None}})


def extras(order: ShopOrder) -> Iterator[tuple[str, Decimal]]:
    """What the total is made of beside goods and shipping; the last one makes the sum the total, to the last digit."""
    given = parts(order)
    for name in ("tax", "duty", "fees", "discount"):
        if given.get(name):
            yield name, given[name]
    missed = order.total
    for part in given.values():
        missed = _EXACT.subtract(missed, part)
    if missed:
        yield "rounding", missed


def _item(number: int, line: Line, place: Place) -> dict[str, Json]:
    variant = line.variant_id or place.variants.get(line.sku)
    if variant is None:
        raise FreezeError(f"items[{number}]: the mapping names no variant_id, and `variants` none for its SKU")
    own = {"tax": line.tax, "discount": line.discount, "total": line.total}
    kept: dict[str, Json] = {name: money(amount) for name, amount in own.items() if amount is not None}
    price = _amount(f"items[{number}].unit_price", line.unit_price)
    return {
        "variant_id": variant,
        "quantity": line.quantity,
        "unit_price": price,
        "metadata": {"sku": line.sku, **kept},
    }


def _extra(name: str, amount: Decimal) -> dict[str, Json]:
    return {
        "title": name.capitalize(),
        "quantity": 1,
        "unit_price": _amount(name, amount),
        "metadata": {EXTRA: name},
    }


def _shipping(order: ShopOrder, place: Place) -> dict[str, Json]:
    return {
        "name": order.shipping_method or "Glopal",
        "shipping_option_id": place.shipping_option_id,
        "amount": _amount("shipping", order.shipping or Decimal(0)),
    }


def _metadata(order: ShopOrder, reference: str) -> dict[str, Json]:
    more: dict[str, Json] = {
        "language": order.language,
        "customer_note": order.note,
        "internal_note": order.internal_note,
        "payment": order.payment,
        "cart": order.cart,
        "shipping_address_romanised": order.shipping_address_romanised,
    }
    known = {name: value for name, value in more.items() if value is not None}
    return {**known, "reference": reference, "total": _amount("total", order.total)}


def _amount(name: str, amount: Decimal) -> str:
    """An amount in plain digits: as a text, it does not pass through floating point on its way."""
    if len(amount.normalize(_EXACT).as_tuple().digits) > _DIGITS:
        raise FreezeError(f"{name} has more than {_DIGITS} digits, which a Medusa does not add up exactly")
    return money(amount)


def _address(given: Json, name: str) -> Json:
    """An address with Medusa's names. Raises `FreezeError` for one whose members nobody named: it would be lost."""
    if given is None:
        return None
    known = given if isinstance(given, Mapping) else {}
    address: dict[str, Json] = {theirs: value for ours, theirs in _ADDRESS.items() if (value := _text(known.get(ours)))}
    if not address:
        raise FreezeError(f"{name}: its members are not known; name them in the mapping, as a table")
    country = _text(known.get("country"))
    if country is not None and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise FreezeError(f"{name}.country is no code of two letters")
    return address if country is None else {**address, "country_code": country.lower()}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
