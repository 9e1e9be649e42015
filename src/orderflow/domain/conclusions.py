"""What our observations say about the attempt under way: the only place where an open effect comes to its end.

It never guesses: without an observation there is no conclusion, and absent counts only twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orderflow.domain.due import wanted
from orderflow.domain.events import (
    Destination,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectNotExecuted,
    EffectRefused,
    ShopState,
    Sighting,
)
from orderflow.domain.order import Order, Phase, Slot
from orderflow.domain.policy import StorePolicy
from orderflow.domain.slots import is_done

ABSENTS_NEEDED: Final = 2
"""How many look-ups, each sent late enough, must miss the effect before it counts as not executed."""

Conclusion = EffectDelivered | EffectRefused | EffectNotExecuted | EffectClosed | EffectExhausted


def conclude(
    order: Order,
    policy: StorePolicy,
    place: Destination,
    *,
    retry_in: float,
    refusal: str | None = None,
) -> Conclusion | None:
    """The outcome of the open attempt at `place`, or None while it stays unknown.

    `order` already holds the observation. `refusal` is the other side's no to this very attempt, given only together
    with a read that came after it.
    """
    slot = order.slot(place)
    if slot is None or slot.phase is not Phase.OPEN:
        return None
    if is_done(order, slot):
        return EffectDelivered(slot.effect, slot.generation, slot.attempt, _proof(order, slot))
    if refusal is not None and not _changed(order, slot):
        if still_wanted(order, policy, slot):
            return EffectRefused(slot.effect, slot.generation, slot.attempt, refusal)
        return EffectClosed(
            slot.effect,
            slot.generation,
            slot.attempt,
            f"refused ({refusal}) and no longer due",
        )
    if refusal is not None:
        return not_executed(order, policy, slot, f"{refusal}: it had changed meanwhile", retry_in=0.0)
    if slot.absents >= ABSENTS_NEEDED and slot.effect is not Effect.REFUND:
        return not_executed(order, policy, slot, f"absent {slot.absents} times", retry_in=retry_in)
    return None


def not_executed(
    order: Order,
    policy: StorePolicy,
    slot: Slot,
    reason: str,
    *,
    retry_in: float,
    burnt: bool = True,
) -> Conclusion:
    """An attempt that did nothing: try again, or close what is no longer due, or give up."""
    if not still_wanted(order, policy, slot):
        return EffectClosed(slot.effect, slot.generation, slot.attempt, reason)
    if burnt and slot.tries >= policy.max_attempts:
        return EffectExhausted(slot.effect, slot.generation, slot.attempt, reason)
    return EffectNotExecuted(slot.effect, slot.generation, slot.attempt, reason, retry_in, burnt)


def still_wanted(order: Order, policy: StorePolicy, slot: Slot) -> bool:
    """Would we do this very thing if nothing were under way?"""
    free = order.with_slot(slot.effect.destination, None)
    if slot.effect is Effect.DRAFT:  # a draft that broke off half-way is withdrawn for the sake of the next one
        free = replace(free, shop=free.shop.whole())
    want = wanted(free, policy, slot.effect.destination)
    return want is not None and (want.effect, want.target) == (slot.effect, slot.target)


def _changed(order: Order, slot: Slot) -> bool:
    """The shop order that the request was built for is not what it was: the no may be about that."""
    if slot.effect not in (Effect.PROMOTE, Effect.WITHDRAW) or slot.seen is None:
        return False
    now = order.shop.get(slot.target)
    return now is not None and now.state is not slot.seen


_UNDONE: Final = (ShopState.BEGUN, ShopState.DRAFT)


def _proof(order: Order, slot: Slot) -> Sighting | None:
    if slot.effect is Effect.DRAFT:
        made = order.shop.made
        return made[0] if made else None
    if slot.effect in (Effect.PROMOTE, Effect.WITHDRAW):
        found = order.shop.get(slot.target)
        return None if found is None or found.state in _UNDONE else found
    return None
