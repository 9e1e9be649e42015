"""How outbox rows follow the fold: still unknown, to be tried again later, or out of the outbox.

It never says anything that the fold does not say.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from orderflow.connectors import Missing, Retry, Unknown
from orderflow.domain.events import Effect
from orderflow.domain.order import Order, Phase, Slot
from orderflow.relay.work import Relay, Reply, Turn, ended, slot_for, stands
from orderflow.store.leases import Change


def follow(turn: Turn, order: Order, now: datetime, *, reply: Reply | None = None, learnt: bool = True) -> Change:
    """What the row says once `order` is recorded. `learnt`: the call brought something to record."""
    slot = slot_for(order, turn.row)
    if slot is not None and slot.phase is Phase.AGAIN:
        again, attempt = slot.again_at or now, slot.attempt
        return stands(turn, next_at=again, state="planned", attempt=attempt, failures=0, reason=slot.reason)
    if slot is not None:
        failures = 0 if learnt else turn.row.failures + 1
        next_at = _next_look_up(turn.relay, slot, failures, now)
        return stands(turn, next_at=next_at, state="unknown", failures=failures, reason=slot.reason)
    if Effect(turn.row.key.effect).reads and not learnt:
        return _read_again(turn, reply, now)
    return ended(turn)


def _read_again(turn: Turn, reply: Reply | None, now: datetime) -> Change:
    said = None if reply is None else reply.result if reply.sight is None else reply.sight
    failures, after, reason = turn.row.failures + 1, 0.0, "no answer"
    if isinstance(said, Retry):
        failures, after, reason = turn.row.failures + said.burnt, asked_wait(said), said.reason
    elif isinstance(said, Missing | Unknown):
        reason = said.reason
    wait = max(after, turn.relay.backoff(turn.row.failures + 1))
    return stands(turn, next_at=now + timedelta(seconds=wait), failures=failures, reason=reason)


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
