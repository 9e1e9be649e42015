"""Which of a server's settings make it forget what it has acknowledged.

It never changes one.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

RISKS: Final = {
    "fsync": "a power cut may damage everything",
    "full_page_writes": "a power cut may damage pages",
    "synchronous_commit": "what was acknowledged may be lost",
}
"""The settings that must not be off, and what happens otherwise."""


def unsafe(conn: sa.Connection) -> tuple[str, ...]:
    """Those of `RISKS` that are off in the transaction of `conn`: role, database and session have their say in it."""
    return tuple(name for name in RISKS if conn.exec_driver_sql(f"SHOW {name}").scalar_one() == "off")


class UnsafeServerError(Exception):
    """The server takes no writes, or may forget what it has acknowledged, and nobody said that this is meant."""


def refuse(conn: sa.Connection, allowed: tuple[str, ...]) -> None:
    """Raise `UnsafeServerError` for a standby, and unless everything that is off in this transaction is `allowed`."""
    if conn.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        raise UnsafeServerError("this server takes no writes: it is a standby, or still being restored")
    off = tuple(name for name in unsafe(conn) if name not in allowed)
    if off:
        names = ", ".join(f'"{name}"' for name in (*allowed, *off))
        raise UnsafeServerError(
            f"this server is not to be trusted with orders: {told(off)}. Turn it on (postgresql.conf, ALTER ROLE, "
            f"ALTER DATABASE), or allow it by name: unsafe_server = [{names}]"
        )


def told(names: tuple[str, ...]) -> str:
    """The settings `names` and what they risk, for people."""
    return "; ".join(f"{name} is off: {RISKS[name]}" for name in names)
