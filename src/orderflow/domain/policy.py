"""What is due for an order: `effects_due` looks at what the order *is*, never at which event came last.

It reads no clock: every due effect says from when (`not_before`, computed from recorded times); whoever has a clock
waits. *At rest* means that nothing is due now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from orderflow.domain.events import (
    Destination,
    Effect,
    HoldReason,
    Ids,
    Position,
    ShopState,
    Sighting,
)
from orderflow.domain.machine import Status
from orderflow.domain.order import Hold, Order, Phase


class Mode(StrEnum):
    """When a store's orders enter the shop. In `observe` Glopal itself inserts them: we only look, and withdraw."""

    OBSERVE = "observe"
    DRAFT_ON_RECEIVED = "draft_on_received"
    ORDER_ON_RECEIVED = "order_on_received"
    CREATE_ON_READY = "create_on_ready"


class ImportCurrency(StrEnum):
    """In which currency orders enter the shop: the buyer's, or the store's own."""

    ORDER = "order"
    BASE = "base"


class OnRefusal(StrEnum):
    """What to do when the shop refuses an order: leave it to a person, or cancel it at Glopal."""

    EXCEPTION = "exception"
    CANCEL = "cancel"


def _age_limits() -> dict[Status, timedelta]:
    day = timedelta(days=1)
    return {
        Status.NEW: day,
        Status.RECEIVED: day,
        Status.READY: day,
        Status.ACCEPTED: 7 * day,
    }


@dataclass(frozen=True, slots=True)
class StorePolicy:
    """How one store wants its orders handled. Older orders than `effects_from` get effects only by a retry.

    `ask_again`: when to ask Glopal again for something awaited, counted from its beginning; hourly afterwards, up to
    the age limit of the status. `reap_after`: when to look for strays, counted from the last draft's `send_by`; the
    last of them is the reap window.
    """

    mode: Mode = Mode.DRAFT_ON_RECEIVED
    effects_from: datetime | None = None
    import_currency: ImportCurrency = ImportCurrency.ORDER
    on_refusal: OnRefusal = OnRefusal.EXCEPTION
    early_accept: bool = False
    shadow: bool = False
    environment: str = "live"
    max_attempts: int = 8
    ask_again: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (0, 5, 30, 120, 900))
    age_limits: dict[Status, timedelta] = field(default_factory=_age_limits)
    reap_after: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (10, 120, 1440))


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
    """Everything due for `order`: at most one read and one write per destination."""
    if order.last is None or not _in_scope(order, policy):
        return ()
    due = (
        _fetch(order, policy),
        _reap(order, policy),
        *(_write(order, policy, place) for place in Destination),
    )
    return tuple(one for one in due if one is not None)


def held(order: Order, policy: StorePolicy) -> tuple[Hold, ...]:
    """All reasons why effects are stopped; the environment is judged by the store's policy of today."""
    seen = order.details
    if seen is None or seen.environment in (
        None,
        policy.environment,
        order.released_environment,
    ):
        return order.holds
    detail = f"{seen.environment} order in a {policy.environment} store"
    return (
        *order.holds,
        Hold(HoldReason.ENVIRONMENT, Position(seen.asked_after), detail),
    )


def is_foreign(order: Order, policy: StorePolicy) -> bool:
    """Glopal shows ids that are not ours: somebody else accepted this order."""
    if order.external is None or policy.mode is Mode.OBSERVE:
        return False
    own = order.shop.own
    ours = [order.accept_ids, Ids(own.shop_id, own.number) if own is not None else None]
    return order.external not in ours


REFUNDABLE: Final = (Status.ACCEPTED, Status.COMPLETED)
"""Where money goes back by a refund; elsewhere by a cancellation."""


def wants_cancel(order: Order, policy: StorePolicy) -> bool:
    """A person asked for it, or the shop refused the order and the store's policy says so."""
    if order.cancel_reason is not None:
        return True
    refused = any(p.refused and p.effect in (Effect.DRAFT, Effect.PROMOTE) for p in order.parked)
    return refused and policy.on_refusal is OnRefusal.CANCEL and order.status in (Status.RECEIVED, Status.READY)


# --- reads ----------------------------------------------------------------------------------------------------------


def _fetch(order: Order, policy: StorePolicy) -> Due | None:
    """Ask Glopal: for whatever is waiting on an answer, else when the order reaches its age limit."""
    times = [time for time in _reasons_to_ask(order, policy) if time is not None]
    if not times:
        return None
    return Due(Effect.FETCH, order.generation(Effect.FETCH), min(times))


