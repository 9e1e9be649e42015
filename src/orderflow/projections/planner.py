"""The planner writes the outbox: for every order touched by new facts, what is due now becomes rows.

It is no projection and is never rebuilt; it never sends anything, and what it plans is asked of the fold again before
it is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import Destination
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
from orderflow.projections import Step, last_of_each
from orderflow.store import outbox, progress
from orderflow.store.log import INTAKE
from orderflow.store.tables import orders


class Planner:
    """Plans for the orders that the next events of a store touch."""

    name = "planner"

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """What is due for each order after its last step becomes rows."""
        for order_id, step in sorted(last_of_each(steps).items()):
            if order_id != INTAKE:
                plan(conn, store, order_id, step.after, policy)


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
        plan(conn, store, order_id, load(conn, store, order_id), policy, parked=True)
    return order_ids[-1] if len(order_ids) == limit else None


def plan(
    conn: sa.Connection, store: str, order_id: str, order: Order, policy: StorePolicy, *, parked: bool = False
) -> None:
    """Let the outbox rows of one order say what is due for it. Rows with an intent belong to the relay."""
    due = {_key(store, order_id, one): one for one in effects_due(order, policy)}
    for row in outbox.rows_of(conn, store, order_id):
        one = due.pop(row.key, None)
        if row.state != "planned":
            if not _under_way(order, row.key):
                outbox.change(conn, row.key, next_at=row.now)  # its end was learnt past the row: the relay takes it out
            continue
        if one is not None and one.target == row.target:
            _keep(conn, row, one, parked=parked)
        elif row.attempt == 0:
            outbox.remove(conn, row.key)  # superseded: no intent was ever made, so the key is free again
            if one is not None:
                _put(conn, row.key, one, parked=parked)
        else:
            outbox.change(conn, row.key, next_at=row.now)  # the relay closes it
    for key, one in due.items():
        _put(conn, key, one, parked=parked)


def _under_way(order: Order, key: outbox.Key) -> bool:
    slot = order.slot(Destination(key.destination))
    return slot is not None and (slot.effect, slot.generation) == (key.effect, key.generation)


def _keep(conn: sa.Connection, row: outbox.Row, one: Due, *, parked: bool) -> None:
    """A failing read keeps its back-off; otherwise the fold says when."""
    next_at = max(one.not_before, row.next_at) if row.failures else one.not_before
    unpark = row.parked and not parked
    if next_at != row.next_at or unpark:
        outbox.change(conn, row.key, next_at=next_at, parked=row.parked and parked)


def _put(conn: sa.Connection, key: outbox.Key, one: Due, *, parked: bool) -> None:
    outbox.plan(conn, key, target=one.target, reads=one.effect.reads, next_at=one.not_before, parked=parked)


def _key(store: str, order_id: str, due: Due) -> outbox.Key:
    return outbox.Key(store, order_id, due.destination.value, due.effect.value, due.generation)
