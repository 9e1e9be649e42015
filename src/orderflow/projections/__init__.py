"""Readers of the log: a protocol, and the loop that keeps them up to date.

They never write anything but their own tables, and never call out: a rebuild can have no side effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy as sa

from orderflow import codec
from orderflow.domain.events import Event
from orderflow.domain.evolve import evolve
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import as_of
from orderflow.store import log, progress
from orderflow.store.log import Record

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Step:
    """One event with the order before and after it."""

    record: Record
    event: Event
    before: Order
    after: Order


class Reader(Protocol):
    """Whoever follows the log. `apply` gets every event of a store exactly once and in order."""

    name: str

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Write what `steps` mean for this reader, in the transaction that also moves its checkpoint."""
        ...


class Projection(Reader, Protocol):
    """A reader that keeps a read model, which can be rebuilt from position 1."""

    table: sa.Table


def catch_up(
    conn: sa.Connection, store: str, readers: Sequence[Reader], policy: StorePolicy, batch: int = BATCH
) -> int:
    """Give the next events of `store` to every reader, and move its checkpoint, in this transaction.

    Readers that stand at the same place share one reading. Returns how many events were given to any of them; one that
    another process works on right now is left out.
    """
    places = progress.claim(conn, [reader.name for reader in readers], store)
    applied = 0
    for place in sorted(set(places.values())):
        records = log.read(conn, store, place, batch)
        if not records:
            continue
        steps = _steps(conn, store, records)
        here = [reader for reader in readers if places.get(reader.name) == place]
        for reader in here:
            reader.apply(conn, store, steps, policy)
        progress.advance(conn, [reader.name for reader in here], store, records[-1].position)
        applied = max(applied, len(records))
    return applied


def reset(conn: sa.Connection, store: str, projection: Projection) -> None:
    """Empty the read model of `store`; the next `catch_up` begins at position 1.

    The checkpoint first: that waits for whoever fills the read model right now, whose rows would be left behind.
    """
    progress.reset(conn, projection.name, store)
    conn.execute(sa.delete(projection.table).where(projection.table.c.store == store))


def rebuild(
    engine: sa.Engine, store: str, projection: Projection, policy: StorePolicy, batch: int = BATCH
) -> Iterator[int]:
    """Fill the read model of `store` anew from position 1; yields the position after each batch."""
    with engine.begin() as conn:
        reset(conn, store, projection)
    done = 0
    while True:
        with engine.begin() as conn:
            count = catch_up(conn, store, [projection], policy, batch)
        if not count:
            return
        done += count
        yield done


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a read model's row as Postgres takes them: it has no NUL in texts, the world has."""
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}


def last_of_each(steps: Sequence[Step]) -> Mapping[str, Step]:
    """The last step of each order: what a table with one row an order needs."""
    return {step.record.order_id: step for step in steps}


def _steps(conn: sa.Connection, store: str, records: Sequence[Record]) -> list[Step]:
    standing: dict[str, Order] = {}
    steps = []
    for record in records:
        before = standing.get(record.order_id)
        if before is None:
            before = as_of(conn, store, record.order_id, record.version - 1)
        recorded = codec.decode(record)
        after = evolve(before, recorded)
        standing[record.order_id] = after
        steps.append(Step(record, recorded.event, before, after))
    return steps
