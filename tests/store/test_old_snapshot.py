"""Somebody reads with a snapshot of ten minutes ago: appends and page reads cost what they cost before.

Told by the pages that Postgres touches, not by time. What every append updated would leave a tail of dead rows, which
nothing may clean up as long as the snapshot lives; a table that does just that shows that the count would tell.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from orderflow.store import log, progress
from orderflow.store.connect import connect

from .writing import append, entry, unit

MANY = 1500
MORE = 12
"""Pages that a look-up may touch more for a tree that has grown a level: three indexes of events, one of streams."""


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
    """1500 appends, each a commit of its own, to 150 orders, with the checkpoint of a reader moved behind each."""
    for n in range(150):
        append(app, "acme", unit(entry(f"o{n}")))
    with old_snapshot(app):
        append_before, read_before = an_append(app, "o7"), a_page(app)
        for n in range(MANY):
            append(app, "acme", unit(entry(f"o{n % 150}")))
            if n % 10 == 0:
                with app.begin() as conn:
                    place = progress.claim(conn, ["orders"], "acme")["orders"]
                    assert place <= n + 150
                    progress.advance(conn, ["orders"], "acme", n + 151)
        print("PAGES", append_before, an_append(app, "o7"), read_before, a_page(app))
        assert an_append(app, "o7") <= append_before + MORE
        assert a_page(app) <= read_before + MORE


def test_a_head_that_every_append_updates_would_not(app, database_url):
    """What the log does not have: one row with the last position. Reading it costs more with every append."""
    owner = sa.create_engine(database_url)
    with owner.begin() as conn:
        conn.execute(sa.text("CREATE TABLE public.head (store text PRIMARY KEY, position bigint)"))
        conn.execute(sa.text("INSERT INTO public.head VALUES ('acme', 0)"))
    look = "SELECT position FROM public.head WHERE store = 'acme' FOR UPDATE"
    before = pages(owner, look)
    with old_snapshot(app):
        for _ in range(MANY):
            with owner.begin() as conn:
                conn.execute(sa.text("UPDATE public.head SET position = position + 1 WHERE store = 'acme'"))
        after = pages(owner, look)
    owner.dispose()
    print("HEAD", before, after)
    assert after > before + MORE
