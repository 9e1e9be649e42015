"""How history makes an order: `fold` takes a whole history, `evolve` one recorded event; `take` is the rule of both.

It never raises, never refuses and never acts; unknown events change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from orderflow.domain import afterwards, details, slots
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
    Event,
    EvidenceFound,
    ExceptionAssigned,
    ExceptionDismissed,
    HoldReason,
    LookedUp,
    Malformed,
    OrderReleased,
    Position,
    QuoteRequested,
    Reconciled,
    Recorded,
    RefundQuoted,
    RefundRequested,
    RefundSettled,
    Reported,
    RetryRequested,
    ReturnReported,
    Version,
)
from orderflow.domain.folding import Folding
from orderflow.domain.machine import MOVING, TARGET, Verdict, judge
from orderflow.domain.order import Hold, Mark, Order, Ruling


def fold(history: Iterable[Recorded], order: Order | None = None) -> Order:
    """The order after `history`, starting from `order` (a snapshot) or from nothing."""
    folding = Folding() if order is None else Folding(order)
    for recorded in history:
        take(folding, recorded.event, recorded.position, recorded.version, recorded.recorded_at)
    return folding.done()


def evolve(order: Order, recorded: Recorded) -> Order:
    """The order after one more event: a fold of one. Total: whatever comes, an order comes out."""
    folding = Folding(order)
    take(folding, recorded.event, recorded.position, recorded.version, recorded.recorded_at)
    return folding.done()


def take(order: Folding, event: Event, position: Position, version: Version, recorded_at: datetime) -> None:
    """Fold one more event, recorded in that place, into `order`. Never raises.

    The status moves only on reports and details, along the table, or when a contradiction is settled against us.
    """
    here = Mark(position, recorded_at)
    order.position, order.version, order.last = position, version, here
    if order.first is None:
        order.first = here
    rule = _RULES.get(type(event))
    if rule is not None:
        rule(order, event, here)


def _reported(order: Folding, event: Reported, here: Mark) -> None:
    if event.occurred_at is not None and (order.born is None or event.occurred_at < order.born):
        order.born = event.occurred_at
    verdict = judge(order.status, event.report)
    if verdict in MOVING:
        order.move_to(TARGET[event.report], here, confirmed=False)
    elif verdict is Verdict.CONFLICT:
        order.contradict(here, f"{event.report} was reported for an order that is {order.status}")


def _evidence(order: Folding, event: EvidenceFound, here: Mark) -> None:
    order.hold_for(Hold(HoldReason.EVIDENCE, here.position, event.source_id))


def _accept(order: Folding, event: AcceptRequested, _here: Mark) -> None:
    order.accept_ids = order.accept_ids or event.ids


def _cancel(order: Folding, event: CancelRequested, _here: Mark) -> None:
    if order.cancel_reason is None:
        order.cancel_reason = event.reason


def _retried(order: Folding, event: RetryRequested, here: Mark) -> None:
    order.parked = tuple(p for p in order.parked if p.effect is not event.effect)
    if event.effect is Effect.FETCH:
        order.asked = here
        return
    order.redriven, order.retried = here, event.effect
    slots.hurried(order, event.effect, here)
    if event.effect is Effect.REFUND:
        afterwards.refunds_again(order, here)
    elif event.effect is Effect.QUOTE:
        afterwards.quotes_again(order)


def _reconciled(order: Folding, event: Reconciled, here: Mark) -> None:
    order.drifts, order.reconciled = event.drifts, here


def _released(order: Folding, event: OrderReleased, _here: Mark) -> None:
    hold = order.hold(event.reason)
    if hold is not None and hold.position <= event.position:
        order.lift(event.reason)
        if event.reason is HoldReason.CONTRADICTION:
            order.dispute = None
    if event.reason is HoldReason.ENVIRONMENT and order.details is not None:
        order.released_environment = order.details.environment


def _assigned(order: Folding, event: ExceptionAssigned, _here: Mark) -> None:
    before = order.ruling(event.kind, event.subject)
    order.rule(Ruling(event.kind, event.subject, event.owner, dismissed=before is not None and before.dismissed))


def _dismissed(order: Folding, event: ExceptionDismissed, _here: Mark) -> None:
    order.rule(Ruling(event.kind, event.subject, dismissed=True))


_RULES: Final[dict[type, Callable[[Folding, Any, Mark], None]]] = {
    Reported: _reported,
    ReturnReported: afterwards.return_reported,
    DetailsFetched: details.learn,
    Malformed: details.unreadable,
    EvidenceFound: _evidence,
    EffectIntended: slots.intended,
    EffectDelivered: slots.delivered,
    EffectRefused: slots.given_up,
    EffectExhausted: slots.given_up,
    EffectClosed: slots.closed,
    EffectNotExecuted: slots.noted,
    EffectUnknown: slots.noted,
    LookedUp: slots.looked_up,
    Reconciled: _reconciled,
    AcceptRequested: _accept,
    CancelRequested: _cancel,
    RefundRequested: afterwards.refund_asked_for,
    RefundSettled: afterwards.settled,
    QuoteRequested: afterwards.quote_asked_for,
    RefundQuoted: afterwards.quoted,
    OrderReleased: _released,
    RetryRequested: _retried,
    ExceptionAssigned: _assigned,
    ExceptionDismissed: _dismissed,
}
"""What each kind of event changes; any other changes nothing."""
