"""What the relay works with: its means, a turn at one row, a call to make, and what came back.

It never acts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from orderflow.connectors import Connector, Result, Sight, Subject
from orderflow.domain.events import Destination, Effect
from orderflow.domain.order import Order, Slot
from orderflow.domain.policy import StorePolicy
from orderflow.orders import Fact, ahead
from orderflow.relay.breaker import Breaker
from orderflow.relay.pacing import FREE, Pace
from orderflow.store.gates import Place
from orderflow.store.leases import Change
from orderflow.store.outbox import Row
from orderflow.store.vault import Key, Vault

POLICY: Final = "orderflow"
"""Who decides where the store's policy does."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One store as the relay knows it: its policy, its connectors, and the pace of each where one is set."""

    policy: StorePolicy
    connectors: Mapping[Destination, Connector]
    paces: Mapping[Destination, Pace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Windows:
    """Times of a relay, in seconds.

    A request's first byte leaves within `send`, a call ends within `call`; `get_settle` must be longer than Glopal's
    GET may lag behind its events. Look-ups begin after `look_up`; retries back off from `retry` to `longest`, or as
    `schedule` lists the pauses, of which the last goes on.
    """

    send: float = 10.0
    call: float = 30.0
    get_settle: float = 60.0
    look_up: float = 2.0
    retry: float = 5.0
    longest: float = 3600.0
    schedule: tuple[float, ...] = ()

    def pause(self, tries: int) -> float:
        """The longest wait after so many tries, in seconds: the one place where the schedule of retries stands."""
        number = max(tries, 1)
        if self.schedule:
            return self.schedule[min(number, len(self.schedule)) - 1]
        return min(self.longest, self.retry * 4.0 ** min(number - 1, 20))

    @property
    def lease(self) -> float:
        """Longer than a call that begins in time and the look-up that reads a refusal back."""
        return self.send + 2 * self.call + 5.0


@dataclass(frozen=True, slots=True)
class Relay:
    """One worker's means. `boottime` is a monotonic clock in seconds that goes on while the machine sleeps."""

    engine: sa.Engine
    vault: Vault
    tenants: Mapping[str, Tenant]
    owner: str
    boottime: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    windows: Windows = field(default_factory=Windows)
    breaker: Breaker = field(default_factory=Breaker)

    def pace(self, place: Place) -> Pace:
        """How fast a destination may be called by settings."""
        store, destination = place
        return self.tenants[store].paces.get(Destination(destination), FREE)

    @property
    def places(self) -> list[Place]:
        """Every destination of every store."""
        return [(store, place.value) for store in sorted(self.tenants) for place in self.tenants[store].connectors]

    def backoff(self, tries: int) -> float:
        """Seconds to wait after so many tries: full jitter, so that those who failed together do not come together."""
        return self.rng.uniform(0.0, self.windows.pause(tries))


@dataclass(frozen=True, slots=True)
class Turn:
    """One row in one transaction, with its order as it stands, and what stands sealed in the vault about it.

    `key` seals for the order, `details` are those that the fold goes by; both only where they were asked for.
    """

    relay: Relay
    row: Row
    order: Order
    key: Key | None = None
    details: SealedDetails | None = None

    @property
    def policy(self) -> StorePolicy:
        """How the row's store wants its orders handled."""
        return self.relay.tenants[self.row.key.store].policy

    @property
    def slot(self) -> Slot | None:
        """The fold's slot, if it is about this row's key."""
        return slot_for(self.order, self.row)

    @property
    def reference(self) -> str:
        """Our name for the order at every destination."""
        return f"glopal:{self.row.key.store}:{self.row.key.order_id}"

    @property
    def subject(self) -> Subject:
        """Whom a look-up for this row asks about."""
        known = dict.fromkeys(sighting.shop_id for sighting in self.order.shop.seen)
        if self.row.key.effect == Effect.WITHDRAW:
            known[self.row.target] = None  # what Glopal itself inserted carries another reference, and nobody saw it
        return Subject(self.row.key.store, self.row.key.order_id, self.reference, tuple(known))

    def ahead(self, facts: list[Fact], now: datetime) -> Order:
        """The order as it will be once `facts` are recorded."""
        return ahead(self.order, [fact.event for fact in facts], now)


@dataclass(frozen=True, slots=True)
class SealedDetails:
    """Details as they came, in the sealed body of the event that recorded them."""

    event_id: UUID
    body: bytes
    key: Key


@dataclass(frozen=True, slots=True)
class Move:
    """What a turn comes to: facts to append onto exactly its history, what becomes of its row, and the call to make.

    `change` is None where the row is left alone; `line` is the one for the call that was made. All of it or nothing:
    where the history has grown, another turn decides anew.
    """

    turn: Turn
    facts: tuple[Fact, ...] = ()
    change: Change | None = None
    call: Call | None = None
    line: Mapping[str, Any] | None = None


def stands(turn: Turn, *, leased: bool = False, **columns: Any) -> Change:
    """The row with these columns instead, given back unless it stays leased."""
    return Change(replace(turn.row, **columns), leased=leased)


def ended(turn: Turn) -> Change:
    """The row leaves the outbox."""
    return Change(turn.row, ends=True)


def slot_for(order: Order, row: Row) -> Slot | None:
    """The slot that an order has for the row's key, if it is under way."""
    slot = order.slot(Destination(row.key.destination))
    if slot is None or (slot.effect, slot.generation) != (row.key.effect, row.key.generation):
        return None
    return slot


@dataclass(frozen=True, slots=True)
class Call:
    """What to do outside any transaction. `kind` is send, look_up or read; `deadline` is on the relay's boottime.

    `asked_after` is the order's last position when the call was prepared. `probe`: it tries for all whether its
    destination is back, so that a failure is none of the order's own.
    """

    row: Row
    kind: str
    effect: Effect
    asked_after: int
    subject: Subject
    request: bytes | None = None
    attempt: int = 0
    deadline: float = 0.0
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the result of a send, what a look-up saw, or both (a refusal is read back at once)."""

    result: Result | None
    sight: Sight | None
    seconds: float
