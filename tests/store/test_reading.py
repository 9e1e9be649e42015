"""Reading in bulk: what `read` gives, whole, from any place to any place; and errors as SQLAlchemy gives them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orderflow.store import log, reading
from orderflow.store.connect import connect, transact
from orderflow.store.direct import fetch
from orderflow.store.log import LogDamagedError

from .writing import append, entry, unit


@pytest.fixture(scope="module")
def filled(app) -> str:
    """A log of nine events: every third one belongs to another order."""
    append(app, "filled", *(unit(entry(f"o{n % 3}")) for n in range(9)))
    return "filled"


@pytest.mark.parametrize("size", [1, 2, 4, 9, 100])
@pytest.mark.parametrize(("after", "upto"), [(0, None), (0, 9), (0, 4), (3, 8), (4, 4), (9, None), (9, 9)])
def test_pages_hold_what_read_gives(app, filled, size, after, upto):
    """Whatever the page size; both forms tell the same."""
    with app.begin() as conn:
        wanted = [one for one in log.read(conn, filled, after) if upto is None or one.position <= upto]
        pages = list(reading.pages(conn, filled, after, upto, size))
        told = [row for page in reading.told(conn, filled, after, upto, size) for row in page]
    assert [one for page in pages for one in page] == wanted
    assert all(0 < len(page) <= size for page in pages)
    assert told == [
        (r.position, r.order_id, r.version, r.type, r.occurred_at, r.recorded_at, r.clear, r.meta, last(r))
        for r in wanted
    ]


def last(record: log.Record) -> int | None:
    """Each stream of `filled` ends at version 3, which its first event tells."""
    return 3 if record.version == 1 else None


@pytest.mark.parametrize("form", [reading.pages, reading.told])
def test_a_hole_stops_the_reading(app, owner, store, form):
    """It is named; so is an end that comes too early."""
    append(app, store, *(unit(entry("a")) for _ in range(6)))
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        conn.execute(sa.text("DELETE FROM orderflow.events WHERE store = :s AND position IN (4, 6)"), {"s": store})
    for size, upto, position in ((10, None, 4), (2, 5, 4), (3, 6, 4)):
        with app.begin() as conn, pytest.raises(LogDamagedError) as damage:
            list(form(conn, store, 0, upto, size))
        assert damage.value.position == position
    with app.begin() as conn, pytest.raises(LogDamagedError) as damage:
        list(form(conn, store, 4, 6, 10))
    assert damage.value.position == 6


def test_the_position_at_a_time(app, filled):
    """The last one recorded by then, where several share a time too; before everything it is 0."""
    with app.begin() as conn:
        records = log.read(conn, filled, 0)
        for record in records:
            wanted = max(r.position for r in records if r.recorded_at <= record.recorded_at)
            assert reading.position_at(conn, filled, record.recorded_at) == wanted
        before = records[0].recorded_at - timedelta(microseconds=1)
        assert reading.position_at(conn, filled, before) == 0
        assert reading.position_at(conn, filled, records[-1].recorded_at + timedelta(days=1)) == 9
        assert reading.position_at(conn, "none", before) == 0


# --- straight from the driver ---------------------------------------------------------------------------------------


def test_it_reads_as_the_restricted_role_in_the_transaction_at_hand(app, store):
    """Also where nothing has begun the transaction yet, and it sees what the transaction wrote."""
    with app.connect() as conn:
        assert fetch(conn, "SELECT current_user::text") == [("orderflow_app",)]
    with app.begin() as conn:
        log.append(conn, store, [unit(entry("a"))])
        assert [r.position for r in log.read(conn, store, 0)] == [1]
        conn.rollback()
    with app.begin() as conn:
        assert log.read(conn, store, 0) == []


def test_its_errors_are_sqlalchemys_and_show_no_parameters(app):
    with app.begin() as conn, pytest.raises(DBAPIError) as refused:
        fetch(conn, "SELECT 1 / length(%s)", ("",))
    assert not refused.value.connection_invalidated
    assert refused.value.orig.sqlstate == "22012"
    with app.begin() as conn, pytest.raises(DBAPIError) as refused:
        fetch(conn, "SELECT %s::int", ("secret",))
    assert "SELECT" in str(refused.value.statement)
    assert refused.value.params is None


def test_a_connection_that_breaks_is_replaced(module_database_url, owner, store):
    """`transact` runs the work again, on another connection."""
    engine = connect(module_database_url, pool_size=1)
    pids = []

    def work(conn: sa.Connection) -> int:
        [(pid,)] = fetch(conn, "SELECT pg_backend_pid()")
        pids.append(pid)
        if len(pids) == 1:
            with owner.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return len(log.read(conn, store, 0))

    assert transact(engine, work) == 0
    assert len(set(pids)) == 2
    engine.dispose()
