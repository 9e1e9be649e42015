"""The planner writes the outbox: for every order touched by new facts, what is due now becomes rows.

It is no projection and is never rebuilt; it never sends anything, and what it plans is asked of the fold again before
it is done. It never plans on a fold that another version of the machine made: such an order is folded anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

import sqlalchemy as sa

from orderflow.domain import machine
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import Destination, RetryRequested
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
from orderflow.projections.causes import caused, frees, retries
from orderflow.projections.steps import Step
from orderflow.store import outbox, progress
from orderflow.store.log import INTAKE
from orderflow.store.outbox import LIVE, REDRIVE, Key, Planned, Replanned, Row


class Planner:
    """Plans for the orders that the next events of a store touch."""

    name: ClassVar[str] = "planner"

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """What is due for each order after its last step becomes rows."""
        news: dict[str, list[Step]] = {}
        for step in steps:
            if step.record.order_id != INTAKE:
                news.setdefault(step.record.order_id, []).append(step)
        orders = {order_id: told[-1].after for order_id, told in sorted(news.items())}
        plan(conn, store, orders, policy, news)


def sweep(conn: sa.Connection, store: str, policy: StorePolicy, after: str = "", limit: int = 200) -> str | None:
    """Plan for every open order of the read model once more, `limit` at a time; returns where to go on, or None.

    What is due here but was not planned when the facts came fell due because machine, policy or mapping changed: it
    is planned *parked*. A deploy never fires effects. Takes turns with `Planner`, and comes no further while that is at
    work: from an older history it would take away what that has just planned. An order with news that `Planner` has not
    read yet is left to it: what falls due by news is not parked. What another version of the machine thinks is closed
    may not be: that is asked of the fold too.
    """
    claimed = progress.claim(conn, [Planner.name], store)
    if not claimed:
        return after
    order_ids = list(conn.scalars(_OPEN, {"store": store, "after": after, "limit": limit}))
    orders = {order_id: load(conn, store, order_id) for order_id in order_ids}
    read = claimed[Planner.name].position
    plan(conn, store, {order_id: order for order_id, order in orders.items() if order.position <= read}, policy)
    return order_ids[-1] if len(order_ids) == limit else None


_OPEN: Final = sa.text(
    f"""
    SELECT order_id FROM orderflow.orders
    WHERE store = :store AND order_id > :after
      AND (status NOT IN ('COMPLETED', 'CANCELLED') OR machine <> {machine.VERSION})
    ORDER BY order_id LIMIT :limit
    """
)


def plan(
    conn: sa.Connection,
    store: str,
    orders: Mapping[str, Order],
    policy: StorePolicy,
    news: Mapping[str, Sequence[Step]] | None = None,
) -> None:
    """Let the outbox rows of `orders` say what is due for them. Rows with an intent belong to the relay.

    `news` are the steps that led to each order. What is due without being caused by them, and was not planned yet, is
    planned parked.
    """
    changes = _Changes()
    standing = outbox.rows_of_many(conn, store, list(orders))
    for order_id, order in orders.items():
        rows = standing.get(order_id, ())
        _plan_one(changes, store, order_id, order, rows, policy, news[order_id] if news else ())
    planned = _unless_overtaken(conn, store, orders, changes.planned) if news else changes.planned
    outbox.rewrite(conn, changes.removed, changes.changed, planned)


def _unless_overtaken(
    conn: sa.Connection, store: str, orders: Mapping[str, Order], planned: Sequence[Planned]
) -> Sequence[Planned]:
    """What news did not cause is missing in the outbox since the rules changed, or since a worker is ahead of us.

    A worker folds an order to its end: it may have taken out a row for news that we have not read. So of an order whose
    stream goes on nothing is parked yet: the last of its news will tell.
    """
    doubtful = {one.key.order_id for one in planned if one.parked}
    if not doubtful:
        return planned
    ends = conn.execute(_ENDS, {"store": store, "order_ids": list(doubtful)})
    overtaken = {order_id for order_id, version in ends if version > orders[order_id].version}
    return [one for one in planned if not one.parked or one.key.order_id not in overtaken]


_ENDS: Final = sa.text(
    "SELECT order_id, version FROM orderflow.streams WHERE store = :store AND order_id = ANY (:order_ids)"
)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What is to become of the outbox."""

    removed: list[Key] = field(default_factory=list)
    changed: list[Replanned] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)


