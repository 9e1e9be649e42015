"""One insert-only line for every call, whatever became of it.

It never holds an open reply: what came back is capped and sealed.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import sqlalchemy as sa

from orderflow.connectors import Result, Sight
from orderflow.orders import Fact
from orderflow.relay.work import Call, Reply, Turn
from orderflow.store.outbox import Key
from orderflow.store.tables import attempts
from orderflow.store.vault import keys_of, seal

_RESPONSE_KEPT: Final = 64 * 1024


def keep(turn: Turn, call: Call, reply: Reply, facts: list[Fact]) -> None:
    """Write the line for one call. `decision` names what was recorded because of it."""
    said = reply.result if reply.result is not None else reply.sight
    raw = getattr(said, "reply", b"")[:_RESPONSE_KEPT]
    attempt_id, key, vault = uuid4(), call.row.key, turn.relay.vault
    sealed = None
    if raw:
        data_key = keys_of(turn.conn, vault, key.store, [key.order_id])[key.order_id]
        sealed = seal(vault, data_key, raw, attempt_id, "response")
    values = {name: getattr(key, name) for name in Key.__slots__} | {
        "attempt_id": attempt_id,
        "attempt": call.attempt,
        "fence": call.row.fence,
        "kind": call.kind,
        "digest": call.row.digest,
        "started_at": call.row.now,
        "milliseconds": reply.seconds * 1000.0,
        "status": getattr(said, "status", None),
        "outcome": _spoken(said),
        "decision": ", ".join(type(fact.event).__name__ for fact in facts) or "ask again later",
        "worker": turn.relay.owner,
        "response": sealed.data if sealed else None,
        "response_key": sealed.key if sealed else None,
    }
    turn.conn.execute(sa.insert(attempts).values(values))


def _spoken(said: Result | Sight | None) -> str:
    reason = getattr(said, "reason", "") or getattr(said, "problem", "")
    return type(said).__name__ + (f": {reason}" if reason else "")
