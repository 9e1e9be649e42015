"""The log keeps what it is given: whole units, gapless places, every identity once."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from orderflow.store import log
from orderflow.store.connect import connect
from orderflow.store.entry import Entry, Sealed
from orderflow.store.log import Appended, Conflict, Duplicate, Unit

from .writing import NOON, append, entry, ids, places, rows, unit, verified


def test_places_are_gapless(app, store):
    """Positions count from 1 per store and versions from 1 per order, over units and calls."""
    first = append(app, store, unit(entry("a"), entry("a")), unit(entry("b")))
    second = append(app, store, unit(entry("a")))
    assert first == [Appended(1, 2), Appended(3, 1)]
    assert second == [Appended(4, 3)]
    assert places(app, store) == [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3)]
    assert rows(app, "SELECT order_id, version FROM orderflow.streams WHERE store = :s ORDER BY 1", s=store) == [
        ("a", 3),
        ("b", 1),
    ]


def test_a_record_comes_back_as_it_was_given(app, store):
    """Every column comes back exactly, among them a body of arbitrary bytes and texts of any script."""
    body = Sealed(bytes(range(256)), uuid4(), b"m" * 32)
    given = Entry("1-1", "DetailsFetched", "effect", "☃ \U0001f600", '{"a":"ß"}', NOON, body, '{"machine":1}')
    append(app, store, unit(given))
    with app.begin() as conn:
        [record] = log.read_stream(conn, store, "1-1")
        assert log.body(conn, store, 1) == (given.event_id, body)
        assert log.body(conn, store, 2) is None
    assert (record.position, record.version, record.order_id) == (1, 1, "1-1")
    assert (record.type, record.source, record.source_id) == (given.type, given.source, given.source_id)
    assert (record.occurred_at, record.clear, record.meta) == (NOON, given.clear, given.meta)


def test_reading_goes_on_where_it_stopped(app, store):
    """`read` gives at most `limit` events after a position; `read_stream` a slice of one order's versions."""
    append(app, store, *(unit(entry("ab"[n % 2])) for n in range(7)))
    with app.begin() as conn:
        assert [r.position for r in log.read(conn, store, 0, 3)] == [1, 2, 3]
        assert [r.position for r in log.read(conn, store, 3, 3)] == [4, 5, 6]
        assert [r.position for r in log.read(conn, store, 6, 3)] == [7]
        assert log.read(conn, store, 7, 3) == []
        assert [r.position for r in log.read_stream(conn, store, "a", after=1, upto=3)] == [3, 5]
        assert log.read_stream(conn, store, "none") == []
        assert (log.head(conn, store), log.head(conn, "elsewhere")) == (7, 0)
        assert store in log.stores(conn)


def test_a_unit_is_all_or_none(app, store):
    """One known source id in a unit, at whatever place, keeps the whole unit out, and the log unharmed."""
    append(app, store, unit(entry("a", "known")))
    result = append(app, store, unit(entry("a", "new-1"), entry("a", "known"), entry("a", "new-2")))
    assert result == [Duplicate(1, 1, "a", "{}")]
    assert ids(app, store) == ["known"]
    with pytest.raises(sa.exc.DBAPIError, match="more than one order"):
        append(app, store, unit(entry("a")), unit(entry("a"), entry("b")))
    assert ids(app, store) == ["known"]


def test_a_conflict_fails_alone(app, store):
    """A unit decided on an older version is refused and tells the present one; its neighbours go in."""
    append(app, store, unit(entry("a", "a1")))
    results = append(
        app,
        store,
        unit(entry("a", "late"), expected=0),
        unit(entry("a", "a2"), expected=1),
        unit(entry("a", "late too"), expected=1),
        unit(entry("b", "b1"), expected=0),
        unit(entry("c", "ahead"), expected=5),
    )
    assert results == [Conflict(1), Appended(2, 2), Conflict(2), Appended(3, 1), Conflict(0)]
    assert ids(app, store) == ["a1", "a2", "b1"]


def test_a_fact_is_never_refused(app, store):
    """Without an expected version it goes in whatever the version is."""
    append(app, store, *(unit(entry("a")) for _ in range(3)))
    assert append(app, store, *log.one_each([entry("a")])) == [Appended(4, 4)]


