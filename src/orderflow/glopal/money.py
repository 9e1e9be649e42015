"""The money of an order: whether it adds up, and what it is in the store's own currency.

It never rounds an amount twice, lets no cent disappear, and never takes a rate that is not there for 1.

**The rule of conversion.** Base amount = amount / rate (STATED, reference 8.2). Each amount is divided exactly and
rounded once, half to even, to the smallest unit of the base currency (ISO 4217). The total is converted from the
order's own total, not added up from rounded parts. What the parts then miss is one stated amount, `rounding`:
lines + shipping + tax + duty + fees - discount + rounding = total, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from orderflow.glopal.jsontext import Json, amount, money
from orderflow.glopal.places import at
from orderflow.glopal.shop_order import Line, ShopOrder, Unmapped

_EXACT: Final = Context(prec=200)
"""The default context would round sums of long decimals."""
_NONE: Final = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905  read as one line
    0,
)
_THREE: Final = dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
_FOUR: Final = dict.fromkeys(("CLF", "UYW"), 4)
_EXPONENTS: Final[Dict[str, int]] = _NONE | _THREE | _FOUR


def smallest_unit(currency: str) -> Decimal:
    """0.01 for EUR, 1 for JPY, 0.001 for KWD, 0.0001 for CLF (ISO 4217)."""
    return Decimal(1).scaleb(-_EXPONENTS.get(currency, 2))


# --- does it add up? ------------------------------------------------------------------------------------------------


def parts(order: ShopOrder) -> dict[str, Decimal]:
    """What the total is made of, by name; parts that the order does not have are left out."""
    lines = Decimal(0)
    for line in order.lines:
        lines = _EXACT.add(lines, _EXACT.multiply(Decimal(line.quantity), line.unit_price))
    found = {
        "lines": lines,
        "shipping": order.shipping,
        "tax": order.tax,
        "duty": order.duty,
        "fees": order.fees,
        "discount": None if order.discount is None else _EXACT.minus(order.discount),
    }
    return {name: part for name, part in found.items() if part is not None}


def money_problem(order: ShopOrder) -> str | None:
    """None if the parts make the total within one smallest unit; else the sum.

    Where prices include tax, the mapping's `tax` is "". A sale never has a negative price or total, whatever the sum
    says.
    """
    if order.total < 0:
        return f"the total is negative: {money(order.total)} {order.currency}"
    for number, line in enumerate(order.lines):
        if line.unit_price < 0:
            return f"the price of line {number} is negative: {money(line.unit_price)} {order.currency}"
    given = parts(order)
    found = _sum(given)
    if _EXACT.abs(_EXACT.subtract(found, order.total)) <= smallest_unit(order.currency):
        return None
    shown = ", ".join(f"{name} {money(part)}" for name, part in given.items() if part)
    return f"{shown} make {money(found)} {order.currency}, but the total is {money(order.total)}"


def _sum(given: Dict[str, Decimal]) -> Decimal:
    found = Decimal(0)
    for part in given.values():
        found = _EXACT.add(found, part)
    return found


# --- the store's own currency ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Base:
    """The store's own currency, and how much of the order's currency one of it is: 1 USD = `rate` EUR."""

    currency: str
    rate: Decimal


def read_base(details: Json, currency: str, base: str) -> Base | Unmapped | str:
    """The rate between the order's `currency` and `base` (SAMPLE, STATED 8.2), where none stands, or what is wrong.

    In its own currency an order needs no rate; one that is given all the same must be 1.
    """
    place = f"exchange_rates.{base}.rate"
    value = at(details, place)
    if base == currency and value is None:
        return Base(base, Decimal(1))
    rate = amount(value)
    if value is None:
        return Unmapped((place,))
    if rate is None or rate <= 0:
        return f"{place} is no rate above zero"
    return Base(base, rate) if base != currency or rate == 1 else f"{place} is not 1"


def in_base(order: ShopOrder, base: Base) -> ShopOrder:
    """The order in the base currency, by the rule above. One that is in it already stays as it came."""
    if order.currency == base.currency:
        return order
    changed = replace(
        order,
        currency=base.currency,
        lines=tuple(_line(line, base) for line in order.lines),
        total=converted(order.total, base),
        shipping=_converted(order.shipping, base),
        discount=_converted(order.discount, base),
        tax=_converted(order.tax, base),
        duty=_converted(order.duty, base),
        fees=_converted(order.fees, base),
    )
    missed = _EXACT.subtract(changed.total, _sum(parts(changed)))
    return replace(changed, rounding=missed or None)


def _line(line: Line, base: Base) -> Line:
    return replace(
        line,
        unit_price=converted(line.unit_price, base),
        tax=_converted(line.tax, base),
        discount=_converted(line.discount, base),
        total=_converted(line.total, base),
    )


def _converted(value: Decimal | None, base: Base) -> Decimal | None:
    return None if value is None else converted(value, base)


def converted(value: Decimal, base: Base) -> Decimal:
    """`value` / rate, rounded once: an exact fraction, so that nothing is rounded on the way."""
    unit = smallest_unit(base.currency)
    units = round(Fraction(value) / Fraction(base.rate) / Fraction(unit))  # half to even
    return _EXACT.multiply(Decimal(units), unit)
