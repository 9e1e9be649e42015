"""What of one order a retry would set going: its items, as its fold and its outbox rows show them.

It never decides anything, and never holds anything personal: ids, amounts and reasons only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import Destination, Effect, RetryRequested
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import StorePolicy, held
from orderflow.orders import ahead
from orderflow.store.tables import outbox


class Waiting(StrEnum):
    """Why an effect waits.

    `REFUSED`, `GIVEN_UP`: the other side said no, or the last attempt has failed. `PARKED`: it fell due only because
    machine, policy or mapping changed. `SHADOW`: it was planned in shadow. `LATER`: it is tried again by itself.
    """

    REFUSED = "refused"
    GIVEN_UP = "given_up"
    PARKED = "parked"
    SHADOW = "shadow"
    LATER = "later"


FAILED: Final = (Waiting.REFUSED, Waiting.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Item:
    """One effect of one order that waits, and the world that it was planned on.

    `generation` is of the key that a retry would use; `since` when it began to wait; `does` what a retry does now: the
    effect and its target, or nothing (`blocked` says why). `digest` is that of the request, keyed, if it can be frozen
    now. `world` is what must still be so when it is applied.
    """

    order_id: str
    effect: Effect
    destination: Destination
    waiting: Waiting
    generation: int
    version: int
    since: datetime
    reason: str
    does: str = ""
    blocked: str = ""
    digest: str | None = None
    world: dict[str, str] = field(default_factory=dict)


Row = Mapping[str, Any]
"""A planned outbox row by column, as far as it matters here."""

_COLUMNS: Final = tuple(
    outbox.c[name]
    for name in (
        *("order_id", "effect", "reads", "parked", "shadow", "attempt", "failures", "next_at", "reason"),
        "planned_at",
    )
)


def rows_of(conn: sa.Connection, store: str, order_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The planned outbox rows of these orders, not locked: whatever is decided is checked against the fold."""
    query = sa.select(*_COLUMNS).where(
        outbox.c.store == store, outbox.c.order_id.in_(order_ids), outbox.c.state == "planned"
    )
    found: dict[str, list[Row]] = {}
    for row in conn.execute(query.order_by(outbox.c.order_id, outbox.c.effect)).mappings():
        found.setdefault(row["order_id"], []).append(dict(row))
    return found


def items_of(order_id: str, order: Order, rows: Sequence[Row], policy: StorePolicy, now: datetime) -> Iterator[Item]:
    """Everything of `order` that waits, each effect once: what was refused or given up hides nothing else of it."""
    told: set[Effect] = set()
    for effect, waiting, since, reason in (*_in_fold(order), *_in_outbox(order, rows, now)):
        if effect not in told:
            told.add(effect)
            yield _item(order_id, order, policy, now, (effect, waiting, since, reason))


_Found = tuple[Effect, Waiting, datetime, str]


def _in_fold(order: Order) -> Iterator[_Found]:
    for parked in order.parked:
        yield parked.effect, Waiting.REFUSED if parked.refused else Waiting.GIVEN_UP, parked.at, parked.reason


def _in_outbox(order: Order, rows: Sequence[Row], now: datetime) -> Iterator[_Found]:
    for row in rows:
        effect = Effect(row["effect"])
        if row["shadow"]:
            yield effect, Waiting.SHADOW, row["planned_at"], row["reason"]
        elif row["parked"]:
            yield effect, Waiting.PARKED, row["planned_at"], row["reason"] or "machine, policy or mapping changed"
        elif row["reads"] and row["failures"] and row["next_at"] > now:
            yield effect, Waiting.LATER, row["planned_at"], row["reason"]
    for place in Destination:
        slot = order.slot(place)
        if slot is not None and slot.phase is Phase.AGAIN and slot.again_at is not None and slot.again_at > now:
            yield slot.effect, Waiting.LATER, slot.since, slot.reason


def _item(order_id: str, order: Order, policy: StorePolicy, now: datetime, found: _Found) -> Item:
    effect, waiting, since, reason = found
    due = would_do(order, policy, effect, now)
    return Item(
        order_id,
        effect,
        effect.destination,
        waiting,
        order.generation(effect),
        order.version,
        since,
        reason,
        does="" if due is None else f"{effect} {due.target}".rstrip(),
        blocked=_blocked(order, policy, effect) if due is None else "",
        world=world(order, policy, due),
    )


def retried(order: Order, effect: Effect, now: datetime) -> Order:
    """The order as it would be once `effect` was asked for."""
    return ahead(order, [RetryRequested(effect, "", "")], now)


def would_do(order: Order, policy: StorePolicy, effect: Effect, now: datetime) -> Due | None:
    """What would be due of `effect` after a retry."""
    return next((due for due in effects_due(retried(order, effect, now), policy) if due.effect is effect), None)


def _blocked(order: Order, policy: StorePolicy, effect: Effect) -> str:
    holds = held(order, policy)
    if holds:
        return f"held: {', '.join(hold.reason for hold in holds)}"
    slot = order.slot(effect.destination)
    if slot is not None and slot.phase is Phase.OPEN:
        return f"{slot.effect} is under way"
    return "not due as the order stands" if order.confirmed else "details have not confirmed the status"


def world(order: Order, policy: StorePolicy, due: Due | None) -> dict[str, str]:
    """What a person goes by who lets it go: with another status, shop order, target or total it is another matter.

    `content` is the keyed digest of what a draft is built from.
    """
    own, details = order.shop.own, order.details
    return {
        "status": order.status.value,
        "held": ", ".join(sorted(hold.reason for hold in held(order, policy))),
        "shop order": "" if own is None else f"{own.shop_id} ({own.state})",
        "target": "" if due is None else due.target,
        "glopal's ids": str(order.external or ""),
        "total": str(order.total or ""),
        "content": "" if details is None else details.basis[:16],
        "cancelling": "yes" if order.cancel_reason is not None else "",
    }
