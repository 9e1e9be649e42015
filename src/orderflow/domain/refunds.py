"""The ledger of refunds: which of those that Glopal shows are ours, and what is left to give back.

It never says that more is left than is certain: what Glopal shows counts whoever made it, and what of ours cannot be
found there counts besides. It never concludes from an amount that an unknown refund was made: another may be of the
same amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Final

from orderflow.domain.events import Effect, Position
from orderflow.domain.order import Order, Phase, Refund, Shown, Slot

FREED: Final = ("refused", "not made")
"""Outcomes of a line that gives its share of the total back."""
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


def line_of(order: Order, name: str) -> Refund | None:
    """Our refund of that name."""
    return next((line for line in order.refunds if line.refund == name), None)


def slot_of(order: Order, line: Refund) -> Slot | None:
    """The attempt of `line` that is under way."""
    slot = order.glopal_slot
    return slot if slot is not None and slot.effect is Effect.REFUND and slot.target == line.refund else None


def is_unknown(slot: Slot) -> bool:
    """Can nobody tell what became of this attempt? Also where its sender died and never said so.

    Then a look-up that came late enough has not settled it.
    """
    return slot.phase is Phase.OPEN and (slot.unknown or slot.absents > 0)


# --- ours, and made elsewhere ---------------------------------------------------------------------------------------


def shown_as(order: Order) -> dict[str, Shown]:
    """Which of Glopal's refunds each delivered one of ours is: by Glopal's own id of it, else by amount and time.

    One that was shown before ours was intended is another's. Of two that fit, the first is taken.
    """
    free = {one.refund.refund_id: one for one in order.shown}
    found: dict[str, Shown] = {}
    lines = [line for line in order.refunds if line.outcome == "delivered"]
    for line in lines:
        if line.receipt in free:
            found[line.refund] = free.pop(line.receipt)
    for line in lines:
        alike = None if line.refund in found else next(_alike(order, line, free.values()), None)
        if alike is not None:
            found[line.refund] = free.pop(alike.refund.refund_id)
    return found


def elsewhere(order: Order) -> tuple[Shown, ...]:
    """What Glopal shows and no refund of ours explains."""
    ours = {one.refund.refund_id for one in shown_as(order).values()}
    return tuple(one for one in order.shown if one.refund.refund_id not in ours)


def candidate(order: Order, line: Refund) -> Shown | None:
    """A refund of the very amount that was not there before `line` was sent, and that none of ours explains.

    For a person to look at, who asks whether `line` was made.
    """
    return next(_alike(order, line, elsewhere(order)), None)


def _alike(order: Order, line: Refund, among: Iterable[Shown]) -> Iterator[Shown]:
    begun = line.intended or (line.asked.position if line.asked is not None else Position(0))
    wanted = _sane(line.amount)
    return (one for one in among if one.since >= begun and wanted is not None and _amount(order, one) == wanted)


def _amount(order: Order, one: Shown) -> Decimal | None:
    """In the order's currency; None where that cannot be told."""
    known = order.details
    other = known is not None and one.refund.currency not in (None, known.currency)
    return None if other else _sane(one.refund.amount)


def _sane(amount: Decimal | None) -> Decimal | None:
    return amount if amount is not None and amount.is_finite() else None


# --- what is left ---------------------------------------------------------------------------------------------------


def left(order: Order, upto: Refund | None = None) -> Decimal | None:
    """What of the order's total no refund speaks for, to the last digit; None where that cannot be said exactly.

    With `upto`, refunds that were asked for later and were not begun do not count. Less than nothing is possible: where
    somebody gave money back elsewhere.
    """
    known = order.details
    total = None if known is None else known.total
    explained = shown_as(order)
    spoken = [line.amount for line in _counting(order, upto) if line.refund not in explained]
    shown = [_amount(order, one) for one in order.shown]
    try:
        for amount in (*spoken, *shown):
            total = None if total is None or amount is None else _EXACT.subtract(total, amount)
    except DecimalException:
        return None
    return _sane(total)


def given_back(order: Order) -> Decimal | None:
    """What went back by now, by whomever, as far as it is certain; None where an amount cannot be read."""
    explained = shown_as(order)
    ours = [line.amount for line in order.refunds if line.outcome == "delivered" and line.refund not in explained]
    found = Decimal(0)
    try:
        for amount in (*ours, *(_amount(order, one) for one in order.shown)):
            if amount is None:
                return None
            found = _EXACT.add(found, amount)
    except DecimalException:
        return None
    return _sane(found)


def _counting(order: Order, upto: Refund | None) -> Iterator[Refund]:
    later = False
    for line in order.refunds:
        begun = line.outcome != "requested" or slot_of(order, line) is not None
        if line.outcome not in FREED and (begun or not later):
            yield line
        later = later or (upto is not None and line.refund == upto.refund)


def fits(order: Order, line: Refund) -> bool:
    """May `line` be made, going by what is known? Where no total is known, Glopal alone can say."""
    known = order.details
    if known is None or known.total is None:
        return True
    rest = left(order, line)
    return rest is not None and rest >= 0


# --- what is to be made ---------------------------------------------------------------------------------------------


def unchecked(order: Order) -> Iterator[Refund]:
    """Asked for, and Glopal has not been asked since what it shows: somebody may have given money back meanwhile."""
    for line in order.refunds:
        if line.outcome == "requested" and slot_of(order, line) is None and not _checked(order, line):
            yield line


def _checked(order: Order, line: Refund) -> bool:
    known = order.details
    return line.asked is None or (known is not None and known.asked_after >= line.asked.position)


def next_refund(order: Order) -> Refund | None:
    """The one to make now: the first that was asked for, checked, and not more than is left."""
    for line in order.refunds:
        if line.outcome == "requested" and _checked(order, line) and fits(order, line):
            return line
    return None


def too_much(order: Order) -> Iterator[Refund]:
    """Asked for and checked, and more than is left by now."""
    for line in order.refunds:
        waits = line.outcome == "requested" and slot_of(order, line) is None
        if waits and _checked(order, line) and not fits(order, line):
            yield line
