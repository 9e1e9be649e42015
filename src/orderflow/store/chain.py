"""Leaf and chain: the two hashes that make a change of the past show.

It never reads the database; `verify` does, and `append_events` computes the same chain in SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from orderflow.store.entry import Entry


def leaf(store: str, entry: Entry) -> bytes:
    """SHA-256 over the columns that are known before the lock, each with its length in front."""
    return _leaf(_sized(store.encode()), entry)


def leaves(store: str, entries: Sequence[Entry]) -> list[bytes]:
    """The leaf of each entry."""
    begun = _sized(store.encode())
    return [_leaf(begun, entry) for entry in entries]


def _leaf(begun: bytes, entry: Entry) -> bytes:
    """The hot one: written out column by column, joined once and hashed once."""
    order_id, kind, source = entry.order_id.encode(), entry.type.encode(), entry.source.encode()
    source_id, clear, meta = entry.source_id.encode(), entry.clear.encode(), entry.meta.encode()
    time, body = entry.occurred_at, entry.body
    parts = (
        begun,
        _size(order_id) + order_id,
        _OF_16 + entry.event_id.bytes,
        _size(kind) + kind,
        _size(source) + source,
        _size(source_id) + source_id,
        _NULL if time is None else _OF_8 + _micros(time),
        _size(clear) + clear,
        _NULLS if body is None else _size(body.data),
        b"" if body is None else body.data,
        b"" if body is None else _OF_16 + body.key.bytes + _size(body.mac) + body.mac,
        _size(meta) + meta,
    )
    return hashlib.sha256(b"".join(parts)).digest()


def _size(value: bytes) -> bytes:
    """What stands in front of a value."""
    length = len(value)
    return _SIZES[length] if length < _READY else _given(length)


def _given(length: int) -> bytes:
    return b"+" + length.to_bytes(8, "big")


def _sized(value: bytes) -> bytes:
    return _size(value) + value


_READY: Final = 1024
_SIZES: Final = tuple(_given(length) for length in range(_READY))
_OF_8: Final = _given(8)
_OF_16: Final = _given(16)
_NULL: Final = b"-"
_NULLS: Final = _NULL * 3
"""Body, its key and its MAC are there together or not at all."""


def chain(previous: bytes, epoch: int, position: int, version: int, recorded_at: datetime, leaf_: bytes) -> bytes:
    """The hash that `append_events` computes in SQL, here for checking it."""
    place = epoch.to_bytes(4, "big") + position.to_bytes(8, "big") + version.to_bytes(8, "big")
    return hashlib.sha256(previous + place + _micros(recorded_at) + leaf_).digest()


def genesis(store: str) -> bytes:
    """What the first event of a store is chained to."""
    return hashlib.sha256(f"orderflow {store}".encode()).digest()


def _micros(time: datetime) -> bytes:
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds).to_bytes(8, "big", signed=True)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
