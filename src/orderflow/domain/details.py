"""What fetched details teach: the present status, and how a contradiction is settled.

It never lets a single answer overturn what was reported: Glopal's GET may lag behind its events.
"""

from __future__ import annotations

from dataclasses import replace

from orderflow.domain import slots
from orderflow.domain.events import DetailsFetched, Effect, HoldReason, Malformed
from orderflow.domain.machine import REPORT, Status, Verdict, judge
from orderflow.domain.order import Hold, Mark, Order


def learn(order: Order, event: DetailsFetched, here: Mark) -> Order:
    """The order after one answer to a GET."""
    order = _answered(order, here)
    order = _kept(order, event, here)
    order = _judged(order, event, here)
    return slots.observed_at_glopal(order, event)


def unreadable(order: Order, event: Malformed, here: Mark) -> Order:
    """Held, until details that can be read or a person say otherwise."""
    order = order.held(Hold(HoldReason.MALFORMED, here.position, event.problem))
    return order if event.asked_after is None else _answered(order, here)


def _answered(order: Order, here: Mark) -> Order:
    """One more fetch is over: the next one has a new key, and giving up on earlier ones is past."""
    parked = tuple(p for p in order.parked if p.effect is not Effect.FETCH)
    order = replace(order, answered_at=here.at, asked=None, parked=parked)
    return order.counted(Effect.FETCH, order.generation(Effect.FETCH))


def _kept(order: Order, event: DetailsFetched, here: Mark) -> Order:
    """Keep the newest details, ids once known, the holds that details satisfy or cause, and what they unpark."""
    if event.external is not None:
        order = replace(order, external=event.external)
    if event.created_at is not None and (order.born is None or event.created_at < order.born):
        order = replace(order, born=event.created_at)
    if order.details is not None and event.asked_after < order.details.asked_after:
        return order
    malformed = order.hold(HoldReason.MALFORMED)
    if malformed is not None and malformed.position <= event.asked_after:
        order = order.lifted(HoldReason.MALFORMED)
    order = order.lifted(HoldReason.MONEY, HoldReason.UNMAPPED)
    if event.money is not None:
        order = order.held(Hold(HoldReason.MONEY, here.position, event.money))
    if event.unmapped:
        order = order.held(Hold(HoldReason.UNMAPPED, here.position, ", ".join(event.unmapped)))
    # Only the draft's request is built from the details; ids are all that the other requests hold.
    parked = tuple(p for p in order.parked if p.effect is not Effect.DRAFT or p.basis == event.basis)
    return replace(order, details=event, parked=parked)


def _judged(order: Order, event: DetailsFetched, here: Mark) -> Order:
    if event.status is None or event.status is Status.NEW:
        return order
    verdict = judge(order.status, REPORT[event.status])
    if verdict in (Verdict.ADVANCE, Verdict.LEAP):
        return order.moved_to(event.status, here, confirmed=True)
    current = order.moved is None or event.asked_after >= order.moved.position
    if event.status is order.status:
        return _agreed(order, event, current=current)
    if order.status is Status.CANCELLED and current:
        return _living(order, event, here)
    return order  # less than we hold: the GET lags, and whoever waits asks again


def _agreed(order: Order, event: DetailsFetched, *, current: bool) -> Order:
    if current:
        order = replace(order, confirmed=True)
    if order.dispute is not None and event.asked_after >= order.dispute.since.position:
        order = replace(order.lifted(HoldReason.CONTRADICTION), dispute=None)
    return order


def _living(order: Order, event: DetailsFetched, here: Mark) -> Order:
    """Asked after we learnt of the cancellation, Glopal shows a living order."""
    assert event.status is not None
    dispute = order.dispute
    if dispute is None:
        return order.contradicted(here, f"details show {event.status} for a cancelled order", event)
    if event.asked_after < dispute.since.position:
        return order
    if dispute.answer is not event.status or dispute.settles_at is None:
        return replace(
            order,
            dispute=replace(dispute, answer=event.status, settles_at=event.settles_at),
        )
    if event.sent_at < dispute.settles_at:
        return order
    detail = f"two fetches say {event.status}, the report said {order.status}"
    order = replace(order.lifted(HoldReason.CONTRADICTION), dispute=None)
    order = order.moved_to(event.status, here, confirmed=True)
    return order.held(Hold(HoldReason.OVERRULED, here.position, detail))
