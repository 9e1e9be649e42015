"""Find what waits in a store, and what each of it would do.

It never changes anything and locks nothing: a plan is a picture, and `apply` looks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import FreezeError
from orderflow.desk.redrive.items import FAILED, Item, Waiting, items_of, retried, rows_of, would_do
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.events import Destination, Effect
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load_all
from orderflow.relay.request import built, equipped
from orderflow.relay.work import Relay, Turn
from orderflow.store.outbox import Key, unplanned
from orderflow.store.vault import mac

USUAL: Final = (*FAILED, Waiting.PARKED)
"""What is meant where nothing else is said. What was planned in shadow, or comes by itself, is asked for by name."""
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of it is meant; what is empty chooses everything. `since` and `until` are of when it began to wait."""

    waiting: tuple[Waiting, ...] = USUAL
    effects: tuple[Effect, ...] = ()
    destination: Destination | None = None
    since: datetime | None = None
    until: datetime | None = None
    orders: tuple[str, ...] = ()

    def takes(self, item: Item) -> bool:
        """Is this one meant, apart from its order and from why it waits?"""
        return (
            item.effect in (self.effects or Effect)
            and self.destination in (None, item.destination)
            and (self.since is None or item.since >= self.since)
            and (self.until is None or item.since < self.until)
        )

    def told(self) -> dict[str, str]:
        """The same in words, for the plan."""
        words = {
            "waiting": ", ".join(self.waiting),
            "effects": ", ".join(self.effects),
            "destination": self.destination or "",
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "orders": ", ".join(self.orders),
        }
        return {name: text for name, text in words.items() if text}


@dataclass(slots=True)
class Counts:
    """What else waits that would have been chosen, but for why it waits."""

    left_out: Counter[Waiting] = field(default_factory=Counter)


def find(
    conn: sa.Connection, relay: Relay, store: str, choice: Choice, now: datetime, counts: Counts | None = None
) -> Iterator[Item]:
    """Everything that waits in `store` and is chosen, by order. What is left out is counted in `counts`."""
    order_ids = list(conn.scalars(_WAITING, {"store": store, "orders": list(choice.orders) or None}))
    policy = relay.tenants[store].policy
    for start in range(0, len(order_ids), _PAGE):
        page = order_ids[start : start + _PAGE]
        orders, rows = load_all(conn, store, page), rows_of(conn, store, page)
        found: list[Item] = []
        for order_id in page:
            for item in items_of(order_id, orders[order_id], rows.get(order_id, ()), policy, now):
                if choice.takes(item) and item.waiting in choice.waiting:
                    found.append(item)
                elif choice.takes(item) and counts is not None:
                    counts.left_out[item.waiting] += 1
        yield from _frozen(conn, relay, store, orders, found, now)


# What was refused or given up stands in the read model long after it was mended: the fold tells which still waits.
_WAITING: Final = sa.text(
    """
    SELECT order_id FROM (
        SELECT order_id FROM orderflow.effects WHERE store = :store AND state IN ('refused', 'exhausted')
        UNION
        SELECT order_id FROM orderflow.outbox
        WHERE store = :store AND state = 'planned' AND (parked OR shadow OR attempt > 0 OR failures > 0)
    ) AS waiting
    WHERE CAST(:orders AS text[]) IS NULL OR order_id = ANY (:orders)
    ORDER BY order_id
    """
)


def fresh(
    conn: sa.Connection, store: str, order_id: str, order: Order, policy: StorePolicy, now: datetime
) -> dict[Effect, Item]:
    """What waits of one order now."""
    rows = rows_of(conn, store, [order_id]).get(order_id, ())
    return {item.effect: item for item in items_of(order_id, order, rows, policy, now)}


def _frozen(
    conn: sa.Connection,
    relay: Relay,
    store: str,
    orders: Mapping[str, Order],
    items: Sequence[Item],
    now: datetime,
) -> Iterator[Item]:
    """The items with the digests of their requests, as far as these can be frozen now."""
    policy = relay.tenants[store].policy
    writes = []
    for item in items:
        due = None if item.effect.reads else would_do(orders[item.order_id], policy, item.effect, now)
        if due is not None:
            key = Key(store, item.order_id, due.destination.value, due.effect.value, due.generation)
            order = retried(orders[item.order_id], item.effect, now)
            writes.append((item, Turn(relay, unplanned(key, now, ""), order), due))
    ready = equipped(conn, [turn for _, turn, _ in writes], [due for _, _, due in writes])
    digests: dict[int, Item] = {}
    for (item, _, due), turn in zip(writes, ready, strict=True):
        try:
            _, request = built(turn, due)
        except (FreezeError, IllegalTransition) as error:
            digests[id(item)] = replace(item, blocked=f"the request cannot be built: {error}")
        else:
            digests[id(item)] = replace(item, digest=mac(relay.vault, store, request).hex())
    for item in items:
        yield digests.get(id(item), item)
