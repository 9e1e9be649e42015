"""Each row is leased to one worker at a time, by the database's clock, and says only what may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from orderflow.store import leases, outbox, progress
from orderflow.store.connect import connect
from orderflow.store.leases import Change
from orderflow.store.outbox import Key

from . import rows

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SHOP, GLOPAL = ("shop", "draft"), ("glopal", "fetch")


def plan(engine: sa.Engine, store: str, order_id: str, place=SHOP, *, after: float = 0, **more) -> Key:
    """A row whose time came `after` seconds after long ago."""
    key = Key(store, order_id, *place, 0)
    reads = place[1] in ("fetch", "quote", "reap")
    with engine.begin() as conn:
        rows.plan(conn, key, **{"target": "", "reads": reads, "next_at": LONG_AGO + timedelta(seconds=after)} | more)
    return key


def lease(engine: sa.Engine, store: str, seconds: float = 60.0, owner: str = "w") -> outbox.Row | None:
    with engine.begin() as conn:
        rows = leases.lease(conn, owner, seconds, [(store, "shop"), (store, "glopal")])
    return rows[0] if rows else None


def change(engine: sa.Engine, key: Key, **columns) -> bool:
    with engine.begin() as conn:
        return rows.change(conn, key, **columns)


INTENT = {
    "state": "intent",
    "attempt": 1,
    "request": b"x",
    "request_key": uuid4(),
    "digest": "d",
    "send_by": LONG_AGO,
    "counts_from": LONG_AGO,
}


def test_the_longest_due_comes_first(app, store):
    """Rows come in the order of their times, each once, and none whose time has not come or who is parked."""
    for after, order_id in ((3, "c"), (1, "a"), (2, "b")):
        plan(app, store, order_id, after=after)
    plan(app, store, "later", next_at=datetime.now(UTC) + timedelta(hours=1))
    plan(app, store, "parked", parked=True)
    assert [row and row.key.order_id for row in (lease(app, store) for _ in range(4))] == ["a", "b", "c", None]


def test_a_leased_row_tells_everything(app, store):
    """What the worker needs stands in the row, with the database's clock at that moment."""
    key = plan(app, store, "a", target="s1")
    change(app, key, **INTENT, failures=2, reason="why")
    row = lease(app, store)
    assert row.key == key
    assert str(key) == "a:shop:draft:0"
    assert (row.state, row.target, row.attempt, row.failures, row.reason) == ("intent", "s1", 1, 2, "why")
    assert (row.request, row.digest, row.send_by, row.counts_from) == (b"x", "d", LONG_AGO, LONG_AGO)
    assert (row.next_at, row.fence, row.parked) == (LONG_AGO, 1, False)
    assert abs(datetime.now(UTC) - row.now) < timedelta(minutes=1)


def test_two_workers_never_take_the_same_row(app, store):
    """A row that another transaction is just leasing is passed over, not waited for."""
    plan(app, store, "a", after=1)
    plan(app, store, "b", after=2)
    with app.begin() as one, app.begin() as two, app.begin() as three:
        rows = [leases.lease(conn, "w", 60.0, [(store, "shop")]) for conn in (one, two, three)]
    assert [[row.key.order_id for row in found] for found in rows] == [["a"], ["b"], []]


def test_a_lease_ends_by_the_clock_of_the_database(database_url):
    """Until then nobody else gets the row; from then on the next one does, with the next fence."""
    owner, app = sa.create_engine(database_url), connect(database_url)

    def it_is(second: int) -> None:
        with owner.begin() as conn:
            conn.execute(
                sa.text(
                    "CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE "
                    f"AS $$ SELECT timestamptz '2026-01-01 12:00Z' + interval '{second} seconds' $$"
                )
            )

    try:
        plan(app, "acme", "a")
        fences = []
        for second, leased in ((0, True), (59, False), (60, True), (119, False), (120, True)):
            it_is(second)
            row = lease(app, "acme", owner=f"w{second}")
            assert (row is not None) == leased, second
            fences += [row.fence] if row else []
        assert fences == [1, 2, 3]
        it_is(0)
        assert lease(app, "acme") is None
    finally:
        owner.dispose()
        app.dispose()


def test_a_stale_fence_touches_nothing(app, store):
    """Who was suspended past the lease can neither change nor remove the row; who holds it now can."""
    plan(app, store, "a")
    old = lease(app, store, seconds=0.0)
    new = lease(app, store)
    assert (old.fence, new.fence) == (1, 2)
    with app.begin() as conn:
        assert leases.hold(conn, store, [old]).rows == {}
        leases.write(conn, store, [Change(replace(old, reason="stale"))])
        leases.write(conn, store, [Change(old, ends=True)])
        [row] = outbox.rows_of(conn, store, "a")
        assert (row.reason, row.fence) == ("", 2)
        leases.write(conn, store, [Change(replace(new, reason="fresh"), leased=True)])
        [row] = outbox.rows_of(conn, store, "a")
        assert row.reason == "fresh"
        leases.write(conn, store, [Change(new, ends=True)])
        assert outbox.rows_of(conn, store, "a") == []


