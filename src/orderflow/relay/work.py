"""What the relay works with: its means, one call to make, and what came back.

It never acts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import Connector, Result, Sight, Subject
from orderflow.domain.events import Destination, Effect
from orderflow.domain.order import Order, Slot
from orderflow.domain.policy import StorePolicy
from orderflow.store.outbox import Key, Row
from orderflow.store.vault import Vault

POLICY: Final = "orderflow"
"""Who decides where the store's policy does."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the relay needs to know of one store: its policy and its connectors."""

    policy: StorePolicy
    connectors: Mapping[Destination, Connector]


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds. A request's first byte leaves within `send`, a call ends within `call`; `get_settle` must be longer
    than Glopal's GET may lag behind its events. Look-ups begin after `look_up` and back off from `retry` to `longest`.
    """

    send: float = 10.0
    call: float = 30.0
    get_settle: float = 60.0
    look_up: float = 2.0
    retry: float = 2.0
    longest: float = 3600.0

    @property
    def lease(self) -> float:
        """Longer than any call that begins in time, with its look-up afterwards."""
        return self.send + 2 * self.call + 5.0


@dataclass(frozen=True, slots=True)
class Relay:
    """One worker's means. `boottime` is a monotonic clock in seconds that goes on while the machine sleeps."""

    engine: sa.Engine
    vault: Vault
    lines: Mapping[str, Line]
    owner: str
    boottime: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    windows: Windows = field(default_factory=Windows)


@dataclass(frozen=True, slots=True)
class Call:
    """What to do outside any transaction. `kind` is send, look_up or read; `deadline` is on the relay's boottime."""

    row: Row
    kind: str
    effect: Effect
    asked_after: int
    subject: Subject
    request: bytes | None = None
    attempt: int = 0
    deadline: float = 0.0
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the result of a send, what a look-up saw, or both (a refusal is read back at once)."""

    result: Result | None
    sight: Sight | None
    seconds: float


def slot_of(order: Order, key: Key) -> Slot | None:
    """The fold's slot, if it is about this key."""
    slot = order.slot(Destination(key.destination))
    if slot is None or (slot.effect, slot.generation) != (key.effect, key.generation):
        return None
    return slot


def reference(key: Key) -> str:
    """Our name for the order at every destination."""
    return f"glopal:{key.store}:{key.order_id}"
