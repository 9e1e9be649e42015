"""What should be planned, judged anew from the log; only then does the planner count as one that missed nothing.

It never fires an effect: what was not planned is planned parked, as by a sweep. It never believes a snapshot, and never
sets right a planner that goes on to miss events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.projections.beside import FOLDS, PAGE, Told
from orderflow.projections.differences import EXAMPLES, Differences, Example
from orderflow.projections.planner import Planner, plan
from orderflow.projections.steps import Folds, orders_after, uncollected
from orderflow.store import log, outbox, progress
from orderflow.store.applied import Applied, further, links, nothing
from orderflow.store.connect import transact
from orderflow.store.log import INTAKE, LogDamagedError
from orderflow.store.outbox import Key, Row

_SHOWN: Final = ("state", "target", "next_at", "parked", "shadow", "reason")


class StillMissingError(RuntimeError):
    """The planner missed or doubled events while its past was judged: what is wrong with it has to be mended first."""


def compare(engine: sa.Engine, store: str, policy: StorePolicy, told: Told, page: int = PAGE) -> Differences:
    """Where the outbox of `store` differs from what the log says is to be planned. Nothing is changed."""
    return _judged(engine, store, policy, told, page, keep=False)[-1]


def replan(engine: sa.Engine, store: str, policy: StorePolicy, told: Told, page: int = PAGE) -> Differences:
    """Let the outbox of `store` say what the log says, then let the planner count as having read all. What differed.

    Page by page, each in a transaction of its own that keeps the planner out for a moment. Interrupted, what was judged
    stays judged, and the planner's flaw stays on record. Raises `LogDamagedError` where the log ends before the
    planner's place, and `StillMissingError`.
    """
    was, applied, found = _judged(engine, store, policy, told, page, keep=True)
    transact(engine, partial(_set_right, store=store, was=was, applied=applied, page=page))
    return found


def _judged(
    engine: sa.Engine, store: str, policy: StorePolicy, told: Told, page: int, *, keep: bool
) -> tuple[Applied, Applied, Differences]:
    """What the planner says it applied, what this walk applied up to the same place, and what differed."""
    tally, folds, applied = _Tally(), Folds(FOLDS), nothing(store)
    with engine.connect() as reading, uncollected():
        was = progress.applied(reading, [Planner.name], store)[Planner.name]
        while applied.position < was.position:
            records = log.read(reading, store, applied.position, min(page, was.position - applied.position))
            if not records:
                raise LogDamagedError(store, applied.position + 1, "it is missing")
            orders = orders_after(reading, store, records, folds)
            applied = further(applied, records, links(reading, store, applied.position, records[-1].position))
            rows = transact(engine, partial(_judge, store=store, orders=orders, policy=policy, keep=keep))
            tally.count(*rows)
            told(applied.position)
    return was, applied, tally.told(store, applied.position)


Rows = Mapping[Key, Row]


def _judge(
    conn: sa.Connection, *, store: str, orders: Mapping[str, Order], policy: StorePolicy, keep: bool
) -> tuple[Rows, Rows]:
    """The rows of those orders that end here, before and after they were planned anew.

    Another order is judged where it ends, or by the planner itself, which has its news before it or behind it.
    """
    progress.wait_for(conn, Planner.name, store)
    found = conn.execute(_ENDS, {"store": store, "order_ids": list(orders)})
    ends = {row.order_id: row.version for row in found}
    ended = {name: order for name, order in sorted(orders.items()) if order.version == ends[name] and name != INTAKE}
    before = _rows(conn, store, ended)
    with conn.begin_nested() as planning:
        plan(conn, store, ended, policy)
        after = _rows(conn, store, ended)
        if not keep:
            planning.rollback()
    return before, after


_ENDS: Final = sa.text(
    "SELECT order_id, version FROM orderflow.streams WHERE store = :store AND order_id = ANY (:order_ids)"
)


def _rows(conn: sa.Connection, store: str, orders: Mapping[str, Order]) -> Rows:
    return {row.key: row for rows in outbox.rows_of_many(conn, store, list(orders)).values() for row in rows}


def _set_right(conn: sa.Connection, *, store: str, was: Applied, applied: Applied, page: int) -> None:
    """The planner stands where it stands, with the count and the chain of who applied every event up to there."""
    live = progress.wait_for(conn, Planner.name, store)
    while applied.position < live.position:
        records = log.read(conn, store, applied.position, min(page, live.position - applied.position))
        if not records:
            raise LogDamagedError(store, applied.position + 1, "it is missing")
        known = links(conn, store, applied.position, records[-1].position)
        was, applied = further(was, records, known), further(applied, records, known)
    if was != live:
        raise StillMissingError(f"the planner of {store} missed or doubled events meanwhile")
    progress.put(conn, Planner.name, store, applied)


# --- what differed ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """Counts rows that differ, of any number of pages."""

    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def count(self, before: Rows, after: Rows) -> None:
        self.rows += len(before)
        for key in sorted(before.keys() | after.keys(), key=str):
            old, new = before.get(key), after.get(key)
            names = [name for name in _SHOWN if getattr(old, name, None) != getattr(new, name, None)]
            if not names:
                continue
            self.kinds["changed" if old and new else "only_old" if old else "only_new"] += 1
            self.columns.update(names if old and new else ())
            if len(self.examples) < EXAMPLES:
                place = {name: str(getattr(key, name)) for name in Key.__slots__ if name != "store"}
                self.examples.append(Example(place, _told(old, names), _told(new, names)))

    def told(self, store: str, position: int) -> Differences:
        kinds = {kind: self.kinds[kind] for kind in ("changed", "only_old", "only_new")}
        columns = {name: self.columns[name] for name in _SHOWN if self.columns[name]}
        return Differences(
            Planner.name, store, position, self.rows, columns=columns, examples=tuple(self.examples), **kinds
        )


def _told(row: Row | None, names: list[str]) -> dict[str, str | None] | None:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return None if row is None else {name: text(getattr(row, name)) for name in names}
