"""The exceptions of a stage, as the desk reads them."""

from __future__ import annotations

import sqlalchemy as sa
from tests.relay.stage import Stage

from orderflow.desk.exceptions import Found, Wanted, listed
from orderflow.projections import catch_up
from orderflow.projections.exceptions import Exceptions
from orderflow.store.tables import exceptions


def read(it: Stage) -> None:
    """Let the read model read everything."""
    while True:
        with it.engine.begin() as conn:
            if not catch_up(conn, it.store, [Exceptions()], it.policy):
                return


def desk(it: Stage, *, closed: bool = False) -> list[Found]:
    """What is open at this moment, or what was closed."""
    read(it)
    with it.engine.begin() as conn:
        found, count = listed(conn, Wanted([it.store], closed=closed), it.clock.now, 1000)
    assert count == len(found)
    return found


def rows(it: Stage) -> int:
    """How many rows there are, whether they count or not."""
    read(it)
    with it.engine.begin() as conn:
        query = sa.select(sa.func.count()).select_from(exceptions).where(exceptions.c.store == it.store)
        return conn.scalar(query) or 0
