"""A whole log at speed: pages in position order, with no more of each event than its reader needs.

It never skips a hole, and never reads a body.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, cast

import sqlalchemy as sa

from orderflow.domain.events import Position, Version
from orderflow.store.direct import fetch
from orderflow.store.log import LogDamagedError, Record, head, read

PAGE: Final = 2000
"""Events a page: enough that a round trip does not show, few enough that a page stays in the processor's cache."""


Told = tuple[Position, str, Version, str, datetime | None, datetime, str, str, int | None]
"""What a fold needs of a stored event, as the driver gives it: `position, order_id, version, type, occurred_at,
recorded_at, clear, meta`, and with the first event of a stream `last`: the version at which that ends now. No object a
row beside the row."""


def pages(
    conn: sa.Connection, store: str, after: int = 0, upto: int | None = None, size: int = PAGE
) -> Iterator[list[Record]]:
    """The events after position `after` up to `upto` (else to the end), in order, at most `size` a page.

    Each page is a statement of its own: under READ COMMITTED the end is where the log ends when it is reached. Raises
    `LogDamagedError` at the first position that is missing, also if the log ends before `upto`.
    """
    while upto is None or after < upto:
        page = read(conn, store, after, size if upto is None else min(size, upto - after))
        if not page:
            _ended(store, after, upto)
            return
        yield page
        after += len(page)


def told(
    conn: sa.Connection, store: str, after: int = 0, upto: int | None = None, size: int = PAGE
) -> Iterator[list[Told]]:
    """As `pages`, with what a fold needs only: for reading all of a log."""
    while upto is None or after < upto:
        limit = size if upto is None else min(size, upto - after)
        page = cast("list[Told]", fetch(conn, _TOLD, (store, after, limit)))
        if not page:
            _ended(store, after, upto)
            return
        # Positions are unique and come in order, so the last one tells whether one is missing in between.
        if page[-1][0] != after + len(page):
            missing = next(n for n, one in enumerate(page, start=after + 1) if one[0] != n)
            raise LogDamagedError(store, missing, "it is missing")
        yield page
        after += len(page)


_TOLD: Final = """
    SELECT position, order_id, version, type, occurred_at, recorded_at, clear, meta,
           CASE WHEN version = 1 THEN (
               SELECT s.version FROM orderflow.streams s WHERE s.store = e.store AND s.order_id = e.order_id
           ) END
    FROM orderflow.events e WHERE store = %s AND position > %s ORDER BY position LIMIT %s
"""


def _ended(store: str, after: int, upto: int | None) -> None:
    if upto is not None:
        raise LogDamagedError(store, after + 1, "it is missing")


def position_at(conn: sa.Connection, store: str, time: datetime) -> int:
    """The last position that was recorded at or before `time`; 0 if none was.

    Times never decrease with the position, so what was known at a time is the log up to here; it is found by halving.
    """
    low, high = 0, head(conn, store)
    while low < high:
        middle = (low + high + 1) // 2
        found = fetch(conn, _TIME, (store, middle))
        if not found:
            raise LogDamagedError(store, middle, "it is missing")
        low, high = (middle, high) if found[0][0] <= time else (low, middle - 1)
    return low


_TIME: Final = "SELECT recorded_at FROM orderflow.events WHERE store = %s AND position = %s"
