"""The steps of a batch: every event with its order before and after it.

It never reads a body, and never believes a fold that another version of the machine made.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from orderflow import codec
from orderflow.domain.events import Event, Position, Version
from orderflow.domain.evolve import evolve, take
from orderflow.domain.folding import Folding
from orderflow.domain.order import Order
from orderflow.domain.quick import quick
from orderflow.orders import all_as_of
from orderflow.store.log import Record


@contextmanager
def uncollected() -> Iterator[None]:
    """Nobody looks for cycles of garbage meanwhile.

    Folds and rows are values without cycles, by the hundred thousand: looking through them all again and again was a
    quarter of a rebuild (measured), and never found anything.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@quick
@dataclass(frozen=True, slots=True)
class Step:
    """One event with the order before and after it."""

    record: Record
    event: Event
    before: Order
    after: Order


class Folds:
    """Folds of orders that are likely to go on: `limit` to twice as many, those that were not asked for forgotten.

    A fold at a version is true whoever appends meanwhile, so it is only ever taken at the version asked for. Not kept
    for longer than a transaction: a process may outlive the history that it has read, if the database is restored.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[str, Order] = {}
        self._old: dict[str, Order] = {}

    def at(self, versions: Mapping[str, int]) -> dict[str, Order]:
        """Those of the orders that are known as they were at the version asked for."""
        found = {}
        for order_id, version in versions.items():
            order = self._young.get(order_id) or self._old.get(order_id)
            if order is not None and order.version == version:
                found[order_id] = order
        return found

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
    standing = _before(conn, store, records, folds, snapshots=snapshots)
    steps = []
    for record in records:
        before = standing[record.order_id]
        recorded = codec.decode(record)
        after = standing[record.order_id] = evolve(before, recorded)
        steps.append(Step(record, recorded.event, before, after))
    _keep(folds, standing)
    return steps


def orders_after(conn: sa.Connection, store: str, records: Sequence[Record], folds: Folds) -> dict[str, Order]:
    """How each order of `records` stands after them; no snapshot is believed. Cheaper than all the steps there."""
    standing = _before(conn, store, records, folds, snapshots=False)
    under_way = {order_id: Folding(order) for order_id, order in standing.items()}
    for one in records:
        event = codec.event_of(one.type, one.clear, one.occurred_at)
        take(under_way[one.order_id], event, Position(one.position), Version(one.version), one.recorded_at)
    after = {order_id: folding.done() for order_id, folding in under_way.items()}
    _keep(folds, after)
    return after


def _before(
    conn: sa.Connection, store: str, records: Sequence[Record], folds: Folds | None, *, snapshots: bool
) -> dict[str, Order]:
    """How each order of `records` stood before the first of them."""
    versions = {record.order_id: record.version - 1 for record in reversed(records)}
    known = {} if folds is None else folds.at(versions)
    unknown = {order_id: version for order_id, version in versions.items() if order_id not in known}
    return known | all_as_of(conn, store, unknown, snapshots=snapshots)


def _keep(folds: Folds | None, orders: Mapping[str, Order]) -> None:
    if folds is not None:
        for order_id, order in orders.items():
            folds.keep(order_id, order)
