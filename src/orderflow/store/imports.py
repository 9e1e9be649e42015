"""How far files of history were read, by what stands in them.

It never knows where a file lies: the same contents under another name are the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Offset:
    """The first `bytes` of a file, which are so many whole `lines`, and their SHA-256 in hex."""

    bytes: int
    lines: int
    digest: str


def offset(conn: sa.Connection, store: str, file: str) -> Offset | None:
    """How far `file` was recorded in the log of `store`; None if it never was."""
    row = conn.execute(_OFFSET, {"store": store, "file": file}).one_or_none()
    return None if row is None else Offset(*row)


_OFFSET: Final = sa.text(
    "SELECT bytes, lines, digest FROM orderflow.imports "
    "WHERE store = :store AND file = :file ORDER BY bytes DESC LIMIT 1"
)


def note(conn: sa.Connection, store: str, file: str, reached: Offset) -> None:
    """Take note that `file` is recorded up to `reached`. Inserted and trimmed: see `progress`."""
    values = {"store": store, "file": file, "bytes": reached.bytes, "lines": reached.lines, "digest": reached.digest}
    conn.execute(_NOTE, values)


_NOTE: Final = sa.text(
    """
    WITH trimmed AS (DELETE FROM orderflow.imports WHERE store = :store AND file = :file AND bytes <> :bytes)
    INSERT INTO orderflow.imports (store, file, bytes, lines, digest)
    VALUES (:store, :file, :bytes, :lines, :digest) ON CONFLICT DO NOTHING
    """
)
