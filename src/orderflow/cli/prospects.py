"""What is to come of outbox rows: the next try, by when it is left to a person, and what keeps their destination back.

It never decides anything: it adds up what the schedule, the gates and the pauses say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orderflow.app import App
from orderflow.domain.events import Destination, Effect
from orderflow.domain.order import Order, Phase
from orderflow.orders import load_all
from orderflow.relay.budget import Budget
from orderflow.relay.pacing import why_shut
from orderflow.store import gates, progress

NAMES: Final = ("next_try", "gives_up_by", "kept_back")
Kept = Mapping[str, Mapping[str, Any]]
"""By destination: `why` nobody calls it now, and `until` when; until somebody resumes it if that is None."""


def kept_back(conn: sa.Connection, store: str, now: datetime) -> dict[str, dict[str, Any]]:
    """The destinations of `store` that are not called now. What a person stopped comes before what stops by itself."""
    found: dict[str, dict[str, Any]] = {}
    for gate in gates.standing(conn, store):
        if gate.shut_until is not None and gate.shut_until > now:
            found[gate.destination] = {"why": why_shut(gate, now), "until": gate.shut_until}
    for scope, (reason, _) in progress.paused(conn, store).items():
        found[scope] = {"why": f"paused: {reason}", "until": None}
    return found


def with_prospects(conn: sa.Connection, app: App, rows: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Rows of the effects list, each with its prospects (all None where it is over); the orders are read as needed."""
    names: dict[str, set[str]] = {}
    for row in rows:
        if row["next_at"] is not None:
            names.setdefault(row["store"], set()).add(row["order_id"])
    orders = {store: load_all(conn, store, sorted(found)) for store, found in names.items()}
    kept = {store: kept_back(conn, store, now) for store in names}
    return [
        row | prospect(app, row["store"], row, orders[row["store"]][row["order_id"]], kept[row["store"]])
        if row["next_at"] is not None
        else row | dict.fromkeys(NAMES)
        for row in rows
    ]


def prospect(app: App, store: str, row: Mapping[str, Any], order: Order, kept: Kept) -> dict[str, Any]:
    """The prospects of one open row. A parked one waits for a person; so does a refund whose outcome is unknown."""
    if row.get("parked") or row["state"] == "parked":
        return dict.fromkeys(NAMES)
    stopped = kept.get(row["destination"])
    next_try = row["next_at"]
    if stopped is not None:
        next_try = None if stopped["until"] is None else max(next_try, stopped["until"])
    gives_up = None if next_try is None else _gives_up_by(app, store, row, order, next_try)
    return {"next_try": next_try, "gives_up_by": gives_up, "kept_back": None if stopped is None else dict(stopped)}


def _gives_up_by(app: App, store: str, row: Mapping[str, Any], order: Order, next_try: datetime) -> datetime | None:
    """None for what is never given up, and for a routine question that has not failed."""
    effect, place = Effect(row["effect"]), Destination(row["destination"])
    tenant = app.tenants[store]
    budget = Budget(app.windows, tenant.policy.max_attempts, tenant.connectors[place].capabilities.settle_window)
    if effect.reads:
        return budget.by(next_try, row["failures"], reads=True) if row["failures"] else None
    slot = order.slot(place)
    if slot is None or (slot.effect, slot.generation) != (effect, row["generation"]):
        return budget.by(next_try, order.broken if effect is Effect.DRAFT else 0)
    if slot.phase is Phase.AGAIN:
        return budget.by(next_try, slot.tries)
    if slot.effect is Effect.REFUND and slot.unknown:
        return None
    return budget.by(max(next_try, slot.counts_from), slot.tries, sent=True)
