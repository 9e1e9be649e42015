"""A read model made anew beside the live one, compared with it row by row, swapped in, and kept until released.

It never touches the outbox or the log, and nobody sees it half done: all of it is one transaction, and until that ends
workers and readers go on with the live rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.projections import Projection, Standing
from orderflow.projections.differences import Differences, compared, exchange
from orderflow.projections.steps import Folds, orders_after, steps_of, uncollected
from orderflow.store import log, progress
from orderflow.store.applied import Applied, further, links, nothing
from orderflow.store.connect import transact
from orderflow.store.log import LogDamagedError, Record
from orderflow.store.tables import kept, like

PAGE: Final = 5000
FOLDS: Final = 20_000
"""Orders in memory: so many to twice as many folds, and as many rows to be. What is older is folded again."""

Told = Callable[[int], None]
"""Is told the position that was reached."""


class NothingKeptError(LookupError):
    """There is no former read model to go back to."""


def compare(
    engine: sa.Engine, store: str, projection: Projection, policy: StorePolicy, told: Told, page: int = PAGE
) -> Differences:
    """Where the live read model of `store` differs from one made anew up to the same position. Nothing is left behind.

    While the rows are compared (not while they are made) the projection waits.
    """

    def work(conn: sa.Connection) -> Differences:
        beside, live, _ = _level(conn, _Making(engine, store, projection, policy, told, page))
        return compared(conn, store, live.position, projection.table, beside)

    return transact(engine, work)


def rebuild(
    engine: sa.Engine, store: str, projection: Projection, policy: StorePolicy, told: Told, page: int = PAGE
) -> Differences:
    """Swap in the read model of `store` made anew. What differed was the old one, which is kept.

    Where nothing differs, nothing is swapped, and a former one that is kept stays. The new one stands where the live
    one stood; from there on it is caught up as ever.
    """

    def work(conn: sa.Connection) -> Differences:
        beside, live, made = _level(conn, _Making(engine, store, projection, policy, told, page))
        found = compared(conn, store, live.position, projection.table, beside)
        if found.count:
            exchange(conn, projection.table, beside)
            _keep(conn, store, projection, beside, live)
        progress.put(conn, projection.name, store, made)
        return found

    return transact(engine, work)


def back(
    engine: sa.Engine, store: str, projection: Projection, policy: StorePolicy, told: Told, page: int = PAGE
) -> Differences:
    """Swap the kept read model in again; the present one is kept in its place.

    The kept one first gets the events since it was replaced, by the program that runs now. Raises `NothingKeptError`.
    """
    former = kept[projection.table.name]

    def work(conn: sa.Connection) -> Differences:
        live = progress.wait_for(conn, projection.name, store)
        [was] = progress.applied(conn, [_kept(projection)], store).values()
        if was == nothing(store):
            raise NothingKeptError(f"no former {projection.name} of {store} is kept")
        making = _Making(engine, store, projection.into(former), policy, told, page)
        made = _filled(conn, making, was, live.position)
        found = compared(conn, store, live.position, projection.table, former)
        exchange(conn, projection.table, former)
        progress.put(conn, _kept(projection), store, live)
        progress.put(conn, projection.name, store, made)
        return found

    return transact(engine, work)


def release(conn: sa.Connection, store: str, projection: Projection) -> int:
    """Give up the kept read model of `store`; how many rows it had."""
    progress.wait_for(conn, projection.name, store)
    progress.put(conn, _kept(projection), store, None)
    former = kept[projection.table.name]
    return conn.execute(sa.delete(former).where(former.c.store == store)).rowcount


def _kept(projection: Projection) -> str:
    return f"{projection.name}~kept"


def _keep(conn: sa.Connection, store: str, projection: Projection, old: sa.Table, applied: Applied) -> None:
    former = kept[projection.table.name]
    columns = [column.name for column in former.columns]
    conn.execute(sa.delete(former).where(former.c.store == store))
    conn.execute(sa.insert(former).from_select(columns, sa.select(*(old.c[name] for name in columns))))
    progress.put(conn, _kept(projection), store, applied)


# --- making it --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Making:
    """What a read model is made with."""

    engine: sa.Engine
    store: str
    projection: Projection
    policy: StorePolicy
    told: Told
    page: int
    folds: Folds = field(default_factory=lambda: Folds(FOLDS))


def _level(conn: sa.Connection, making: _Making) -> tuple[sa.Table, Applied, Applied]:
    """The read model anew in a table of this transaction, at the place where the live one stands, and is held.

    What the live one has applied, and what the new one has.
    """
    store, live = making.store, making.projection
    beside = _beside(live.table)
    key = ", ".join(column.name for column in beside.primary_key)
    conn.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {beside.name} (LIKE {live.table}, PRIMARY KEY ({key})) ON COMMIT DROP"
    )
    making = replace(making, projection=live.into(beside))
    near = progress.positions(conn, [live.name], store)[live.name]
    applied = _filled(conn, making, nothing(store), near)
    held = progress.wait_for(conn, live.name, store)
    applied = _filled(conn, making, applied, held.position)
    conn.exec_driver_sql(f"ANALYZE {beside}")
    return beside, held, applied


@cache
def _beside(table: sa.Table) -> sa.Table:
    return like(table, sa.MetaData(schema="pg_temp"), f"{table.name}_beside")


def _filled(conn: sa.Connection, making: _Making, applied: Applied, upto: int) -> Applied:
    """Give the events after `applied` up to position `upto` to a projection whose rows are nobody else's.

    The log is read and folded by one connection while the other, whose transaction it is, still writes rows. Orders
    stand where their streams say: snapshots are what is being checked.
    """
    with making.engine.connect() as reading, ThreadPoolExecutor(1) as writer, uncollected():
        rows = _Rows(conn, making, writer)
        while applied.position < upto:
            limit = min(making.page, upto - applied.position)
            records = log.read(reading, making.store, applied.position, limit)
            if not records:
                raise LogDamagedError(making.store, applied.position + 1, "it is missing")
            rows.take(reading, records)
            known = links(reading, making.store, applied.position, records[-1].position)
            applied = further(applied, records, known)
            making.told(applied.position)
        rows.end()
    return applied


class _Rows:
    """What is on its way into the table: one piece being written, and the orders of the next."""

    def __init__(self, conn: sa.Connection, making: _Making, writer: ThreadPoolExecutor) -> None:
        self._conn, self._making, self._writer = conn, making, writer
        self._writing: Future[None] | None = None
        self._last: dict[str, Order] = {}

    def take(self, reading: sa.Connection, records: Sequence[Record]) -> None:
        """Fold `records`, and have written what they mean; of a `Standing` now and then, else at once."""
        making, projection = self._making, self._making.projection
        if isinstance(projection, Standing):
            self._last |= orders_after(reading, making.store, records, making.folds)
            if len(self._last) >= FOLDS:
                self._write(projection.put, self._last)
                self._last = {}
        else:
            steps = steps_of(reading, making.store, records, making.folds, snapshots=False)
            self._write(projection.apply, steps)

    def end(self) -> None:
        """Write the rest, and wait until all is written."""
        if isinstance(self._making.projection, Standing):
            self._write(self._making.projection.put, self._last)
        if self._writing is not None:
            self._writing.result()

    def _write(self, write: Callable[[sa.Connection, str, Any, StorePolicy], None], what: object) -> None:
        """One after the other: a transaction is nobody's but one thread's."""
        if self._writing is not None:
            self._writing.result()
        self._writing = self._writer.submit(write, self._conn, self._making.store, what, self._making.policy)
