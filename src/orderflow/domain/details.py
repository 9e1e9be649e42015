"""What fetched details teach: the present status, and how a contradiction is settled.

It never lets a single answer overturn what was reported: Glopal's GET may lag behind its events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orderflow.domain import afterwards, slots
from orderflow.domain.events import DetailsFetched, Effect, HoldReason, Malformed
from orderflow.domain.folding import Folding
from orderflow.domain.machine import MOVING, REPORT, Status, judge
from orderflow.domain.order import Hold, Mark

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
_FETCH: Final = Effect.FETCH


def learn(order: Folding, event: DetailsFetched, here: Mark) -> None:
    """One answer to a GET."""
    _answered(order, here)
    _kept(order, event, here)
    _judged(order, event, here)
    slots.observed_at_glopal(order, event)


def unreadable(order: Folding, event: Malformed, here: Mark) -> None:
    """Held, until details that can be read or a person say otherwise."""
    order.hold_for(Hold(HoldReason.MALFORMED, here.position, event.problem))
    if event.asked_after is not None:
        _answered(order, here)


def _answered(order: Folding, here: Mark) -> None:
    """One more fetch is over: the next one has a new key, and giving up on earlier ones is past."""
    order.answered_at, order.asked = here.at, None
    if order.parked:
        order.parked = tuple(p for p in order.parked if p.effect is not _FETCH)
    order.count(_FETCH, order.generation(_FETCH))


def _kept(order: Folding, event: DetailsFetched, here: Mark) -> None:
    """Keep the newest details, ids once known, the holds that details satisfy or cause, and what they unpark."""
    if event.external is not None:
        order.external = event.external
    if event.created_at is not None and (order.born is None or event.created_at < order.born):
        order.born = event.created_at
    if order.details is not None and event.asked_after < order.details.asked_after:
        return
    if order.holds:
        malformed = order.hold(HoldReason.MALFORMED)
        if malformed is not None and malformed.position <= event.asked_after:
            order.lift(HoldReason.MALFORMED)
        order.lift(HoldReason.MONEY, HoldReason.UNMAPPED)
    if event.money is not None:
        order.hold_for(Hold(HoldReason.MONEY, here.position, event.money))
    if event.unmapped:
        order.hold_for(Hold(HoldReason.UNMAPPED, here.position, ", ".join(event.unmapped)))
    order.details = event
    afterwards.learn(order, event, here)
    if order.parked:
        # Only the draft's request is built from the details; ids are all that the other requests hold.
        order.parked = tuple(p for p in order.parked if p.effect is not Effect.DRAFT or p.basis == event.basis)


def _judged(order: Folding, event: DetailsFetched, here: Mark) -> None:
    report = None if event.status is None else REPORT.get(event.status)
    if event.status is None or report is None:
        return
    if judge(order.status, report) in MOVING:
        order.move_to(event.status, here, confirmed=True)
        return
    current = order.moved is None or event.asked_after >= order.moved.position
    if event.status is order.status:
        _agreed(order, event, current=current)
    elif order.status is Status.CANCELLED and current:
        _living(order, event, here)
    # else it is less than we hold: the GET lags, and whoever waits asks again


def _agreed(order: Folding, event: DetailsFetched, *, current: bool) -> None:
    if current:
        order.confirmed = True
    if order.dispute is not None and event.asked_after >= order.dispute.since.position:
        order.lift(HoldReason.CONTRADICTION)
        order.dispute = None


def _living(order: Folding, event: DetailsFetched, here: Mark) -> None:
    """Asked after we learnt of the cancellation, Glopal shows a living order."""
    assert event.status is not None
    dispute = order.dispute
    if dispute is None:
        order.contradict(here, f"details show {event.status} for a cancelled order", event)
        return
    if event.asked_after < dispute.since.position:
        return
    if dispute.answer is not event.status or dispute.settles_at is None:
        order.dispute = replace(dispute, answer=event.status, settles_at=event.settles_at)
        return
    if event.sent_at < dispute.settles_at:
        return
    detail = f"two fetches say {event.status}, the report said {order.status}"
    order.lift(HoldReason.CONTRADICTION)
    order.dispute = None
    order.move_to(event.status, here, confirmed=True)
    order.hold_for(Hold(HoldReason.OVERRULED, here.position, detail))
