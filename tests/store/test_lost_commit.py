"""When the answer to a COMMIT is lost nobody knows whether it was done: doing it again must be safe, and is."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orderflow import intake, orders
from orderflow.domain.decisions import Accept, Note
from orderflow.domain.events import Effect, EffectDelivered, EffectIntended, Ids, ShopState, Sighting
from orderflow.glopal.client import RawPage
from orderflow.intake import Feed
from orderflow.store import leases, log, outbox, progress
from orderflow.store.connect import connect, transact
from orderflow.store.entry import Entry
from orderflow.store.leases import Change
from orderflow.store.outbox import Key
from orderflow.store.vault import key, unseal

from . import rows
from .proxy import Fault, Proxy, proxy
from .writing import VAULT, append, entry, ids, unit, verified

NOW = datetime(2026, 1, 1, tzinfo=UTC)
APPENDS = b"append_events"


@pytest.fixture(scope="module")
def door(module_database_url: str) -> Iterator[Proxy]:
    with proxy(module_database_url) as made:
        yield made


@pytest.fixture
def engine(door: Proxy) -> Iterator[sa.Engine]:
    """Connections through the door."""
    made = connect(door.url)
    yield made
    made.dispose()


FAULTS = pytest.mark.parametrize(
    "faults",
    [
        pytest.param((Fault.REPLY_LOST,), id="reply-lost"),
        pytest.param((Fault.NEVER_SENT,), id="never-sent"),
        pytest.param((Fault.REPLY_LOST, Fault.REPLY_LOST, Fault.NEVER_SENT), id="several"),
    ],
)


def test_the_proxy_does_what_it_says(door, app, store, engine):
    """A lost reply leaves the row there, a lost request does not, and both look the same to the client."""
    for fault in Fault:
        door.arm(fault, marker=APPENDS)
        with pytest.raises(DBAPIError) as caught:
            append(engine, store, unit(entry("a", fault.name)))
        assert caught.value.connection_invalidated
    assert ids(app, store) == ["REPLY_LOST"]


@FAULTS
def test_a_unit_stands_there_once(door, app, engine, store, faults):
    """`transact` runs the work again, and the source ids make sure that it is not written again."""
    door.arm(*faults, marker=APPENDS)
    given = [unit(entry("a", "one"), entry("a", "two")), unit(entry("b", "three"))]
    results = transact(engine, lambda conn: log.append(conn, store, given))
    assert door.struck
    assert ids(app, store) == ["one", "two", "three"]
    again = isinstance(results[0], log.Duplicate)
    assert again == (faults[0] is Fault.REPLY_LOST)
    assert verified(app, store) == 3


class Pages:
    """A feed that gives the same page again and again until its last event is named."""

    cursor_name = "after"

    def events(self, after, names, limit):
        del names, limit
        if after == "e3":
            return RawPage(b'{"events": []}')
        events = ",".join(
            f'{{"event_id":"e{n}","event_name":"order.received","order_id":"o{n}","event_at":"2026-01-01T00:00:00Z"}}'
            for n in (1, 2, 3)
        )
        return RawPage(f'{{"events": [{events}]}}'.encode())


@FAULTS
def test_a_page_stands_there_once_with_its_cursor(door, app, engine, store, faults):
    """A page and the cursor behind it are one transaction: after a lost reply neither is lost or doubled."""
    door.arm(*faults, marker=APPENDS)
    feed = Feed(store, Pages(), ())
    while intake.pull(engine, VAULT, feed).more:
        pass
    assert ids(app, store) == ["e1", "e2", "e3"]
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (1, "e3")
        assert progress.paused(conn, store) == {}


@FAULTS
def test_a_command_is_decided_once(door, app, engine, store, faults):
    """R12: the same accept after a lost COMMIT reply succeeds, and stands there once, with its first ids."""
    append(app, store, unit(Entry("a", "OrderReceived", "glopal", "e1", "{}")))
    door.arm(*faults, marker=APPENDS)
    command = Accept(Ids("s1", "1"), "ann")
    handled = orders.handle(engine, VAULT, store, "a", command, "c1")
    assert handled.order.accept_ids == Ids("s1", "1")
    assert orders.handle(engine, VAULT, store, "a", command, "c1").written is False
    assert ids(app, store) == ["e1", "c1"]


@FAULTS
def test_a_note_is_kept_once_with_its_text(door, app, engine, store, faults):
    """A command that is not idempotent by itself is so by its id; its sealed text is that of the copy that stands."""
    append(app, store, unit(Entry("a", "OrderReceived", "glopal", "e1", "{}")))
    door.arm(*faults, marker=APPENDS)
    orders.handle(engine, VAULT, store, "a", Note("ann"), "n1", body=b"call her back")
    assert ids(app, store) == ["e1", "n1"]
    with app.begin() as conn:
        event_id, sealed = log.body(conn, store, 2)
        assert unseal(key(conn, VAULT, store, "a", sealed.key), sealed.data, event_id, "body") == b"call her back"


@FAULTS
def test_an_outcome_is_recorded_once(door, app, engine, store, faults):
    """What a call brought is a fact with an identity (outbox key and attempt), and settles the row with it."""
    place = Key(store, "a", "shop", "draft", 0)
    append(app, store, unit(Entry("a", "OrderReceived", "glopal", "e1", "{}")))
    with app.begin() as conn:
        rows.plan(conn, place, reads=False, next_at=NOW)
        intended = EffectIntended(Effect.DRAFT, 0, 1, "", "", NOW, NOW)
        orders.commit(
            conn, VAULT, store, "a", orders.load(conn, store, "a"), [orders.Fact(intended, f"{place}:intent")]
        )
        [row] = leases.lease(conn, "w", 60.0, [(store, "shop")])
    delivered = EffectDelivered(Effect.DRAFT, 0, 1, Sighting("s1", "1", ShopState.DRAFT))

    def settle(conn: sa.Connection) -> bool:
        order = orders.load(conn, store, "a")
        leases.write(conn, store, [Change(row, ends=True)])
        return orders.commit(conn, VAULT, store, "a", order, [orders.Fact(delivered, f"{place}:1")])

    door.arm(*faults, marker=APPENDS)
    written = transact(engine, settle)
    assert written == (faults[0] is Fault.NEVER_SENT)
    assert ids(app, store) == ["e1", f"{place}:intent", f"{place}:1"]
    with app.begin() as conn:
        order = orders.load(conn, store, "a")
        assert order.shop.recorded == "s1"
        assert order.generation(Effect.DRAFT) == 1
        assert outbox.rows_of(conn, store, "a") == []


def test_a_database_that_is_away_for_a_moment(door, app, engine, store):
    """Right after the connection broke the next ones may be turned away too; that is waited out as well."""
    door.arm(Fault.REPLY_LOST, marker=APPENDS, refuse=2)
    transact(engine, lambda conn: log.append(conn, store, [unit(entry("a", "one"))]))
    assert ids(app, store) == ["one"]


def test_a_database_that_stays_away(door, engine, store):
    """After some tries the error comes out, and nothing was swallowed."""
    door.arm(*[Fault.NEVER_SENT] * 20, marker=APPENDS)
    with pytest.raises(DBAPIError):
        transact(engine, lambda conn: log.append(conn, store, [unit()]))
    door.arm(marker=APPENDS)
    assert transact(engine, lambda conn: log.append(conn, store, [unit()])) == [log.Appended(1, 1)]


def test_mistakes_are_not_tried_again(engine):
    """Only what passes by itself is done again."""
    calls = []

    def work(conn: sa.Connection) -> None:
        calls.append(1)
        conn.execute(sa.text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError):
        transact(engine, work)
    assert len(calls) == 1


def test_a_deadlock_passes(app, owner, store):
    """Two transactions that wait for each other: Postgres ends one, which is run again, and both come through."""
    with owner.begin() as conn:
        conn.execute(sa.text("CREATE TABLE IF NOT EXISTS public.two (n int PRIMARY KEY)"))
        conn.execute(sa.text("INSERT INTO public.two VALUES (1), (2)"))
    both, runs = threading.Barrier(2), []

    def work(conn: sa.Connection, first: int, second: int) -> None:
        runs.append(first)
        conn.execute(sa.text("SET LOCAL deadlock_timeout = '20ms'"))
        lock = sa.text("SELECT FROM public.two WHERE n = :n FOR UPDATE")
        conn.execute(lock, {"n": first})
        if len(runs) <= 2:
            both.wait(5)
        conn.execute(lock, {"n": second})

    threads = [
        threading.Thread(target=transact, args=(owner, lambda conn, a=a, b=b: work(conn, a, b)))
        for a, b in ((1, 2), (2, 1))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(runs) == 3
