"""Straight to the driver: for statements so frequent, or so large, that SQLAlchemy would cost more than they.

Its errors are those that SQLAlchemy raises, and its transaction is: callers and `transact` need not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError


def fetch(
    conn: sa.Connection, statement: LiteralString, parameters: Mapping[str, Any] | Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """The rows of `statement` (with `%s` or `%(name)s`), sent in binary, in the transaction of `conn`.

    Raises `DBAPIError` as `conn.execute` does, without parameters, which may be personal.
    """
    if not conn.in_transaction():
        conn.begin()  # as SQLAlchemy begins by itself: the restricted role comes with it
    driver: psycopg.Connection = conn.connection.driver_connection  # type: ignore[assignment]  # ours is psycopg
    try:
        with driver.cursor(binary=True) as cursor:
            return cursor.execute(statement, parameters).fetchall()
    except psycopg.Error as error:
        broken = driver.closed
        if broken:
            conn.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=broken
        ) from error
