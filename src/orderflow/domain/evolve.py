"""How history makes an order: `evolve` takes one recorded event, `fold` a whole history.

It never raises, never refuses and never acts; unknown events change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orderflow.domain import details, slots
from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    DetailsFetched,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    EvidenceFound,
    HoldReason,
    LookedUp,
    Malformed,
    OrderReleased,
    Recorded,
    RefundRequested,
    Reported,
    RetryRequested,
)
from orderflow.domain.machine import TARGET, Verdict, judge
from orderflow.domain.order import Hold, Mark, Order, Refund


def fold(history: Iterable[Recorded], order: Order | None = None) -> Order:
    """The order after `history`, starting from `order` (a snapshot) or from nothing."""
    order = order or Order()
    for recorded in history:
        order = evolve(order, recorded)
    return order


def evolve(order: Order, recorded: Recorded) -> Order:
    """The order after one more event. Total: whatever comes, an order comes out.

    The status moves only on reports and details, along the table, or when a contradiction is settled against us.
    """
    event = recorded.event
    here = Mark(recorded.position, recorded.recorded_at)
    order = replace(
        order,
        position=here.position,
        version=recorded.version,
        last=here,
        first=order.first or here,
    )
    match event:
        case Reported():
            return _reported(order, event, here)
        case DetailsFetched():
            return details.learn(order, event, here)
        case Malformed():
            return details.unreadable(order, event, here)
        case EvidenceFound():
            return order.held(Hold(HoldReason.EVIDENCE, here.position, event.source_id))
        case EffectIntended():
            return slots.intended(order, event, here)
        case EffectDelivered() | EffectRefused() | EffectClosed() | EffectExhausted():
            return slots.ended(order, event, here)
        case EffectNotExecuted() | EffectUnknown():
            return slots.noted(order, event, here)
        case LookedUp():
            return slots.looked_up(order, event)
        case _:
            return _decided(order, event, here)


def _reported(order: Order, event: Reported, here: Mark) -> Order:
    if event.occurred_at is not None and (order.born is None or event.occurred_at < order.born):
        order = replace(order, born=event.occurred_at)
    verdict = judge(order.status, event.report)
    if verdict in (Verdict.ADVANCE, Verdict.LEAP):
        return order.moved_to(TARGET[event.report], here, confirmed=False)
    if verdict is Verdict.CONFLICT:
        return order.contradicted(here, f"{event.report} was reported for an order that is {order.status}")
    return order


def _decided(order: Order, event: object, here: Mark) -> Order:
    match event:
        case AcceptRequested():
            return replace(order, accept_ids=order.accept_ids or event.ids)
        case CancelRequested():
            return replace(
                order,
                cancel_reason=event.reason if order.cancel_reason is None else order.cancel_reason,
            )
        case RefundRequested() if all(r.refund != event.refund for r in order.refunds):
            line = Refund(event.refund, event.amount, event.currency, event.reason)
            return replace(order, refunds=(*order.refunds, line))
        case OrderReleased():
            return _released(order, event)
        case RetryRequested():
            parked = tuple(p for p in order.parked if p.effect is not event.effect)
            if event.effect is Effect.FETCH:
                return replace(order, parked=parked, asked=here)
            order = replace(order, parked=parked, redriven=here)
            return _refunded_again(order) if event.effect is Effect.REFUND else order
        case _:
            return order


def _refunded_again(order: Order) -> Order:
    """Refunds that were given up are due again. A refused one is not: its share of the total has been freed."""
    lines = (replace(r, outcome="requested") if r.outcome == "exhausted" else r for r in order.refunds)
    return replace(order, refunds=tuple(lines))


def _released(order: Order, event: OrderReleased) -> Order:
    hold = order.hold(event.reason)
    if hold is not None and hold.position <= event.position:
        order = order.lifted(event.reason)
        if event.reason is HoldReason.CONTRADICTION:
            order = replace(order, dispute=None)
    if event.reason is HoldReason.ENVIRONMENT and order.details is not None:
        order = replace(order, released_environment=order.details.environment)
    return order
