"""Connections and transactions: acting as the restricted role, and running a unit of work until its fate is known.

It never retries anything that is not safe to do twice: every unit of work in orderflow carries its own identity.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

APP_ROLE: Final = "orderflow_app"
OVERFLOW: Final = 10
"""How many connections beyond its pool an engine may open."""
_TRIES: Final = 5
_PASSING: Final = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
"""SQL states that pass by themselves: serialization, deadlock, lock timeout, shutdown and start-up of the server."""

_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_ROLE: Final = f"SET LOCAL ROLE {APP_ROLE}; SET LOCAL idle_in_transaction_session_timeout = '60s'"

T = TypeVar("T")


def connect(url: str, *, pool_size: int = 5) -> sa.Engine:
    """An engine on `url` (postgresql+psycopg://...) each of whose transactions acts as the restricted role.

    Nothing is set for a session: it may not be ours alone, behind PgBouncer each transaction can meet another one.
    Errors never show bound parameters, which may be personal.
    """
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=False,
        pool_size=pool_size,
        max_overflow=OVERFLOW,
        isolation_level="AUTOCOMMIT",
    )

    @sa.event.listens_for(engine, "connect")
    def _know_a_pooler(connection: psycopg.Connection, _record: object) -> None:
        """PgBouncer tells its clients a process id of its own making; statements prepared there belong to nobody."""
        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        if found != (connection.info.backend_pid,):
            connection.prepare_threshold = None

    @sa.event.listens_for(engine, "begin")
    def _act_as_app(conn: sa.Connection) -> None:
        """One message with BEGIN, so that the role costs no round trip. At any other level psycopg begins by itself."""
        by_hand = conn.connection.dbapi_connection.autocommit  # type: ignore[union-attr]
        conn.exec_driver_sql(f"{_BEGIN}; {_ROLE}" if by_hand else _ROLE)

    return engine


def transact(engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` in one transaction and return what it returns.

    When the connection breaks, even during COMMIT, nobody knows whether it was done; `work` is run again, and the
    identities in what it writes make that safe. Raises the last error when the database stays away.
    """

    def attempt() -> T:
        with engine.begin() as conn:
            return work(conn)

    return _until_known(attempt)


def at_once(engine: sa.Engine, statement: str, given: Sequence[object]) -> list[tuple[Any, ...]]:
    """One statement of the driver's that is a transaction of its own: one round trip, and nothing beside it.

    For a function that acts as its owner whoever calls it, since no role is taken; the login must be a member of the
    restricted role, or have what that one has. As `transact` otherwise: sent again when nobody knows its fate.
    """
    return _until_known(lambda: _at_once(engine, statement, given))


def _at_once(engine: sa.Engine, statement: str, given: Sequence[object]) -> list[tuple[Any, ...]]:
    """Past SQLAlchemy, which would begin a transaction first; but errors come out as it tells them."""
    try:
        connection = engine.raw_connection()
    except psycopg.Error as error:  # it never came to a connection
        raise _told(engine, statement, error, gone=False) from error
    driver = connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        return driver.execute(statement, given).fetchall()
    except psycopg.Error as error:
        gone = driver.closed
        if gone:
            connection.invalidate(error)
            engine.dispose()  # where one broke, those that lie idle are broken too
        raise _told(engine, statement, error, gone=gone) from error
    finally:
        connection.close()


def _told(engine: sa.Engine, statement: str, error: psycopg.Error, *, gone: bool) -> BaseException:
    return DBAPIError.instance(
        statement,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=gone,
        dialect=engine.dialect,
    )


def _until_known(attempt: Callable[[], T]) -> T:
    for remaining in reversed(range(_TRIES)):
        try:
            return attempt()
        except DBAPIError as error:
            if not remaining or not passes(error):
                raise
            time.sleep(0.05 * (_TRIES - remaining))
    raise AssertionError("unreachable")


def passes(error: DBAPIError) -> bool:
    """A broken connection, one that could not be made (which has no SQL state), or a state that passes by itself."""
    state = getattr(error.orig, "sqlstate", None)
    unreachable = state is None and isinstance(error, OperationalError)
    return error.connection_invalidated or unreachable or state in _PASSING


def named(error: BaseException) -> str:
    """An error without its text, which may hold what a buyer wrote: its type, and the SQL state if it has one."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return type(error).__name__ + (f" {state}" if state else "")
