"""What an order waits for, on whom, until when, and what follows: the answer to "why does nothing happen?".

It reads no clock and never decides; it only says in words and times what `due`, `asking` and the fold say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from orderflow.domain.asking import awaited_at, fetch_at, poll_at, reap_at
from orderflow.domain.attention import asks, attention
from orderflow.domain.conclusions import ABSENTS_NEEDED, still_wanted
from orderflow.domain.due import effects_due
from orderflow.domain.events import Destination, Effect, HoldReason
from orderflow.domain.machine import Status
from orderflow.domain.order import Hold, Order, Phase, Slot
from orderflow.domain.policy import REFUNDABLE, Mode, StorePolicy, held, in_scope, wants_cancel
from orderflow.domain.refunds import is_unknown, unchecked
from orderflow.domain.returns import CLOSED


class On(StrEnum):
    """Whose turn it is."""

    GLOPAL = "glopal"
    SHOP = "shop"
    WORKER = "worker"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that an order waits for: `what` completes "waits for ...".

    At `next_at` orderflow itself does `step` about it; at `until` it leaves it to a person. `then` is what follows once
    it has come.
    """

    on: On
    what: str
    then: str
    step: str = ""
    next_at: datetime | None = None
    until: datetime | None = None


def waits(order: Order, policy: StorePolicy) -> tuple[Wait, ...]:
    """Everything that `order` waits for, what stops it first. Empty: nothing more is to come."""
    if order.last is None:
        return ()
    if not in_scope(order, policy):
        return tuple(Wait(On.GLOPAL, _ASKED_FOR, "", _ASK, due.not_before) for due in effects_due(order, policy))
    return (
        *(_hold(order, policy, hold) for hold in held(order, policy)),
        *_parked(order),
        *(_slot(order, policy, slot) for place in Destination if (slot := order.slot(place)) is not None),
        *_writes(order, policy),
        *_answers(order, policy),
        *_exceptions(order, policy),
        *_news(order, policy),
        *_refund_checks(order, policy),
        *_returns(order, policy),
        *_strays(order, policy),
    )


_ASK: Final = "Glopal is asked"
_ASKED_FOR: Final = "Glopal's answer to the fetch that was asked for"
_LIFTED_BY: Final = {
    HoldReason.EVIDENCE: "a person to judge which of two contents is true, and to release the hold",
    HoldReason.ENVIRONMENT: "a release, or another `environment` in the store's settings",
    HoldReason.MONEY: "details that add up, a mended mapping, or a release",
    HoldReason.UNMAPPED: "details that have it, a mended mapping, or a release",
    HoldReason.MALFORMED: "details that can be read, or a release",
    HoldReason.OVERRULED: "a person to confirm what Glopal says now, and to release the hold",
    HoldReason.CONTRADICTION: "a person to settle what Glopal did not, and to release the hold",
}


def _hold(order: Order, policy: StorePolicy, hold: Hold) -> Wait:
    then = "what is due goes on"
    if hold.reason is HoldReason.CONTRADICTION and order.dispute is not None and asks(order, policy):
        first = order.dispute.answer
        what = "Glopal's answer" if first is None else f"a second answer of Glopal; the first said {first}"
        follows = f"{order.status} lifts the hold; two others that agree are followed"
        until = _limit(order, policy, order.dispute.since.at)
        return Wait(On.GLOPAL, what, follows, _ASK, fetch_at(order, policy), until)
    if hold.reason is HoldReason.MALFORMED and asks(order, policy):
        return Wait(On.GLOPAL, "details that can be read", then, _ASK, fetch_at(order, policy), _limit(order, policy))
    return Wait(On.PERSON, _LIFTED_BY[hold.reason], then)


def _parked(order: Order) -> Iterator[Wait]:
    for parked in order.parked:
        verb = "was refused" if parked.refused else "was given up"
        mended = ", or other details" if parked.effect is Effect.DRAFT else ""
        yield Wait(On.PERSON, f"a retry of {parked.effect}, which {verb}{mended}", f"{parked.effect} is tried again")


def _slot(order: Order, policy: StorePolicy, slot: Slot) -> Wait:
    """The write under way."""
    named = f"{slot.effect}, attempt {slot.attempt}"
    there = On(slot.effect.destination.value)
    if slot.phase is Phase.AGAIN:
        if not still_wanted(order, policy, slot):
            return Wait(On.WORKER, f"the end of {named}", "nobody wants it any more", "it is closed", slot.again_at)
        more = max(0, policy.max_attempts - slot.tries)
        then = f"{more} more may fail before it is parked for you"
        step = f"attempt {slot.attempt + 1} is sent"
        return Wait(On.WORKER, f"the next try of {slot.effect}", then, step, slot.again_at)
    if not slot.unknown and not (slot.effect is Effect.REFUND and is_unknown(slot)):
        then = "without one, a look-up tells what became of it"
        return Wait(there, f"the reply to {named}", then, "it must have left", slot.send_by)
    if slot.effect is Effect.REFUND:
        return Wait(On.PERSON, f"a person to look at Glopal whether refund {slot.target} was made", "nothing is resent")
    need = ABSENTS_NEEDED - slot.absents
    missing = "once more" if need == 1 else f"{need} times"
    then = f"found: it is done; missing {missing}: it is sent again"
    what = f"a look-up that shows what became of {named}"
    return Wait(there, what, then, "a look-up may count it as missing", slot.counts_from)


