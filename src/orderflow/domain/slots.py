"""The life of side effects inside the fold: one write under way per destination, generations, parking.

It never closes a slot but for an observation, and never counts a generation twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orderflow.domain import afterwards
from orderflow.domain.events import (
    Destination,
    DetailsFetched,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    LookedUp,
    ShopState,
)
from orderflow.domain.folding import Folding
from orderflow.domain.machine import Status
from orderflow.domain.order import Entered, Mark, Order, Parked, Phase, Slot

Ended = EffectDelivered | EffectRefused | EffectClosed | EffectExhausted
GivenUp = EffectRefused | EffectExhausted

_LONGEST_WAIT: Final = 86400.0

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
_DRAFT, _ACCEPT, _CANCEL, _REFUND, _REAP = Effect.DRAFT, Effect.ACCEPT, Effect.CANCEL, Effect.REFUND, Effect.REAP
_GLOPAL: Final = Destination.GLOPAL


def intended(order: Folding, event: EffectIntended, here: Mark) -> None:
    """The slot is taken, unless by a read. A later attempt of the same key carries the tries of the earlier ones on."""
    if event.effect.reads:
        return
    place = event.effect.destination
    before = order.slot(place)
    again = before is not None and (before.effect, before.generation) == (event.effect, event.generation)
    slot = Slot(
        event.effect,
        event.generation,
        event.attempt,
        event.target,
        event.digest,
        event.send_by,
        event.counts_from,
        event.seen,
        here.at,
        before.tries + 1 if again and before is not None else 1,
    )
    if event.effect is _DRAFT and not again:
        slot = replace(slot, tries=1 + order.broken)
    if event.effect is _DRAFT:
        order.draft_send_by = max(event.send_by, order.draft_send_by or event.send_by)
        order.drafted = order.total
        order.entered = None
        if event.total is not None and event.currency is not None:
            order.entered = Entered(event.total, event.currency, event.rate)
    elif event.effect is _REFUND:
        afterwards.refund_intended(order, event.target, event.generation, here)
    order.put(place, slot)


def noted(order: Folding, event: EffectNotExecuted | EffectUnknown, here: Mark) -> None:
    """The open attempt turned out unknown, or provably did nothing. News of any other attempt changes nothing."""
    slot = _spoken_of(order, event)
    if slot is None or slot.phase is not Phase.OPEN:
        return
    if isinstance(event, EffectUnknown):
        order.put(slot.effect.destination, replace(slot, unknown=True, reason=event.reason))
        return
    again = replace(
        slot,
        phase=Phase.AGAIN,
        tries=slot.tries if event.burnt else slot.tries - 1,
        again_at=here.at + timedelta(seconds=max(0.0, min(event.retry_in, _LONGEST_WAIT))),
        reason=event.reason,
    )
    order.put(slot.effect.destination, again)


def hurried(order: Folding, effect: Effect, here: Mark) -> None:
    """A person does not want to wait for the next try of `effect`: it is due from here on."""
    slot = order.slot(effect.destination)
    if slot is not None and slot.effect is effect and slot.phase is Phase.AGAIN:
        order.put(effect.destination, replace(slot, again_at=here.at))


# A terminal outcome frees the slot and ends the generation if it speaks of the attempt under way. One of an older
# attempt, learnt late, only adds what it saw.


def delivered(order: Folding, event: EffectDelivered, here: Mark) -> None:
    """It is done. What a success shows is true whichever attempt it belongs to; one without an id is unknown."""
    if event.sighting is not None:
        order.shop = order.shop.sight((event.sighting,))
    if event.effect is _ACCEPT:
        order.accepted = order.accepted or here
    elif event.effect is _CANCEL:
        order.cancelled = order.cancelled or here
    elif event.effect is _REFUND:
        afterwards.refund_delivered(order, event.generation, event.receipt)
    if event.effect.reads:
        order.count(event.effect, event.generation)
        return
    slot = _spoken_of(order, event)
    if slot is None:
        return
    if not _has_id(event):
        unknown = replace(slot, phase=Phase.OPEN, unknown=True, reason="success without an id")
        order.put(event.effect.destination, unknown)
        return
    _free(order, slot, "delivered")


def given_up(order: Folding, event: GivenUp, here: Mark) -> None:
    """It is left to a person."""
    outcome = "refused" if isinstance(event, EffectRefused) else "exhausted"
    if event.effect.reads:
        target = afterwards.quote_ended(order, event.generation, outcome) if event.effect.asks else ""
        order.count(event.effect, event.generation)
        _park(order, event, target, here)
        return
    slot = _spoken_of(order, event)
    if slot is not None:
        _free(order, slot, outcome)
        _park(order, event, slot.target, here)


def closed(order: Folding, event: EffectClosed, here: Mark) -> None:
    """It was not done, and nobody wants it any more."""
    del here
    if event.effect.reads:
        order.count(event.effect, event.generation)
        return
    slot = _spoken_of(order, event)
    if slot is not None:
        # The next one has a new key, and yet carries the tries on: else a shop that always fails half-way goes on so.
        broken = slot.tries if slot.effect is _DRAFT and _broke_off(order) else 0
        _free(order, slot)
        order.broken = broken


def _broke_off(order: Order) -> bool:
    return any(s.state is ShopState.BEGUN for s in order.shop.living)


def _free(order: Folding, slot: Slot, outcome: str = "") -> None:
    """The write in `slot` has ended; `outcome` is what its refund's line says from now on, if it is one."""
    order.put(slot.effect.destination, None)
    order.count(slot.effect, slot.generation)
    if slot.effect is _DRAFT:
        order.broken = 0
    if outcome and slot.effect is _REFUND:
        afterwards.refund_ended(order, slot.target, outcome)