def _plan_one(
    changes: _Changes,
    store: str,
    order_id: str,
    order: Order,
    rows: Sequence[Row],
    policy: StorePolicy,
    news: Sequence[Step],
) -> None:
    due = {_key(store, order_id, one): one for one in effects_due(order, policy)}
    for row in rows:
        one = due.pop(row.key, None)
        if row.state != "planned":
            if not _under_way(order, row.key):
                # Its end was learnt past the row: the relay takes it out.
                changes.changed.append(_again(row, row.now))
        elif one is not None and one.target == row.target:
            changes.changed.extend(_kept(row, one, policy, news))
        elif row.attempt == 0 and one is None and _waits(row, policy, news):
            pass  # else the end of a hold, say, would bring it back as if by news, and fire it
        elif row.attempt == 0:
            changes.removed.append(row.key)  # superseded: no intent was ever made, so the key is free again
            if one is not None:
                changes.planned.append(_new(row.key, one, policy, news))
        else:  # the relay closes it
            changes.changed.append(_again(row, row.now, parked=False))
    changes.planned.extend(_new(key, one, policy, news) for key, one in due.items())


def _under_way(order: Order, key: Key) -> bool:
    slot = order.slot(Destination(key.destination))
    return slot is not None and (slot.effect, slot.generation) == (key.effect, key.generation)


def _kept(row: Row, one: Due, policy: StorePolicy, news: Sequence[Step]) -> list[Replanned]:
    """A failing read keeps its back-off, unless it is asked for; otherwise the fold says when.

    What is parked stays so until it is freed.
    """
    asked = retries(row.key.effect, news)
    next_at = max(one.not_before, row.next_at) if row.failures and not asked else one.not_before
    lane = _lane(news, row.lane)
    if _kept_back(row) and frees(row.key.effect, news):
        return [_again(row, next_at, parked=False, shadow=policy.shadow, reason="", lane=_lane(news))]
    if row.parked and news and policy.shadow:  # the relay looks whether the request has changed
        return [_again(row, next_at, parked=False)]
    if next_at != row.next_at or (lane == LIVE and row.lane != LIVE):
        return [_again(row, next_at, lane=lane)]
    return []


def _again(row: Row, next_at: datetime, **changed: Any) -> Replanned:
    """The row as it stands but for its time and what is `changed`."""
    stands = {name: getattr(row, name) for name in ("parked", "shadow", "reason", "lane")}
    return Replanned(row.key, next_at, **stands | changed)


def _kept_back(row: Row) -> bool:
    return row.parked or row.shadow


def _waits(row: Row, policy: StorePolicy, news: Sequence[Step]) -> bool:
    """Does a row that is not due for now go on waiting for a person? In shadow all do, so there it may go."""
    return _kept_back(row) and not policy.shadow and not frees(row.key.effect, news)


def _new(key: Key, one: Due, policy: StorePolicy, news: Sequence[Step]) -> Planned:
    """A new row. Reads change nothing in the world, so they are neither parked nor in shadow."""
    reads = one.effect.reads
    parked, shadow = not reads and not caused(one, news, policy), not reads and policy.shadow
    return Planned(key, one.target, reads, one.not_before, parked, shadow, _lane(news))


def _lane(news: Sequence[Step], standing: str = LIVE) -> str:
    """What a redrive of many orders frees or makes due has a lane of its own; what is asked for singly is live."""
    asked = [step.event for step in news if isinstance(step.event, RetryRequested)]
    if not asked:
        return standing
    return REDRIVE if all(one.plan for one in asked) else LIVE


def _key(store: str, order_id: str, due: Due) -> Key:
    return Key(store, order_id, due.destination.value, due.effect.value, due.generation)
