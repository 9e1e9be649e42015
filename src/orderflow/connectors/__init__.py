"""Speakers to the world: one protocol, four typed results, one file per destination.

A connector never touches the database, never decides whether to send, and keeps no memory of what it sent: idempotency
lives in the relay, which asks it to *freeze* a request, to *send* frozen bytes, or to *find* what became of it.

Whatever it answers may carry `rest`: the seconds for which the destination wants to be left alone by now, going by what
it says of its own rate limit. The relay keeps to it for every order of that destination.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from orderflow.domain.events import Effect, Ids, ShopState, Sighting
from orderflow.glopal.details import Details
from orderflow.glopal.money import Base


class Consistency(StrEnum):
    """How soon a look-up shows what was done: at once, or only after a while.

    `STRONG` says more: what was not executed by the end of the call is not executed later either.
    """

    STRONG = "strong"
    EVENTUAL = "eventual"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can do. `settle_window`: seconds after which a look-up shows everything that was executed."""

    drafts: bool = True
    unique_reference: bool = False
    look_up: Consistency = Consistency.EVENTUAL
    settle_window: float = 15.0
    cancel_after_promotion: bool = True

    @property
    def settles(self) -> float:
        """Seconds after a call's end from which a look-up that misses it counts: none where look-ups are strong."""
        return 0.0 if self.look_up is Consistency.STRONG else self.settle_window


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done for one order. `reference` is ours (`glopal:{store}:{order_id}`), kept in the destination.

    `seen` is the state of the shop order `target` as we know it, `real_id` its id as a real order, if that is another.
    `details` are the bytes of the newest fetched details (for drafts), which enter the shop converted to `base` if that
    is given, and come to `total` as they were recorded; `amount` and `currency` are for refunds and quotes, as are
    Glopal's share of it and the code of a claim; `reason` is for refunds, cancellations and withdrawals.
    """

    effect: Effect
    store: str
    order_id: str
    reference: str
    target: str = ""
    seen: ShopState | None = None
    real_id: str = ""
    ids: Ids | None = None
    details: bytes | None = field(default=None, repr=False)
    base: Base | None = None
    total: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    glopal_amount: Decimal | None = None
    claim: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a look-up asks about: by our reference, and by the shop ids known so far."""

    store: str
    order_id: str
    reference: str
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quoted:
    """Who would bear a refund, in `currency`."""

    merchant: Decimal
    glopal: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """Done. For shop effects `sighting` tells what stands there now; without an id it is not delivered but unknown.

    `receipt` is the other side's own id of a refund, if it named one; `quoted` is the answer to a quote.
    """

    sighting: Sighting | None = None
    status: int | None = None
    reply: bytes = field(default=b"", repr=False)
    rest: float = 0.0
    receipt: str = ""
    quoted: Quoted | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Provably not executed: try again after `after` seconds at the soonest.

    `burnt`: False where the attempt should not count (429). `closed`: credentials were turned away (401, 403), or the
    route does not exist: the whole destination pauses until a person mends it.
    """

    reason: str
    after: float = 0.0
    burnt: bool = True
    closed: bool = False
    status: int | None = None
    reply: bytes = field(default=b"", repr=False)
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side said no. `reason` holds nothing personal."""

    reason: str
    status: int | None = None
    reply: bytes = field(default=b"", repr=False)
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been executed: only a look-up can tell."""

    reason: str
    status: int | None = None
    reply: bytes = field(default=b"", repr=False)
    rest: float = 0.0


Result = Delivered | Retry | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up saw: shop orders, oldest first, or Glopal's details.

    Of the shop: everything under our reference, and for each known id what became of it (`GONE` where it is deleted
    or cancelled). Nothing found is an answer too.
    """

    sightings: tuple[Sighting, ...] = ()
    details: Details | None = None
    status: int | None = None
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such order: at Glopal (404), or in the shop, where it is deleted."""

    reason: str
    status: int | None = None
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There was an answer, but its contents make no sense. `problem` names field and place; `body` is as it came."""

    problem: str
    body: bytes = field(repr=False)
    status: int | None = None
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class ViewedLine:
    """One line of a shop order as the shop shows it; None where it does not show that."""

    sku: str | None
    quantity: int
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A shop order as the shop shows it, for comparing. What is None is not shown; amounts are in `currency`."""

    sighting: Sighting
    reference: str | None = None
    currency: str | None = None
    total: Decimal | None = None
    lines: tuple[ViewedLine, ...] | None = None
    status: int | None = None
    rest: float = 0.0


Sight = Found | Missing | Unreadable | Retry


Viewed = View | Missing | Unreadable | Retry


class FreezeError(Exception):
    """The request cannot be built; the message names the field, and nothing personal."""


class Connector(Protocol):
    """One destination. Every method is quick to fail, raises nothing else than named here, and logs nothing."""

    @property
    def capabilities(self) -> Capabilities:
        """What this destination can do, as declared."""
        ...

    def freeze(self, task: Task) -> bytes:
        """The whole request as bytes, without credentials; the same task gives the same bytes. Raises `FreezeError`."""
        ...

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:
        """Send what `freeze` made. `key` is the idempotency key, the same for all attempts of one effect.

        `in_time` is asked right before the first byte is written; on False nothing is sent (`Retry`, not burnt).
        """
        ...

    def find(self, subject: Subject) -> Sight:
        """Look up what stands at the destination. `Retry` where no answer could be had."""
        ...

    def close(self) -> None:
        """Close the idle connections."""
        ...


@runtime_checkable
class ShopConnector(Connector, Protocol):
    """A connector to a shop: it can also show an order as it stands there."""

    def view(self, shop_id: str) -> Viewed:
        """The shop order with this id, whole. `Missing` only in the shop's own words for a deleted one."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """A connector whose drafts take several calls, and begin with one that cannot carry our reference."""

    def sweep(self, older_than: timedelta) -> int:
        """Delete what was created so long ago and is still empty and without any reference; how many. Never raises."""
        ...
