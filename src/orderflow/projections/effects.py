"""Read model `effects`: every side effect that was ever intended, and how it ended.

It never drives anything: the outbox does, and that is not rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from orderflow.domain import events as e
from orderflow.domain.policy import StorePolicy
from orderflow.projections import Step, shown
from orderflow.store.tables import effects

_STATE = {
    e.EffectIntended: "intended",
    e.EffectUnknown: "unknown",
    e.EffectNotExecuted: "to be retried",
    e.EffectDelivered: "delivered",
    e.EffectRefused: "refused",
    e.EffectExhausted: "exhausted",
    e.EffectClosed: "closed",
}
_ENDED = ("delivered", "refused", "exhausted", "closed")


class Effects:
    """Intents and outcomes by outbox key. Reads that were answered are no side effects and are left out."""

    name = "effects"
    table = effects

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Intents open a row, outcomes move it, look-ups are counted."""
        del policy
        for step in steps:
            line = _line(step)
            if line is None:
                continue
            values = shown(line)
            key = {"store": store, "order_id": step.record.order_id, **_key(step.event)}
            empty = {"target": "", "state": "", "attempts": 0, "look_ups": 0, "reason": ""}
            row = insert(effects).values({**key, **empty, **values})
            if "look_ups" in values:
                values = {"look_ups": effects.c.look_ups + 1}
            conn.execute(row.on_conflict_do_update(index_elements=list(key), set_=values, where=_moves(step.event)))


def _key(event: Any) -> dict[str, Any]:
    destination = event.effect.destination.value
    return {"destination": destination, "effect": event.effect.value, "generation": event.generation}


def _line(step: Step) -> dict[str, Any] | None:
    """What the event says about its effect; None if nothing."""
    event, at = step.event, step.record.recorded_at
    if isinstance(event, e.LookedUp):
        return None if event.effect.reads else {"look_ups": 1}
    state = _STATE.get(type(event))
    if state is None:
        return None
    line: dict[str, Any] = {"state": state, "reason": getattr(event, "reason", "")}
    if isinstance(event, e.EffectIntended):
        line |= {"target": event.target, "attempts": event.attempt}
        if event.attempt == 1:
            line["first_intent_at"] = at
    if state in _ENDED:
        line["ended_at"] = at
    return line


def _moves(event: e.Event) -> sa.ColumnElement[bool] | None:
    """An effect that has ended stays as it ended, whatever is learnt late; look-ups are counted all the same."""
    return None if isinstance(event, e.LookedUp) else effects.c.ended_at.is_(None)
