"""What a draft comes to, and what is wrong with the input that it is made from.

It rounds each price to what the currency has, as the real one does, and never tells a user error by a code: these
mutations have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from orderflow.sandbox.shopify.options import ShopifyOptions
from orderflow.sandbox.wire import Json, decimal_of

_LONGEST_TAG: Final = 40
_NO_DECIMALS: Final = frozenset({"JPY", "KRW", "ISK"})
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def variant_number(line: Mapping[str, Any]) -> int | None:
    """The number of the variant that a line is about; None for a custom line."""
    variant = line.get("variantId")
    return int(variant.rpartition("/")[2]) if isinstance(variant, str) else None


def unit_price(line: Mapping[str, Any], currency: str, options: ShopifyOptions) -> Decimal:
    """The price of one piece: of a variant its own, unless it is overridden; of a custom line what was given."""
    number = variant_number(line)
    if number is None:
        return rounded(_amount(line.get("originalUnitPriceWithCurrency")), currency)
    given = line.get("priceOverride")
    return rounded(options.variants[number] if given is None else _amount(given), currency)


def total(given: Mapping[str, Any], currency: str, options: ShopifyOptions) -> Decimal:
    """Lines, less the discount (of the lines at most), with shipping, tax and whatever the shop adds by itself."""
    lines = [(line, unit_price(line, currency, options) * line["quantity"]) for line in given["lineItems"]]
    goods = sum((price for _, price in lines), Decimal(0))
    discount = given.get("appliedDiscount") or {}
    off = min(goods, _amount(discount.get("amountWithCurrency")) or decimal_of(discount.get("value")) or Decimal(0))
    shipping = _amount((given.get("shippingLine") or {}).get("priceWithCurrency"))
    tax = Decimal(0)
    if not given.get("taxExempt"):
        tax = sum((price * options.tax_rate for line, price in lines if line.get("taxable", True)), Decimal(0))
    return rounded(goods - off + shipping + tax + options.surcharge, currency)


def problems(given: Mapping[str, Any], options: ShopifyOptions) -> Iterator[dict[str, Json]]:
    """The user errors of a `draftOrderCreate`."""
    lines = given.get("lineItems") or []
    if not lines:
        yield problem("Add at least 1 product")
    for index, line in enumerate(lines):
        number = variant_number(line)
        if number is None and not line.get("title"):
            yield problem("Merchandise title is empty.")
        elif number is not None and number not in options.variants:
            yield problem(f"Product with ID {number} is no longer available.")
        if line["quantity"] < 1:
            yield problem("Quantity must be greater than or equal to 1", "lineItems", str(index), "quantity")
        if _amount(line.get("originalUnitPriceWithCurrency")) < 0:
            yield problem("Cannot send negative price for line_item")
        if line.get("sku") == "REFUSE-ME":
            yield problem("The shop refuses this line", "lineItems", str(index), "sku")
    for index, tag in enumerate(given.get("tags") or []):
        if len(tag) > _LONGEST_TAG:
            yield problem(f"Title Tag exceeds the maximum length of {_LONGEST_TAG} characters", "tags", str(index))
    email = given.get("email")
    if email is not None and not _EMAIL.fullmatch(email):
        yield problem("Email is invalid", "email")
    refused = options.refuse(given) if options.refuse else None
    if refused is not None:
        yield problem("The shop refuses this order", refused)


def problem(message: str, *field: str) -> dict[str, Json]:
    """One user error."""
    return {"field": list(field) or None, "message": message}


def rounded(amount: Decimal, currency: str) -> Decimal:
    """As many decimals as the currency has."""
    return amount.quantize(Decimal(1) if currency in _NO_DECIMALS else Decimal("0.01"), ROUND_HALF_UP)


def bag(amount: Decimal, currency: str) -> dict[str, Json]:
    """A `MoneyBag`. Amounts are texts without needless zeros, but with one decimal at the least: `38.25`, `5.0`."""
    whole, _, decimals = format(amount, "f").partition(".")
    money: dict[str, Json] = {"amount": f"{whole}.{decimals.rstrip('0') or '0'}", "currencyCode": currency}
    return {"presentmentMoney": money, "shopMoney": money}


def _amount(money: Mapping[str, Any] | None) -> Decimal:
    return (decimal_of(money["amount"]) if money else None) or Decimal(0)
