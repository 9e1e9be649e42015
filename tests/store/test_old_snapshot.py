"""Somebody reads with a snapshot of ten minutes ago: appends and page reads cost what they cost before.

Told by the pages that Postgres touches, not by time. What every append updated would leave a tail of dead rows, which
nothing may clean up as long as the snapshot lives; a table that does just that shows that the count would tell.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from orderflow.store import log, progress
from orderflow.store.applied import Applied
from orderflow.store.connect import connect
from orderflow.store.log import INTAKE

from .writing import append, entry, unit

MANY = 1500
MORE = 4
"""Pages that may be touched more because a page was full where it was not before."""


@pytest.fixture
def app(database_url) -> Iterator[sa.Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


@contextmanager
def old_snapshot(engine: sa.Engine) -> Iterator[None]:
    """A report that began before everything that follows, and does not end."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        conn.execute(sa.text("SELECT count(*) FROM orderflow.events"))
        yield
        conn.rollback()


def pages(engine: sa.Engine, statement: str, given: tuple = ()) -> int:
    """Pages that it touches, rolled back; run twice, so that what is done once a session is done."""
    with engine.connect() as conn:
        for _ in range(2):
            [found] = conn.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", given).scalar_one()
            conn.rollback()
    plan: dict[str, int] = found["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def an_append(engine: sa.Engine, order_id: str) -> int:
    statement = f"SELECT * FROM orderflow.append_events({', '.join(['%b'] * 15)})"
    return pages(engine, statement, log.prepared("acme", [unit(entry(order_id))]))


def a_page(engine: sa.Engine) -> int:
    with engine.begin() as conn:
        after = log.head(conn, "acme") - 100
    query = f"SELECT * FROM orderflow.events WHERE store = 'acme' AND position > {after} ORDER BY position LIMIT 100"
    return pages(engine, query)


def test_appending_and_reading_stay_what_they_were(app):
    """1500 appends, each a commit of its own, to 150 orders of 1000; the checkpoint of a reader follows every tenth.

    What is measured is an order that is new, and one that was quiet meanwhile. An order's own events do cost: its row
    in `streams` is updated by each of them, and there are some ten in its life.
    """
    append(app, "acme", *(unit(entry(f"o{n % 1000}")) for n in range(5000)))  # so that no tree grows by a level later
    with old_snapshot(app):
        before = [an_append(app, "new"), an_append(app, "o500"), a_page(app)]
        for n in range(MANY):
            append(app, "acme", unit(entry(f"o{n % 150}")))
            if n % 10 == 0:
                with app.begin() as conn:
                    progress.claim(conn, ["orders"], "acme")
                    progress.advance(conn, "acme", {"orders": Applied(n + 5001, n + 5001, b"h" * 32)})
        after = [an_append(app, "new"), an_append(app, "o500"), a_page(app)]
    assert all(then <= now + MORE for then, now in zip(after, before, strict=True)), (before, after)


def test_what_names_no_order_costs_only_itself(app):
    """The row of `~intake` is updated by each of its appends: orders do not notice, it grows by a page for many."""
    append(app, "acme", *(unit(entry(f"o{n % 1000}")) for n in range(5000)), unit(entry(INTAKE)))
    with old_snapshot(app):
        before = [an_append(app, "new"), an_append(app, "o500"), a_page(app)]
        alone = an_append(app, INTAKE)
        for _ in range(MANY):
            append(app, "acme", unit(entry(INTAKE)))
        after = [an_append(app, "new"), an_append(app, "o500"), a_page(app)]
        tail = an_append(app, INTAKE) - alone
    assert all(then <= now + MORE for then, now in zip(after, before, strict=True)), (before, after)
    assert tail <= MANY // 50


def test_a_head_that_every_append_updates_would_not(app, database_url):
    """What the log does not have: one row with the last position. Looking at it costs more with every append."""
    owner = sa.create_engine(database_url, isolation_level="AUTOCOMMIT")
    with owner.connect() as conn:
        conn.exec_driver_sql("CREATE TABLE public.head (store text PRIMARY KEY, position bigint)")
        conn.exec_driver_sql("INSERT INTO public.head VALUES ('acme', 0)")
        look = "SELECT position FROM public.head WHERE store = 'acme' FOR UPDATE"
        before = pages(owner, look)
        with old_snapshot(app):
            conn.exec_driver_sql(
                "DO $$ BEGIN FOR n IN 1..6000 LOOP UPDATE public.head SET position = n; COMMIT; END LOOP; END $$"
            )
            after = pages(owner, look)
    owner.dispose()
    assert after > before + MORE
