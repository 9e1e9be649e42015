"""Short ways to write to a log and to look at it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

import sqlalchemy as sa

from orderflow.store import log
from orderflow.store.entry import Entry
from orderflow.store.log import LogDamagedError, Result, Unit
from orderflow.store.vault import open_vault
from orderflow.store.verify import verify

_numbers = count(1)
VAULT = open_vault(b"k" * 32)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def entry(order_id: str = "1-1", source_id: str | None = None, clear: str = "{}", **more) -> Entry:
    """An event whose source id nobody else uses, unless one is given."""
    return Entry(order_id, "NoteAdded", "test", source_id or f"t{next(_numbers)}", clear, **more)


def unit(*entries: Entry, expected: int | None = None) -> Unit:
    return Unit(entries or (entry(),), expected)


def append(engine: sa.Engine, store: str, *units: Unit) -> list[Result]:
    """In a transaction of its own."""
    with engine.begin() as conn:
        return log.append(conn, store, units)


def ids(engine: sa.Engine, store: str) -> list[str]:
    """All source ids of the store in the order of the log."""
    with engine.begin() as conn:
        return [record.source_id for record in log.read(conn, store, 0, 100_000)]


def places(engine: sa.Engine, store: str) -> list[tuple[int, str, int]]:
    """Position, order and version of every event."""
    with engine.begin() as conn:
        return [(r.position, r.order_id, r.version) for r in log.read(conn, store, 0, 100_000)]


def verified(engine: sa.Engine, store: str, batch: int = 1000) -> int | LogDamagedError:
    """The last position of a sound log, or what is wrong with it."""
    try:
        with engine.begin() as conn:
            return max(verify(conn, store, batch), default=0)
    except LogDamagedError as error:
        return error


def rows(engine: sa.Engine, query: str, **values) -> Sequence[sa.Row]:
    with engine.begin() as conn:
        return conn.execute(sa.text(query), values).all()


def emptied(owner: sa.Engine) -> None:
    """Take everything out of a database that migrations have put there, so that it can begin at an older revision."""
    with owner.begin() as conn:
        conn.execute(sa.text("DROP SCHEMA orderflow, orderflow_kept, orderflow_vault CASCADE"))
