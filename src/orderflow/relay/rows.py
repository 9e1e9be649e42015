"""How outbox rows follow the fold: still unknown, to be tried again later, or out of the outbox.

It never says anything that the fold does not say.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from orderflow.connectors import Missing, Retry
from orderflow.domain.events import Effect
from orderflow.domain.order import Order, Phase, Slot
from orderflow.relay.work import Relay, Reply, Turn, slot_for
from orderflow.store import outbox


def follow(turn: Turn, order: Order, now: datetime, *, reply: Reply | None = None, learnt: bool = True) -> None:
    """Let the row say what the fold says once `order` is recorded. `learnt`: the call brought something to record."""
    slot = slot_for(order, turn.row)
    if slot is not None and slot.phase is Phase.AGAIN:
        _wait(turn, slot.again_at or now, state="planned", attempt=slot.attempt, failures=0, reason=slot.reason)
    elif slot is not None:
        failures = 0 if learnt else turn.row.failures + 1
        next_at = _next_look_up(turn.relay, slot, failures, now)
        _wait(turn, next_at, state="unknown", failures=failures, reason=slot.reason)
    elif Effect(turn.row.key.effect).reads and not learnt:
        _read_again(turn, reply, now)
    else:
        outbox.remove(turn.conn, turn.row.key)


def _wait(turn: Turn, next_at: datetime, **columns: Any) -> None:
    outbox.change(turn.conn, turn.row.key, next_at=next_at, lease_until=None, **columns)


def _read_again(turn: Turn, reply: Reply | None, now: datetime) -> None:
    sight = reply.sight if reply is not None else None
    failures, after, reason = turn.row.failures + 1, 0.0, "no answer"
    if isinstance(sight, Retry):
        failures, after, reason = turn.row.failures + sight.burnt, asked_wait(sight), sight.reason
    elif isinstance(sight, Missing):
        reason = sight.reason
    wait = max(after, turn.relay.backoff(turn.row.failures + 1))
    _wait(turn, now + timedelta(seconds=wait), failures=failures, reason=reason)


def asked_wait(retry: Retry) -> float:
    """The seconds that the other side asked for, a day at most; 0 where that is no number."""
    return min(retry.after, 86400.0) if math.isfinite(retry.after) else 0.0


def _next_look_up(relay: Relay, slot: Slot, failures: int, now: datetime) -> datetime:
    """Soon at first (it may be found), then when absent begins to count, then a little later for the second one.

    Ever more rarely after that: a refund stays unknown however often Glopal is asked.
    """
    windows = relay.windows
    doublings = min(max(failures, slot.absents - 1), 20)
    pause = timedelta(seconds=min(windows.longest, windows.look_up * 2.0**doublings))
    soon = slot.since + timedelta(seconds=windows.look_up)
    if slot.absents or now >= slot.counts_from or now < soon:
        return now + pause
    return max(slot.counts_from, now + pause)
