"""Many streams in one reading.

It never reads a body, and never skips a version: one that is missing can only be damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from orderflow.store.arrays import bigints, texts
from orderflow.store.direct import fetch
from orderflow.store.log import LogDamagedError, Record


def read_streams(
    conn: sa.Connection, store: str, after: Mapping[str, int], upto: Mapping[str, int] | None = None
) -> dict[str, list[Record]]:
    """The events of each order of `after` behind the version named for it; to its end, or to the one `upto` names.

    Raises `LogDamagedError` where one is missing, also if a stream ends before `upto`.
    """
    told: dict[str, list[Record]] = {order_id: [] for order_id in after}
    if not told:
        return told
    last = bigints([None if upto is None else upto[order_id] for order_id in after])
    for row in fetch(conn, _READ, (texts([*after]), bigints([*after.values()]), last, store)):
        record = Record._make(row)
        stream = told[record.order_id]
        expected = after[record.order_id] + len(stream) + 1
        if record.version != expected:
            raise _missing(store, record.order_id, expected, record.position)
        stream.append(record)
    for order_id, stream in told.items() if upto is not None else ():
        end = after[order_id] + len(stream)
        if upto is not None and end < upto[order_id]:
            raise _missing(store, order_id, end + 1, stream[-1].position if stream else 0)
    return told


def _missing(store: str, order_id: str, version: int, position: int) -> LogDamagedError:
    return LogDamagedError(store, position, f"version {version} of order {order_id} is missing")


# OFFSET 0 keeps it one look into the index for each order, whatever the planner believes of the table.
_READ: Final = """
    SELECT e.position, e.order_id, e.version, e.type, e.source, e.source_id, e.occurred_at, e.recorded_at, e.clear,
           e.meta
    FROM unnest(%s, %s, %s) AS w (order_id, after, upto)
    CROSS JOIN LATERAL (
        SELECT * FROM orderflow.events e
        WHERE e.store = %s AND e.order_id = w.order_id AND e.version > w.after
            AND e.version <= coalesce(w.upto, 9223372036854775807)
        ORDER BY e.version OFFSET 0
    ) AS e
"""
