"""The life of side effects inside the fold: one write under way per destination, generations, parking.

It never closes a slot but for an observation, and never counts a generation twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

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
from orderflow.domain.order import Mark, Order, Parked, Phase, Slot

Ended = EffectDelivered | EffectRefused | EffectClosed | EffectExhausted

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
        effect=event.effect,
        generation=event.generation,
        attempt=event.attempt,
        target=event.target,
        digest=event.digest,
        send_by=event.send_by,
        counts_from=event.counts_from,
        seen=event.seen,
        since=here.at,
        tries=before.tries + 1 if again and before is not None else 1,
    )
    if event.effect is _DRAFT:
        order.draft_send_by = max(event.send_by, order.draft_send_by or event.send_by)
        order.drafted = order.total
    order.put(place, slot)


def noted(order: Folding, event: EffectNotExecuted | EffectUnknown, here: Mark) -> None:
    """The open attempt turned out unknown, or provably did nothing. News of any other attempt changes nothing."""
    slot = order.slot(event.effect.destination)
    if slot is None or slot.phase is not Phase.OPEN or not _speaks_of(event, slot):
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


def ended(order: Folding, event: Ended, here: Mark) -> None:
    """A terminal outcome. It frees the slot and ends the generation if it speaks of the attempt under way.

    An outcome of an older attempt, learnt late, only adds what it saw. A success at the shop without an id is unknown.
    """
    if isinstance(event, EffectDelivered):
        _seen(order, event, here)
    given_up = isinstance(event, (EffectRefused, EffectExhausted))
    if event.effect.reads:
        order.count(event.effect, event.generation)
        if given_up:
            _park(order, event, "", here)
        return
    place = event.effect.destination
    slot = order.slot(place)
    if slot is None or not _speaks_of(event, slot):
        return
    if isinstance(event, EffectDelivered) and not _has_id(event, place):
        order.put(place, replace(slot, phase=Phase.OPEN, unknown=True, reason="success without an id"))
        return
    order.put(place, None)
    order.count(slot.effect, slot.generation)
    if given_up:
        _park(order, event, slot.target, here)
    _settle_refund(order, event, slot)


def _has_id(event: EffectDelivered, place: Destination) -> bool:
    """Delivered requires an id, but at Glopal, where the order's own will do."""
    return place is _GLOPAL or (event.sighting is not None and event.sighting.shop_id != "")


def _seen(order: Folding, event: EffectDelivered, here: Mark) -> None:
    """What a success shows is true whichever attempt it belongs to."""
    if event.sighting is not None:
        order.shop = order.shop.sight((event.sighting,))
    if event.effect is _ACCEPT:
        order.accepted = order.accepted or here
    elif event.effect is _CANCEL:
        order.cancelled = order.cancelled or here


def _park(order: Folding, event: Ended, target: str, here: Mark) -> None:
    basis = order.details.basis if order.details is not None else ""
    reason = event.reason if isinstance(event, EffectRefused | EffectExhausted) else ""
    parked = Parked(
        event.effect,
        target,
        here.position,
        here.at,
        reason,
        basis,
        isinstance(event, EffectRefused),
    )
    others = tuple(p for p in order.parked if (p.effect, p.target) != (event.effect, target))
    order.parked = (*others, parked)


def _settle_refund(order: Folding, event: Ended, slot: Slot) -> None:
    if slot.effect is not _REFUND:
        return
    outcome = {
        EffectDelivered: "delivered",
        EffectRefused: "refused",
        EffectExhausted: "exhausted",
    }.get(type(event))
    lines = (replace(r, outcome=outcome) if outcome and r.refund == slot.target else r for r in order.refunds)
    order.refunds = tuple(lines)


# --- observation ----------------------------------------------------------------------------------------------------


def looked_up(order: Folding, event: LookedUp) -> None:
    """What was found is believed; not finding it counts only if it was asked late enough."""
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
            return bool(order.shop.living)
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


def _speaks_of(event: Ended | EffectNotExecuted | EffectUnknown, slot: Slot) -> bool:
    return slot.effect is event.effect and slot.generation == event.generation and slot.attempt == event.attempt