def test_planning_again_changes_nothing(app, store):
    """A row that is there stays as it is, whatever a planner says anew."""
    key = plan(app, store, "a", target="s1")
    change(app, key, **INTENT)
    plan(app, store, "a", target="s2", parked=True)
    with app.begin() as conn:
        [row] = outbox.rows_of(conn, store, "a")
    assert (row.state, row.target, row.parked) == ("intent", "s1", False)


def test_rows_of_one_order_are_locked_against_workers(app, store):
    """While somebody decides on an order's rows no worker leases one of them; other orders go on."""
    plan(app, store, "a", after=1)
    plan(app, store, "b", after=2)
    with app.begin() as conn:
        assert len(outbox.rows_of(conn, store, "a")) == 1
        assert lease(app, store).key.order_id == "b"
        assert lease(app, store) is None
    assert lease(app, store).key.order_id == "a"


def test_a_pause_stops_one_destination_of_one_store(app, store):
    """Nothing paused is leased; the other destination and other stores are; after it all goes on."""
    plan(app, store, "a", SHOP, after=1)
    plan(app, store, "a", GLOPAL, after=2)
    plan(app, f"{store}-2", "a", SHOP)
    with app.begin() as conn:
        progress.pause(conn, store, "shop", "credentials turned away", "orderflow")
    assert lease(app, store).key.destination == "glopal"
    assert lease(app, store) is None
    assert lease(app, f"{store}-2").key.destination == "shop"
    with app.begin() as conn:
        assert progress.resume(conn, store, "shop")
    assert lease(app, store).key.destination == "shop"


def test_one_write_under_way_per_order_and_destination(app, store):
    """The database refuses a second intent or unknown beside the first; reads and other places take no slot."""
    change(app, plan(app, store, "a", ("shop", "draft")), **INTENT)
    second = plan(app, store, "a", ("shop", "withdraw"))
    for state in ("intent", "unknown"):
        with pytest.raises(sa.exc.IntegrityError, match="outbox_one_open"):
            change(app, second, **INTENT | {"state": state})
    plan(app, store, "a", ("glopal", "fetch"))
    plan(app, store, "a", ("shop", "reap"))
    assert change(app, plan(app, store, "a", ("glopal", "accept")), **INTENT)
    assert change(app, plan(app, store, "b", ("shop", "withdraw")), **INTENT)
    with app.begin() as conn:
        assert rows.remove(conn, Key(store, "a", "shop", "draft", 0))
    assert change(app, second, **INTENT)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"state": "sent"}, "outbox_state"),
        ({"state": "intent"}, "outbox_intent"),
        ({"state": "unknown"}, "outbox_intent"),
        (INTENT | {"request": None}, "outbox_intent"),
        (INTENT | {"request_key": None}, "outbox_intent"),
        (INTENT | {"digest": None}, "outbox_intent"),
        (INTENT | {"send_by": None}, "outbox_intent"),
        (INTENT | {"counts_from": None}, "outbox_intent"),
        (INTENT | {"counts_from": LONG_AGO - timedelta(seconds=1)}, "outbox_intent"),
        (INTENT | {"attempt": 0}, "outbox_intent"),
        ({"reads": True}, "outbox_reads"),
        ({"effect": "fetch"}, "outbox_place"),
        ({"effect": "telephone"}, "outbox_place"),
        ({"destination": "glopal"}, "outbox_place"),
        ({"destination": "moon"}, "outbox_place"),
        ({"lane": "fast"}, "outbox_lane"),
    ],
)
def test_the_database_refuses_what_cannot_be(app, store, columns, constraint):
    """An intent is whole or is none, a place has its own effects, and a state is one of three."""
    with pytest.raises(sa.exc.IntegrityError, match=constraint):
        change(app, plan(app, store, "a"), **columns)


def test_a_read_has_no_intent(app, store):
    """Reads are asked again at will: they never stand in intent or unknown."""
    with pytest.raises(sa.exc.IntegrityError, match="outbox_intent"):
        change(app, plan(app, store, "a", GLOPAL), **INTENT)


def test_when_the_next_row_wants_attention(app, store):
    """Its time, or the end of its lease if that is later; parked rows want none."""
    with app.begin() as conn:
        assert outbox.next_time(conn, store) is None
    plan(app, store, "a")
    plan(app, store, "b", next_at=LONG_AGO - timedelta(days=1), parked=True)
    with app.begin() as conn:
        assert outbox.next_time(conn, store) == LONG_AGO
    row = lease(app, store, seconds=60.0)
    with app.begin() as conn:
        assert outbox.next_time(conn, store) == row.now + timedelta(seconds=60)
