"""Write a long history into the log by COPY, with the leaves, hashes and versions that appends would have given it.

For histories to read only: what orderflow promises about appends is not kept here, but its verification must pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import psycopg

from bench.ground import plain
from orderflow.store import chain
from orderflow.store.entry import Entry

COLUMNS: Final = [
    "store",
    "position",
    "order_id",
    "version",
    "event_id",
    "type",
    "source",
    "source_id",
    "occurred_at",
    "recorded_at",
    "clear",
    "body",
    "body_key",
    "body_mac",
    "meta",
    "leaf",
    "hash",
]
TYPES: Final = [
    "text",
    "int8",
    "text",
    "int8",
    "uuid",
    "text",
    "text",
    "text",
    "timestamptz",
    "timestamptz",
    "text",
    "bytea",
    "uuid",
    "bytea",
    "text",
    "bytea",
    "bytea",
]
_BATCH: Final = 100_000
"""Events of one COPY and one commit."""
COPY: Final = f"COPY orderflow.events ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"


def fill(url: str, store: str, entries: Iterable[Entry]) -> int:
    """Write the whole log of `store`, which must be empty; returns how many events it has now."""
    versions: dict[str, int] = {}
    position, previous, at = 0, chain.genesis(store), datetime(2026, 6, 1, tzinfo=UTC)
    coming = iter(entries)
    with psycopg.connect(plain(url)) as conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO orderflow.epochs (store, epoch, first_position) VALUES (%s, 1, 1)", [store])
        while batch := list(islice(coming, _BATCH)):
            with cursor.copy(COPY) as copy:
                copy.set_types(TYPES)
                for entry in batch:
                    position += 1
                    version = versions[entry.order_id] = versions.get(entry.order_id, 0) + 1
                    leaf = chain.leaf(store, entry)
                    previous = chain.chain(previous, 1, position, version, at, leaf)
                    copy.write_row(row(store, position, version, entry, at, leaf, previous))
            conn.commit()
        with cursor.copy("COPY orderflow.streams (store, order_id, version) FROM STDIN") as copy:
            for order_id, version in versions.items():
                copy.write_row((store, order_id, version))
    return position


def row(
    store: str, position: int, version: int, entry: Entry, at: datetime, leaf: bytes, hash_: bytes
) -> tuple[object, ...]:
    """The columns of one event, as `COLUMNS` has them."""
    body = entry.body
    return (
        store,
        position,
        entry.order_id,
        version,
        entry.event_id,
        entry.type,
        entry.source,
        entry.source_id,
        entry.occurred_at,
        at,
        entry.clear,
        body.data if body else None,
        body.key if body else None,
        body.mac if body else None,
        entry.meta,
        leaf,
        hash_,
    )
