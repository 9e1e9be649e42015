"""Read model `anomalies`: what did not go by the book, derived from the history and today's machine.

It never changes an order; change the table, rebuild, and history is judged anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import sqlalchemy as sa

from orderflow.domain import events as e
from orderflow.domain.machine import REPORT, Report, Status, Verdict, judge
from orderflow.domain.policy import StorePolicy
from orderflow.projections.oddities import after_the_sale
from orderflow.projections.rows import insert
from orderflow.projections.steps import Step
from orderflow.store.tables import anomalies


@dataclass(frozen=True, slots=True)
class Anomalies:
    """Leaps, conflicts, overrulings, evidence, what could not be read, and what was done elsewhere."""

    name: ClassVar[str] = "anomalies"
    table: sa.Table = anomalies

    def into(self, table: sa.Table) -> Anomalies:
        """With its rows in `table`."""
        return replace(self, table=table)

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """A row for each anomaly that a step shows."""
        del policy
        rows = [
            {
                "store": store,
                "position": step.record.position,
                "kind": kind,
                "order_id": step.record.order_id,
                "recorded_at": step.record.recorded_at,
                "detail": detail,
            }
            for step in steps
            for kind, detail in found_in(step)
        ]
        insert(conn, self.table, rows)


def found_in(step: Step) -> Iterator[tuple[str, str]]:
    """Kind and detail of each anomaly in one step."""
    before, after, event = step.before, step.after, step.event
    yield from after_the_sale(before, after, event)
    match event:
        case e.Reported(report=report):
            yield from _judged(before.status, report)
        case e.DetailsFetched(status=None, said=said):
            yield "unnamed_status", f"details say {said!r}"
        case e.DetailsFetched(status=status) if status is not None and status is not Status.NEW:
            if judge(before.status, REPORT[status]) is Verdict.LEAP:
                yield "leap", f"details say {status} for an order that is {before.status}"
            if before.hold(e.HoldReason.OVERRULED) != after.hold(e.HoldReason.OVERRULED):
                yield "overruled", f"two fetches say {status}, the order was {before.status}"
            elif before.dispute is None and after.dispute is not None:
                yield "conflict", f"details say {status} for an order that is {before.status}"
        case e.EvidenceFound(source_id=source_id):
            yield "evidence", f"event {source_id} came again with other contents"
        case e.Malformed(problem=problem):
            yield "malformed", problem
        case e.Unrecognised(name=name):
            yield "unrecognised", name
        case e.EffectDelivered() | e.LookedUp() if after.shop is not before.shop:
            strays = {s.shop_id for s in after.shop.living} - {s.shop_id for s in before.shop.living}
            for shop_id in sorted(strays - {after.shop.recorded}):
                yield f"stray {shop_id}"[:200], f"shop order {shop_id} stands beside {after.shop.recorded}"
        case _:
            return


def _judged(status: Status, report: Report) -> Iterator[tuple[str, str]]:
    verdict = judge(status, report)
    if verdict in (Verdict.LEAP, Verdict.CONFLICT):
        yield verdict.value, f"{report} was reported for an order that is {status}"
