"""One order on one card: everything that an operator asks of it, as plain data and as lines of text.

It never asks a read model: the card is folded from the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orderflow.cli.advice import command_lines
from orderflow.cli.means import moment, span
from orderflow.domain.attention import attention
from orderflow.domain.due import effects_due
from orderflow.domain.events import Destination, Ids
from orderflow.domain.order import Order, Slot
from orderflow.domain.policy import StorePolicy, held
from orderflow.orders import UnknownOrderError, load
from orderflow.store import progress
from orderflow.store.tables import outbox as outbox_table

_INDENT: Final = "  "


def card(conn: sa.Connection, store: str, order_id: str, policy: StorePolicy, command: str) -> dict[str, Any]:
    """Everything about one order. Raises `UnknownOrderError`."""
    order = load(conn, store, order_id)
    if order.version == 0:
        raise UnknownOrderError(f"store {store} has no order {order_id}")
    return {
        "store": store,
        "order_id": order_id,
        "status": order.status.value,
        "status_since": order.moved.at if order.moved else None,
        "confirmed": order.confirmed,
        "version": order.version,
        "position": order.position,
        **_money(order),
        "shop_orders": [
            {"id": s.shop_id, "number": s.number, "state": s.state, "recorded": s.shop_id == order.shop.recorded}
            for s in order.shop.seen
        ],
        "accept_asked_with": _ids(order.accept_ids),
        "glopal_shows": _ids(order.external),
        "cancel_reason": order.cancel_reason,
        "holds": [{"reason": h.reason, "position": h.position, "detail": h.detail} for h in held(order, policy)],
        "parked": [
            {"effect": p.effect, "target": p.target, "position": p.position, "reason": p.reason, "refused": p.refused}
            for p in order.parked
        ],
        "under_way": [_slot(place, slot) for place in Destination if (slot := order.slot(place)) is not None],
        "due": [
            {"effect": d.effect, "generation": d.generation, "not_before": d.not_before, "target": d.target}
            for d in effects_due(order, policy)
        ],
        "outbox": _outbox(conn, store, order_id),
        "paused": [
            {"scope": scope, "reason": reason, "since": since}
            for scope, (reason, since) in progress.paused(conn, store).items()
        ],
        "attention": [
            {
                "kind": one.kind,
                "text": one.text,
                "position": one.position,
                "commands": list(command_lines(one, store, order_id, command)),
            }
            for one in attention(order, policy)
        ],
    }


def _money(order: Order) -> dict[str, Any]:
    details = order.details
    if details is None:
        return {"total": None, "currency": None, "environment": None}
    return {"total": details.total, "currency": details.currency, "environment": details.environment}


def _ids(ids: Ids | None) -> dict[str, str] | None:
    return None if ids is None else {"order_id": ids.order_id, "number": ids.number}


def _slot(place: Destination, slot: Slot) -> dict[str, Any]:
    names = ("effect", "generation", "attempt", "target", "phase", "unknown", "absents", "since", "reason")
    return {"destination": place, **{name: getattr(slot, name) for name in names}}


def _outbox(conn: sa.Connection, store: str, order_id: str) -> list[dict[str, Any]]:
    table = outbox_table
    names = ("destination", "effect", "generation", "state", "next_at", "attempt", "failures", "parked", "reason")
    query = sa.select(*(table.c[name] for name in names)).where(table.c.store == store, table.c.order_id == order_id)
    return [dict(row._mapping) for row in conn.execute(query.order_by(table.c.next_at))]  # noqa: SLF001  its public name


def printed(found: dict[str, Any], now: datetime) -> Iterator[str]:
    """The card as lines."""
    yield f"order {found['order_id']} of {found['store']}"
    yield from _standing(found)
    yield from _stopped(found)
    for due in found["due"]:
        yield _line("due", f"{due['effect']} {span(due['not_before'] - now)} ({moment(due['not_before'])} UTC)")
    for row in found["outbox"]:
        extra = " (parked until a retry)" if row["parked"] else f", next try {span(row['next_at'] - now)}"
        yield _line("outbox", f"{row['effect']}: {row['state']}{extra} {row['reason']}".rstrip())
    if not found["attention"]:
        yield _line("attention", "nothing waits for a person")
    for one in found["attention"]:
        yield _line("attention", f"{one['kind']}, since position {one['position']}: {one['text']}")
        yield from (f"{_INDENT}{'':12}{line}" for line in one["commands"])


def _standing(found: dict[str, Any]) -> Iterator[str]:
    """Where it stands, at Glopal and in the shop."""
    confirmed = "confirmed by details" if found["confirmed"] else "not confirmed by details yet"
    since = f" since {moment(found['status_since'])} UTC" if found["status_since"] else ""
    yield _line("status", f"{found['status']}{since}, {confirmed}")
    if found["total"] is not None:
        yield _line("total", f"{found['total']} {found['currency']} ({found['environment'] or 'environment not told'})")
    for shop in found["shop_orders"]:
        yield _line("shop order", f"{shop['id']}, number {shop['number']}: {shop['state']}" + _beside(shop))
    for name, key in (("accept", "accept_asked_with"), ("at Glopal", "glopal_shows")):
        if found[key]:
            yield _line(name, f"{found[key]['order_id']} / {found[key]['number']}")
    if found["cancel_reason"]:
        yield _line("cancel", f"asked for: {found['cancel_reason']}")


def _stopped(found: dict[str, Any]) -> Iterator[str]:
    """What holds it up, and what is under way."""
    for hold in found["holds"]:
        yield _line("held", f"{hold['reason']} at position {hold['position']}: {hold['detail']}")
    for parked in found["parked"]:
        verb = "refused" if parked["refused"] else "given up"
        yield _line("parked", f"{parked['effect']}, {verb} at position {parked['position']}: {parked['reason']}")
    for slot in found["under_way"]:
        state = "outcome unknown" if slot["unknown"] else str(slot["phase"])
        yield _line("under way", f"{slot['effect']}, attempt {slot['attempt']}: {state} {slot['reason']}".rstrip())
    for pause in found["paused"]:
        yield _line("paused", f"{pause['scope']} since {moment(pause['since'])} UTC: {pause['reason']}")


def _line(name: str, text: str) -> str:
    return f"{_INDENT}{name:12}{text}"


def _beside(shop: dict[str, Any]) -> str:
    return "" if shop["recorded"] else " (beside the recorded one)"