def test_a_duplicate_tells_the_earlier_place(app, store):
    """The same source id again writes nothing and gives place, order and contents of the first, in any order's name."""
    append(app, store, unit(entry("x")), unit(entry("a", "e1", '{"n":1}')))
    assert append(app, store, unit(entry("a", "e1", '{"n":2}'))) == [Duplicate(2, 1, "a", '{"n":1}')]
    assert append(app, store, unit(entry("b", "e1"))) == [Duplicate(2, 1, "a", '{"n":1}')]
    assert append(app, store, unit(entry("a", "e1"), expected=99)) == [Duplicate(2, 1, "a", '{"n":1}')]
    assert len(ids(app, store)) == 2


def test_duplicates_within_one_call(app, store):
    """The second of two equal source ids in one call is a duplicate of the first."""
    results = append(app, store, unit(entry("a", "e1")), unit(entry("b")), unit(entry("a", "e1", "later")))
    assert results == [Appended(1, 1), Appended(2, 1), Duplicate(1, 1, "a", "{}")]


def test_one_source_id_from_two_sources_or_stores_is_two_events(app, store):
    """Identity is store, source and source id together."""
    given = entry("a", "e1")
    other = Entry("a", "NoteAdded", "elsewhere", "e1", "{}")
    assert append(app, store, unit(given), unit(other)) == [Appended(1, 1), Appended(2, 2)]
    assert append(app, f"{store}-2", unit(given)) == [Appended(1, 1)]


def test_nothing_to_append(app, store):
    """An empty call writes nothing, and takes no lock; a unit without events is a mistake."""
    assert append(app, store) == []
    with app.begin() as conn, pytest.raises(ValueError, match="at least one"):
        log.append(conn, store, [unit(), Unit(())])
    with app.begin() as conn:
        assert store not in log.stores(conn)


def test_a_page_of_a_thousand(app, store):
    """One call takes a big page, order kept, and verifies."""
    given = [unit(entry(f"o{n % 97}", f"p{n:04}")) for n in range(1000)]
    results = append(app, store, *given)
    assert [r.position for r in results if isinstance(r, Appended)] == list(range(1, 1001))
    assert ids(app, store) == [f"p{n:04}" for n in range(1000)]
    assert verified(app, store, 64) == 1000


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_only_read_committed_appends(app, store, level):
    """A snapshot taken before the lock would not see what the former holder committed, so it is refused."""
    with pytest.raises(sa.exc.DBAPIError, match="READ COMMITTED") as caught, app.connect() as conn:
        log.append(conn.execution_options(isolation_level=level), store, [unit()])
    assert caught.value.orig.sqlstate == "OF002"
    assert ids(app, store) == []


def test_stores_do_not_wait_for_each_other(app, store):
    """An append that is not committed yet holds up its own store and no other."""
    with app.begin() as slow:
        log.append(slow, store, [unit(entry("a", "slow"))])
        assert append(app, f"{store}-2", unit()) == [Appended(1, 1)]
        with app.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(sa.exc.DBAPIError) as caught:
                log.append(other, store, [unit()])
            assert caught.value.orig.sqlstate == "55P03"
            other.rollback()
    assert ids(app, store) == ["slow"]


def test_a_rollback_leaves_no_hole(app, store):
    """Positions are handed out by the commit: what is rolled back takes none."""
    append(app, store, unit(entry("a", "one")))
    with app.connect() as conn:
        log.append(conn, store, [unit(entry("a", "gone")), unit(entry("b", "gone too"))])
        conn.rollback()
    assert append(app, store, unit(entry("a", "two"))) == [Appended(2, 2)]
    assert ids(app, store) == ["one", "two"]


def test_recorded_at_never_steps_back(database_url):
    """Whatever the database's clock does, a later position is never recorded earlier: time cuts a prefix."""
    owner, app = sa.create_engine(database_url), connect(database_url)
    try:
        for shift in ("0", "-2 hours", "1 hour", "-1 day"):
            with owner.begin() as conn:
                conn.execute(
                    sa.text(
                        "CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE "
                        f"AS $$ SELECT timestamptz '2026-01-01 12:00Z' + interval '{shift}' $$"
                    )
                )
            append(app, "acme", unit(), unit())
        with app.begin() as conn:
            times = [record.recorded_at for record in log.read(conn, "acme", 0)]
        assert times == [NOON] * 4 + [NOON + timedelta(hours=1)] * 4
        assert verified(app, "acme") == 8
    finally:
        owner.dispose()
        app.dispose()


def test_errors_show_no_parameters(app, store):
    """What a caller wrote may be personal: it never stands in the text of a database error."""
    with pytest.raises(sa.exc.DBAPIError) as caught:
        append(app, store, unit(entry("a", clear="secret-canary \0")))
    assert "secret-canary" not in str(caught.value)
