"""Commands and the one rule book for them: `decide` turns an order and a command into decision events, or refuses.

It never writes anything and never asks twice: the same command again yields no events.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Final, assert_never

from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    Decision,
    Effect,
    HoldReason,
    Ids,
    NoteAdded,
    OrderReleased,
    Position,
    QuoteRequested,
    RefundRequested,
    RetryRequested,
    ShopState,
)
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import REFUNDABLE


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept the order at Glopal with the merchant's own `ids`."""

    ids: Ids
    by: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the order in the shop, then at Glopal, which refunds the buyer or releases the payment."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Give `amount` (in the order's currency) back for an order that was shipped. `refund` names this refund."""

    refund: str
    amount: Decimal
    currency: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class QuoteRefund:
    """Ask Glopal who would bear a refund of `amount`."""

    quote: str
    amount: Decimal
    currency: str
    by: str


@dataclass(frozen=True, slots=True)
class Release:
    """Lift the hold for `reason` that stands at `position`."""

    reason: HoldReason
    position: Position
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Try a parked effect again, or (`fetch`) ask Glopal now. `plan`: the redrive that it is part of, if any."""

    effect: Effect
    by: str
    why: str
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Put a person's note into the history."""

    by: str


Command = Accept | Cancel | Refund | QuoteRefund | Release | Retry | Note


class IllegalTransition(Exception):
    """A command that the order's state does not allow. Nothing was written.

    Carries `state` (where the order stands), `command` (its name), `why`, and `allowed` (commands that would pass).
    """

    def __init__(self, order: Order, command: Command, why: str) -> None:
        self.state = order.status
        self.command = type(command).__name__
        self.why = why
        self.allowed = allowed(order)
        options = ", ".join(self.allowed) or "nothing"
        super().__init__(f"{self.command} is not allowed for an order that is {self.state}: {why}. Allowed: {options}.")


def decide(order: Order, command: Command) -> tuple[Decision, ...]:
    """The events that record `command`; none if it was decided before. Raises only `IllegalTransition`."""
    match command:
        case Accept():
            return _accept(order, command)
        case Cancel():
            return _cancel(order, command)
        case Refund():
            return _refund(order, command)
        case QuoteRefund():
            _money(order, command, command.amount, command.currency)
            return (QuoteRequested(command.quote, command.amount, command.currency, command.by),)
        case Release():
            return _release(order, command)
        case Retry():
            return _retry(order, command)
        case Note():
            return (NoteAdded(command.by),)
        case _:
            assert_never(command)


def allowed(order: Order) -> tuple[str, ...]:
    """The names of the commands that are legal for `order` with fitting arguments."""
    names = []
    if order.status not in (Status.NEW, Status.CANCELLED):
        if order.cancel_reason is None:
            if not order.holds and order.accept_ids is None and order.external is None:
                names.append("Accept")
            names.append("Cancel")
        if order.status in REFUNDABLE and order.hold(HoldReason.CONTRADICTION) is None:
            names += ["Refund", "QuoteRefund"]
    if order.holds:
        names.append("Release")
    return (*names, "Retry", "Note")


def _accept(order: Order, command: Accept) -> tuple[Decision, ...]:
    if order.accept_ids == command.ids:
        return ()
    known = next(
        (ids for ids in (order.accept_ids, order.external) if ids not in (None, command.ids)),
        None,
    )
    if known is not None:
        raise IllegalTransition(order, command, f"other ids are known: {known}")
    own = order.shop.own
    if own is not None and own.state is not ShopState.GONE and own.shop_id != command.ids.order_id:
        raise IllegalTransition(order, command, f"our shop order is {own.shop_id}")
    if order.external == command.ids:
        return ()
    if order.status in (Status.NEW, Status.CANCELLED):
        raise IllegalTransition(order, command, "there is nothing to accept")
    if order.cancel_reason is not None:
        raise IllegalTransition(order, command, "it is being cancelled")
    if order.holds:
        raise IllegalTransition(
            order,
            command,
            f"it is held ({order.holds[0].reason} at {order.holds[0].position})",
        )
    if own is None and order.shop_slot is not None:
        raise IllegalTransition(order, command, "a shop order is on its way and will bring its own ids")
    return (AcceptRequested(command.ids, command.by),)


