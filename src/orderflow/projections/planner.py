"""The planner writes the outbox: for every order touched by new facts, what is due now becomes rows.

It is no projection and is never rebuilt; it never sends anything, and what it plans is asked of the fold again before
it is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import Destination, Effect, RetryRequested
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
from orderflow.projections import Step
from orderflow.store import outbox, progress
from orderflow.store.log import INTAKE
from orderflow.store.tables import orders


class Planner:
    """Plans for the orders that the next events of a store touch."""

    name = "planner"

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """What is due for each order after its last step becomes rows."""
        news: dict[str, list[Step]] = defaultdict(list)
        for step in steps:
            news[step.record.order_id].append(step)
        for order_id, told in sorted(news.items()):
            if order_id != INTAKE:
                plan(conn, store, order_id, told[-1].after, policy, told)


def sweep(conn: sa.Connection, store: str, policy: StorePolicy, after: str = "", limit: int = 200) -> str | None:
    """Plan for every open order of the read model once more, `limit` at a time; returns where to go on, or None.

    What is due here but was not planned when the facts came fell due because machine, policy or mapping changed: it
    is planned *parked*. A deploy never fires effects. Takes turns with `Planner`, and comes no further while that is at
    work: from an older history it would take away what that has just planned.
    """
    if not progress.claim(conn, [Planner.name], store):
        return after
    query = sa.select(orders.c.order_id).where(
        orders.c.store == store, orders.c.order_id > after, orders.c.status.not_in(("COMPLETED", "CANCELLED"))
    )
    order_ids = list(conn.scalars(query.order_by(orders.c.order_id).limit(limit)))
    for order_id in order_ids:
        plan(conn, store, order_id, load(conn, store, order_id), policy)
    return order_ids[-1] if len(order_ids) == limit else None


def plan(
    conn: sa.Connection, store: str, order_id: str, order: Order, policy: StorePolicy, news: Sequence[Step] = ()
) -> None:
    """Let the outbox rows of one order say what is due for it. Rows with an intent belong to the relay.

    `news` are the steps that led to `order`. Without any, what is due and was not planned yet is planned parked.
    """
    due = {_key(store, order_id, one): one for one in effects_due(order, policy)}
    for row in outbox.rows_of(conn, store, order_id):
        one = due.pop(row.key, None)
        if row.state != "planned":
            if not _under_way(order, row.key):
                outbox.change(conn, row.key, next_at=row.now)  # its end was learnt past the row: the relay takes it out
            continue
        if one is not None and one.target == row.target:
            _keep(conn, row, one, policy, news)
        elif row.attempt == 0:
            outbox.remove(conn, row.key)  # superseded: no intent was ever made, so the key is free again
            if one is not None:
                _put(conn, row.key, one, policy, news)
        else:
            outbox.change(conn, row.key, next_at=row.now, parked=False)  # the relay closes it
    for key, one in due.items():
        _put(conn, key, one, policy, news)


def _under_way(order: Order, key: outbox.Key) -> bool:
    slot = order.slot(Destination(key.destination))
    return slot is not None and (slot.effect, slot.generation) == (key.effect, key.generation)


def _keep(conn: sa.Connection, row: outbox.Row, one: Due, policy: StorePolicy, news: Sequence[Step]) -> None:
    """A failing read keeps its back-off; otherwise the fold says when. What is parked stays so until it is freed."""
    next_at = max(one.not_before, row.next_at) if row.failures else one.not_before
    freed = bool(news) and _freed(row, policy, news)
    if freed:
        outbox.change(conn, row.key, next_at=next_at, parked=False, shadow=policy.shadow, reason="")
    elif row.parked and news and policy.shadow:
        outbox.change(conn, row.key, next_at=next_at, parked=False)  # the relay looks whether the request has changed
    elif next_at != row.next_at:
        outbox.change(conn, row.key, next_at=next_at)


def _freed(row: outbox.Row, policy: StorePolicy, news: Sequence[Step]) -> bool:
    """Did a person ask for it, or would it have left the outbox and come back, had each step been planned by itself?

    Other news free nothing: an order's routine fetch must not fire what waits for a person.
    """
    if not row.parked and not row.shadow:
        return False
    asked = any(isinstance(s.event, RetryRequested) and s.event.effect is not Effect.FETCH for s in news)
    return asked or any(_none_of(row, effects_due(step.after, policy)) for step in news)


def _none_of(row: outbox.Row, due: Sequence[Due]) -> bool:
    effect, generation = row.key.effect, row.key.generation
    return all((one.effect, one.generation, one.target) != (effect, generation, row.target) for one in due)


def _put(conn: sa.Connection, key: outbox.Key, one: Due, policy: StorePolicy, news: Sequence[Step]) -> None:
    """A new row. Reads change nothing in the world, so they are neither parked nor in shadow."""
    reads = one.effect.reads
    parked, shadow = not reads and not news, not reads and policy.shadow
    outbox.plan(conn, key, target=one.target, reads=reads, next_at=one.not_before, parked=parked, shadow=shadow)


def _key(store: str, order_id: str, due: Due) -> outbox.Key:
    return outbox.Key(store, order_id, due.destination.value, due.effect.value, due.generation)
