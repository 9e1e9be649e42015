"""Order details as Glopal's GET gives them, read as far as orderflow needs them.

It never guesses a field that is not there, and never lets personal data out but in `body` and `basis`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orderflow.domain.aftersale import AfterSale
from orderflow.domain.events import Ids
from orderflow.domain.machine import Status
from orderflow.glopal.aftersale import read_after
from orderflow.glopal.jsontext import Json, NotJson, instant, parse, problem_of_text
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.money import Base, in_base, money_problem, read_base
from orderflow.glopal.reading import shop_order
from orderflow.glopal.shop_order import Line, ShopOrder, Unmapped

_CURRENCY = re.compile(r"[A-Z]{3}")
_STATUSES = {status.value: status for status in Status if status is not Status.NEW}


@dataclass(frozen=True, slots=True)
class Details:
    """One answer. `said` is the status word as it came; `status` None where Glopal's documents do not name it.

    `basis` is everything that a shop request is built from, in canonical bytes (personal: digest it with a key).
    `unmapped` names required fields that were not found, `money` the first sum that does not hold, if any. `total` is
    in the order's own `currency`; `base` is the store's own with its rate, where orders enter the shop in that. `lines`
    are in `currency` too; None where no shop order could be made of it. `after`: cancellation, refunds and returns,
    where any is shown.
    """

    said: str
    status: Status | None
    external: Ids | None
    environment: str | None
    currency: str | None
    total: Decimal | None
    created_at: datetime | None
    unmapped: tuple[str, ...]
    money: str | None
    basis: bytes = field(repr=False)
    body: bytes = field(repr=False)
    base: Base | None = None
    after: AfterSale | None = None
    lines: tuple[Line, ...] | None = None


class _Unreadable(Exception):
    """A named field holds what it cannot hold; the message names it."""


def read_details(
    raw: bytes, mapping: Mapping, order_id: str | None = None, base_currency: str | None = None
) -> Details | str:
    """The details in the body of a GET, or the problem: field and place, nothing personal.

    `id`, `status`: required (SAMPLE, STATED 8.1). `external`, `environment`, `currency`, `created_at`: null, absent, or
    of their type. With `order_id` given, details of another order are a problem. All the rest is read through the
    mapping, and what is wrong there stands in `unmapped` and `money`. With `base_currency` there must be a rate of it.
    """
    try:
        value = _object(raw)
        return _read(value, _head(value, order_id), mapping, base_currency, raw)
    except _Unreadable as error:
        return str(error)


def read_order(raw: bytes, mapping: Mapping, order_id: str | None = None, base: Base | None = None) -> ShopOrder | str:
    """The shop order in the body of a GET, converted to `base` if that is given, or the problem: nothing personal."""
    try:
        value = _object(raw)
        currency = _head(value, order_id).currency
    except _Unreadable as error:
        return str(error)
    order = shop_order(value, mapping, currency)
    if isinstance(order, Unmapped):
        return f"not mapped: {', '.join(order.missing)}"
    return order if base is None else in_base(order, base)


def _object(raw: bytes) -> dict[str, Json]:
    value = parse(raw)
    if isinstance(value, NotJson):
        raise _Unreadable(f"the details are {value.problem}")
    if not isinstance(value, dict):
        raise _Unreadable("the details are no object")
    return value


@dataclass(frozen=True, slots=True)
class _Head:
    """What is read without a mapping."""

    said: str
    external: Ids | None
    environment: str | None
    currency: str | None
    created_at: str | None


def _head(value: Dict[str, Json], order_id: str | None) -> _Head:
    named = _text(value, "id", required=True)
    if order_id is not None and named != order_id:
        raise _Unreadable("id is another order's")
    said = _text(value, "status", required=True) or ""
    created = _text(value, "created_at")
    currency = _text(value, "currency")
    if currency is not None and not _CURRENCY.fullmatch(currency):
        raise _Unreadable("currency is no ISO 4217 code")
    return _Head(said, _external(value.get("external")), _text(value, "environment"), currency, created)


def _read(value: Dict[str, Json], head: _Head, mapping: Mapping, base_currency: str | None, raw: bytes) -> Details:
    order = shop_order(value, mapping, head.currency)
    missing: tuple[str, ...] = ()
    total, problem, basis, base = None, None, b"", None
    if isinstance(order, Unmapped):
        missing = order.missing
    else:
        total, problem = order.total, money_problem(order)
        base = None if base_currency is None else read_base(value, order.currency, base_currency)
        match base:
            case None:
                basis = order.basis()
            case Base():
                basis = in_base(order, base).basis()
            case Unmapped():
                missing = base.missing
            case wrong:
                problem = problem or wrong
    return Details(
        said=head.said,
        status=_STATUSES.get(head.said),  # STATED (4): the set of statuses is open
        external=head.external,
        environment=head.environment,
        currency=head.currency,
        total=total,
        created_at=None if head.created_at is None else instant(head.created_at),
        unmapped=missing,
        money=problem,
        basis=basis,
        body=raw,
        base=base if isinstance(base, Base) else None,
        after=read_after(value, mapping),
        lines=None if isinstance(order, Unmapped) else order.lines,
    )


def _text(value: Dict[str, Json], name: str, *, required: bool = False) -> str | None:
    found = value.get(name)
    if not required and (found is None or found == ""):
        return None
    problem = problem_of_text(found)
    if problem is not None or not isinstance(found, str):
        raise _Unreadable(f"{name} {problem}")
    return found


def _external(value: Json) -> Ids | None:
    """The merchant's ids; null, absent, null members and empty texts all say "none yet" (UNKNOWN, 3.2: all tolerated).

    An id of another type is no "none": taken for it, an order accepted elsewhere would be accepted again.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _Unreadable("external is no object")
    order_id = _member(value, "order_id")
    return None if order_id is None else Ids(order_id, _member(value, "order_number") or order_id)


def _member(value: Dict[str, Json], name: str) -> str | None:
    try:
        return _text(value, name)
    except _Unreadable as error:
        raise _Unreadable(f"external.{error}") from None
