"""What must be true of the due effects of any order under any policy, checked in one place."""

from __future__ import annotations

from orderflow.domain.decisions import Accept, Cancel, decide
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import Destination, Effect, HoldReason, ShopState
from orderflow.domain.machine import Status
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import Mode, StorePolicy, held, is_foreign, wants_cancel

READS = {Effect.FETCH, Effect.REAP, Effect.QUOTE}
MAKING = {Effect.DRAFT, Effect.PROMOTE, Effect.ACCEPT}
UNSOLD = {ShopState.BEGUN, ShopState.DRAFT}
AT_SHOP = {Effect.DRAFT, Effect.PROMOTE, Effect.WITHDRAW}


def check_due(order: Order, policy: StorePolicy) -> tuple[Due, ...]:
    """All laws of `effects_due` at once; gives what is due."""
    due = effects_due(order, policy)
    names = {d.effect for d in due}
    assert len(names) == len(due)
    _cancelled_stays_cancelled(order, names)
    _confirmed_first(order, policy, due)
    _one_write_each(order, due)
    _foreign(order, policy, due, names)
    _held(order, policy, names)
    _parked(order, due)
    _commands_pass(order, due)
    if policy.mode is Mode.OBSERVE and order.accept_ids is None:
        assert not names & {Effect.DRAFT, Effect.PROMOTE, Effect.ACCEPT}
    if not _in_scope(order, policy):
        assert names <= ({Effect.FETCH} if order.asked else set())
    return due


def _cancelled_stays_cancelled(order: Order, names: set[Effect]) -> None:
    if order.status is Status.CANCELLED or order.cancel_reason is not None:
        assert not names & MAKING
    if order.status is Status.CANCELLED:
        assert not names & {Effect.CANCEL, Effect.REFUND}


def _confirmed_first(order: Order, policy: StorePolicy, due: tuple[Due, ...]) -> None:
    """No shop effect before details confirm the present, but for the three that need no confirmation."""
    if order.confirmed:
        return
    own = order.shop.own
    for one in due:
        assert one.effect not in MAKING
        if one.effect is Effect.WITHDRAW:
            target = order.shop.get(one.target)
            stray = target is not None and target.state in UNSOLD and (own is None or one.target != own.shop_id)
            assert wants_cancel(order, policy) or is_foreign(order, policy) or stray


def _one_write_each(order: Order, due: tuple[Due, ...]) -> None:
    for place in Destination:
        writes = [d for d in due if d.destination is place and d.effect not in READS]
        assert len(writes) <= 1
        slot = order.slot(place)
        if slot is None:
            assert all(d.generation == order.generation(d.effect) for d in writes)
            continue
        if slot.phase is Phase.OPEN:
            assert not writes
        for one in writes:
            assert (one.effect, one.generation, one.target) == (slot.effect, slot.generation, slot.target)
            assert slot.again_at is None or one.not_before == slot.again_at
    if order.shop_slot is not None:
        assert Effect.REAP not in {d.effect for d in due}
        assert Effect.CANCEL not in {d.effect for d in due}
    if Effect.CANCEL in {d.effect for d in due}:
        assert not order.shop.living
        assert not {d.effect for d in due} & AT_SHOP


def _foreign(order: Order, policy: StorePolicy, due: tuple[Due, ...], names: set[Effect]) -> None:
    if not is_foreign(order, policy):
        return
    assert not names & MAKING
    own = order.shop.own
    away = order.status is Status.CANCELLED or wants_cancel(order, policy)
    withdrawn = {d.target for d in due if d.effect is Effect.WITHDRAW}
    if own is not None and own.state is ShopState.ORDER and not away:
        assert own.shop_id not in withdrawn
    stopped = order.hold(HoldReason.CONTRADICTION, HoldReason.OVERRULED) or order.shop_slot
    if own is not None and own.state is ShopState.DRAFT and not stopped and _in_scope(order, policy):
        others = [s for s in order.shop.living if s.shop_id != own.shop_id]
        assert withdrawn or others or order.parking(Effect.WITHDRAW, own.shop_id) or (away and not order.confirmed)


def _in_scope(order: Order, policy: StorePolicy) -> bool:
    taken = order.redriven is not None or order.draft_send_by is not None
    return policy.effects_from is None or taken or order.born is None or order.born >= policy.effects_from


def _held(order: Order, policy: StorePolicy, names: set[Effect]) -> None:
    reasons = {h.reason for h in held(order, policy)}
    if reasons:
        assert names <= {Effect.FETCH, Effect.REAP, Effect.WITHDRAW}
    if reasons & {HoldReason.CONTRADICTION, HoldReason.OVERRULED}:
        assert names <= {Effect.FETCH}


def _parked(order: Order, due: tuple[Due, ...]) -> None:
    for parked in order.parked:
        slot = order.slot(parked.effect.destination)
        for one in due:
            same = (one.effect, one.target) == (parked.effect, parked.target)
            if same and parked.effect is not Effect.FETCH:  # the age limit's fetch falls due, also when parked
                assert slot is not None
                assert slot.phase is Phase.AGAIN


def _commands_pass(order: Order, due: tuple[Due, ...]) -> None:
    """What falls due by policy can also be decided: the relay appends the decision with the intent."""
    for one in due:
        if one.effect is Effect.ACCEPT:
            assert one.ids is not None
            assert one.target == one.ids.order_id
            assert order.accept_ids in (None, one.ids)
            assert len(decide(order, Accept(one.ids, "policy"))) == (order.accept_ids is None)
        if one.effect is Effect.CANCEL and order.cancel_reason is None:
            assert len(decide(order, Cancel("refused", "policy"))) == 1
