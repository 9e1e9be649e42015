"""What became of a plan's items since: the log tells, not the plan.

It never changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from orderflow import codec
from orderflow.desk.redrive.items import Item
from orderflow.desk.redrive.planfile import Plan
from orderflow.domain.due import effects_due
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectRefused,
    Event,
    LookedUp,
)
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load_all
from orderflow.store.streams import read_streams
from orderflow.store.tables import events, outbox

_PAGE: Final = 500


class Standing(StrEnum):
    """Where an item stands."""

    NOT_APPLIED = "not applied"
    WAITING = "still waiting"
    UNDER_WAY = "under way"
    DELIVERED = "delivered"
    REFUSED = "refused again"
    GIVEN_UP = "given up again"
    CLOSED = "closed"
    NOT_DUE = "not due"


@dataclass(frozen=True, slots=True)
class Fate:
    """An item and where it stands. `position`: where its retry stands in the log; None if it was not applied."""

    item: Item
    standing: Standing
    position: int | None = None
    detail: str = ""


def fates(conn: sa.Connection, plan: Plan, policy: StorePolicy) -> Iterator[Fate]:
    """Each item of `plan` and what became of it."""
    for start in range(0, len(plan.items), _PAGE):
        yield from _fates(conn, plan, policy, plan.items[start : start + _PAGE])


def _fates(conn: sa.Connection, plan: Plan, policy: StorePolicy, items: Sequence[Item]) -> Iterator[Fate]:
    ids = [plan.command_id(item) for item in items]
    query = sa.select(events.c.source_id, events.c.position, events.c.version).where(
        events.c.store == plan.store, events.c.source == "command", events.c.source_id.in_(ids)
    )
    retries = {source_id: (position, version) for source_id, position, version in conn.execute(query)}
    applied = [item for item in items if plan.command_id(item) in retries]
    after: dict[str, int] = {}
    for item in applied:
        version = retries[plan.command_id(item)][1]
        after[item.order_id] = min(version, after.get(item.order_id, version))
    told = read_streams(conn, plan.store, after)
    orders = load_all(conn, plan.store, list(after)) if after else {}
    open_ = {(row[0], row[1]) for row in conn.execute(_OPEN, {"store": plan.store, "orders": list(after)})}
    for item in items:
        if plan.command_id(item) not in retries:
            yield Fate(item, Standing.NOT_APPLIED)
            continue
        position, version = retries[plan.command_id(item)]
        since = [codec.decode(one).event for one in told[item.order_id] if one.version > version]
        due = any(one.effect is item.effect for one in effects_due(orders[item.order_id], policy))
        planned = due or (item.order_id, item.effect.value) in open_
        yield _fate(item, position, since, orders[item.order_id], planned=planned)


_OPEN: Final = sa.text(
    f"SELECT order_id, effect FROM {outbox} WHERE store = :store AND order_id = ANY (:orders) AND state = 'planned'"
)


def _fate(item: Item, position: int, since: Sequence[Event], order: Order, *, planned: bool) -> Fate:
    """The last end of the effect behind the retry; without one, whether it is under way, planned, or nothing of it."""
    for event in reversed(since):
        ended = _end(item.effect, event)
        if ended is not None:
            return Fate(item, ended, position, getattr(event, "reason", ""))
    slot = order.slot(item.destination)
    if slot is not None and slot.effect is item.effect:
        return Fate(item, Standing.UNDER_WAY, position, slot.reason)
    return Fate(item, Standing.WAITING if planned else Standing.NOT_DUE, position)


_ENDS: Final[dict[type[Event], Standing]] = {
    EffectDelivered: Standing.DELIVERED,
    EffectRefused: Standing.REFUSED,
    EffectExhausted: Standing.GIVEN_UP,
    EffectClosed: Standing.CLOSED,
}


def _end(effect: Effect, event: Event) -> Standing | None:
    """What `event` says about the end of `effect`. Questions end with their answers."""
    if isinstance(event, DetailsFetched):
        return Standing.DELIVERED if effect is Effect.FETCH else None
    if isinstance(event, LookedUp):
        return Standing.DELIVERED if effect is event.effect is Effect.REAP else None
    return _ENDS.get(type(event)) if getattr(event, "effect", None) is effect else None
