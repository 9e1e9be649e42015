"""Commands and the one rule book for them: `decide` turns an order and a command into decision events, or refuses.

It never writes anything and never asks twice: the same command again yields no events.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    Decision,
    Effect,
    ExceptionAssigned,
    ExceptionDismissed,
    HoldReason,
    Ids,
    NoteAdded,
    OrderReleased,
    Position,
    QuoteRequested,
    RefundRequested,
    RefundSettled,
    RetryRequested,
    ShopState,
)
from orderflow.domain.machine import Status
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import REFUNDABLE
from orderflow.domain.refunds import elsewhere, is_unknown, left, line_of, slot_of


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
    """Give `amount` (in the order's currency) back for an order that was shipped. `refund` names this refund.

    `glopal_amount` is the share that Glopal shall bear, `claim` the code of a claim raised with it.
    """

    refund: str
    amount: Decimal
    currency: str
    reason: str
    by: str
    glopal_amount: Decimal | None = None
    claim: str = ""


@dataclass(frozen=True, slots=True)
class QuoteRefund:
    """Ask Glopal who would bear a refund of `amount`."""

    quote: str
    amount: Decimal
    currency: str
    by: str
    glopal_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """Say what became of a refund: of ours by its name, or `made` of one that was made elsewhere, by Glopal's id."""

    refund: str
    made: bool
    by: str
    why: str


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
class Assign:
    """Give the exception `kind` about `subject`, opened at `opened`, to `owner`: a person, or a role."""

    kind: str
    subject: str
    opened: Position
    owner: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Close that exception by hand; it comes back if it happens again."""

    kind: str
    subject: str
    opened: Position
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """Put a person's note into the history."""

    by: str


Command = Accept | Cancel | Refund | QuoteRefund | Settle | Release | Retry | Assign | Dismiss | Note


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
            return _quote(order, command)
        case Settle():
            return _settle(order, command)
        case Release():
            return _release(order, command)
        case Retry():
            return _retry(order, command)
        case Assign():
            return _assign(order, command)
        case Dismiss():
            return _dismiss(order, command)
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
    if order.refunds or order.shown:
        names.append("Settle")
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
    if own is not None and own.state is not ShopState.GONE and own.ids.order_id != command.ids.order_id:
        raise IllegalTransition(order, command, f"our shop order is {own.ids.order_id}")
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
    line = line_of(order, command.refund)
    if line is not None and command.amount.is_finite():
        if _same_money(line.amount, command.amount) and line.currency == command.currency:
            return ()
        raise IllegalTransition(order, command, f"refund {command.refund} was asked for with another amount")
    if any(one.refund.refund_id == command.refund for one in order.shown):
        raise IllegalTransition(order, command, f"{command.refund} is Glopal's id of another refund")
    _money(order, command)
    asked = RefundRequested(
        command.refund,
        command.amount,
        command.currency,
        command.reason,
        command.by,
        command.glopal_amount,
        command.claim,
    )
    return (asked,)


def _quote(order: Order, command: QuoteRefund) -> tuple[Decision, ...]:
    known = next((one for one in order.quotes if one.quote == command.quote), None)
    if known is not None and command.amount.is_finite():
        if (
            _same_money(known.amount, command.amount)
            and known.currency == command.currency
            and known.glopal_amount == command.glopal_amount
        ):
            return ()
        raise IllegalTransition(order, command, f"quote {command.quote} was asked for with another amount")
    _money(order, command)
    return (QuoteRequested(command.quote, command.amount, command.currency, command.by, command.glopal_amount),)


def _same_money(one: Decimal, other: Decimal) -> bool:
    return one.is_finite() and other.is_finite() and one == other


def _money(order: Order, command: Refund | QuoteRefund) -> None:
    amount, currency, share = command.amount, command.currency, command.glopal_amount
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
    if share is not None and not (share.is_finite() and 0 <= share <= amount):
        raise IllegalTransition(order, command, "Glopal's share must be between zero and the amount")
    known = order.details
    if known is None or known.currency is None:
        raise IllegalTransition(order, command, "the order's currency is not known yet")
    if known.currency != currency:
        raise IllegalTransition(order, command, f"the order was paid in {known.currency}")
    rest = left(order) if known.total is not None else amount
    if rest is None or amount > rest:
        text = "what is left to refund cannot be told" if rest is None else f"only {rest} {currency} are left to refund"
        raise IllegalTransition(order, command, text)


def _settle(order: Order, command: Settle) -> tuple[Decision, ...]:
    settled = (RefundSettled(command.refund, command.made, command.by, command.why),)
    line = line_of(order, command.refund)
    if line is None:
        return _taken_note(order, command, settled)
    outcome = "delivered" if command.made else "not made"
    if line.outcome == outcome:
        return ()
    slot = slot_of(order, line)
    if slot is not None and slot.phase is Phase.OPEN and not is_unknown(slot):
        why = f"its reply may still come; a look-up after {slot.counts_from:%Y-%m-%d %H:%M:%S} UTC makes it unknown"
        raise IllegalTransition(order, command, why)
    if line.outcome == "refused" or (line.outcome == "delivered" and not line.settled):
        raise IllegalTransition(order, command, f"Glopal's own reply says that it was {line.outcome}")
    return settled


def _taken_note(order: Order, command: Settle, settled: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """A refund that somebody made elsewhere."""
    shown = next((one for one in elsewhere(order) if one.refund.refund_id == command.refund), None)
    if shown is None:
        raise IllegalTransition(order, command, f"there is no refund {command.refund}")
    if not command.made:
        raise IllegalTransition(order, command, "Glopal shows it: it was made")
    return () if shown.known else settled


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


def _assign(order: Order, command: Assign) -> tuple[Decision, ...]:
    ruling = order.ruling(command.kind, command.subject)
    if ruling is not None and ruling.dismissed:
        raise IllegalTransition(order, command, f"{command.kind} was dismissed")
    if ruling is not None and ruling.owner == command.owner:
        return ()
    told = (command.kind, command.subject, command.opened, command.owner, command.by, command.why)
    return (ExceptionAssigned(*told),)


def _dismiss(order: Order, command: Dismiss) -> tuple[Decision, ...]:
    ruling = order.ruling(command.kind, command.subject)
    if ruling is not None and ruling.dismissed:
        return ()
    return (ExceptionDismissed(command.kind, command.subject, command.opened, command.by, command.why),)
