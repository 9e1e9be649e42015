"""Which orders are still to be looked up after a restore, and the word that opens effects again.

It never opens an epoch over an order that was not looked up, unless that order is left out by name and is kept back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa

from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.store import epochs, progress
from orderflow.store.connect import transact
from orderflow.store.epochs import Recovery


class NotReadyError(Exception):
    """Effects stay back: the text says what is still to be done. `remaining` are orders that were not looked up."""

    def __init__(self, text: str, remaining: Sequence[str] = ()) -> None:
        self.remaining = tuple(remaining)
        super().__init__(text)


def source_id(order_id: str, epoch: int) -> str:
    """The identity of the fact that an order was looked up in the recovery that began `epoch`."""
    return f"{order_id}:recovery:{epoch}"


_CONCERNED: Final = """
    SELECT o.order_id, EXISTS (
        SELECT FROM orderflow.events l WHERE l.store = o.store AND l.source = 'effect'
        AND l.source_id = o.order_id || ':recovery:' || CAST(:epoch AS text)
    ) AS done
    FROM orderflow.orders o
    JOIN orderflow.events e ON e.store = o.store AND e.order_id = o.order_id AND e.version = 1
    WHERE o.store = :store AND e.position <= :read_to AND (
        o.status NOT IN ('COMPLETED', 'CANCELLED')
        OR o.position >= (
            SELECT min(p.first_position) FROM orderflow.epochs p
            JOIN orderflow.recoveries r ON r.store = p.store AND r.epoch = p.epoch
            WHERE p.store = o.store AND (r.epoch = :epoch OR r.opened_at IS NULL))
        OR EXISTS (SELECT FROM orderflow.outbox x WHERE x.store = o.store AND x.order_id = o.order_id AND NOT x.reads)
    )
"""
"""Orders that may have lost something: open ones, those that something is due for, and those with news since the fork.
Whatever first came after the feed had been read again is news itself."""
_REMAINING: Final = sa.text(f"SELECT c.order_id FROM ({_CONCERNED}) AS c WHERE NOT c.done ORDER BY c.order_id")
_PROGRESS: Final = sa.text(f"SELECT count(*), count(*) FILTER (WHERE c.done) FROM ({_CONCERNED}) AS c")


@dataclass(frozen=True, slots=True)
class Progress:
    """How many orders a recovery concerns, and how many of them were looked up."""

    concerned: int
    looked_up: int

    @property
    def remaining(self) -> int:
        """How many are still to be looked up."""
        return self.concerned - self.looked_up


def progress_of(conn: sa.Connection, recovery: Recovery) -> Progress:
    """How far a recovery has come. Before the feed was read again more orders may turn up."""
    concerned, done = conn.execute(_PROGRESS, _values(recovery)).one()
    return Progress(concerned, done)


def remaining(conn: sa.Connection, recovery: Recovery) -> list[str]:
    """The orders that are still to be looked up. Raises `NotReadyError` while the read models are behind the log."""
    for reader in (Orders.name, Planner.name):
        place = progress.positions(conn, [reader], recovery.store)[reader]
        if recovery.read_to is None or place < recovery.read_to:
            raise NotReadyError(f"{recovery.store}: {_UNREAD}")
    return list(conn.scalars(_REMAINING, _values(recovery)))


_UNREAD: Final = "Glopal's feed was not read to its end yet, or the read models are behind it"


def _values(recovery: Recovery) -> dict[str, object]:
    # Before the feed was read again every order that is known may have lost something.
    read_to = 2**63 - 1 if recovery.read_to is None else recovery.read_to
    return {"store": recovery.store, "epoch": recovery.epoch, "read_to": read_to}


def reopen(engine: sa.Engine, store: str, *, by: str, why: str, without: Collection[str] = ()) -> Recovery:
    """Let effects leave again. Orders in `without` are kept back until they were looked up after all.

    Raises `NotReadyError` while orders remain that are not among them, and for a name that does not remain.
    """
    return transact(engine, partial(_reopen, store=store, by=by, why=why, without=without))


def _reopen(conn: sa.Connection, store: str, by: str, why: str, without: Collection[str]) -> Recovery:
    recovery = epochs.pending(conn, store)
    if recovery is None:
        raise NotReadyError(f"effects of {store} are open; there is nothing to recover from")
    left = remaining(conn, recovery)
    unknown = sorted(set(without) - set(left))
    if unknown:
        raise NotReadyError(f"{store}: {', '.join(unknown)} is not among the orders that remain", left)
    open_ = [order_id for order_id in left if order_id not in without]
    if open_:
        shown = ", ".join(open_[:_SHOWN]) + (f" and {len(open_) - _SHOWN} more" if len(open_) > _SHOWN else "")
        orders = "1 order was" if len(open_) == 1 else f"{len(open_)} orders were"
        raise NotReadyError(f"{store}: {orders} not looked up yet: {shown}", open_)
    for order_id in left:
        epochs.leave_out(conn, recovery, order_id, by, why)
    epochs.note_opened(conn, recovery, by, why)
    opened = epochs.newest(conn, store)
    assert opened is not None
    return opened


_SHOWN: Final = 5