def _writes(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """What is due and was not begun."""
    for due in effects_due(order, policy):
        if due.effect.reads and not due.effect.asks:
            continue
        if not due.effect.reads and order.slot(due.destination) is not None:
            continue
        if policy.shadow:
            what = f"the store to come out of shadow: {due.effect} is planned and shown, not sent"
            yield Wait(On.PERSON, what, f"a retry of {due.effect} sends it")
        else:
            step = f"the {due.destination} is called"
            yield Wait(On.WORKER, f"a worker to do {due.effect}", "", step, due.not_before)


def _answers(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """What Glopal is asked for, again and again, within the age limit."""
    if order.dispute is not None or not asks(order, policy):
        return
    next_at = fetch_at(order, policy)
    if not order.confirmed:
        moved = order.moved or order.first
        until = _limit(order, policy, moved.at if moved else None)
        yield Wait(On.GLOPAL, f"details that confirm {order.status}", "effects fall due", _ASK, next_at, until)
    elif order.accepted is not None and order.status is Status.READY:
        until = _limit(order, policy, order.accepted.at)
        yield Wait(On.GLOPAL, "Glopal to show ACCEPTED, for it took our accept", "it is accepted", _ASK, next_at, until)
    elif order.cancelled is not None and order.status is not Status.CANCELLED:
        until = _limit(order, policy, order.cancelled.at)
        what = "Glopal to show CANCELLED, for it took our cancellation"
        yield Wait(On.GLOPAL, what, "it is over", _ASK, next_at, until)
    elif order.asked is not None:
        yield Wait(On.GLOPAL, _ASKED_FOR, "it is judged anew", _ASK, next_at)


def _exceptions(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """What else waits for a person; holds and parked effects have been told."""
    for one in attention(order, policy):
        if not one.kind.startswith(("held_", "parked_", "unknown_refund")):
            yield Wait(On.PERSON, f"a person: {one.text}", "")


_NEXT: Final = {
    Status.NEW: "its status",
    Status.RECEIVED: "ready",
    Status.READY: "accepted",
    Status.ACCEPTED: "completed",
}
"""What Glopal reports next, if all goes well."""


def _news(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """The next report, where nothing else stands between."""
    if order.status not in _NEXT or not order.confirmed or wants_cancel(order, policy):
        return
    watched = policy.mode is Mode.OBSERVE or order.external is not None
    if order.status is Status.READY and not watched:
        return  # it is our turn
    then = "Glopal goes on with it"
    if order.status is Status.ACCEPTED:
        then = "it is over"
    elif order.status is Status.RECEIVED and not watched and order.accepted is None:
        steps = "drafted, promoted" if policy.mode is Mode.CREATE_ON_READY else "promoted"
        then = f"it is {steps} and accepted"
    step = "it is asked if it has stayed silent"
    yield Wait(On.GLOPAL, f"Glopal to report {_NEXT[order.status]}", then, step, fetch_at(order, policy))


def _refund_checks(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """Money moves only after one more look."""
    if order.status not in REFUNDABLE:
        return
    for line in unchecked(order):
        next_at = awaited_at(order, policy)
        if next_at is not None:
            what = f"Glopal to show what was given back so far, before refund {line.refund} is made"
            yield Wait(On.GLOPAL, what, "it is made, if so much is left", _ASK, next_at)


def _returns(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    """Goods on their way back: Glopal processes them, and takes no call about them."""
    for one in order.returns:
        name = f"return {one.return_id}".rstrip()
        if one.awaits is not None and (next_at := awaited_at(order, policy)) is not None:
            yield Wait(On.GLOPAL, f"details that show {name}", "it is followed", _ASK, next_at)
        elif one.state not in CLOSED and (poll := poll_at(order, policy, one)) is not None:
            yield Wait(On.GLOPAL, f"{name}, which is {one.state}, to go on", "it is followed", _ASK, poll)


def _strays(order: Order, policy: StorePolicy) -> Iterator[Wait]:
    at = reap_at(order, policy)
    if at is not None:
        yield Wait(On.SHOP, "a last look for stray drafts", "a stray is withdrawn", "the shop is looked through", at)


def _limit(order: Order, policy: StorePolicy, since: datetime | None = None) -> datetime | None:
    """When whatever is awaited `since` is left to a person: at the age limit of the status."""
    start = since or (order.moved.at if order.moved else None)
    return None if start is None else start + policy.age_limits.get(order.status, timedelta(days=1))
