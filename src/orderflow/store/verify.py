"""Recompute a log from its first event: contiguity, leaves, chain and the versions of its streams.

It never changes anything, and names the first row that is not what was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from orderflow.store import chain
from orderflow.store.entry import Entry, Sealed
from orderflow.store.log import LogDamagedError
from orderflow.store.tables import epochs, events, streams


def verify(conn: sa.Connection, store: str, batch: int = 1000) -> Iterator[int]:
    """Recompute contiguity, leaves, chain and stream versions from position 1; yields each position reached.

    Raises `LogDamagedError` at the first row that is not what was written. What is appended meanwhile is left for the
    next time: the end of the log and the versions of its streams are taken by one statement at the beginning.
    """
    end, standing = _standing(conn, store)
    begun = sa.select(epochs.c.first_position, epochs.c.epoch).where(epochs.c.store == store).order_by(epochs.c.epoch)
    epoch_of: dict[int, int] = {row[0]: row[1] for row in conn.execute(begun)}
    versions: dict[str, int] = {}
    previous, epoch, last, recorded = chain.genesis(store), 0, 0, None
    while last < end:
        for row in _whole(conn, store, last, min(batch, end - last)):
            last += 1
            epoch = epoch_of.get(last, epoch)
            versions[row.order_id] = versions.get(row.order_id, 0) + 1
            if row.position != last:
                raise LogDamagedError(store, last, "it is missing")
            if row.version != versions[row.order_id]:
                raise LogDamagedError(store, last, f"its version is {row.version}, not {versions[row.order_id]}")
            if recorded is not None and row.recorded_at < recorded:
                raise LogDamagedError(store, last, "it was recorded before its predecessor")
            if chain.leaf(store, _entry(row)) != row.leaf:
                raise LogDamagedError(store, last, "its contents do not match its leaf")
            previous = chain.chain(previous, epoch, last, row.version, row.recorded_at, row.leaf)
            if previous != row.hash:
                raise LogDamagedError(store, last, "its hash does not continue the chain")
            recorded = row.recorded_at
        yield last
    if standing != versions:
        order_id = min(order_id for order_id, _ in standing.items() ^ versions.items())
        raise LogDamagedError(store, last, f"stream {order_id} stands elsewhere than its events say")


def _standing(conn: sa.Connection, store: str) -> tuple[int, dict[str, int]]:
    """The last position and the version of every stream, as of one moment."""
    end = sa.select(sa.func.coalesce(sa.func.max(events.c.position), 0)).where(events.c.store == store)
    one = sa.select(sa.literal(1)).subquery()
    query = sa.select(end.scalar_subquery(), streams.c.order_id, streams.c.version)
    found = conn.execute(query.select_from(one.outerjoin(streams, streams.c.store == store))).all()
    return found[0][0], {order_id: version for _, order_id, version in found if order_id is not None}


def _whole(conn: sa.Connection, store: str, after: int, limit: int) -> Sequence[sa.Row[Any]]:
    query = sa.select(events).where(events.c.store == store, events.c.position > after)
    return conn.execute(query.order_by(events.c.position).limit(limit)).all()


def _entry(row: sa.Row[Any]) -> Entry:
    sealed = None if row.body is None else Sealed(row.body, row.body_key, row.body_mac)
    return Entry(
        row.order_id, row.type, row.source, row.source_id, row.clear, row.occurred_at, sealed, row.meta, row.event_id
    )
