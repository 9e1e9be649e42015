"""Read model `effects`: every side effect that was ever intended, and how it ended.

It never drives anything: the outbox does, and that is not rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Final, LiteralString

import sqlalchemy as sa

from orderflow.domain import events as e
from orderflow.domain.order import Slot
from orderflow.domain.policy import StorePolicy
from orderflow.projections.rows import upsert
from orderflow.projections.steps import Step
from orderflow.store.arrays import texts
from orderflow.store.direct import fetch
from orderflow.store.tables import effects

_STATE: Final = {
    e.EffectIntended: "intended",
    e.EffectUnknown: "unknown",
    e.EffectNotExecuted: "to be retried",
    e.EffectDelivered: "delivered",
    e.EffectRefused: "refused",
    e.EffectExhausted: "exhausted",
    e.EffectClosed: "closed",
}
_ENDED: Final = ("delivered", "refused", "exhausted", "closed")
_EMPTY: Final[dict[str, Any]] = {
    "target": "",
    "state": "",
    "attempts": 0,
    "look_ups": 0,
    "reason": "",
    "first_intent_at": None,
    "ended_at": None,
}

_KEY: Final = ("order_id", "destination", "effect", "generation")
Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Effects:
    """Intents and outcomes by outbox key. Reads that were answered are no side effects and are left out.

    What a person says of an unknown refund is its outcome.
    """

    name: ClassVar[str] = "effects"
    table: sa.Table = effects

    def into(self, table: sa.Table) -> Effects:
        """With its rows in `table`."""
        return replace(self, table=table)

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """Intents open a row, outcomes move it, look-ups are counted."""
        del policy
        told = [(_key(step), line) for step in steps if (line := _line(step)) is not None]
        if not told:
            return
        rows = self._standing(conn, store, {key[0] for key, _ in told})
        for key, line in told:
            rows[key] = _moved(rows.get(key, _EMPTY), line)
        touched = dict.fromkeys(key for key, _ in told)
        upsert(
            conn, self.table, [{"store": store, **dict(zip(_KEY, key, strict=True)), **rows[key]} for key in touched]
        )

    def _standing(self, conn: sa.Connection, store: str, order_ids: Iterable[str]) -> dict[Key, dict[str, Any]]:
        """The rows that these orders have."""
        found = fetch(conn, _standing_of(self.table), (store, texts([*order_ids])))
        return {(row[0], row[1], row[2], row[3]): dict(zip(_EMPTY, row[4:], strict=True)) for row in found}


@cache
def _standing_of(table: sa.Table) -> LiteralString:
    columns = ", ".join((*_KEY, *_EMPTY))
    return f"SELECT {columns} FROM {table} WHERE store = %s AND order_id = ANY (%s)"


def _key(step: Step) -> Key:
    event: Any = _settled_slot(step) or step.event
    return step.record.order_id, event.effect.destination.value, event.effect.value, event.generation


def _line(step: Step) -> dict[str, Any] | None:
    """What the event says about its effect; None if nothing."""
    event, at = step.event, step.record.recorded_at
    if isinstance(event, e.RefundSettled):
        state = "delivered" if event.made else "closed"
        return {"state": state, "reason": event.why, "ended_at": at} if _settled_slot(step) else None
    if isinstance(event, e.LookedUp):
        return None if event.effect.reads else {"look_ups": 1}
    if type(event) not in _STATE:
        return None
    state = _STATE[type(event)]
    line: dict[str, Any] = {"state": state, "reason": getattr(event, "reason", "")}
    if isinstance(event, e.EffectIntended):
        line |= {"target": event.target, "attempts": event.attempt}
        if event.attempt == 1:
            line["first_intent_at"] = at
    if state in _ENDED:
        line["ended_at"] = at
    return line


def _settled_slot(step: Step) -> Slot | None:
    """The refund under way that a person has settled in this step."""
    slot = step.before.glopal_slot
    if not isinstance(step.event, e.RefundSettled) or slot is None or slot.effect is not e.Effect.REFUND:
        return None
    return slot if slot.target == step.event.refund else None


def _moved(row: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """An effect that has ended stays as it ended, whatever is learnt late; look-ups are counted all the same."""
    if "look_ups" in line:
        return row | {"look_ups": row["look_ups"] + 1}
    return row if row["ended_at"] is not None else row | line
