"""What threads append at the same time goes in together, and everybody gets an answer of their own."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orderflow.store import writer
from orderflow.store.connect import APP_ROLE, at_once, connect
from orderflow.store.log import Appended, Conflict, Duplicate, Unit
from orderflow.store.writer import Writer, WriterClosedError

from .proxy import Fault, proxy
from .writing import entry, ids, places, rows, unit, verified

CROWD = 16
APPEND = b"append_events"
WAITING = """
SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CROWD) as made:
        yield made


@contextmanager
def held_up(engine: sa.Engine, store: str) -> Iterator[None]:
    """As long as this lasts, no append to `store` comes through."""
    with engine.connect() as conn:
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('orderflow.log ' || :s, 0))"), {"s": store})
        yield
        conn.rollback()


def all_at_once(app, pool, made: Writer, store: str, units: list[Unit], then=lambda: None) -> list[Future]:
    """The first unit is on its way and held up while all others get in line, so that they go in together."""
    with held_up(app, store):
        futures = [pool.submit(made.append, store, units[0])]
        wait_for(lambda: rows(app, WAITING))
        for number, one in enumerate(units[1:], start=1):
            futures.append(pool.submit(made.append, store, one))
            wait_for(lambda number=number: len(made._waiting[store]) == number)
        then()
    return futures


def wait_for(happened) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.001)


def test_alone(app, store):
    """Who is alone writes at once, and is told what `log.append` tells."""
    with Writer(app) as made:
        assert made.append(store, unit(entry("a", "one"), entry("a", "two"), expected=0)) == Appended(1, 2)
        assert made.append(store, unit(entry("a", "one", "other"))) == Duplicate(1, 1, "a", "{}")
        assert made.append(store, unit(entry("a"), expected=7)) == Conflict(2)
        with pytest.raises(ValueError, match="at least one"):
            made.append(store, Unit(()))
    assert verified(app, store) == 2


@pytest.fixture
def member(app, owner) -> Iterator[sa.Engine]:
    """An engine whose login owns nothing, and may do what the restricted role may."""
    name = f"member-{uuid4()}"
    with owner.begin() as conn:
        conn.exec_driver_sql(f'CREATE ROLE "{name}" LOGIN; GRANT {APP_ROLE} TO "{name}"')
    made = connect(app.url.set(username=name).render_as_string(hide_password=False))
    yield made
    made.dispose()
    with owner.begin() as conn:
        conn.exec_driver_sql(f'DROP ROLE "{name}"')


def test_one_statement_is_enough(member, app, store):
    """It is a transaction of its own, takes no role and needs none: the function acts as its owner."""
    statements = counted(member)
    with Writer(member) as made:
        assert made.append(store, unit(entry("a", "one"), expected=0)) == Appended(1, 1)
    assert statements == []  # nothing that SQLAlchemy sends, such as BEGIN or a role
    assert ids(app, store) == ["one"]
    assert at_once(member, "SELECT current_user = session_user", ()) == [(True,)]


def counted(engine: sa.Engine) -> list[str]:
    """What SQLAlchemy sends from now on."""
    sent: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: sent.append(statement))
    return sent


