"""Somebody reads with a snapshot of ten minutes ago: appends and page reads cost what they cost before.

Told by the pages that Postgres touches, not by time. What every append updated would leave a tail of dead rows, which
nothing may clean up as long as the snapshot lives; a table that does just that shows that the count would tell.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from orderflow.store import gates, leases, log, progress
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
    assert tail <= MANY // 40  # some fifty versions fit a page; a few pages more are read where one was just begun


def a_lease(engine: sa.Engine) -> int:
    """Rows are looked for, as a worker does that finds nothing due; the gate of the place is read with it."""
    touched = 0
    with engine.connect() as conn:
        for _ in range(2):
            before = _touched(conn)
            assert leases.lease(conn, "w", 60.0, [("acme", "shop")], 8) == []
            gates.read(conn, ("acme", "shop"))
            touched = _touched(conn) - before
            conn.rollback()
    return touched


def _touched(conn: sa.Connection) -> int:
    """Index entries and rows of gates that this transaction has come across, the dead ones, too."""
    found = conn.exec_driver_sql(
        "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) + sum(pg_stat_get_xact_tuples_fetched(indexrelid)) "
        "+ sum(pg_stat_get_xact_blocks_fetched(indexrelid)) + pg_stat_get_xact_blocks_fetched(min(indrelid)::oid) "
        "FROM pg_index WHERE indrelid = 'orderflow.gates'::regclass GROUP BY indrelid"
    )
    return int(found.scalar_one())


def test_a_gate_that_changes_with_every_call_stays_what_it_was(app):
    """A destination that is paced: its gate is written with every lease and every outcome, and found at once."""
    place = ("acme", "shop")

    def passes() -> None:
        with app.begin() as conn:
            gate, now = gates.hold(conn, place)
            gates.write(conn, replace(gate, started_at=now))

    def passing() -> int:
        """Index entries and pages that one such write comes across."""
        with app.connect() as conn:
            gate, now = gates.hold(conn, place)
            before = _touched(conn)
            gates.write(conn, replace(gate, started_at=now))
            touched = _touched(conn) - before
            conn.rollback()
        return touched

    for _ in range(20):
        passes()
    with old_snapshot(app):
        before = [a_lease(app), passing()]
        for _ in range(MANY):
            passes()
        after = [a_lease(app), passing()]
    assert all(then <= now + 3 * MORE for then, now in zip(after, before, strict=True)), (before, after)
    with app.connect() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM orderflow.gates").scalar_one() == 1


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
