"""Everything that can stand in an order's history: facts (theirs, and outcomes of our calls) and our decisions.

It never says what an event means; that is `order.evolve`.

Times are aware UTC datetimes, money is `Decimal`, positions count from 1 within a store's log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from orderflow.domain.aftersale import AfterSale
from orderflow.domain.machine import Report, Status
from orderflow.domain.quick import quick
from orderflow.domain.returns import ReturnStep

Position = NewType("Position", int)
"""Place in one store's log: gapless, in commit order, from 1; 0 is "before everything"."""

Version = NewType("Version", int)
"""Place in one order's stream: gapless from 1; 0 is the empty stream."""


class Destination(StrEnum):
    """Who a side effect speaks to."""

    GLOPAL = "glopal"
    SHOP = "shop"


class Effect(StrEnum):
    """What we may do to the world for an order."""

    FETCH = "fetch"
    ACCEPT = "accept"
    CANCEL = "cancel"
    REFUND = "refund"
    QUOTE = "quote"
    DRAFT = "draft"
    PROMOTE = "promote"
    WITHDRAW = "withdraw"
    REAP = "reap"

    destination: Destination
    reads: bool
    asks: bool

    def __init__(self, _word: str) -> None:
        """Who it speaks to, and whether it only reads. They stand with the member, since they are asked at every step.

        Reads never take the slot of their destination, and need no intent. One that `asks` carries a request of its
        own, and is sent like a write.
        """
        at_shop = self in {"draft", "promote", "withdraw", "reap"}
        self.destination = Destination.SHOP if at_shop else Destination.GLOPAL
        self.reads = self in {"fetch", "reap", "quote"}
        self.asks = self == "quote"


class HoldReason(StrEnum):
    """Why an order is held."""

    CONTRADICTION = "contradiction"
    EVIDENCE = "evidence"
    ENVIRONMENT = "environment"
    MONEY = "money"
    UNMAPPED = "unmapped"
    MALFORMED = "malformed"
    OVERRULED = "overruled"


class ShopState(StrEnum):
    """What is known of one shop order. Knowledge only moves begun < draft < order < gone.

    `BEGUN`: a draft whose making broke off half-way, at a shop that needs several calls to make one. It is withdrawn.
    """

    BEGUN = "begun"
    DRAFT = "draft"
    ORDER = "order"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Ids:
    """The merchant's own id and number of an order, as Glopal's accept call takes them."""

    order_id: str
    number: str

    def __str__(self) -> str:
        return f"{self.order_id} / {self.number}"


@quick
@dataclass(frozen=True, slots=True)
class Sighting:
    """One shop order as a reply or a look-up showed it. `promoted`: it has been a real order at some time."""

    shop_id: str
    number: str
    state: ShopState
    promoted: bool = False


# --- facts: Glopal's ------------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Reported:
    """One of Glopal's five status reports, by event."""

    report: Report
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DetailsFetched:
    """The order as Glopal's GET showed it, reduced to what is not personal.

    `asked_after` is the last position we knew when the GET was sent. `settles_at` is when a later answer counts as a
    second, independent one: the sending time plus a window longer than the GET may lag behind Glopal's events.
    `basis` is a keyed digest of everything a shop request is built from. `said` is the status word as it came;
    `status` is None where Glopal's documents do not name it. `total` is in `currency`, the buyer's; one `base_currency`
    is `rate` of it, where orders enter the shop in the store's own currency. `aftersale` is None where nothing is shown
    of cancellation, refunds and returns.
    """

    asked_after: Position
    sent_at: datetime
    settles_at: datetime
    status: Status | None
    said: str
    external: Ids | None = None
    environment: str | None = None
    currency: str | None = None
    total: Decimal | None = None
    created_at: datetime | None = None
    basis: str = ""
    unmapped: tuple[str, ...] = ()
    money: str | None = None
    base_currency: str | None = None
    rate: Decimal | None = None
    aftersale: AfterSale | None = None


