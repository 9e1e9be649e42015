"""What is due for an order: `effects_due` looks at what the order *is*, never at which event came last.

It reads no clock: every due effect says from when (`not_before`, computed from recorded times); whoever has a clock
waits. *At rest* means that nothing is due now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from orderflow.domain.asking import fetch_at, reap_at
from orderflow.domain.events import Destination, Effect, Ids, ShopState, Sighting
from orderflow.domain.machine import Status
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import (
    REFUNDABLE,
    Mode,
    StorePolicy,
    held,
    in_scope,
    is_foreign,
    is_stopped,
    wants_cancel,
)
from orderflow.domain.refunds import next_refund


@dataclass(frozen=True, slots=True)
class Due:
    """An effect that is due from `not_before` on. `(effect, generation)` is its key, `target` what it acts upon."""

    effect: Effect
    generation: int
    not_before: datetime
    target: str = ""
    ids: Ids | None = None

    @property
    def destination(self) -> Destination:
        """Who the effect speaks to."""
        return self.effect.destination


def effects_due(order: Order, policy: StorePolicy) -> tuple[Due, ...]:
    """Everything due for `order`: at most one read of each kind, and one write per destination."""
    if order.last is None:
        return ()
    reads = [(Effect.FETCH, fetch_due_at(order, policy))]
    if in_scope(order, policy):
        reads.append((Effect.REAP, reap_at(order, policy)))
    due = [Due(effect, order.generation(effect), time) for effect, time in reads if time is not None]
    others = (_quote(order, policy), *(_write(order, policy, place) for place in Destination))
    return (*due, *(one for one in others if one is not None))


def fetch_due_at(order: Order, policy: StorePolicy) -> datetime | None:
    """When the fetch falls due. Of an order that gets no effects, only one that a person asks for does."""
    if order.last is None:
        return None
    if in_scope(order, policy):
        return fetch_at(order, policy)
    return None if order.asked is None or order.parking(Effect.FETCH) is not None else order.asked.at


def _quote(order: Order, policy: StorePolicy) -> Due | None:
    """The next question who would bear a refund. It moves no money, and yet waits for whatever holds the order."""
    if order.status not in REFUNDABLE or not in_scope(order, policy) or held(order, policy):
        return None
    asked = next((one for one in order.quotes if one.outcome == "requested"), None)
    return None if asked is None else _due(order, Effect.QUOTE, asked.quote)


def _write(order: Order, policy: StorePolicy, place: Destination) -> Due | None:
    """The write that is due at `place`: none while an attempt is open, only itself while it is to be retried."""
    slot = order.slot(place)
    if slot is not None and slot.phase is Phase.OPEN:
        return None
    want = wanted(order, policy, place)
    if want is None or slot is None:
        return want
    if (want.effect, want.target) != (slot.effect, slot.target):
        return None
    return Due(
        want.effect,
        slot.generation,
        slot.again_at or want.not_before,
        want.target,
        want.ids,
    )


def wanted(order: Order, policy: StorePolicy, place: Destination) -> Due | None:
    """What we would do at `place` if nothing were under way there."""
    if not in_scope(order, policy):
        return None
    return _wanted_at_shop(order, policy) if place is Destination.SHOP else _wanted_at_glopal(order, policy)


def _wanted_at_shop(order: Order, policy: StorePolicy) -> Due | None:
    away = order.status is Status.CANCELLED or wants_cancel(order, policy)
    foreign = is_foreign(order, policy)
    if not is_stopped(order):
        for sighting in _unwanted(order, policy, away=away, foreign=foreign):
            if order.parking(Effect.WITHDRAW, sighting.shop_id) is None:
                return _due(order, Effect.WITHDRAW, sighting.shop_id)
    if away or foreign or not order.confirmed or policy.mode is Mode.OBSERVE or held(order, policy):
        return None
    if order.parking(Effect.DRAFT) is not None or order.parking(Effect.PROMOTE) is not None:
        return None
    own = order.shop.own
    if own is None or (own.state is ShopState.GONE and not own.promoted):
        return _due(order, Effect.DRAFT) if _may_draft(order, policy) else None
    if own.state is ShopState.DRAFT and _may_promote(order, policy) and not order.outdated:
        return _due(order, Effect.PROMOTE, own.shop_id)
    return None


def _unwanted(order: Order, policy: StorePolicy, *, away: bool, foreign: bool) -> Iterator[Sighting]:
    """Shop orders that should not be there. A cancellation that only an event told must be confirmed first."""
    own = order.shop.own
    if away and (order.confirmed or wants_cancel(order, policy)):
        yield from order.shop.living
        if policy.mode is Mode.OBSERVE and order.external is not None and order.external.order_id:
            inserted = order.shop.get(order.external.order_id)
            if inserted is None:  # Glopal put it there, so no look-up of ours has seen it
                yield Sighting(
                    order.external.order_id,
                    order.external.number,
                    ShopState.ORDER,
                    promoted=True,
                )
        return
    drafts = [s for s in order.shop.living if s.state is not ShopState.ORDER]
    yield from (s for s in drafts if own is None or s.shop_id != own.shop_id)
    if own is not None and own.state is ShopState.DRAFT and (foreign or _must_redraft(order, policy)):
        yield own


def _must_redraft(order: Order, policy: StorePolicy) -> bool:
    """Glopal's total is another one by now: the draft gives way to a new one, before it becomes an order."""
    return order.outdated and order.confirmed and not held(order, policy) and _may_draft(order, policy)


