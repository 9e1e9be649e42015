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
from orderflow.domain.events import Destination, Effect, RetryRequested
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
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

    `news` are the steps that led to each order. Without any, what is due and was not planned yet is planned parked.
    """
    changes = _Changes()
    standing = outbox.rows_of_many(conn, store, list(orders))
    for order_id, order in orders.items():
        rows = standing.get(order_id, ())
        _plan_one(changes, store, order_id, order, rows, policy, news[order_id] if news else ())
    outbox.rewrite(conn, changes.removed, changes.changed, changes.planned)


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
    """A failing read keeps its back-off; otherwise the fold says when. What is parked stays so until it is freed."""
    next_at = max(one.not_before, row.next_at) if row.failures else one.not_before
    lane = _lane(news, row.lane)
    if news and _freed(row, policy, news):
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


def _freed(row: Row, policy: StorePolicy, news: Sequence[Step]) -> bool:
    """Did a person ask for it, or would it have left the outbox and come back, had each step been planned by itself?

    Other news free nothing: an order's routine fetch must not fire what waits for a person.
    """
    if not row.parked and not row.shadow:
        return False
    asked = any(isinstance(s.event, RetryRequested) and s.event.effect is not Effect.FETCH for s in news)
    return asked or any(_none_of(row, effects_due(step.after, policy)) for step in news)


def _none_of(row: Row, due: Sequence[Due]) -> bool:
    effect, generation = row.key.effect, row.key.generation
    return all((one.effect, one.generation, one.target) != (effect, generation, row.target) for one in due)


def _new(key: Key, one: Due, policy: StorePolicy, news: Sequence[Step]) -> Planned:
    """A new row. Reads change nothing in the world, so they are neither parked nor in shadow."""
    reads = one.effect.reads
    parked, shadow = not reads and not news, not reads and policy.shadow
    return Planned(key, one.target, reads, one.not_before, parked, shadow, _lane(news))


def _lane(news: Sequence[Step], standing: str = LIVE) -> str:
    """What a redrive of many orders frees or makes due has a lane of its own; what is asked for singly is live."""
    asked = [step.event for step in news if isinstance(step.event, RetryRequested)]
    if not asked:
        return standing
    return REDRIVE if all(one.plan for one in asked) else LIVE


def _key(store: str, order_id: str, due: Due) -> Key:
    return Key(store, order_id, due.destination.value, due.effect.value, due.generation)
