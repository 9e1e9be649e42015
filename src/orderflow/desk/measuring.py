"""Where a store stands against an alert rule: counted from the read model of exceptions and from the calls.

It never changes anything, and carries nothing personal: ids, classes, positions, statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orderflow.desk.exceptions import Found, Id
from orderflow.desk.rules import Rule
from orderflow.domain.machine import Status

SHOWN: Final = 20
"""At most so many orders are named, and a quarter as many examples."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted up to `at`; `newest`: when the last one began. `of`: how many orders or calls there were in all.

    Orders are only counted where the rule asks for a share of them; else `of` is 0.

    `orders` are those affected, the newest first, at most `SHOWN` of `spread`; of each example an id to look it up by.
    """

    rule: Rule
    store: str
    at: datetime
    count: int
    spread: int
    of: int
    newest: datetime | None
    orders: tuple[str, ...]
    examples: tuple[Mapping[str, Any], ...]

    @property
    def percent(self) -> float:
        """The share, of orders where exceptions are counted, else of calls."""
        part = self.count if self.rule.outcomes else self.spread
        return 100.0 * part / self.of if self.of else 0.0

    @property
    def fires(self) -> bool:
        """Are all limits of the rule passed? What concerns the store itself has no orders and no share."""
        rule = self.rule
        if self.count < rule.at_least or self.spread < rule.orders:
            return False
        return not rule.percent or self.percent > rule.percent


def measured(conn: sa.Connection, rule: Rule, store: str, own: Sequence[Found], now: datetime) -> Measured:
    """Where `store` stands against `rule`. `own` are the exceptions of stores themselves."""
    given = {"store": store, "since": now - rule.window, "now": now}
    if rule.outcomes:
        row = conn.execute(_CALLS, given | {"outcomes": [*rule.outcomes], "effects": [*rule.effects]}).one()
        return _measured(rule, store, now, row, row.of, [])
    row = conn.execute(_EXCEPTIONS, given | {"classes": [*rule.classes]}).one()
    of = max(row.spread, conn.execute(_NEWS, given | _BY_STATUS).scalar_one()) if rule.percent else 0
    mine = [one for one in own if one.store == store and (not rule.classes or one.of in rule.classes)]
    return _measured(rule, store, now, row, of, mine)


def _measured(rule: Rule, store: str, now: datetime, row: Any, of: int, own: Sequence[Found]) -> Measured:
    found = [{"exception": one.id, "class": one.of.value} for one in own]
    found += [_example(store, example) for example in row.examples or ()]
    times = [*(one.since for one in own), *([row.newest] if row.newest else [])]
    newest, orders = max(times, default=None), tuple(row.orders or ())[:SHOWN]
    return Measured(rule, store, now, row.count + len(own), row.spread, of, newest, orders, tuple(found[: SHOWN // 4]))


def _example(store: str, example: Mapping[str, Any]) -> dict[str, Any]:
    """An exception's event and attempt, or a call's."""
    if "kind" in example:
        found = Id(store, example["order_id"], example["kind"], example["position"], example["number"])
        told = {"exception": str(found), "class": example["class"], "event": example["position"]}
        return told | {name: example[name] for name in ("effect", "attempt") if example[name] is not None}
    return dict(example)


_EXCEPTIONS: Final = sa.text(
    f"""
    WITH found AS MATERIALIZED (
        SELECT order_id, kind, position, number, class, effect, attempt, opens_at FROM orderflow.exceptions
        WHERE store = :store AND opens_at <= :now AND closed_position IS NULL AND NOT settling
          AND (cardinality(CAST(:classes AS text[])) = 0 OR class = ANY (:classes))
        UNION ALL
        SELECT order_id, kind, position, number, class, effect, attempt, opens_at FROM orderflow.exceptions
        WHERE store = :store AND closed_at > :since AND opens_at <= :now AND NOT settling
          AND (cardinality(CAST(:classes AS text[])) = 0 OR class = ANY (:classes))
    )
    SELECT count(*) AS count, count(DISTINCT order_id) AS spread, max(opens_at) AS newest,
           (SELECT array_agg(order_id ORDER BY newest DESC, order_id) FROM (
               SELECT order_id, max(opens_at) AS newest FROM found GROUP BY order_id ORDER BY 2 DESC, 1 LIMIT {SHOWN}
           ) AS o) AS orders,
           (SELECT json_agg(e) FROM (
               SELECT order_id, kind, position, number, class, effect, attempt FROM found
               ORDER BY opens_at DESC, order_id, kind LIMIT {SHOWN // 4}
           ) AS e) AS examples
    FROM found
    """
)
"""Those that are open, and those that were within the window. Of what Glopal is still asked about nobody is told."""

_NEWS: Final = sa.text(
    "SELECT count(*) FROM orderflow.orders WHERE store = :store AND status = ANY (:statuses) "
    "AND last_recorded_at > :since"
)
_BY_STATUS: Final = {"statuses": [*Status]}
"""All of them: the index of orders leads by status to the newest."""

_CALLS: Final = sa.text(
    f"""
    WITH calls AS MATERIALIZED (
        SELECT order_id, effect, generation, attempt, kind, status, outcome, started_at,
               split_part(outcome, ':', 1) = ANY (CAST(:outcomes AS text[])) AS bad
        FROM orderflow.attempts
        WHERE store = :store AND started_at > :since AND started_at <= :now
          AND (cardinality(CAST(:effects AS text[])) = 0 OR effect = ANY (:effects))
    )
    SELECT count(*) FILTER (WHERE bad) AS count, count(DISTINCT order_id) FILTER (WHERE bad) AS spread,
           count(*) AS of, max(started_at) FILTER (WHERE bad) AS newest,
           (SELECT array_agg(order_id ORDER BY newest DESC, order_id) FROM (
               SELECT order_id, max(started_at) AS newest FROM calls WHERE bad
               GROUP BY order_id ORDER BY 2 DESC, 1 LIMIT {SHOWN}
           ) AS o) AS orders,
           (SELECT json_agg(json_build_object('order', order_id, 'effect', effect, 'generation', generation,
                'attempt', attempt, 'call', call, 'status', status, 'outcome', outcome)) FROM (
               SELECT order_id, effect, generation, attempt, kind AS call, status,
                      split_part(outcome, ':', 1) AS outcome
               FROM calls WHERE bad ORDER BY started_at DESC, order_id LIMIT {SHOWN // 4}
           ) AS e) AS examples
    FROM calls
    """
)
