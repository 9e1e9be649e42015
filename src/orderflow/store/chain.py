"""Leaf and chain: the two hashes that make a change of the past show.

It never reads the database; `verify` does, and `append_events` computes the same chain in SQL.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from orderflow.store.entry import Entry


def leaf(store: str, entry: Entry) -> bytes:
    """SHA-256 over the columns that are known before the lock, each with its length in front."""
    sealed = entry.body
    columns: tuple[bytes | str | None, ...] = (
        store,
        entry.order_id,
        entry.event_id.bytes,
        entry.type,
        entry.source,
        entry.source_id,
        None if entry.occurred_at is None else _micros(entry.occurred_at),
        entry.clear,
        sealed.data if sealed else None,
        sealed.key.bytes if sealed else None,
        sealed.mac if sealed else None,
        entry.meta,
    )
    digest = hashlib.sha256()
    for column in columns:
        plain = column.encode() if isinstance(column, str) else column
        digest.update(b"-" if plain is None else b"+" + len(plain).to_bytes(8, "big") + plain)
    return digest.digest()


def chain(previous: bytes, epoch: int, position: int, version: int, recorded_at: datetime, leaf_: bytes) -> bytes:
    """The hash that `append_events` computes in SQL, here for checking it."""
    place = epoch.to_bytes(4, "big") + position.to_bytes(8, "big") + version.to_bytes(8, "big")
    return hashlib.sha256(previous + place + _micros(recorded_at) + leaf_).digest()


def genesis(store: str) -> bytes:
    """What the first event of a store is chained to."""
    return hashlib.sha256(f"orderflow {store}".encode()).digest()


def _micros(time: datetime) -> bytes:
    return ((time - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big", signed=True)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
