"""What a person should look at after the sale: refunds that nobody can tell of, money given back elsewhere, returns.

It never settles anything: it says what is known, and the commands with which a person does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orderflow.domain.asking import awaited_at, poll_at
from orderflow.domain.events import Position
from orderflow.domain.exceptions import Of
from orderflow.domain.order import Order, Phase, Refund, Shown, Slot
from orderflow.domain.policy import REFUNDABLE, StorePolicy, in_scope
from orderflow.domain.refunds import candidate, elsewhere, is_unknown, left, slot_of, too_much, unchecked
from orderflow.domain.returns import CLOSED


@dataclass(frozen=True, slots=True)
class Told:
    """One exception, in the members of `attention.Attention`."""

    kind: str
    of: Of
    text: str
    position: Position
    commands: tuple[str, ...]
    subject: str
    opens_at: datetime | None = None


_ASK: Final = ("retry fetch",)


def after_sale(order: Order, policy: StorePolicy) -> Iterator[Told]:
    """Everything of that kind."""
    yield from _unknown(order, policy)
    yield from _elsewhere(order)
    if order.status in REFUNDABLE:
        yield from _too_much(order)
    if in_scope(order, policy):
        silent = awaited_at(order, policy) is None
        yield from (_unchecked(order) if silent and order.status in REFUNDABLE else ())
        yield from _returns(order, policy, silent=silent)


def shown_in_words(one: Shown) -> str:
    """`refund 4XQ of 5.00 EUR, by lost_dispute (damaged)`: nothing personal."""
    refund = one.refund
    amount = "an amount that could not be read" if refund.amount is None else format(refund.amount, "f")
    by = f", by {refund.by}" if refund.by else ""
    why = f" ({refund.reason})" if refund.reason else ""
    return f"refund {refund.refund_id} of {amount}{f' {refund.currency}' if refund.currency else ''}{by}{why}"


def _unknown(order: Order, policy: StorePolicy) -> Iterator[Told]:
    """A refund made is not to be told from one made elsewhere, so this one never resolves itself."""
    for line in order.refunds:
        slot = slot_of(order, line)
        if slot is not None and slot.phase is Phase.OPEN:
            by_age = None if is_unknown(slot) else slot.since + policy.unknown_after
            yield _settles(order, line, slot, by_age)


def _settles(order: Order, line: Refund, slot: Slot, by_age: datetime | None) -> Told:
    one = candidate(order, line)
    proof = "look it up at Glopal"
    if one is not None:
        proof = f"Glopal shows {shown_in_words(one)}, which was not there before: compare time and reason at Glopal"
    text = f"nobody can tell whether refund {slot.target} was made: {proof}"
    commands = (f"settle {line.refund} --made", f"settle {line.refund} --not-made")
    position = line.intended or order.position
    return Told("unknown_refund", Of.REFUND_UNKNOWN, text, position, commands, slot.target, by_age)


def _elsewhere(order: Order) -> Iterator[Told]:
    """But those that an unknown refund of ours may be: they are told with it, as its proof."""
    slots = {line.refund: slot_of(order, line) for line in order.refunds}
    unknown = [line for line in order.refunds if (slot := slots[line.refund]) is not None and is_unknown(slot)]
    proofs = [candidate(order, line) for line in unknown]
    for one in elsewhere(order):
        if not one.known and all(proof is not one for proof in proofs):
            text = f"Glopal shows {shown_in_words(one)}, which nobody asked for here"
            commands = (f"settle {one.refund.refund_id} --made",)
            yield Told(
                "refunded_elsewhere", Of.REFUNDED_ELSEWHERE, text, one.seen.position, commands, one.refund.refund_id
            )


def _too_much(order: Order) -> Iterator[Told]:
    for line in too_much(order):
        rest = left(order, line)
        text = f"refund {line.refund} is not made: "
        if rest is None:
            text += "what Glopal shows of refunds cannot be read"
        else:
            amount, currency = format(line.amount, "f"), line.currency
            text += f"it is {amount} {currency}, and only {format(max(rest + line.amount, 0), 'f')} are left by now"
        commands = (f"settle {line.refund} --not-made", *_ASK)
        yield Told("refund_exceeds", Of.REFUND_BLOCKED, text, _asked(order, line), commands, line.refund)


def _unchecked(order: Order) -> Iterator[Told]:
    for line in unchecked(order):
        text = f"refund {line.refund} is not made: Glopal did not say what was given back before"
        yield Told("refund_unchecked", Of.REFUND_BLOCKED, text, _asked(order, line), _ASK, line.refund)


def _asked(order: Order, line: Refund) -> Position:
    return line.asked.position if line.asked is not None else order.position


def _returns(order: Order, policy: StorePolicy, *, silent: bool) -> Iterator[Told]:
    for one in order.returns:
        name = f"return {one.return_id}" if one.return_id else "a return without an id"
        if one.awaits is not None and silent:
            text = f"Glopal's details never showed {name}"
            yield Told("return_unseen", Of.RETURN, text, one.awaits.position, _ASK, one.return_id)
        elif one.awaits is None and one.state not in CLOSED and poll_at(order, policy, one) is None:
            text = f"{name} is {one.state} since {one.since.at:%Y-%m-%d}, and is not asked about any more"
            yield Told("return_silent", Of.RETURN, text, one.since.position, _ASK, one.return_id)