def _may_draft(order: Order, policy: StorePolicy) -> bool:
    if order.accept_ids is not None or order.accepted is not None:
        return False  # accepted with ids given by hand: that order exists already
    if policy.mode is Mode.CREATE_ON_READY:
        return order.status is Status.READY
    return order.status in (Status.RECEIVED, Status.READY)


def _may_promote(order: Order, policy: StorePolicy) -> bool:
    match order.status:
        case Status.READY:
            return True
        case Status.RECEIVED:
            return policy.mode is Mode.ORDER_ON_RECEIVED
        case Status.ACCEPTED | Status.COMPLETED:
            return order.external is not None  # ours: `is_foreign` was asked before
        case _:
            return False


def _wanted_at_glopal(order: Order, policy: StorePolicy) -> Due | None:
    if held(order, policy):
        return None
    if wants_cancel(order, policy):
        unwanted = _unwanted(order, policy, away=True, foreign=False)
        clear = order.shop_slot is None and next(unwanted, None) is None
        open_ = order.status is not Status.CANCELLED and order.cancelled is None
        return _due(order, Effect.CANCEL) if clear and open_ and order.parking(Effect.CANCEL) is None else None
    ids = accept_ids(order, policy)
    if ids is not None and order.parking(Effect.ACCEPT) is None:
        return _due(order, Effect.ACCEPT, ids.order_id, ids)
    if order.status not in REFUNDABLE:
        return None  # cancelled meanwhile: Glopal's cancellation gave everything back
    refund = next_refund(order)
    return None if refund is None else _due(order, Effect.REFUND, refund.refund)


def accept_ids(order: Order, policy: StorePolicy) -> Ids | None:
    """The ids to accept with now: those asked for by hand, else those of our promoted order; None if not due."""
    if order.status not in (Status.RECEIVED, Status.READY) or not order.confirmed:
        return None
    if order.accepted is not None or order.external is not None:
        return None
    own = order.shop.own
    if order.accept_ids is not None:
        same = own is None or (own.state is not ShopState.GONE and own.ids.order_id == order.accept_ids.order_id)
        return order.accept_ids if same else None
    if own is None or own.state is not ShopState.ORDER or not own.number or policy.mode is Mode.OBSERVE:
        return None
    early = policy.early_accept or order.status is Status.READY
    return own.ids if early and not order.outdated else None


def _due(order: Order, effect: Effect, target: str = "", ids: Ids | None = None) -> Due:
    """Due at once: from the last thing we learnt."""
    assert order.last is not None
    return Due(effect, order.generation(effect), order.last.at, target, ids)