@dataclass(frozen=True, slots=True)
class ReturnReported:
    """One of Glopal's three events about a return; `return_id` is unique within the order, "" where none was named."""

    return_id: str
    step: ReturnStep
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something about this order that could not be read, of the feed or of details. `problem` names field and place."""

    problem: str
    asked_after: Position | None = None


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """A source id came a second time with other contents; both are kept."""

    source_id: str


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """An event name or stored record that this version does not know. It changes nothing."""

    name: str


# --- facts: outcomes of our calls -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EffectIntended:
    """The request is frozen (`digest`) and may be on the wire until `send_by`; from here only observation ends it.

    `counts_from`: look-ups sent from then on may count as absent (send_by + call timeout + settle window).
    `seen` is the shop state of the target that the request was built for. `total` in `currency` is what a draft enters
    the shop with; `rate` is what Glopal's total was divided by, None where it was not converted.
    """

    effect: Effect
    generation: int
    attempt: int
    target: str
    digest: str
    send_by: datetime
    counts_from: datetime
    seen: ShopState | None = None
    currency: str | None = None
    total: Decimal | None = None
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EffectDelivered:
    """It is done. For shop effects `sighting` carries the id: delivered requires an id.

    `receipt` is Glopal's own id of a refund, if its reply named one.
    """

    effect: Effect
    generation: int
    attempt: int
    sighting: Sighting | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class EffectRefused:
    """The other side said no, and a read afterwards showed that it meant it."""

    effect: Effect
    generation: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class EffectNotExecuted:
    """This attempt provably did nothing (never sent, turned away, or absent twice). Next try in `retry_in` seconds.

    `burnt` is False where the attempt should not count towards giving up (429, a closed door).
    """

    effect: Effect
    generation: int
    attempt: int
    reason: str
    retry_in: float
    burnt: bool = True


@dataclass(frozen=True, slots=True)
class EffectUnknown:
    """The request may have been executed; look-ups will tell."""

    effect: Effect
    generation: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class EffectClosed:
    """Not executed, and no longer due."""

    effect: Effect
    generation: int
    attempt: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EffectExhausted:
    """Given up after the last attempt; a person decides."""

    effect: Effect
    generation: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the destination showed for our reference. `found` is oldest first; empty is *absent*."""

    effect: Effect
    generation: int
    attempt: int
    sent_at: datetime
    found: tuple[Sighting, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundQuoted:
    """Glopal's answer to the question `quote`: what each side would bear, in `currency`. No money moved."""

    quote: str
    merchant: Decimal
    glopal: Decimal
    currency: str


# --- decisions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AcceptRequested:
    """The order shall be accepted at Glopal with these ids."""

    ids: Ids
    by: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The order shall be cancelled, in the shop and at Glopal."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class RefundRequested:
    """`refund` is the caller's own name for it, unique per order; the amount is in the order's currency.

    `glopal_amount` is the share that Glopal shall bear, None where nothing is said of shares; `claim` is the code of
    the claim that is raised with Glopal for it, "" for none.
    """

    refund: str
    amount: Decimal
    currency: str
    reason: str
    by: str
    glopal_amount: Decimal | None = None
    claim: str = ""


@dataclass(frozen=True, slots=True)
class QuoteRequested:
    """Glopal shall say who would bear such a refund; `glopal_amount` as in `RefundRequested`."""

    quote: str
    amount: Decimal
    currency: str
    by: str
    glopal_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RefundSettled:
    """A person says what became of a refund that nobody else can tell of, or knows of one that was made elsewhere.

    `refund` is our name for it, or Glopal's id where it was made elsewhere.
    """

    refund: str
    made: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class OrderReleased:
    """The hold for `reason` caused at or before `position` is lifted; a later one stays."""

    reason: HoldReason
    position: Position
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """A parked effect may be tried again; `fetch` asks Glopal now. `plan`: the redrive that it is part of, if any."""

    effect: Effect
    by: str
    why: str
    plan: str = ""


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """A person's note. Its text may be personal, so it stands sealed beside this event."""

    by: str


@dataclass(frozen=True, slots=True)
class BuyerErased:
    """The keys that sealed this order's personal data were destroyed: what was sealed until here opens no more.

    `receipt` is the id of the signed receipt in the register of erasures, which names the keys.
    """

    by: str
    why: str
    receipt: str


Outcome = (
    EffectIntended
    | EffectDelivered
    | EffectRefused
    | EffectNotExecuted
    | EffectUnknown
    | EffectClosed
    | EffectExhausted
    | LookedUp
    | RefundQuoted
)
Decision = (
    AcceptRequested
    | CancelRequested
    | RefundRequested
    | QuoteRequested
    | RefundSettled
    | OrderReleased
    | RetryRequested
    | NoteAdded
    | BuyerErased
)
Event = Reported | ReturnReported | DetailsFetched | Malformed | EvidenceFound | Unrecognised | Outcome | Decision


@quick
@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place in the log. `recorded_at` never decreases with `position`."""

    event: Event
    position: Position
    version: Version
    recorded_at: datetime