def _has_id(event: EffectDelivered) -> bool:
    """Delivered requires an id, but at Glopal, where the order's own will do."""
    return event.effect.destination is _GLOPAL or (event.sighting is not None and event.sighting.shop_id != "")


def _park(order: Folding, event: GivenUp, target: str, here: Mark) -> None:
    basis = order.details.basis if order.details is not None else ""
    refused = isinstance(event, EffectRefused)
    parked = Parked(event.effect, target, here.position, here.at, event.reason, basis, refused)
    others = tuple(p for p in order.parked if (p.effect, p.target) != (event.effect, target))
    order.parked = (*others, parked)


# --- observation ----------------------------------------------------------------------------------------------------


def looked_up(order: Folding, event: LookedUp, here: Mark) -> None:
    """What was found is believed; not finding it counts only if it was asked late enough."""
    del here
    order.shop = order.shop.sight(event.found)
    if event.effect is _REAP:
        order.reaped_at = max(event.sent_at, order.reaped_at or event.sent_at)
        order.count(event.effect, event.generation)
    else:
        _count_absence(order, event.effect.destination, event.sent_at)


def observed_at_glopal(order: Folding, event: DetailsFetched) -> None:
    """Every answer to a GET is also a look-up of whatever is under way at Glopal."""
    _count_absence(order, _GLOPAL, event.sent_at)


def _count_absence(order: Folding, destination: Destination, sent_at: datetime) -> None:
    slot = order.slot(destination)
    if slot is None or slot.phase is not Phase.OPEN or sent_at < slot.counts_from or is_done(order, slot):
        return
    order.put(destination, replace(slot, absents=slot.absents + 1))


def is_done(order: Order, slot: Slot) -> bool:
    """Does what we have seen of the world show that the effect in `slot` has happened?"""
    match slot.effect:
        case Effect.DRAFT:
            return bool(order.shop.made)
        case Effect.PROMOTE:
            seen = order.shop.get(slot.target)
            return seen is not None and seen.state is ShopState.ORDER
        case Effect.WITHDRAW:
            seen = order.shop.get(slot.target)
            return seen is not None and seen.state is ShopState.GONE
        case Effect.ACCEPT:
            return order.external is not None and order.external == order.accept_ids
        case Effect.CANCEL:
            return order.status is Status.CANCELLED
        case _:
            return False  # a refund made is not to be told from a refund made elsewhere


def _spoken_of(order: Folding, event: Ended | EffectNotExecuted | EffectUnknown) -> Slot | None:
    """The slot of the very attempt that `event` speaks of, if that is under way."""
    slot = order.slot(event.effect.destination)
    if slot is None or slot.attempt != event.attempt or slot.generation != event.generation:
        return None
    return slot if slot.effect is event.effect else None