def _cancel(order: Order, command: Cancel) -> tuple[Decision, ...]:
    if order.cancel_reason == command.reason:
        return ()
    if order.status is Status.NEW:
        raise IllegalTransition(order, command, "Glopal has not told its status yet")
    if order.status is Status.CANCELLED:
        raise IllegalTransition(order, command, "it is cancelled already")
    if order.cancel_reason is not None:
        raise IllegalTransition(order, command, f"it is being cancelled already ({order.cancel_reason})")
    return (CancelRequested(command.reason, command.by),)


def _refund(order: Order, command: Refund) -> tuple[Decision, ...]:
    line = next((r for r in order.refunds if r.refund == command.refund), None)
    if line is not None and command.amount.is_finite():
        if (line.amount, line.currency) == (command.amount, command.currency):
            return ()
        raise IllegalTransition(order, command, f"refund {command.refund} was asked for with another amount")
    _money(order, command, command.amount, command.currency)
    return (RefundRequested(command.refund, command.amount, command.currency, command.reason, command.by),)


def _money(order: Order, command: Refund | QuoteRefund, amount: Decimal, currency: str) -> None:
    if order.status not in REFUNDABLE:
        raise IllegalTransition(
            order,
            command,
            "only accepted and completed orders are refunded; cancel others",
        )
    if order.hold(HoldReason.CONTRADICTION) is not None:
        raise IllegalTransition(order, command, "it is held by a contradiction")
    if not amount.is_finite() or amount <= 0:
        raise IllegalTransition(order, command, "the amount must be above zero")
    known = order.details
    if known is None or known.currency is None:
        raise IllegalTransition(order, command, "the order's currency is not known yet")
    if known.currency != currency:
        raise IllegalTransition(order, command, f"the order was paid in {known.currency}")
    left = _left(order, known.total) if known.total is not None else amount
    if left is None or amount > left:
        text = "what is left to refund cannot be told" if left is None else f"only {left} {currency} are left to refund"
        raise IllegalTransition(order, command, text)


def _left(order: Order, total: Decimal) -> Decimal | None:
    """What of `total` no refund speaks for, to the last digit; None where that cannot be said exactly."""
    try:
        for line in order.refunds:
            if line.outcome != "refused":
                total = _EXACT.subtract(total, line.amount)
    except DecimalException:
        return None
    return total if total.is_finite() else None


_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


def _release(order: Order, command: Release) -> tuple[Decision, ...]:
    released = (OrderReleased(command.reason, command.position, command.by, command.why),)
    if command.reason is HoldReason.ENVIRONMENT:
        details = order.details
        if details is None or details.environment in (None, order.released_environment):
            return ()
        if details.asked_after != command.position:
            why = f"the {details.environment} environment was shown by details asked after position"
            raise IllegalTransition(order, command, f"{why} {details.asked_after}")
        return released
    hold = order.hold(command.reason)
    if hold is None:
        return ()
    if hold.position != command.position:
        raise IllegalTransition(
            order,
            command,
            f"the hold for {hold.reason} stands at position {hold.position}",
        )
    return released


def _retry(order: Order, command: Retry) -> tuple[Decision, ...]:
    pending = order.asked is not None
    if command.effect is Effect.FETCH and order.parking(Effect.FETCH) is None and pending:
        return ()
    same = order.retried is command.effect and order.redriven is not None
    retried_last = same and order.redriven == order.last  # and nothing was learnt since
    if command.effect is not Effect.FETCH and order.parking(command.effect) is None and retried_last:
        return ()
    return (RetryRequested(command.effect, command.by, command.why, command.plan),)
