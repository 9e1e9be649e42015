"""The server that the database stands on, now and at the last start: whether somebody has moved or restored it.

It never judges what follows from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Server:
    """A new cluster has another system identifier, a restore or promotion another timeline, a dump another database."""

    system_identifier: int
    timeline: int
    database: int


_COLUMNS: Final = ", ".join(Server.__slots__)
_HERE: Final = sa.text(f"SELECT {_COLUMNS} FROM orderflow.this_server()")
_LAST: Final = sa.text(f"SELECT {_COLUMNS} FROM orderflow.servers ORDER BY seq DESC LIMIT 1")
_NOTE: Final = sa.text(
    f"""
    WITH trimmed AS (DELETE FROM orderflow.servers)
    INSERT INTO orderflow.servers (seq, {_COLUMNS})
    SELECT (SELECT coalesce(max(seq), 0) + 1 FROM orderflow.servers), {_COLUMNS} FROM orderflow.this_server()
    """
)
STAYED: Final = f"""
    (SELECT ({_COLUMNS}) = (SELECT s.system_identifier, s.timeline, s.database FROM orderflow.servers s
                            ORDER BY s.seq DESC LIMIT 1)
     FROM orderflow.this_server()) IS NOT FALSE
"""
"""SQL: the server is the one that the last start saw, or there was no start yet. Asked once a statement."""


def here(conn: sa.Connection) -> Server:
    """The server of this transaction. Fails on a standby."""
    return Server(*conn.execute(_HERE).one())


def last_seen(conn: sa.Connection) -> Server | None:
    """The server that the last start saw."""
    row = conn.execute(_LAST).one_or_none()
    return None if row is None else Server(*row)


def note(conn: sa.Connection) -> None:
    """Take note of the server of this transaction."""
    conn.execute(_NOTE)


def differences(before: Server, now: Server) -> Iterator[str]:
    """What is another one now, for people."""
    if before.system_identifier != now.system_identifier:
        yield f"another server (system identifier {before.system_identifier}, now {now.system_identifier})"
    elif before.timeline != now.timeline:
        yield f"another timeline ({before.timeline}, now {now.timeline})"
    if before.system_identifier == now.system_identifier and before.database != now.database:
        yield f"another database of the same server (number {before.database}, now {now.database})"
