"""Reads what details show of the time after the sale: who cancelled, what was given back, where returns stand.

It never lets free text out, and never takes a refund that it cannot read for none: such a one has no amount.

STATED (reference 7, 9): merchant, Glopal or a lost dispute may begin a refund; returns stand in `returns`, each with an
`id`. Every other name here is ASSUMED and reached by the mapping file.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund, ShownReturn
from orderflow.domain.returns import ReturnStep
from orderflow.glopal.codes import code
from orderflow.glopal.jsontext import Json, amount, instant, problem_of_text
from orderflow.glopal.mapping import EndingMapping, Mapping, RefundMapping, ReturnMapping

MOST: Final = 200
"""Refunds or returns of one order; a longer list is an attack or a mistake."""
_SPELLINGS: Final = {"authorised": "authorized", "canceled": "cancelled"}
_STEPS: Final = {step.value: step for step in ReturnStep}


def read_after(details: Json, mapping: Mapping) -> AfterSale | None:
    """None where nothing of the kind is shown."""
    found = AfterSale(
        _ending(details, mapping.cancelled),
        _refunds(mapping.refunds.of(details), mapping.refunded),
        _returns(mapping.returns.of(details), mapping.returned),
    )
    return None if found == AfterSale() else found


def _ending(details: Json, places: EndingMapping) -> Ending | None:
    found = Ending(_code(places.by.of(details)), _code(places.reason.of(details)), _time(places.at.of(details)))
    return None if found == Ending() else found


def _refunds(shown: Json, places: RefundMapping) -> tuple[ShownRefund, ...]:
    """One that cannot be read, or a whole list, is a refund without an amount: what is left cannot be told then."""
    if not shown:
        return ()
    if not isinstance(shown, list) or len(shown) > MOST:
        return (ShownRefund("(unreadable)", None),)
    found: dict[str, ShownRefund] = {}
    for number, one in enumerate(shown, 1):
        refund = ShownRefund(
            _id(places.id.of(one)) or f"#{number}",
            amount(places.amount.of(one)),
            _currency(places.currency.of(one)),
            _code(places.reason.of(one)),
            _code(places.by.of(one)),
            _time(places.at.of(one)),
        )
        # The same id twice: two refunds, or one told twice? Either way it is not to be told what is left.
        twice = refund.refund_id in found and found[refund.refund_id] != refund
        found[refund.refund_id] = ShownRefund(refund.refund_id, None) if twice else refund
    return tuple(found.values())


def _returns(shown: Json, places: ReturnMapping) -> tuple[ShownReturn, ...]:
    """UNKNOWN whether the status is one field or two: both are read, the parcel's counts."""
    if not isinstance(shown, list):
        return ()
    found: dict[str, ShownReturn] = {}
    for number, one in enumerate(shown[:MOST], 1):
        words = [word for word in (places.status.of(one), places.shipment.of(one)) if word is not None]
        steps = [_STEPS.get(_spelt(word)) for word in words]
        said = "/".join(
            str(word) if step is not None else _code(word) or "?" for word, step in zip(words, steps, strict=True)
        )
        return_id = _id(places.id.of(one)) or f"#{number}"
        found[return_id] = ShownReturn(return_id, said, tuple(step for step in steps if step is not None))
    return tuple(found.values())


def _spelt(word: Json) -> str:
    lower = word.lower() if isinstance(word, str) else ""
    return _SPELLINGS.get(lower, lower)


def _code(value: Json) -> str:
    return code(value) or ""


def _id(value: Json) -> str:
    """STATED (9): a text; one that comes as a whole number loses nothing by becoming one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and problem_of_text(value) is None and " " not in value else ""


def _currency(value: Json) -> str | None:
    """What is there and is no text of three capitals is no currency: another than the order's."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) and len(value) == len("EUR") and value.isupper() else "?"


def _time(value: Json) -> datetime | None:
    return instant(value) if isinstance(value, str) else None
