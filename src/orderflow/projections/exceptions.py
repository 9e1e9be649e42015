"""Read model `exceptions`: every exception of every order, open or closed, with the events that opened and closed it.

It never judges (`domain.attention` does) and reads no clock: what is one by its age stands there from the event on
that began it, with the time from which it counts, and leaves no trace if it ends before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Final, LiteralString

import sqlalchemy as sa

from orderflow.domain.cases import Case, Told, follow
from orderflow.domain.events import Position
from orderflow.domain.exceptions import Of
from orderflow.domain.order import Mark
from orderflow.domain.policy import StorePolicy
from orderflow.projections.rows import upsert
from orderflow.projections.steps import Step
from orderflow.store.arrays import texts
from orderflow.store.direct import fetch
from orderflow.store.log import INTAKE
from orderflow.store.tables import exceptions

_COLUMNS: Final = (
    *("order_id", "kind", "subject", "position", "class", "text", "commands", "settling", "owner"),
    *("opened_at", "opened_type", "opens_at", "effect", "generation", "attempt", "number"),
)
_PLACE: Final = ("order_id", "kind", "position", "number")
Place = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What waited for people, since when, on whose desk, and what ended it."""

    name: ClassVar[str] = "exceptions"
    table: sa.Table = exceptions

    def into(self, table: sa.Table) -> Exceptions:
        """With its rows in `table`."""
        return replace(self, table=table)

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Every step opens, tells anew and closes what `attention` says of the order after it."""
        order_ids = dict.fromkeys(step.record.order_id for step in steps if step.record.order_id != INTAKE)
        desk = _Desk(self._standing(conn, store, order_ids))
        for step in steps:
            if step.record.order_id != INTAKE:
                desk.take(step, policy)
        upsert(conn, self.table, [_row(store, place[0], case) for place, case in desk.changed()])
        gone = desk.gone()
        if gone:
            names = {name: [place[n] for place in gone] for n, name in enumerate(_PLACE)}
            conn.execute(_take_out(self.table), {"store": store, **names})

    def _standing(self, conn: sa.Connection, store: str, order_ids: Iterable[str]) -> dict[str, list[Case]]:
        """The open ones of these orders, as they stand in the table."""
        found: dict[str, list[Case]] = {}
        for row in fetch(conn, _standing_of(self.table), (store, texts([*order_ids]))):
            found.setdefault(row[0], []).append(case_of(dict(zip(_COLUMNS, row, strict=True))))
        return found


@dataclass(slots=True)
class _Desk:
    """What is open by order, and what has become of which row."""

    standing: Mapping[str, Sequence[Case]]
    open: dict[str, Sequence[Case]] = field(init=False)
    rows: dict[Place, Case | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open = dict(self.standing)

    def take(self, step: Step, policy: StorePolicy) -> None:
        record = step.record
        before = self.open.get(record.order_id, ())
        told = Told(step.event, record.type, Mark(step.after.position, record.recorded_at))
        after = follow(before, told, step.after, policy)
        for case in (*after.open, *after.closed):
            if not any(case is one for one in before):
                self.rows[record.order_id, case.kind, case.position, case.number] = case
        for case in after.never:
            self.rows[record.order_id, case.kind, case.position, case.number] = None
        self.open[record.order_id] = after.open

    def changed(self) -> list[tuple[Place, Case]]:
        return [(place, case) for place, case in self.rows.items() if case is not None]

    def gone(self) -> list[Place]:
        """Rows of the table that were no exceptions in the end."""
        known = {
            (name, case.kind, case.position, case.number) for name, cases in self.standing.items() for case in cases
        }
        return [place for place, case in self.rows.items() if case is None and place in known]


@cache
def _standing_of(table: sa.Table) -> LiteralString:
    columns = ", ".join(_COLUMNS)
    return f"SELECT {columns} FROM {table} WHERE store = %s AND order_id = ANY (%s) AND closed_position IS NULL"


@cache
def _take_out(table: sa.Table) -> sa.TextClause:
    return sa.text(
        f"DELETE FROM {table} AS t USING unnest(CAST(:order_id AS text[]), CAST(:kind AS text[]), "
        "CAST(:position AS bigint[]), CAST(:number AS integer[])) AS g (order_id, kind, position, number) "
        "WHERE t.store = :store AND t.order_id = g.order_id AND t.kind = g.kind AND t.position = g.position "
        "AND t.number = g.number"
    )


def case_of(row: Mapping[str, Any]) -> Case:
    """An open exception from its row."""
    plain = {name: row[name] for name in _COLUMNS if name not in ("order_id", "class", "commands", "position")}
    return Case(**plain, of=Of(row["class"]), commands=tuple(row["commands"]), position=Position(row["position"]))


def _row(store: str, order_id: str, case: Case) -> dict[str, Any]:
    closed = case.closed
    return {
        "store": store,
        "order_id": order_id,
        "kind": case.kind,
        "subject": case.subject,
        "position": case.position,
        "class": case.of.value,
        "text": case.text,
        "commands": list(case.commands),
        "settling": case.settling,
        "owner": case.owner,
        "opened_at": case.opened_at,
        "opened_type": case.opened_type,
        "opens_at": case.opens_at,
        "effect": case.effect,
        "generation": case.generation,
        "attempt": case.attempt,
        "number": case.number,
        "closed_position": closed.position if closed else None,
        "closed_at": closed.at if closed else None,
        "closed_type": closed.type if closed else None,
        "closed_by": (closed.by or None) if closed else None,
    }