def _reasons_to_ask(order: Order, policy: StorePolicy) -> Iterator[datetime | None]:
    limit = policy.age_limits.get(order.status)
    if limit is not None and order.first is not None:
        parked = order.parking(Effect.FETCH)
        times = [
            order.answered_at,
            order.moved.at if order.moved else None,
            parked.at if parked else None,
        ]
        yield (max((time for time in times if time is not None), default=order.first.at) + limit)
    if order.parking(Effect.FETCH) is not None:
        return
    details = order.details
    if order.asked is not None:
        yield order.asked.at
    if order.dispute is not None:
        again = _again(order, policy, order.dispute.since.at)
        settles = order.dispute.settles_at
        yield (max(again, settles) if again is not None and settles is not None else again)
    elif not order.confirmed:
        since_move = order.moved or order.first
        yield None if since_move is None else _again(order, policy, since_move.at)
    malformed = order.hold(HoldReason.MALFORMED)
    if (
        malformed is not None
        and order.last is not None
        and (details is None or details.asked_after < malformed.position)
    ):
        yield _again(order, policy, (order.moved or order.first or order.last).at)
    if order.accepted is not None and order.status is Status.READY:
        since_accept = order.accepted.at if order.moved is None else max(order.accepted.at, order.moved.at)
        yield _again(order, policy, since_accept)
    if order.cancelled is not None and order.status is not Status.CANCELLED:
        yield _again(order, policy, order.cancelled.at)


def _again(order: Order, policy: StorePolicy, since: datetime) -> datetime | None:
    """The next time to ask for something awaited `since`; None when the waiting has reached its limit."""
    limit = policy.age_limits.get(order.status, timedelta(days=1))
    asked = order.answered_at
    for offset in policy.ask_again:
        if asked is None or since + offset > asked:
            return since + offset
    assert asked is not None
    last = policy.ask_again[-1] if policy.ask_again else timedelta(0)
    hours = (asked - since - last) // _HOUR + 1
    offset = last + hours * _HOUR
    return since + offset if offset <= limit else None


_HOUR = timedelta(hours=1)


def _reap(order: Order, policy: StorePolicy) -> Due | None:
    """Look for strays until the reap window has closed after the last draft; never beside a shop write under way."""
    sent = order.draft_send_by
    if sent is None or order.shop_slot is not None or order.parking(Effect.REAP) is not None or _stopped(order):
        return None
    for offset in policy.reap_after:
        if order.reaped_at is None or order.reaped_at < sent + offset:
            return Due(Effect.REAP, order.generation(Effect.REAP), sent + offset)
    return None


# --- writes ---------------------------------------------------------------------------------------------------------


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
    if not _in_scope(order, policy):
        return None
    return _wanted_at_shop(order, policy) if place is Destination.SHOP else _wanted_at_glopal(order, policy)


def _wanted_at_shop(order: Order, policy: StorePolicy) -> Due | None:
    away = order.status is Status.CANCELLED or wants_cancel(order, policy)
    foreign = is_foreign(order, policy)
    if not _stopped(order):
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
    if own.state is ShopState.DRAFT and _may_promote(order, policy):
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
    drafts = [s for s in order.shop.living if s.state is ShopState.DRAFT]
    yield from (s for s in drafts if own is None or s.shop_id != own.shop_id)
    if foreign and own is not None and own.state is ShopState.DRAFT:
        yield own


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
    return next(
        (_due(order, Effect.REFUND, r.refund) for r in order.refunds if r.outcome == "requested"),
        None,
    )


def accept_ids(order: Order, policy: StorePolicy) -> Ids | None:
    """The ids to accept with now: those asked for by hand, else those of our promoted order; None if not due."""
    if order.status not in (Status.RECEIVED, Status.READY) or not order.confirmed:
        return None
    if order.accepted is not None or order.external is not None:
        return None
    own = order.shop.own
    if order.accept_ids is not None:
        same = own is None or (own.state is not ShopState.GONE and own.shop_id == order.accept_ids.order_id)
        return order.accept_ids if same else None
    if own is None or own.state is not ShopState.ORDER or not own.number or policy.mode is Mode.OBSERVE:
        return None
    early = policy.early_accept or order.status is Status.READY
    return Ids(own.shop_id, own.number) if early else None


# --- shared ---------------------------------------------------------------------------------------------------------


def _due(order: Order, effect: Effect, target: str = "", ids: Ids | None = None) -> Due:
    """Due at once: from the last thing we learnt."""
    assert order.last is not None
    return Due(effect, order.generation(effect), order.last.at, target, ids)


def _stopped(order: Order) -> bool:
    """Even withdrawing and reaping wait for these two: they say that we do not know whether the sale lives."""
    return order.hold(HoldReason.CONTRADICTION, HoldReason.OVERRULED) is not None


def _in_scope(order: Order, policy: StorePolicy) -> bool:
    if policy.effects_from is None or order.redriven:
        return True
    return order.born is None or order.born >= policy.effects_from
