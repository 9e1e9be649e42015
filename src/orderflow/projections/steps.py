"""The steps of a batch: every event with its order before and after it.

It never reads a body, and never believes a fold that another version of the machine made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from orderflow import codec
from orderflow.domain.events import Event
from orderflow.domain.evolve import evolve
from orderflow.domain.order import Order
from orderflow.orders import many_as_of
from orderflow.store.log import Record


@dataclass(frozen=True, slots=True)
class Step:
    """One event with the order before and after it."""

    record: Record
    event: Event
    before: Order
    after: Order


def last_of_each(steps: Sequence[Step]) -> Mapping[str, Step]:
    """The last step of each order: what a table with one row an order needs."""
    return {step.record.order_id: step for step in steps}


class Folds:
    """Folds of orders that are likely to go on: `limit` to twice as many, those that were not asked for forgotten.

    A fold at a version is true whoever appends meanwhile, so it is only ever taken at the version asked for. Not kept
    for longer than a transaction: a process may outlive the history that it has read, if the database is restored.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[str, Order] = {}
        self._old: dict[str, Order] = {}

    def get(self, order_id: str, version: int) -> Order | None:
        """The order as it was at `version`, if that is known."""
        order = self._young.get(order_id) or self._old.get(order_id)
        return order if order is not None and order.version == version else None

    def keep(self, order_id: str, order: Order) -> None:
        """Remember `order`."""
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, {}
        self._young[order_id] = order


def steps_of(
    conn: sa.Connection, store: str, records: Sequence[Record], folds: Folds | None = None, *, snapshots: bool = True
) -> list[Step]:
    """A step for each of `records`, which are consecutive events of `store`.

    Where an order stood before its first event here is taken from `folds`, else from the snapshots of the orders read
    model (if those may be used), else folded from its stream.
    """
    standing = dict(_known(records, folds)) if folds is not None else {}
    unknown = {record.order_id: record.version - 1 for record in reversed(records) if record.order_id not in standing}
    standing |= many_as_of(conn, store, unknown, snapshots=snapshots)
    steps = []
    for record in records:
        before = standing[record.order_id]
        recorded = codec.decode(record)
        after = standing[record.order_id] = evolve(before, recorded)
        steps.append(Step(record, recorded.event, before, after))
    if folds is not None:
        for order_id, order in standing.items():
            folds.keep(order_id, order)
    return steps


def _known(records: Sequence[Record], folds: Folds) -> Iterator[tuple[str, Order]]:
    first = {record.order_id: record.version - 1 for record in reversed(records)}
    for order_id, version in first.items():
        order = Order() if version == 0 else folds.get(order_id, version)
        if order is not None:
            yield order_id, order
