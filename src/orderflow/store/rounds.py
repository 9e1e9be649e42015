"""Rounds through the open orders of a store, one order at a time, at one pace for all workers together.

The place is inserted and trimmed, never updated, as a cursor is. It never gives out an order twice in a round: one that
a worker took and died with comes again in the next round.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

_KEPT: Final = 8
"""So many older places are left standing between trims."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The order that is the next one's turn, or none, and the seconds until it is worth asking again."""

    order_id: str | None
    wait: float = 0.0


def take(conn: sa.Connection, store: str, every: timedelta, pace: timedelta) -> Taken:
    """The next open order of `store`, claimed: a round begins `every` so often, orders come at least `pace` apart.

    The first round begins one period after a store is first seen: whoever starts has other work to do.
    """
    now: datetime = conn.execute(sa.text("SELECT orderflow.wall_clock()")).scalar_one()
    last = conn.execute(_LAST, {"store": store}).one_or_none()
    if last is None:
        _put(conn, store, 1, now, "", done=True)
        return Taken(None, every.total_seconds())
    waits = last.began_at + every if last.done else last.at + pace
    if now < waits:
        return Taken(None, (waits - now).total_seconds())
    began, after = (now, "") if last.done else (last.began_at, last.after)
    found = conn.scalar(_NEXT, {"store": store, "after": after})
    if not _put(conn, store, last.seq + 1, began, after if found is None else found, done=found is None):
        return Taken(None, pace.total_seconds())  # another worker took it
    return Taken(found) if found is not None else Taken(None, max(0.0, (began + every - now).total_seconds()))


def _put(conn: sa.Connection, store: str, seq: int, began: datetime, after: str, *, done: bool) -> bool:
    row = {"store": store, "seq": seq, "began": began, "after": after, "done": done}
    if conn.scalar(_INSERT, row) is None:
        return False
    conn.execute(_TRIM, {"store": store, "seq": seq - seq % _KEPT})
    return True


_LAST: Final = sa.text(
    "SELECT seq, began_at, after, done, at FROM orderflow.rounds WHERE store = :store ORDER BY seq DESC LIMIT 1"
)
_NEXT: Final = sa.text(
    """
    SELECT order_id FROM orderflow.orders
    WHERE store = :store AND order_id > :after AND status NOT IN ('COMPLETED', 'CANCELLED')
    ORDER BY order_id LIMIT 1
    """
)
_INSERT: Final = sa.text(
    "INSERT INTO orderflow.rounds (store, seq, began_at, after, done) VALUES (:store, :seq, :began, :after, :done) "
    "ON CONFLICT DO NOTHING RETURNING seq"
)
_TRIM: Final = sa.text("DELETE FROM orderflow.rounds WHERE store = :store AND seq < :seq")


def open_orders(conn: sa.Connection, store: str) -> list[str]:
    """All of them now."""
    query = "SELECT order_id FROM orderflow.orders WHERE store = :s AND status NOT IN ('COMPLETED', 'CANCELLED')"
    return list(conn.scalars(sa.text(f"{query} ORDER BY order_id"), {"s": store}))
