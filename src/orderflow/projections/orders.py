"""Read model `orders`: one row an order, with the snapshot of its fold.

It never holds anything personal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import sqlalchemy as sa

from orderflow import codec
from orderflow.domain import machine
from orderflow.domain.attention import attention
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy, held
from orderflow.domain.refunds import given_back
from orderflow.domain.returns import CLOSED
from orderflow.projections.rows import upsert
from orderflow.projections.steps import Step
from orderflow.store.log import INTAKE
from orderflow.store.tables import orders


@dataclass(frozen=True, slots=True)
class Orders:
    """Everything that operators and BI ask of an order as it stands."""

    name: ClassVar[str] = "orders"
    table: sa.Table = orders

    def into(self, table: sa.Table) -> Orders:
        """With its rows in `table`."""
        return replace(self, table=table)

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """The last step of each order replaces its row."""
        self.put(conn, store, {step.record.order_id: step.after for step in steps}, policy)

    def put(self, conn: sa.Connection, store: str, orders: Mapping[str, Order], policy: StorePolicy) -> None:
        """Each of `orders` replaces its row."""
        upsert(
            conn, self.table, [row_of(store, name, order, policy) for name, order in orders.items() if name != INTAKE]
        )


def row_of(store: str, order_id: str, order: Order, policy: StorePolicy) -> dict[str, Any]:
    """The row of one order: every column follows from its fold and the policy."""
    own, details, external = order.shop.own, order.details, order.external
    return {
        "store": store,
        "order_id": order_id,
        "status": order.status.value,
        "status_since": order.moved.at if order.moved else None,
        "held": sorted(hold.reason.value for hold in held(order, policy)),
        "attention": sorted({one.kind for one in attention(order, policy)}),
        "confirmed": order.confirmed,
        "shop_order_id": own.ids.order_id if own else None,
        "shop_number": own.number if own else None,
        "shop_state": own.state.value if own else None,
        "external_order_id": external.order_id if external else None,
        "external_number": external.number if external else None,
        "currency": details.currency if details else None,
        "total": details.total if details else None,
        "environment": details.environment if details else None,
        "cancelled_by": order.ending.by or None if order.ending else None,
        "cancelled_why": order.ending.reason or None if order.ending else None,
        "refunded": given_back(order),
        "open_returns": sum(one.state not in CLOSED for one in order.returns),
        "born_at": order.born,
        "first_recorded_at": order.first.at if order.first else None,
        "last_recorded_at": order.last.at if order.last else None,
        "version": order.version,
        "position": order.position,
        "machine": machine.VERSION,
        "snapshot": codec.freeze_order(order),
    }
