"""A Glopal order as Shopify takes one: the input of `draftOrderCreate`.

It never lets the parts come to anything but the order's total, and never rounds: what Shopify's money cannot hold is
not sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Final

from orderflow.connectors import FreezeError
from orderflow.glopal.jsontext import Json, money
from orderflow.glopal.mapping import ADDRESS
from orderflow.glopal.money import parts, smallest_unit
from orderflow.glopal.shop_order import Line, ShopOrder

REFERENCE: Final = "glopal_reference"
"""The custom attribute that holds our reference, exactly."""
TOTAL: Final = "glopal_total"
"""The custom attribute that says what the order must come to, such as `162.48 EUR`."""
PART: Final = "glopal_part"
"""The custom attribute of a line that is no goods: tax, duty, fees or rounding."""

_EXACT: Final = Context(prec=200)
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_PROVINCE: Final = re.compile(r"(?:[A-Z]{2}-)?([A-Z0-9]{1,3})")
_VARIANT: Final = re.compile(r"(?:gid://shopify/ProductVariant/)?([0-9]{1,20})", re.ASCII)
_MEMBERS: Final = {
    "first_name": "firstName",
    "last_name": "lastName",
    "company": "company",
    "line1": "address1",
    "line2": "address2",
    "city": "city",
    "postal_code": "zip",
    "phone": "phone",
}


def tag(reference: str) -> str:
    """What the order is searched by. A tag has 40 characters, no comma and no case: the reference may not fit."""
    return f"glopal{hashlib.sha256(reference.encode('utf-8', 'replace')).hexdigest()[:32]}"


def draft_input(order: ShopOrder, reference: str) -> dict[str, Json]:
    """The `DraftOrderInput`. Raises `FreezeError`.

    Without tax of Shopify's own: what the buyer paid is what the lines, the shipping and the discount come to.
    """
    given: dict[str, Json] = {
        "email": _text(order.customer, "email"),
        "note": order.note,
        "billingAddress": _address(order.billing_address, "billing_address"),
        "shippingAddress": _address(order.shipping_address, "shipping_address"),
        "shippingLine": _shipping(order),
        "appliedDiscount": _discount(order),
    }
    return {
        "presentmentCurrencyCode": order.currency,
        "taxExempt": True,
        "acceptAutomaticDiscounts": False,
        "tags": [tag(reference)],
        "customAttributes": [
            {"key": REFERENCE, "value": reference},
            {"key": TOTAL, "value": f"{money(order.total)} {order.currency}"},
        ],
        "lineItems": [*(_line(order, number) for number in range(len(order.lines))), *_other_lines(order)],
        **{name: value for name, value in given.items() if value is not None},
    }


def _line(order: ShopOrder, number: int) -> dict[str, Json]:
    """The shop's own variant at the buyer's price, where the mapping tells it; else a custom line, without stock."""
    line = order.lines[number]
    price = _money(order, line.unit_price, f"the price of line {number}")
    if line.variant_id is not None:
        known = _VARIANT.fullmatch(line.variant_id)
        if known is None:
            raise FreezeError(f"the variant_id of line {number} is no id of a Shopify variant")
        variant = f"gid://shopify/ProductVariant/{known[1]}"
        return {"variantId": variant, "quantity": line.quantity, "priceOverride": price}
    return _custom(line, price)


def _custom(line: Line, price: Json) -> dict[str, Json]:
    return {
        "title": line.name or line.sku,
        "sku": line.sku,
        "quantity": line.quantity,
        "originalUnitPriceWithCurrency": price,
        "requiresShipping": True,
        "taxable": False,
    }


def _other_lines(order: ShopOrder) -> Iterator[dict[str, Json]]:
    """What is paid beside goods and shipping."""
    rounding = _rounding(order)
    named = {"tax": order.tax, "duty": order.duty, "fees": order.fees, "rounding": rounding if rounding > 0 else None}
    for name, amount in named.items():
        if amount:
            yield {
                "title": name.title(),
                "quantity": 1,
                "originalUnitPriceWithCurrency": _money(order, amount, name),
                "requiresShipping": False,
                "taxable": False,
                "customAttributes": [{"key": PART, "value": name}],
            }


def _discount(order: ShopOrder) -> Json:
    """Everything that is taken off, as one amount: a line cannot be negative."""
    rounding = _rounding(order)
    off = _EXACT.subtract(order.discount or Decimal(0), min(rounding, Decimal(0)))
    if not off:
        return None
    return {
        "title": "Discount",
        "valueType": "FIXED_AMOUNT",
        "value": off,
        "amountWithCurrency": _money(order, off, "the discount"),
    }


def _rounding(order: ShopOrder) -> Decimal:
    """What the parts miss of the total, or have too much."""
    found = Decimal(0)
    for part in parts(order).values():
        found = _EXACT.add(found, part)
    return _EXACT.subtract(order.total, found)


def _shipping(order: ShopOrder) -> Json:
    if order.shipping is None:
        return None
    price = _money(order, order.shipping, "the shipping price")
    return {"title": order.shipping_method or "Shipping", "priceWithCurrency": price}


def _money(order: ShopOrder, amount: Decimal, what: str) -> dict[str, Json]:
    """A `MoneyInput`."""
    if amount < 0:
        raise FreezeError(f"{what} is negative")
    if _EXACT.remainder(amount, smallest_unit(order.currency)):
        raise FreezeError(f"{what} has more digits than {order.currency} has")
    return {"amount": money(amount), "currencyCode": order.currency}


def _address(given: Json, name: str) -> Json:
    """A `MailingAddressInput`."""
    if given is None:
        return None
    if not isinstance(given, dict) or not any(_text(given, member) for member in ADDRESS):
        raise FreezeError(f"{name}: the mapping must name its members for Shopify")
    country = (_text(given, "country") or "").upper()
    if not _COUNTRY.fullmatch(country):
        raise FreezeError(f"{name}.country is no code of two letters")
    found: dict[str, Json] = {theirs: text for ours, theirs in _MEMBERS.items() if (text := _text(given, ours))}
    region = _text(given, "region")
    if region is not None:
        code = _PROVINCE.fullmatch(region.upper())
        found |= {"provinceCode": code[1]} if code else {"province": region}
    return found | {"countryCode": country}


def _text(given: Json, name: str) -> str | None:
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, str) and value else None