def test_many_go_in_by_one_commit(app, store, pool):
    """Fifteen who come while one writes make one commit: all events of a call have the same time."""
    made = Writer(app)
    units = [unit(entry(f"o{n % 5}", f"s{n}")) for n in range(CROWD)]
    futures = all_at_once(app, pool, made, store, units)
    assert [one.result() for one in futures] == [Appended(n + 1, n // 5 + 1) for n in range(CROWD)]
    assert ids(app, store) == [f"s{n}" for n in range(CROWD)]
    times = rows(
        app, "SELECT recorded_at, count(*) FROM orderflow.events WHERE store = :s GROUP BY 1 ORDER BY 1", s=store
    )
    assert [count for _, count in times] == [1, CROWD - 1]
    assert verified(app, store) == CROWD
    assert made._waiting == {}


def test_a_crowd_of_deciders(app, store, pool):
    """Each thread decides on its own order's version, beside facts about all of them: nothing is lost."""
    with Writer(app) as made:

        def decide(number: int) -> int:
            facts, version = 0, 0
            for turn in range(12):
                result = made.append(store, unit(entry(f"o{number}", f"{number}-{turn}"), expected=version))
                while isinstance(result, Conflict):
                    version = result.version
                    result = made.append(store, unit(entry(f"o{number}", f"{number}-{turn}"), expected=version))
                assert isinstance(result, Appended)
                version = result.version
                facts += isinstance(made.append(store, unit(entry(f"o{(number + 1) % CROWD}"))), Appended)
            return facts

        assert sum(pool.map(decide, range(CROWD))) == CROWD * 12
    assert len(places(app, store)) == verified(app, store) == CROWD * 24


def test_a_conflict_fails_alone(app, store, pool):
    """Among units of one commit, one decided on another version is refused, and its neighbours go in."""
    units = [
        unit(entry("a", "first")),
        unit(entry("a", "second"), expected=1),
        unit(entry("a", "late"), expected=1),
        unit(entry("b", "other"), expected=0),
        unit(entry("a", "first", "again")),
    ]
    futures = all_at_once(app, pool, Writer(app), store, units)
    assert [one.result() for one in futures] == [
        Appended(1, 1),
        Appended(2, 2),
        Conflict(2),
        Appended(3, 1),
        Duplicate(1, 1, "a", "{}"),
    ]


def test_a_mistake_is_its_makers_alone(app, store, pool):
    """What Postgres refuses as a whole is sent one by one: who made no mistake does not suffer from it."""
    units = [
        unit(entry("a", "1")),
        unit(entry("a", "2")),
        unit(entry("a", "nul", "\0")),
        unit(entry("a", "3")),
        unit(entry("a", "two orders"), entry("b", "in one unit")),
        unit(entry("a", "twice"), entry("a", "twice")),
        unit(entry("a", "4")),
    ]
    futures = all_at_once(app, pool, Writer(app), store, units)
    assert [type(one.exception()).__name__ for one in futures] == [
        "NoneType",
        "NoneType",
        "DataError",
        "NoneType",
        "DatabaseError",
        "IntegrityError",
        "NoneType",
    ]
    assert ids(app, store) == ["1", "2", "3", "4"]
    assert verified(app, store) == 4


def test_stores_do_not_wait_for_each_other(app, store, pool):
    """While one store is held up, with callers in line, another one is written to."""
    made = Writer(app)
    with held_up(app, store):
        slow = [pool.submit(made.append, store, unit()) for _ in range(3)]
        wait_for(lambda: store in made._waiting)
        assert made.append(f"{store}-2", unit()) == Appended(1, 1)
        assert not any(one.done() for one in slow)
    assert sorted(one.result().position for one in slow) == [1, 2, 3]


@pytest.mark.parametrize("fault", Fault)
def test_a_broken_commit_is_sent_again(module_database_url, app, store, pool, fault):
    """Nobody knows whether a broken COMMIT was done: all of it goes once more, and stands there once."""
    with proxy(module_database_url) as door:
        engine = connect(door.url)
        made = Writer(engine)
        units = [unit(entry(f"o{n}", f"s{n}")) for n in range(8)]
        strike = partial(door.arm, fault, fault, marker=APPEND, end=APPEND)
        results = [one.result() for one in all_at_once(app, pool, made, store, units, strike)]
        assert door.struck == 2
        engine.dispose()
    assert ids(app, store) == [f"s{n}" for n in range(8)]
    kind = Duplicate if fault is Fault.REPLY_LOST else Appended
    assert [type(one) for one in results] == [Appended, *[kind] * 7]
    assert verified(app, store) == 8


def test_a_database_that_is_away(module_database_url, app, store, pool):
    """Everybody who waits is told, and once it is back it goes on."""
    with proxy(module_database_url) as door:
        engine = connect(door.url)
        made = Writer(engine)
        door.arm(*[Fault.NEVER_SENT] * 40, marker=APPEND, end=APPEND)
        futures = [pool.submit(made.append, store, unit()) for _ in range(4)]
        for one in futures:
            error = one.exception()
            assert isinstance(error, DBAPIError)
            assert error.connection_invalidated
        door.arm(marker=APPEND, end=APPEND)
        assert made.append(store, unit()) == Appended(1, 1)
        engine.dispose()


def test_a_server_that_cannot_be_reached():
    """That nobody listens is told as everywhere else."""
    made = Writer(connect("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    with pytest.raises(sa.exc.OperationalError):
        made.append("acme", unit())


def test_closing(app, store, pool):
    """What was taken is written, and nothing more is taken."""
    made = Writer(app)
    with held_up(app, store):
        taken = [pool.submit(made.append, store, unit()) for _ in range(3)]
        wait_for(lambda: len(made._waiting.get(store, ())) == 2)
        closing = threading.Thread(target=made.close)
        closing.start()
        wait_for(lambda: made._closed)
        with pytest.raises(WriterClosedError):
            made.append(store, unit())
        assert closing.is_alive()
    closing.join(30)
    assert sorted(one.result().position for one in taken) == [1, 2, 3]


def test_who_is_interrupted_while_writing_leaves_the_others_in_line(app, store, pool, monkeypatch):
    """Ctrl-C in the thread that writes for all: its own caller goes, and the next one writes for the rest."""
    real, struck = writer._written, []

    def interrupted(*given):
        outcomes = real(*given)
        if len(given[2]) > 1 and not struck:
            struck.append(1)
            raise KeyboardInterrupt
        return outcomes

    monkeypatch.setattr(writer, "_written", interrupted)
    made = Writer(app)
    futures = all_at_once(app, pool, made, store, [unit(entry("a", f"s{n}")) for n in range(6)])
    assert isinstance(futures[1].exception(), KeyboardInterrupt)
    kinds = [type(one.result()) for number, one in enumerate(futures) if number != 1]
    assert kinds == [Appended, *[Duplicate] * 4]  # it was committed, and nobody knew
    assert ids(app, store) == [f"s{n}" for n in range(6)]
    assert made.append(store, unit()) == Appended(7, 1)


def test_who_is_interrupted_while_waiting_leaves_the_line(app, store, pool):
    """Ctrl-C in a thread that waits: those behind it still get their turn."""
    made = Writer(app)

    def ring(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with held_up(app, store):
            first = pool.submit(made.append, store, unit(entry("a", "first")))
            wait_for(lambda: store in made._waiting and not made._waiting[store])
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                made.append(store, unit(entry("a", "interrupted")))
            assert not made._waiting[store]
            last = pool.submit(made.append, store, unit(entry("a", "last")))
            wait_for(lambda: len(made._waiting[store]) == 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (first.result(), last.result()) == (Appended(1, 1), Appended(2, 2))
    assert ids(app, store) == ["first", "last"]


def test_the_same_unit_from_all_sides(app, store, pool):
    """One source id from sixteen threads is written once; everybody else learns where it stands."""
    with Writer(app) as made:
        results = list(pool.map(lambda _: made.append(store, unit(entry("a", "one"))), range(CROWD)))
    assert results.count(Appended(1, 1)) == 1
    assert results.count(Duplicate(1, 1, "a", "{}")) == CROWD - 1
