"""Readers of the log that keep relational read models: a protocol, and the loop that keeps them up to date.

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


class Projection(Protocol):
    """A read model. `apply` gets every event of a store exactly once and in order, and writes in that transaction."""

    name: str
    table: sa.Table

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Write what `steps` change in the read model."""
        ...


def catch_up(
    conn: sa.Connection, store: str, projections: Sequence[Projection], policy: StorePolicy, batch: int = BATCH
) -> int:
    """Apply the next events of `store` to every projection, with its checkpoint, in this transaction.

    Projections that stand at the same place share one reading. Returns how many events were applied to any of them;
    one that another process works on right now is left out.
    """
    places = {p.name: progress.claim_reader(conn, p.name, store) for p in projections}
    applied = 0
    for place in sorted({place for place in places.values() if place is not None}):
        records = log.read(conn, store, place, batch)
        if not records:
            continue
        steps = _steps(conn, store, records)
        for projection in projections:
            if places[projection.name] == place:
                projection.apply(conn, store, steps, policy)
                progress.advance(conn, projection.name, store, records[-1].position)
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
            before = _before(conn, store, record)
        recorded = codec.decode(record)
        after = evolve(before, recorded)
        standing[record.order_id] = after
        steps.append(Step(record, recorded.event, before, after))
    return steps


def _before(conn: sa.Connection, store: str, record: Record) -> Order:
    """The order just before `record`: its snapshot if that is where it stands, else folded from its stream."""
    from orderflow.projections.orders import snapshot_at  # noqa: PLC0415  that read model is a projection itself

    return snapshot_at(conn, store, record.order_id, record.version - 1) or as_of(
        conn, store, record.order_id, record.version - 1
    )
