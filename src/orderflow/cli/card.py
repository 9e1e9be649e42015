"""One order on one card, as plain data: what `orders show` and `why` print, and what `--json` gives.

It never asks a read model: the card is folded from the log, with the outbox and the attempts beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from orderflow import codec
from orderflow.app import App
from orderflow.cli.advice import command_lines
from orderflow.cli.around import View, around
from orderflow.cli.finding import Place
from orderflow.cli.freshness import silence
from orderflow.cli.headline import headline, needs_you
from orderflow.cli.means import wall_clock
from orderflow.cli.prospects import kept_back, prospect
from orderflow.desk.exceptions import of_case, traced
from orderflow.domain.attention import Attention, attention
from orderflow.domain.cases import Case
from orderflow.domain.due import effects_due
from orderflow.domain.events import Destination, DetailsFetched, HoldReason, Ids
from orderflow.domain.order import Hold, Order, Refund, Shown, Slot
from orderflow.domain.policy import StorePolicy, held
from orderflow.domain.refunds import elsewhere, is_unknown, left, shown_as, slot_of
from orderflow.domain.waiting import waits
from orderflow.orders import load
from orderflow.projections.timeline import summary
from orderflow.store import log
from orderflow.store.log import Record
from orderflow.store.tables import attempts as attempts_table
from orderflow.store.tables import outbox as outbox_table

ATTEMPTS_SHOWN = 20


def card(conn: sa.Connection, app: App, place: Place, command: str) -> dict[str, Any]:
    """Everything about one order. `command` is how orderflow was called."""
    store, order_id, policy, now = place.store, place.order_id, app.policy(place.store), wall_clock(conn)
    order = load(conn, store, order_id)
    kept = kept_back(conn, store, now)
    rows = [row | prospect(app, store, row, order, kept) for row in outbox_of(conn, place)]
    ids = {case.key: case for case in traced(conn, store, order_id, policy)}
    view = View(conn, store, order_id, order, policy, rows, silence(conn, app, store, now), now, command)
    found = {
        "store": store,
        "order_id": order_id,
        "now": now,
        "headline": "",
        "needs_you": False,
        **standing(order, policy),
        "waiting": [asdict(one) for one in waits(order, policy)],
        "holds": [_hold(conn, place, order, hold) for hold in held(order, policy)],
        "parked": [
            {
                "effect": p.effect,
                "target": p.target,
                "position": p.position,
                "reason": p.reason,
                "refused": p.refused,
                "proof": _proof(conn, store, p.position),
            }
            for p in order.parked
        ],
        "under_way": [_slot(place, slot, policy) for place in Destination if (slot := order.slot(place)) is not None],
        "due": due(order, policy),
        "outbox": rows,
        "attempts": attempts_of(conn, place),
        "around": [asdict(one) for one in around(view)],
        "attention": [_attention(one, place, ids, command) for one in attention(order, policy, now)],
    }
    return found | {"headline": headline(found, now), "needs_you": needs_you(found)}


def _attention(one: Attention, place: Place, cases: Mapping[tuple[str, str], Case], command: str) -> dict[str, Any]:
    """One exception under the id that `exceptions show` takes. All that is one now was opened by some event."""
    case = cases.get((one.kind, one.subject))
    told = {"kind": one.kind, "text": one.text, "position": one.position, "settling": one.settling}
    lines = list(command_lines(one, place.store, place.order_id, command))
    known = None if case is None else of_case(place.store, place.order_id, case)
    return told | {
        "id": known.id if known else None,
        "class": one.of,
        "owner": one.owned_by,
        "since": known.since if known else None,
        "commands": lines,
    }


def standing(order: Order, policy: StorePolicy) -> dict[str, Any]:
    """Where an order stands, at Glopal and in the shop."""
    details = order.details
    return {
        "status": order.status.value,
        "status_since": order.moved.at if order.moved else None,
        "confirmed": order.confirmed,
        "held": [hold.reason for hold in held(order, policy)],
        "version": order.version,
        "position": order.position,
        "total": details.total if details else None,
        "currency": details.currency if details else None,
        "environment": details.environment if details else None,
        "shop_orders": [
            {
                "id": s.shop_id,
                "real_id": s.real_id or None,
                "number": s.number,
                "state": s.state,
                "recorded": s.shop_id == order.shop.recorded,
            }
            for s in order.shop.seen
        ],
        "accept_asked_with": _ids(order.accept_ids),
        "glopal_shows": _ids(order.external),
        "cancel_reason": order.cancel_reason,
        **after_sale(order),
    }


def after_sale(order: Order) -> dict[str, Any]:
    """How it ended, what was given back and what is left, and where its returns stand."""
    ending, shown = order.ending, shown_as(order)
    return {
        "cancelled": None if ending is None else {"by": ending.by, "reason": ending.reason, "at": ending.at},
        "refunds": [
            *(_refund(line, slot_of(order, line), shown.get(line.refund)) for line in order.refunds),
            *(_elsewhere(one) for one in elsewhere(order)),
        ],
        "left_to_refund": left(order) if order.refunds or order.shown else None,
        "quotes": [asdict(quote) for quote in order.quotes],
        "returns": [
            {"id": one.return_id, "state": one.state, "since": one.since.at, "awaits_details": one.awaits is not None}
            for one in order.returns
        ],
    }


def _refund(line: Refund, slot: Slot | None, shown: Shown | None) -> dict[str, Any]:
    """One of ours; `outcome` is told of the attempt under way, too."""
    under_way = None if slot is None else "unknown" if is_unknown(slot) else "under way"
    names = ("amount", "currency", "reason", "by", "glopal_amount", "claim", "settled")
    told = {name: getattr(line, name) for name in names}
    at_glopal = shown.refund.refund_id if shown is not None else line.receipt or None
    return {"name": line.refund, "outcome": under_way or line.outcome, "at_glopal": at_glopal, **told, "ours": True}


def _elsewhere(one: Shown) -> dict[str, Any]:
    refund = one.refund
    told = {"amount": refund.amount, "currency": refund.currency, "reason": refund.reason, "by": refund.by}
    return {
        "name": None,
        "outcome": "made elsewhere",
        "at_glopal": refund.refund_id,
        **told,
        "glopal_amount": None,
        "claim": "",
        "settled": one.known,
        "ours": False,
    }


def due(order: Order, policy: StorePolicy) -> list[dict[str, Any]]:
    """What is due for an order, and from when on."""
    return [
        {"effect": d.effect, "generation": d.generation, "not_before": d.not_before, "target": d.target}
        for d in effects_due(order, policy)
    ]


def _ids(ids: Ids | None) -> dict[str, str] | None:
    return None if ids is None else {"order_id": ids.order_id, "number": ids.number}


def _slot(place: Destination, slot: Slot, policy: StorePolicy) -> dict[str, Any]:
    names = ("effect", "generation", "attempt", "tries", "target", "phase", "unknown", "absents")
    times = ("since", "send_by", "counts_from", "again_at", "reason")
    told = {name: getattr(slot, name) for name in (*names, *times)}
    return {"destination": place, **told, "max_attempts": policy.max_attempts}


# --- proof ----------------------------------------------------------------------------------------------------------


def _hold(conn: sa.Connection, place: Place, order: Order, hold: Hold) -> dict[str, Any]:
    shown = hold.reason is HoldReason.ENVIRONMENT and order.hold(HoldReason.ENVIRONMENT) is None
    proof = _details_of(conn, place, order) if shown else _proof(conn, place.store, hold.position)
    return {"reason": hold.reason, "position": hold.position, "detail": hold.detail, "proof": proof}


def _proof(conn: sa.Connection, store: str, position: int) -> dict[str, Any] | None:
    """The event at `position`: who said what, and when."""
    records = log.read(conn, store, position - 1, 1) if position > 0 else []
    return _said(records[0]) if records else None


def _details_of(conn: sa.Connection, place: Place, order: Order) -> dict[str, Any] | None:
    """The event that brought the details which the fold goes by."""
    for record in reversed(log.read_stream(conn, place.store, place.order_id)):
        if record.type == DetailsFetched.__name__ and codec.decode(record).event == order.details:
            return _said(record)
    return None


def _said(record: Record) -> dict[str, Any]:
    names = ("position", "type", "recorded_at", "occurred_at", "source", "source_id")
    return {name: getattr(record, name) for name in names} | {"said": summary(codec.decode(record).event)}


# --- outbox and attempts --------------------------------------------------------------------------------------------

_OUTBOX = (
    *("destination", "effect", "generation", "state", "target", "next_at", "attempt", "failures"),
    *("parked", "shadow", "reason", "planned_at", "owner", "lease_until"),
)
_ATTEMPTS = (
    *("attempt_id", "started_at", "destination", "effect", "generation", "attempt", "kind", "status"),
    *("outcome", "milliseconds", "decision", "worker"),
)


def outbox_of(conn: sa.Connection, place: Place) -> list[dict[str, Any]]:
    """The open rows of one order, the next one first."""
    table = outbox_table
    query = sa.select(*(table.c[name] for name in _OUTBOX)).where(
        table.c.store == place.store, table.c.order_id == place.order_id
    )
    return [dict(row) for row in conn.execute(query.order_by(table.c.next_at)).mappings()]


def attempts_of(
    conn: sa.Connection, place: Place, effect: str | None = None, limit: int = ATTEMPTS_SHOWN
) -> list[dict[str, Any]]:
    """The last calls for one order, the newest first. What was said in them stays sealed."""
    table = attempts_table
    query = sa.select(*(table.c[name] for name in _ATTEMPTS)).where(
        table.c.store == place.store, table.c.order_id == place.order_id
    )
    if effect is not None:
        query = query.where(table.c.effect == effect)
    return [dict(row) for row in conn.execute(query.order_by(table.c.started_at.desc()).limit(limit)).mappings()]
