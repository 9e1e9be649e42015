"""What an order is: a frozen value that its history folds into (`evolve.fold`).

It never changes in place (`folding.Folding` does) and knows nothing of how it came about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from orderflow.domain.aftersale import Ending, ShownRefund
from orderflow.domain.events import (
    Destination,
    DetailsFetched,
    Drift,
    Effect,
    HoldReason,
    Ids,
    Position,
    ShopState,
    Version,
)
from orderflow.domain.machine import Status
from orderflow.domain.quick import quick
from orderflow.domain.returns import ReturnState
from orderflow.domain.shop import Shop

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
SHOP: Final = Destination.SHOP


@quick
@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the history and its time."""

    position: Position
    at: datetime


@quick
@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why effects are stopped, with the position that caused it."""

    reason: HoldReason
    position: Position
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """An unsettled contradiction: since when, and the first answer that spoke against us, if any."""

    since: Mark
    answer: Status | None = None
    settles_at: datetime | None = None


@quick
@dataclass(frozen=True, slots=True)
class Parked:
    """An effect that waits for a person: it was refused, or given up."""

    effect: Effect
    target: str
    position: Position
    at: datetime
    reason: str
    basis: str
    refused: bool


@quick
@dataclass(frozen=True, slots=True)
class Total:
    """What an order comes to, in the buyer's currency."""

    amount: Decimal
    currency: str | None

    def __str__(self) -> str:
        return f"{self.amount} {self.currency or ''}".rstrip()


@quick
@dataclass(frozen=True, slots=True)
class Entered:
    """What a draft entered the shop with, as its intent froze it: Glopal's total was divided by `rate`, if by any."""

    total: Decimal
    currency: str
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """One line of the refund ledger. `outcome`: requested, delivered, refused, exhausted, or not made.

    `asked`: when it was asked for; Glopal is asked once more after that, before any money moves. `intended` is the
    position of the first intent, `generations` are those of all; `receipt` is Glopal's own id of it. `settled`: a
    person, no reply, said what became of it.
    """

    refund: str
    amount: Decimal
    currency: str
    reason: str
    outcome: str = "requested"
    by: str = ""
    glopal_amount: Decimal | None = None
    claim: str = ""
    asked: Mark | None = None
    intended: Position | None = None
    generations: tuple[int, ...] = ()
    receipt: str = ""
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A refund that Glopal shows. `since`: the position after which the details were asked that showed it first.

    `seen`: when those were recorded. `known`: a person has taken note of one that was made elsewhere.
    """

    refund: ShownRefund
    since: Position
    seen: Mark
    known: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A question who would bear a refund. `outcome`: requested, quoted, refused or exhausted."""

    quote: str
    amount: Decimal
    currency: str
    glopal_amount: Decimal | None = None
    outcome: str = "requested"
    merchant: Decimal | None = None
    glopal: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """Goods on their way back. `since`: when it came to stand where it stands.

    `awaits`: an event told of it, and no details that were asked for afterwards have shown it yet.
    """

    return_id: str
    state: ReturnState
    since: Mark
    awaits: Mark | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What people decided about one exception: who has it ("": nobody), and whether it is none to them."""

    kind: str
    subject: str
    owner: str = ""
    dismissed: bool = False


class Phase(StrEnum):
    """`OPEN`: intended or unknown, only an observation ends it. `AGAIN`: that attempt did nothing; try, or close."""

    OPEN = "open"
    AGAIN = "again"


@quick
@dataclass(frozen=True, slots=True)
class Slot:
    """The one write that an order has under way at a destination.

    `tries` counts the attempts that were burnt, `absents` the look-ups of this attempt that may count as absent.
    """

    effect: Effect
    generation: int
    attempt: int
    target: str
    digest: str
    send_by: datetime
    counts_from: datetime
    seen: ShopState | None
    since: datetime
    tries: int = 1
    phase: Phase = Phase.OPEN
    unknown: bool = False
    absents: int = 0
    again_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as its history tells it. Times are those recorded in the log.

    `moved` is the last fact that moved the status; `confirmed` says that details sent not before it show the same
    status. `details` are the newest fetched ones by the position they were asked after. `asked` and `redriven` are a
    person's last retries: of the fetch, if it is still to come, and of anything else, which was `retried`. `drafted` is
    the total that the last draft was made for, `entered` what it entered the shop with; `broken` are the drafts in a
    row whose making broke off half-way. `drifts` are what the last reconciliation found, at `reconciled`. `refunds` are
    ours, `shown` those that Glopal shows; `ending` is what it shows of a cancellation. `rulings` are what people
    decided about its exceptions.
    """

    status: Status = Status.NEW
    position: Position = Position(0)
    version: Version = Version(0)
    first: Mark | None = None
    last: Mark | None = None
    born: datetime | None = None
    moved: Mark | None = None
    confirmed: bool = False
    details: DetailsFetched | None = None
    answered_at: datetime | None = None
    external: Ids | None = None
    holds: tuple[Hold, ...] = ()
    dispute: Dispute | None = None
    released_environment: str | None = None
    shop: Shop = Shop()
    shop_slot: Slot | None = None
    glopal_slot: Slot | None = None
    generations: tuple[tuple[Effect, int], ...] = ()
    parked: tuple[Parked, ...] = ()
    draft_send_by: datetime | None = None
    drafted: Total | None = None
    entered: Entered | None = None
    broken: int = 0
    reaped_at: datetime | None = None
    accept_ids: Ids | None = None
    accepted: Mark | None = None
    cancel_reason: str | None = None
    cancelled: Mark | None = None
    asked: Mark | None = None
    redriven: Mark | None = None
    retried: Effect | None = None
    drifts: tuple[Drift, ...] = ()
    reconciled: Mark | None = None
    refunds: tuple[Refund, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    shown: tuple[Shown, ...] = ()
    quotes: tuple[Quote, ...] = ()
    returns: tuple[Return, ...] = ()
    ending: Ending | None = None

    @property
    def total(self) -> Total | None:
        """What the newest details say; None where they name no total."""
        known = self.details
        return None if known is None or known.total is None else Total(known.total, known.currency)

    @property
    def outdated(self) -> bool:
        """Was our shop order made for another total than Glopal's details show now?"""
        return self.drafted is not None and self.total is not None and self.drafted != self.total

    def generation(self, effect: Effect) -> int:
        """How many terminal outcomes of `effect` the history holds: the generation of its next key."""
        for name, number in self.generations:
            if name is effect:
                return number
        return 0

    def hold(self, *reasons: HoldReason) -> Hold | None:
        """The first hold for one of `reasons`."""
        for hold in self.holds:
            if hold.reason in reasons:
                return hold
        return None

    def slot(self, destination: Destination) -> Slot | None:
        """The write under way at `destination`."""
        return self.shop_slot if destination is SHOP else self.glopal_slot

    def with_slot(self, destination: Destination, slot: Slot | None) -> Order:
        """With another write, or none, under way at `destination`."""
        return replace(self, shop_slot=slot) if destination is SHOP else replace(self, glopal_slot=slot)

    def parking(self, effect: Effect, target: str | None = None) -> Parked | None:
        """Why `effect` (upon `target`, if given) waits for a person; None if it does not."""
        return next(
            (p for p in self.parked if p.effect is effect and target in (None, p.target)),
            None,
        )

    def ruling(self, kind: str, subject: str) -> Ruling | None:
        """What people decided about this exception."""
        return next((r for r in self.rulings if (r.kind, r.subject) == (kind, subject)), None)
