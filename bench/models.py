"""The read models `orders` and `timeline` of a log that was filled, by the product's own projections.

For logs that nobody reads or appends to meanwhile: all of it is one walk, and each page of events is folded once.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import sqlalchemy as sa

from bench import ours
from orderflow.domain.order import Order
from orderflow.projections.orders import Orders
from orderflow.projections.steps import Folds, Step, steps_of, uncollected
from orderflow.projections.timeline import Timeline
from orderflow.store import log, progress
from orderflow.store.applied import further, links, nothing
from orderflow.store.connect import connect

_PAGE = 5000
_ORDERS = 20_000
"""Orders in memory before their rows are written: more than live side by side."""


def fill_models(url: str) -> None:
    """Write what both read models say of the whole log, and their checkpoints at its end."""
    engine, folds, applied = connect(url), Folds(_ORDERS), nothing(ours.STORE)
    last: dict[str, Order] = {}
    with (
        engine.connect() as reading,
        engine.connect() as conn,
        ThreadPoolExecutor(1) as writer,
        uncollected(),
    ):
        writing: Future[None] | None = None
        while records := log.read(reading, ours.STORE, applied.position, _PAGE):
            steps = steps_of(reading, ours.STORE, records, folds, snapshots=False)
            applied = further(applied, records, links(reading, ours.STORE, applied.position, records[-1].position))
            last |= {step.record.order_id: step.after for step in steps}
            if writing is not None:
                writing.result()
            full, last = (last, {}) if len(last) >= _ORDERS else ({}, last)
            writing = writer.submit(_write, conn, steps, full)
        if writing is not None:
            writing.result()
        _write(conn, [], last)
        with conn.begin():
            for name in (Orders.name, Timeline.name):
                progress.put(conn, name, ours.STORE, applied)
    engine.dispose()


def _write(conn: sa.Connection, steps: list[Step], orders: dict[str, Order]) -> None:
    with conn.begin():
        Timeline().apply(conn, ours.STORE, steps, ours.POLICY)
        Orders().put(conn, ours.STORE, orders, ours.POLICY)
