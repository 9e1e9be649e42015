"""An order while its history is folded into it: the only form in which an order changes in place.

It never leaves the fold: what comes out of it is an `Order`, frozen. It knows no rule; `evolve` and its parts do.
"""

from __future__ import annotations

from datetime import datetime

from orderflow.domain.aftersale import Ending
from orderflow.domain.events import Destination, DetailsFetched, Drift, Effect, HoldReason, Ids, Position, Version
from orderflow.domain.machine import Status
from orderflow.domain.order import (
    SHOP,
    Dispute,
    Entered,
    Hold,
    Mark,
    Order,
    Parked,
    Quote,
    Refund,
    Return,
    Ruling,
    Shown,
    Slot,
    Total,
)
from orderflow.domain.shop import Shop


class Folding(Order):
    """A copy of an order, with what changes about one. Copying thirty fields at every step was what a fold cost."""

    __slots__ = ()
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__

    def __init__(self, order: Order = Order()) -> None:  # noqa: B008  frozen
        """Begin from `order`, which stays as it is."""
        self.status: Status = order.status
        self.position: Position = order.position
        self.version: Version = order.version
        self.first: Mark | None = order.first
        self.last: Mark | None = order.last
        self.born: datetime | None = order.born
        self.moved: Mark | None = order.moved
        self.confirmed: bool = order.confirmed
        self.details: DetailsFetched | None = order.details
        self.answered_at: datetime | None = order.answered_at
        self.external: Ids | None = order.external
        self.holds: tuple[Hold, ...] = order.holds
        self.dispute: Dispute | None = order.dispute
        self.released_environment: str | None = order.released_environment
        self.shop: Shop = order.shop
        self.shop_slot: Slot | None = order.shop_slot
        self.glopal_slot: Slot | None = order.glopal_slot
        self.generations: tuple[tuple[Effect, int], ...] = order.generations
        self.parked: tuple[Parked, ...] = order.parked
        self.draft_send_by: datetime | None = order.draft_send_by
        self.drafted: Total | None = order.drafted
        self.entered: Entered | None = order.entered
        self.broken: int = order.broken
        self.reaped_at: datetime | None = order.reaped_at
        self.accept_ids: Ids | None = order.accept_ids
        self.accepted: Mark | None = order.accepted
        self.cancel_reason: str | None = order.cancel_reason
        self.cancelled: Mark | None = order.cancelled
        self.asked: Mark | None = order.asked
        self.redriven: Mark | None = order.redriven
        self.retried: Effect | None = order.retried
        self.drifts: tuple[Drift, ...] = order.drifts
        self.reconciled: Mark | None = order.reconciled
        self.refunds: tuple[Refund, ...] = order.refunds
        self.rulings: tuple[Ruling, ...] = order.rulings
        self.shown: tuple[Shown, ...] = order.shown
        self.quotes: tuple[Quote, ...] = order.quotes
        self.returns: tuple[Return, ...] = order.returns
        self.ending: Ending | None = order.ending

    def done(self) -> Order:
        """The order, from here on frozen: this very object, which is nothing but an `Order` now."""
        object.__setattr__(self, "__class__", Order)
        return self

    def put(self, destination: Destination, slot: Slot | None) -> None:
        """Another write, or none, is under way at `destination`."""
        if destination is SHOP:
            self.shop_slot = slot
        else:
            self.glopal_slot = slot

    def count(self, effect: Effect, generation: int) -> None:
        """`generation` of `effect` has ended; ending it twice counts once."""
        others, ended = [], generation + 1
        for pair in self.generations:
            if pair[0] is effect:
                ended = max(ended, pair[1])
            else:
                others.append(pair)
        self.generations = (*others, (effect, ended))

    def hold_for(self, hold: Hold) -> None:
        """Held, in place of an earlier hold for the same reason."""
        self.holds = (*(h for h in self.holds if h.reason is not hold.reason), hold)

    def lift(self, *reasons: HoldReason) -> None:
        """No longer held for `reasons`."""
        self.holds = tuple(h for h in self.holds if h.reason not in reasons)

    def rule(self, ruling: Ruling) -> None:
        """Decided, in place of what was decided about the same exception before."""
        key = (ruling.kind, ruling.subject)
        self.rulings = (*(r for r in self.rulings if (r.kind, r.subject) != key), ruling)

    def move_to(self, status: Status, here: Mark, *, confirmed: bool) -> None:
        """At its new status."""
        self.status, self.moved, self.confirmed = status, here, confirmed

    def contradict(self, here: Mark, detail: str, answer: DetailsFetched | None = None) -> None:
        """Held by contradiction from `here` on; one that details raised is its own first answer."""
        self.hold_for(Hold(HoldReason.CONTRADICTION, here.position, detail))
        self.dispute = Dispute(here) if answer is None else Dispute(here, answer.status, answer.settles_at)
