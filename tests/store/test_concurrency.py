"""Nobody who reads the log forward misses an event, however many write; with a plain sequence everybody does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from orderflow.store import log
from orderflow.store.connect import connect

from .crowd import Log, Sequence_, Tail, race
from .writing import entry, places, rows, unit, verified


@contextmanager
def engines(url: str) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """One for the restricted role, one for the owner."""
    app, owner = connect(url, pool_size=20), sa.create_engine(url, pool_size=20)
    try:
        yield app, owner
    finally:
        app.dispose()
        owner.dispose()


def everything_is_seen_once_and_in_order(url: str) -> None:
    """Sixteen writers of several orders, some slow to commit, some rolled back, beside one reader."""
    with engines(url) as (app, _):
        committed, tail = race(app, Log("acme"))
        assert len(tail.seen) == len(set(tail.seen)), "an event was seen twice"
        assert set(tail.seen) == committed, "events were missed, or seen without being committed"
        assert [place for place, _, _ in places(app, "acme")] == list(range(1, len(committed) + 1))
        versions: dict[str, list[int]] = {}
        for _, order_id, version in places(app, "acme"):
            versions.setdefault(order_id, []).append(version)
        assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
        assert verified(app, "acme") == len(committed)


def a_sequence_loses_events(url: str) -> None:
    """The same test with numbers from a sequence, which are given out before the commit."""
    with engines(url) as (_, owner):
        with owner.begin() as conn:
            conn.execute(sa.text(Sequence_.CREATE))
        committed, tail = race(owner, Sequence_())
        assert len(rows(owner, "SELECT FROM public.serial")) == len(committed)
        missed = committed - set(tail.seen)
        assert "0-0-0" in missed, "the sequence lost nothing, so the test proves nothing"


def a_slow_commit_is_waited_for(url: str) -> None:
    """Step by step: A writes and does not commit, B writes, the reader polls, A commits, the reader polls."""
    with engines(url) as (app, owner):
        tail = Tail(app, Log("acme"))
        with app.connect() as slow, app.connect() as quick:
            log.append(slow, "acme", [unit(entry("a", "slow"))])
            quick.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(sa.exc.DBAPIError):
                log.append(quick, "acme", [unit(entry("b", "quick"))])  # would wait for the slow one
            quick.rollback()
            assert tail.poll() == 0
            slow.commit()
            log.append(quick, "acme", [unit(entry("b", "quick"))])
            quick.commit()
        tail.poll()
        assert tail.seen == ["slow", "quick"]

        with owner.begin() as conn:
            conn.execute(sa.text(Sequence_.CREATE))
        tail = Tail(owner, Sequence_())
        insert = sa.text("INSERT INTO public.serial (name) VALUES (:name)")
        with owner.connect() as slow, owner.connect() as quick:
            slow.execute(insert, {"name": "slow"})
            quick.execute(insert, {"name": "quick"})
            quick.commit()
            tail.poll()
            slow.commit()
        tail.poll()
        assert tail.seen == ["quick"], "a sequence would do, so the test proves nothing"


def test_sixteen_writers_and_a_reader(database_url):
    everything_is_seen_once_and_in_order(database_url)


def test_sixteen_writers_and_a_reader_on_15(database_url_15):
    everything_is_seen_once_and_in_order(database_url_15)


def test_a_plain_sequence_fails_the_same_test(database_url):
    a_sequence_loses_events(database_url)


def test_a_plain_sequence_fails_the_same_test_on_15(database_url_15):
    a_sequence_loses_events(database_url_15)


def test_a_slow_commit(database_url):
    a_slow_commit_is_waited_for(database_url)


def test_a_slow_commit_on_15(database_url_15):
    a_slow_commit_is_waited_for(database_url_15)


def test_two_decisions_on_one_version(database_url):
    """Of sixteen who decided on the same version exactly one goes in; the others learn the version that stands now."""
    with engines(database_url) as (app, _):

        def decide(number: int) -> log.Result:
            with app.begin() as conn:
                return log.append(conn, "acme", [unit(entry("a", f"d{number}"), expected=0)])[0]

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(decide, range(16)))
        assert results.count(log.Appended(1, 1)) == 1
        assert results.count(log.Conflict(1)) == 15


def test_one_fact_from_sixteen_sides(database_url):
    """The same source id at the same time is written once; everybody else learns where it stands."""
    with engines(database_url) as (app, _):

        def record(_: int) -> log.Result:
            with app.begin() as conn:
                return log.append(conn, "acme", [unit(entry("a", "one"))])[0]

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(record, range(16)))
        assert results.count(log.Appended(1, 1)) == 1
        assert results.count(log.Duplicate(1, 1, "a", "{}")) == 15
