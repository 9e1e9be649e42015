"""One insert-only line for every call, whatever became of it.

It never holds an open reply: what came back is capped and sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import sqlalchemy as sa

from orderflow.connectors import Result, Sight
from orderflow.orders import Fact
from orderflow.projections.rows import insert
from orderflow.relay.work import Call, Reply, Turn
from orderflow.store.outbox import Key
from orderflow.store.tables import attempts
from orderflow.store.vault import seal

_RESPONSE_KEPT: Final = 64 * 1024


def line(turn: Turn, call: Call, reply: Reply, facts: Sequence[Fact]) -> dict[str, Any]:
    """The line for one call. `decision` names what is recorded because of it."""
    said = reply.result if reply.result is not None else reply.sight
    attempt_id, key, raw = uuid4(), call.row.key, replied(reply)
    sealed = seal(turn.relay.vault, turn.key, raw, attempt_id, "response") if raw and turn.key is not None else None
    return {name: getattr(key, name) for name in Key.__slots__} | {
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
        "response": f"\\x{sealed.data.hex()}" if sealed else None,
        "response_key": sealed.key if sealed else None,
    }


def replied(reply: Reply) -> bytes:
    """What is kept of a reply."""
    said = reply.result if reply.result is not None else reply.sight
    kept: bytes = getattr(said, "reply", b"")[:_RESPONSE_KEPT]
    return kept


def keep(conn: sa.Connection, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the lines."""
    insert(conn, attempts, lines)


def _spoken(said: Result | Sight | None) -> str:
    reason = getattr(said, "reason", "") or getattr(said, "problem", "")
    return type(said).__name__ + (f": {reason}" if reason else "")
