"""How outbox rows follow the fold: still unknown, to be tried again later, or out of the outbox.

It never says anything that the fold does not say.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import Missing, Retry
from orderflow.domain.events import Effect
from orderflow.domain.order import Order, Phase, Slot
from orderflow.relay.work import Relay, Reply, slot_of
from orderflow.store import outbox
from orderflow.store.outbox import Row


def follow(
    conn: sa.Connection,
    row: Row,
    order: Order,
    now: datetime,
    *,
    relay: Relay | None = None,
    reply: Reply | None = None,
    learnt: bool = True,
) -> None:
    """Let the row say what the fold says: still unknown, to be tried again, or out of the outbox."""
    slot = slot_of(order, row.key)
    if slot is not None and slot.phase is Phase.AGAIN:
        outbox.change(
            conn,
            row.key,
            state="planned",
            attempt=slot.attempt,
            failures=0,
            next_at=slot.again_at or now,
            lease_until=None,
            reason=slot.reason,
        )
    elif slot is not None:
        failures = 0 if learnt else row.failures + 1
        next_at = _next_look_up(relay, slot, failures, now) if relay else now
        outbox.change(
            conn,
            row.key,
            state="unknown",
            failures=failures,
            next_at=next_at,
            lease_until=None,
            reason=slot.reason,
        )
    elif row.key.effect in _READS and not learnt and relay is not None:
        sight = reply.sight if reply else None
        counts = not isinstance(sight, Retry) or sight.burnt
        wait = max(backoff(relay, row.failures + 1), sight.after if isinstance(sight, Retry) else 0.0)
        outbox.change(
            conn,
            row.key,
            failures=row.failures + counts,
            next_at=now + timedelta(seconds=wait),
            lease_until=None,
            reason=sight.reason if isinstance(sight, Retry | Missing) else "no answer",
        )
    else:
        outbox.remove(conn, row.key)


_READS: Final = frozenset(effect.value for effect in Effect if effect.reads)


def _next_look_up(relay: Relay, slot: Slot, failures: int, now: datetime) -> datetime:
    """Soon at first (it may be found), then when absent begins to count, then a little later for the second one."""
    windows = relay.windows
    pause = timedelta(seconds=min(windows.longest, windows.look_up * 2.0 ** min(failures, 20)))
    soon = slot.since + timedelta(seconds=windows.look_up)
    if slot.absents or now >= slot.counts_from:
        return now + pause
    return now + pause if now < soon else max(slot.counts_from, now + pause)


def backoff(relay: Relay, tries: int) -> float:
    """Seconds: capped exponential, full jitter."""
    windows = relay.windows
    return relay.rng.uniform(0.0, min(windows.longest, windows.retry * 2.0 ** min(tries, 20)))
