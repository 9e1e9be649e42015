"""What was said outside, and what is still to be said: signals that an alert rule fires, or has recovered.

A signal is written down before it is sent and keeps its id at every try, so it is said at least once and a receiver can
tell a double. None overtakes an older one of the same rule and store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa

from orderflow.desk.measuring import Measured
from orderflow.store.tables import alerts

FIRING: Final = "firing"
RECOVERED: Final = "recovered"
KEPT: Final = 20
"""Signals of a rule and store that are kept, once they were delivered."""
LEASE: Final = timedelta(minutes=2)
"""For so long nobody else sends it: longer than all outlets together may take."""
_LONGEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Signal:
    """One of them. `body` is JSON as it is sent."""

    store: str
    rule: str
    seq: int
    id: UUID
    state: str
    at: datetime
    body: bytes
    tries: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What was said last of a rule in a store. `problem`: why the last try failed, "" if it did not."""

    state: str
    at: datetime
    id: UUID
    delivered_at: datetime | None
    tries: int
    problem: str


def alone(conn: sa.Connection) -> bool:
    """Hold the right to say something new until the end of this transaction; False if another process has it."""
    return bool(conn.execute(_ALONE).scalar_one())


_ALONE: Final = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended('orderflow alerts', 1))")


def standing(conn: sa.Connection, store: str, rule: str) -> Standing | None:
    """What was said last, or is to be."""
    row = conn.execute(_NEWEST, {"store": store, "rule": rule}).one_or_none()
    return None if row is None else Standing(*row)


_NEWEST: Final = sa.text(
    "SELECT state, at, signal_id, delivered_at, tries, problem FROM orderflow.alerts "
    "WHERE store = :store AND rule = :rule ORDER BY seq DESC LIMIT 1"
)


def compare(conn: sa.Connection, found: Measured) -> str | None:
    """Write down what is to be said of `found`, and return it; None if it was said. Only where `alone`.

    A rule that goes on firing is said again, once a window, if something new came in it.
    """
    last = standing(conn, found.store, found.rule.name)
    firing = last is not None and last.state == FIRING
    if found.fires and firing and last is not None:
        grown = found.newest is not None and found.newest > last.at and found.at - last.at >= found.rule.window
        if not grown:
            return None
    elif found.fires is firing:
        return None
    state = FIRING if found.fires else RECOVERED
    signal_id = uuid4()
    since = last.at if firing and last is not None else None
    conn.execute(
        sa.insert(alerts).values(
            store=found.store,
            rule=found.rule.name,
            signal_id=signal_id,
            state=state,
            at=found.at,
            body=msgspec.json.encode(body(found, state, signal_id, since)).decode(),
            next_at=found.at,
            tries=0,
            problem="",
        )
    )
    conn.execute(_TRIM, {"store": found.store, "rule": found.rule.name})
    return state


_TRIM: Final = sa.text(
    f"""
    DELETE FROM orderflow.alerts WHERE store = :store AND rule = :rule AND delivered_at IS NOT NULL AND seq <= (
        SELECT seq FROM orderflow.alerts WHERE store = :store AND rule = :rule ORDER BY seq DESC OFFSET {KEPT} LIMIT 1
    )
    """
)


def body(found: Measured, state: str, signal_id: UUID, since: datetime | None) -> dict[str, Any]:
    """What is sent. Orders by id only; `next` is the command line that shows them."""
    rule = found.rule
    classes = "".join(f" --class {one}" for one in rule.classes)
    share = {"of": found.of, "percent": round(found.percent, 1)} if found.of else {}
    look = "effects list" if rule.outcomes else "exceptions"
    return {
        "id": str(signal_id),
        "state": state,
        "rule": rule.name,
        "store": found.store,
        "at": found.at,
        "since": since or found.at,
        "window_seconds": rule.window.total_seconds(),
        "counts": {
            "calls" if rule.outcomes else "exceptions": found.count,
            "orders": found.spread,
            **share,
        },
        "orders": found.orders,
        "examples": found.examples,
        "next": f"orderflow {look} --store {found.store}" + ("" if rule.outcomes else classes),
    }


# --- saying it --------------------------------------------------------------------------------------------------------


def taken(conn: sa.Connection, stores: Sequence[str], lease: timedelta = LEASE) -> Signal | None:
    """The oldest signal of `stores` that is to be sent now, leased to whoever asks; None if there is none."""
    row = conn.execute(_TAKE, {"lease": lease, "stores": [*stores]}).one_or_none()
    if row is None:
        return None
    store, rule, seq, signal_id, state, at, text, tries = row
    return Signal(store, rule, seq, signal_id, state, at, str(text).encode(), tries)


_TAKE: Final = sa.text(
    """
    UPDATE orderflow.alerts AS t SET next_at = orderflow.wall_clock() + :lease, tries = tries + 1
    WHERE (t.store, t.rule, t.seq) = (
        SELECT a.store, a.rule, a.seq FROM orderflow.alerts a
        WHERE a.store = ANY (:stores) AND a.delivered_at IS NULL AND a.next_at <= orderflow.wall_clock()
          AND NOT EXISTS (
            SELECT FROM orderflow.alerts older WHERE older.store = a.store AND older.rule = a.rule
              AND older.seq < a.seq AND older.delivered_at IS NULL
        )
        ORDER BY a.seq LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING t.store, t.rule, t.seq, t.signal_id, t.state, t.at, t.body, t.tries
    """
)


def note(conn: sa.Connection, signal: Signal, problem: str) -> None:
    """Write down that it was taken, or why not: then it is tried again, later each time."""
    pause = min(_LONGEST, timedelta(seconds=30) * 2 ** min(signal.tries - 1, 10))
    place: Mapping[str, object] = {"store": signal.store, "rule": signal.rule, "seq": signal.seq}
    conn.execute(_NOTE, {**place, "problem": problem, "pause": pause})


_NOTE: Final = sa.text(
    """
    UPDATE orderflow.alerts SET problem = :problem,
        delivered_at = CASE WHEN :problem = '' THEN orderflow.wall_clock() END,
        next_at = orderflow.wall_clock() + :pause
    WHERE store = :store AND rule = :rule AND seq = :seq AND delivered_at IS NULL
    """
)
