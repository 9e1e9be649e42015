"""The bell: nobody who has looked before it rang sleeps on, here or in another process, and nothing depends on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from orderflow.store import bell as bells
from orderflow.store.bell import Bell, Topic
from orderflow.store.connect import connect
from orderflow.store.link import hint, link

from .pooler import PROGRAM, pooler

FACTS, DUE = Topic.FACTS, Topic.DUE


@pytest.fixture(autouse=True)
def _never_unasked(monkeypatch):
    """Whoever waits in vain waits until the test's time limit: only the bell ends a wait."""
    monkeypatch.setattr(bells, "_ALONE", 3600.0)
    monkeypatch.setattr(bells, "_LISTENING", 3600.0)


@contextmanager
def linked(url: str, *, listening: bool = True) -> Iterator[Bell]:
    """The bell of a process of its own, as far as the database can tell."""
    engine, bell, stop = connect(url), Bell(), threading.Event()
    thread = threading.Thread(target=link, args=(engine, bell, stop))
    thread.start()
    try:
        if listening:
            bell.wait(FACTS, 0)  # it rings once when it begins to listen
        yield bell
    finally:
        stop.set()
        bell.silence()
        thread.join()
        engine.dispose()


def listeners(owner: sa.Engine) -> list[int]:
    with owner.connect() as conn:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        return list(conn.scalars(sa.text(query)))


def test_what_rings_between_look_and_wait_is_heard():
    """The count is asked before one looks, so a ring during the look ends the wait at once."""
    bell = Bell()
    heard = bell.heard(FACTS)
    bell.ring(FACTS)
    bell.wait(FACTS, heard)
    assert bell.heard(FACTS) == heard + 1


def test_it_wakes_those_who_wait_for_it():
    """Everybody who waits for a topic goes on when it rings; those who wait for another one do not."""
    bell, woken = Bell(), []

    def waiter(topic: Topic, name: str) -> None:
        bell.wait(topic, 0)
        woken.append(name)

    others = [threading.Thread(target=waiter, args=(FACTS, name)) for name in "ab"]
    patient = threading.Thread(target=waiter, args=(DUE, "c"))
    for thread in (*others, patient):
        thread.start()
    bell.ring(FACTS)
    for thread in others:
        thread.join()
    assert sorted(woken) == ["a", "b"]
    bell.ring(DUE)
    patient.join()
    assert woken[2:] == ["c"]


def test_nobody_waits_longer_than_is_safe(monkeypatch):
    """Without any ring a wait ends by itself: looking unasked is the guarantee."""
    monkeypatch.setattr(bells, "_ALONE", 0.01)
    bell = Bell()
    bell.wait(FACTS, 0)
    bell.wait(FACTS, 0, 3600.0)
    bell.wait(FACTS, 0, -1.0)
    assert bell.heard(FACTS) == 0


def test_silence_wakes_everybody():
    """A process that ends lets all who wait look up."""
    bell = Bell()
    threads = [threading.Thread(target=bell.wait, args=(topic, 0)) for topic in Topic]
    for thread in threads:
        thread.start()
    bell.silence()
    for thread in threads:
        thread.join()


def test_it_is_heard_in_another_process(database_url):
    """What rings here rings there, by its topic, and does not come back."""
    with linked(database_url) as one, linked(database_url) as other:
        before = {bell: {topic: bell.heard(topic) for topic in Topic} for bell in (one, other)}
        one.ring(FACTS)
        other.wait(FACTS, before[other][FACTS])
        assert other.heard(DUE) == before[other][DUE]
        other.ring(DUE)
        one.wait(DUE, before[one][DUE])
        assert one.heard(FACTS) == before[one][FACTS] + 1
        assert other.heard(DUE) == before[other][DUE] + 1


def test_many_rings_are_few_hints(database_url):
    """What rings in quick succession is told together, and the last of it too."""
    with linked(database_url) as one, linked(database_url) as other:
        before = other.heard(FACTS)
        for _ in range(5000):
            one.ring(FACTS)
        other.wait(FACTS, before)
        heard = other.heard(FACTS)
        one.ring(FACTS)
        other.wait(FACTS, heard)
        assert other.heard(FACTS) - before < 2500


def test_a_command_gives_a_hint(database_url):
    """A process without a bell of its own is heard as well; where there is no database it says nothing."""
    engine = connect(database_url)
    with linked(database_url) as bell:
        before = bell.heard(DUE)
        hint(engine, FACTS, DUE)
        bell.wait(DUE, before)
    engine.dispose()
    hint(connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing"), FACTS)


def test_a_listener_that_was_cut_off_listens_again(database_url):
    """Its session is ended from outside: it looks up at once, since something may have been missed, and goes on."""
    owner = sa.create_engine(database_url)
    with linked(database_url) as one, linked(database_url) as other:
        pids, before = listeners(owner), (one.heard(FACTS), other.heard(FACTS))
        assert len(pids) == 2
        with owner.connect() as conn:
            for pid in pids:
                conn.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        one.wait(FACTS, before[0])
        other.wait(FACTS, before[1])
        assert set(pids).isdisjoint(listeners(owner))
        heard = other.heard(FACTS)
        one.ring(FACTS)
        other.wait(FACTS, heard)
    owner.dispose()


@pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine (Debian: apt install pgbouncer)")
def test_behind_a_pooler_it_tells_but_does_not_listen(database_url):
    """A session there is not its own: nothing is left listening in it, and the others are told all the same."""
    owner = sa.create_engine(database_url)
    with (
        pooler(database_url, "transaction", 2) as url,
        linked(database_url) as direct,
        linked(url, listening=False) as behind,
    ):
        before = direct.heard(FACTS)
        behind.ring(FACTS)
        direct.wait(FACTS, before)
        assert len(listeners(owner)) == 1
        assert behind.heard(FACTS) == 1
    owner.dispose()
