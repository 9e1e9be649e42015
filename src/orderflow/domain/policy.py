"""How a store wants its orders handled, and what that says of an order as it stands.

It never says what to do next; that is `due`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from orderflow.domain.events import Effect, HoldReason, Position
from orderflow.domain.machine import Status
from orderflow.domain.order import Hold, Order


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


LIMITED: Final = (Status.NEW, Status.RECEIVED, Status.READY, Status.ACCEPTED)
"""The statuses that an order leaves, and how long it may take: those that have an age limit."""


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

    `base_currency`: orders enter the shop converted to it; None: in their own.
    `ask_again`: when to ask Glopal again for something awaited, counted from its beginning; hourly afterwards, up to
    the age limit of the status. `reap_after`: when to look for strays, counted from the last draft's `send_by`; the
    last of them is the reap window. `unknown_after`: an outcome that nobody knows for longer is an exception.
    `returns_every`: how often to ask for an order with an open return, of whose parcel no event tells, until
    `returns_for` after its last step.
    """

    mode: Mode = Mode.DRAFT_ON_RECEIVED
    effects_from: datetime | None = None
    base_currency: str | None = None
    on_refusal: OnRefusal = OnRefusal.EXCEPTION
    early_accept: bool = False
    shadow: bool = False
    environment: str = "live"
    max_attempts: int = 8
    ask_again: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (0, 5, 30, 120, 900))
    age_limits: dict[Status, timedelta] = field(default_factory=_age_limits)
    reap_after: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (10, 120, 1440))
    unknown_after: timedelta = timedelta(minutes=15)
    returns_every: timedelta = timedelta(days=1)
    returns_for: timedelta = timedelta(days=90)


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
    ours = [order.accept_ids, own.ids if own is not None else None]
    return order.external not in ours


REFUNDABLE: Final = (Status.ACCEPTED, Status.COMPLETED)
"""Where money goes back by a refund; elsewhere by a cancellation."""


def wants_cancel(order: Order, policy: StorePolicy) -> bool:
    """A person asked for it, or the shop refused the order and the store's policy says so."""
    if order.cancel_reason is not None:
        return True
    refused = any(p.refused and p.effect in (Effect.DRAFT, Effect.PROMOTE) for p in order.parked)
    return refused and policy.on_refusal is OnRefusal.CANCEL and order.status in (Status.RECEIVED, Status.READY)


def is_stopped(order: Order) -> bool:
    """Even withdrawing and reaping wait for these two: they say that we do not know whether the sale lives."""
    return order.hold(HoldReason.CONTRADICTION, HoldReason.OVERRULED) is not None


def in_scope(order: Order, policy: StorePolicy) -> bool:
    """Does the order get effects? Those born before `effects_from` do not, unless a person retries one of them.

    Retrying the fetch is no such thing: who asks what Glopal shows today asks for nothing to be done about it. An order
    whose draft was sent is served to its end: else a later `effects_from` would leave what we made in the shop.
    """
    if policy.effects_from is None or order.redriven is not None or order.draft_send_by is not None:
        return True
    return order.born is None or order.born >= policy.effects_from
