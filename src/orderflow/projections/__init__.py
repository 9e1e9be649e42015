"""Readers of the log: a protocol, and the loop that keeps them up to date.

They never write anything but their own tables, and never call out: a rebuild can have no side effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol, runtime_checkable

import sqlalchemy as sa

from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.projections.steps import Step, steps_of, uncollected
from orderflow.store import log, progress
from orderflow.store.applied import further, links

__all__ = ["BATCH", "Projection", "Reader", "Standing", "Step", "catch_up"]

BATCH: Final = 2000
"""At most so many events a transaction: few statements an event when behind; when live there are never that many."""


class Reader(Protocol):
    """Whoever follows the log. `apply` gets every event of a store exactly once and in order."""

    name: ClassVar[str]

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Write what `steps` mean for this reader, in the transaction that also moves its checkpoint."""
        ...


class Projection(Reader, Protocol):
    """A reader that keeps a read model, which can be rebuilt from position 1."""

    @property
    def table(self) -> sa.Table:
        """Where its rows stand."""
        ...

    def into(self, table: sa.Table) -> Projection:
        """The same projection with its rows in another table of the same columns."""
        ...


@runtime_checkable
class Standing(Projection, Protocol):
    """A projection that shows how orders stand, and not how they came there: a rebuild shows it only where they end."""

    def put(self, conn: sa.Connection, store: str, orders: Mapping[str, Order], policy: StorePolicy) -> None:
        """Write how each of `orders` stands, in the place of what was known of it."""
        ...


def catch_up(
    conn: sa.Connection, store: str, readers: Sequence[Reader], policy: StorePolicy, batch: int = BATCH
) -> int:
    """Give the next events of `store` to every reader, and move its checkpoint, in this transaction.

    Readers that stand at the same place share one reading. Returns how many events were given to any of them; one that
    another process works on right now is left out.
    """
    claimed = progress.claim(conn, [reader.name for reader in readers], store)
    most = 0
    for place in sorted({one.position for one in claimed.values()}):
        records = log.read(conn, store, place, batch)
        if not records:
            continue
        here = [reader for reader in readers if reader.name in claimed and claimed[reader.name].position == place]
        with uncollected():
            steps = steps_of(conn, store, records)
            for reader in here:
                reader.apply(conn, store, steps, policy)
        known = links(conn, store, place, records[-1].position)
        given = [step.record for step in steps]
        after = {one: further(one, given, known) for one in {claimed[reader.name] for reader in here}}
        progress.advance(conn, store, {reader.name: after[claimed[reader.name]] for reader in here})
        most = max(most, len(records))
    return most
