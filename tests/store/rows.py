"""Outbox rows as a test wants them to stand, past those who write them otherwise.

It never follows the fold: what stands in a row may be anything that the database allows.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orderflow.store import outbox
from orderflow.store.outbox import Key, Planned
from orderflow.store.tables import outbox as table


def plan(conn: sa.Connection, key: Key, *, target: str = "", reads: bool, next_at: datetime, **more: bool) -> None:
    """A planned row, as the planner writes many."""
    outbox.rewrite(conn, [], [], [Planned(key, target, reads, next_at, **more)])


def change(conn: sa.Connection, key: Key, **columns: Any) -> bool:
    """Other columns in a row; False if there is none."""
    return conn.execute(sa.update(table).where(*_is(key)).values(**columns)).rowcount > 0


def remove(conn: sa.Connection, key: Key) -> bool:
    """A row less; False if there was none."""
    return conn.execute(sa.delete(table).where(*_is(key))).rowcount > 0


def _is(key: Key) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == getattr(key, name) for name in Key.__slots__]
