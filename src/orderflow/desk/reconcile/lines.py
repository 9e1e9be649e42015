"""Lines against lines: what was sold, how many, and at what price where both show it. Pure.

It never minds their order, or how often a line is split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from orderflow.connectors import ViewedLine
from orderflow.domain.order import Entered
from orderflow.glopal.details import Details
from orderflow.glopal.jsontext import money
from orderflow.glopal.money import Base, converted
from orderflow.glopal.shop_order import Line

_TOLD: Final = 5
"""Lines that are told of, at most."""


def in_shop_currency(details: Details, entered: Entered) -> tuple[ViewedLine, ...] | None:
    """Glopal's lines as they should stand in the shop; None where they are not known, or not in that currency."""
    if details.lines is None:
        return None
    if details.currency == entered.currency:
        return tuple(_viewed(line, line.unit_price) for line in details.lines)
    if entered.rate is None:
        return None
    base = Base(entered.currency, entered.rate)
    return tuple(_viewed(line, converted(line.unit_price, base)) for line in details.lines)


def _viewed(line: Line, price: Decimal) -> ViewedLine:
    return ViewedLine(line.sku, line.quantity, price)


def lines_problem(ours: Sequence[ViewedLine], theirs: Sequence[ViewedLine]) -> tuple[str, str] | None:
    """What differs, on our side and on theirs; None if nothing does. Lines without a SKU are only counted."""
    if any(line.sku is None for line in (*ours, *theirs)):
        pieces = [sum(line.quantity for line in lines) for lines in (ours, theirs)]
        return None if pieces[0] == pieces[1] else (f"{pieces[0]} pieces", f"{pieces[1]} pieces")
    priced = all(line.unit_price is not None for line in (*ours, *theirs))
    left, right = (_counted(lines, priced=priced) for lines in (ours, theirs))
    if left == right:
        return None
    return _told(left, right), _told(right, left)


_Counted = Counter[tuple[str, Decimal | None]]


def _counted(lines: Iterable[ViewedLine], *, priced: bool) -> _Counted:
    found: _Counted = Counter()
    for line in lines:
        found[line.sku or "", line.unit_price if priced else None] += line.quantity
    return +found


def _told(one: _Counted, other: _Counted) -> str:
    """What `one` has otherwise than `other`."""
    texts = [_text(*key, one[key]) for key in sorted(one, key=str) if one[key] != other.get(key, 0)]
    more = f" and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
    return (", ".join(texts[:_TOLD]) or "nothing") + more


def _text(sku: str, price: Decimal | None, quantity: int) -> str:
    return f"{quantity} x {sku}" + ("" if price is None else f" at {money(price)}")
