"""A read model made anew beside the live one: what differs is told, swapped in at once, kept, and can come back."""

import threading
from decimal import Decimal

import pytest
import sqlalchemy as sa

from orderflow.domain import events as e
from orderflow.domain.machine import Report
from orderflow.domain.policy import StorePolicy
from orderflow.projections import beside, catch_up, planner
from orderflow.projections.beside import NothingKeptError
from orderflow.projections.differences import Differences
from orderflow.projections.orders import Orders
from orderflow.projections.timeline import Timeline
from orderflow.store import progress
from orderflow.store.applied import flaws
from orderflow.store.tables import kept

from .telling import ALL, POLICY, anew, details, dump, history, read_all, tell

BY_NAME = pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.name)


def compare(engine: sa.Engine, store: str, projection, policy: StorePolicy = POLICY) -> Differences:
    return beside.compare(engine, store, projection, policy, lambda _: None, 7)


def back(engine: sa.Engine, store: str, projection) -> Differences:
    return beside.back(engine, store, projection, POLICY, lambda _: None, 7)


def edit(engine: sa.Engine, statement: str, **values) -> int:
    with engine.begin() as conn:
        return conn.execute(sa.text(statement), values).rowcount


def former(engine: sa.Engine, store: str, projection) -> list[tuple]:
    return dump(engine, store, projection.into(kept[projection.name]))


def positions(engine: sa.Engine, store: str, *names: str) -> dict[str, int]:
    with engine.begin() as conn:
        return progress.positions(conn, names, store)


EDITS = [
    ("orders", "UPDATE orderflow.orders SET total = total + 1 WHERE store = :s AND order_id = 'o1'", "total"),
    ("orders", "UPDATE orderflow.orders SET held = '{money}' WHERE store = :s AND order_id = 'o1'", "held"),
    ("orders", "UPDATE orderflow.orders SET snapshot = '{}' WHERE store = :s AND order_id = 'o1'", "snapshot"),
    ("timeline", "UPDATE orderflow.timeline SET summary = 'fine' WHERE store = :s AND position = 20", "summary"),
    ("timeline", "UPDATE orderflow.timeline SET status = 'ODD' WHERE store = :s AND position = 20", "status"),
]


@pytest.mark.parametrize(("name", "statement", "column"), EDITS)
def test_an_edited_cell_is_named(app, owner, store, name, statement, column):
    """Key, column, old and new; the comparison alone changes nothing and leaves nothing; the rebuild mends it."""
    [projection] = [one for one in ALL if one.name == name]
    tell(app, store, ("o1", e.Reported(Report.RECEIVED)), ("o1", details(1)), *history(1, 60))
    read_all(app, store)
    right = dump(app, store, projection)
    assert compare(app, store, projection).count == 0
    assert edit(owner, statement, s=store) == 1
    wrong = dump(app, store, projection)
    found = compare(app, store, projection)
    assert (found.count, found.changed, found.rows, found.position) == (1, 1, len(right), 62)
    assert found.columns == {column: 1}
    [example] = found.examples
    [old], [new] = example.old, example.new
    assert old == new == column
    assert example.old != example.new
    assert example.key == ({"order_id": "o1"} if name == "orders" else {"position": "20"})
    assert dump(app, store, projection) == wrong
    assert former(app, store, projection) == []
    assert anew(app, store, projection) == found
    assert dump(app, store, projection) == right
    assert former(app, store, projection) == wrong


def test_a_row_too_many_and_one_too_few(app, owner, store):
    """Both sides are looked at, and each goes where it belongs."""
    tell(app, store, *history(2, 30))
    read_all(app, store)
    right = dump(app, store, Timeline())
    edit(owner, "DELETE FROM orderflow.timeline WHERE store = :s AND position = 4", s=store)
    edit(owner, "UPDATE orderflow.timeline SET position = 99 WHERE store = :s AND position = 5", s=store)
    wrong = dump(app, store, Timeline())
    found = anew(app, store, Timeline())
    assert (found.changed, found.only_old, found.only_new) == (0, 1, 2)
    told = {example.key["position"]: (example.old is None, example.new is None) for example in found.examples}
    assert told == {"4": (True, False), "5": (True, False), "99": (False, True)}
    assert dump(app, store, Timeline()) == right
    assert former(app, store, Timeline()) == wrong


def test_what_only_looks_equal_differs(app, owner, store):
    """28.00 and 28.0 are equal as numbers, and are not the same row."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("a", details(1, total=Decimal("28.00"))))
    read_all(app, store)
    edit(owner, "UPDATE orderflow.orders SET total = 28.0 WHERE store = :s", s=store)
    [example] = compare(app, store, Orders()).examples
    assert (example.old, example.new) == ({"total": "28.0"}, {"total": "28.00"})


def test_more_differ_than_are_shown(app, owner, store):
    """The report stays short; its numbers do not."""
    tell(app, store, *history(3, 50))
    read_all(app, store)
    edit(owner, "UPDATE orderflow.timeline SET type = 'Odd' WHERE store = :s", s=store)
    found = compare(app, store, Timeline())
    assert (found.count, found.columns, len(found.examples)) == (50, {"type": 50}, 10)


@BY_NAME
def test_the_old_is_kept_and_comes_back(app, owner, store, projection):
    """Back, with what has happened since; forth again; until it is released. Other stores are not touched."""
    for one in (store, f"{store}-2"):
        tell(app, one, *history(4, 60))
        read_all(app, one)
    other = dump(app, f"{store}-2", projection)
    lost = f"DELETE FROM orderflow.{projection.name} WHERE store = :s AND order_id IN ('o1', 'o2')"
    assert edit(owner, lost, s=store)
    old = dump(app, store, projection)
    found = anew(app, store, projection)
    new = dump(app, store, projection)
    assert found.only_new == len(new) - len(old) > 0
    assert former(app, store, projection) == old
    assert back(app, store, projection).only_old == found.only_new
    assert dump(app, store, projection) == old
    assert former(app, store, projection) == new
    assert back(app, store, projection).only_new == found.only_new
    assert dump(app, store, projection) == new
    assert dump(app, f"{store}-2", projection) == other
    with app.begin() as conn:
        assert beside.release(conn, store, projection) == len(old)
    assert former(app, store, projection) == []
    with pytest.raises(NothingKeptError):
        back(app, store, projection)


def test_back_with_what_has_happened_since(app, owner, store):
    """The kept one did not stand in the river; before it comes back it gets the events that it has missed."""
    tell(app, store, *history(5, 30))
    read_all(app, store)
    edit(owner, "UPDATE orderflow.timeline SET summary = 'as it was' WHERE store = :s AND position = 7", s=store)
    anew(app, store, Timeline())
    tell(app, store, *history(6, 25))
    read_all(app, store)
    now = dump(app, store, Timeline())
    found = back(app, store, Timeline())
    assert (found.count, found.rows, found.position) == (1, 55, 55)
    rows = dump(app, store, Timeline())
    assert [row for row in rows if row not in now] == [row for row in rows if row[7] == "as it was"]
    assert len(rows) == 55
    with app.begin() as conn:
        assert flaws(conn, store, progress.applied(conn, ["timeline", "timeline~kept"], store)) == {}
    tell(app, store, *history(7, 5))
    read_all(app, store)
    assert len(dump(app, store, Timeline())) == 60


def test_what_equals_is_not_swapped(app, owner, store):
    """A rebuild that finds nothing keeps the former one that an earlier rebuild replaced."""
    tell(app, store, *history(8, 20))
    read_all(app, store)
    edit(owner, "UPDATE orderflow.timeline SET type = 'Odd' WHERE store = :s", s=store)
    anew(app, store, Timeline())
    old = former(app, store, Timeline())
    assert len(old) == 20
    assert anew(app, store, Timeline()).count == 0
    assert former(app, store, Timeline()) == old


def test_readers_never_see_it_half_done(app, owner, store):
    """BI reads on while it is swapped: all rows of the one or all of the other, in one answer."""
    tell(app, store, *history(9, 80))
    read_all(app, store)
    seen, failures, stop = set(), [], threading.Event()
    query = "SELECT count(*), count(*) FILTER (WHERE type = 'Odd') FROM orderflow.timeline WHERE store = :s"

    def bi() -> None:
        try:
            while not stop.is_set():
                with app.begin() as conn:
                    seen.add(tuple(conn.execute(sa.text(query), {"s": store}).one()))
        except Exception as error:  # noqa: BLE001  told to the test
            failures.append(error)

    thread = threading.Thread(target=bi)
    thread.start()
    with app.connect() as long:  # a reader with an old snapshot hinders nobody and keeps seeing what it saw
        long.execution_options(isolation_level="REPEATABLE READ")
        before = long.execute(sa.text(query), {"s": store}).one()
        for _ in range(4):
            edit(owner, "UPDATE orderflow.timeline SET type = 'Odd' WHERE store = :s", s=store)
            assert anew(app, store, Timeline()).changed == 80
        assert long.execute(sa.text(query), {"s": store}).one() == before == (80, 0)
    stop.set()
    thread.join(10)
    assert failures == []
    assert seen <= {(80, 0), (80, 80)}


def test_workers_go_on_meanwhile(app, store):
    """While the new one is made, events arrive and workers apply them to the live one; nothing is lost or doubled."""
    tell(app, store, *history(10, 60))
    read_all(app, store)
    stop, failures, grown = threading.Event(), [], 0

    def work() -> None:
        try:
            while not stop.is_set():
                with app.begin() as conn:
                    catch_up(conn, store, ALL, POLICY, batch=3)
        except Exception as error:  # noqa: BLE001  told to the test
            failures.append(error)

    def told(_: int) -> None:
        nonlocal grown
        grown += 1
        tell(app, store, *history(100 + grown, 2))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for projection in ALL:
        assert beside.rebuild(app, store, projection, POLICY, told, 10).count == 0
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    read_all(app, store)
    for projection in ALL:
        assert compare(app, store, projection).count == 0
        assert positions(app, store, projection.name) == {projection.name: 60 + 2 * grown}
    with app.begin() as conn:
        assert flaws(conn, store, progress.applied(conn, [one.name for one in ALL], store)) == {}


def test_only_the_last_part_waits_for_who_is_reading(app, store):
    """Swapped while another process fills it, rows would be lost: that is waited for, after all has been made."""
    tell(app, store, *history(11, 30))
    done, reached = threading.Event(), []

    def run() -> None:
        beside.rebuild(app, store, Timeline(), POLICY, reached.append, 10)
        done.set()

    with app.begin() as conn:
        catch_up(conn, store, [Timeline()], POLICY, batch=20)
    with app.begin() as conn:
        catch_up(conn, store, [Timeline()], POLICY, batch=10)
        thread = threading.Thread(target=run)
        thread.start()
        assert not done.wait(0.3)
        assert reached == [10, 20]
    thread.join(10)
    assert reached == [10, 20, 30]
    assert [row[1] for row in dump(app, store, Timeline())] == list(range(1, 31))


def test_interrupted_nothing_has_changed(app, owner, store):
    """Ctrl-C anywhere: the live one, its place and the kept one are what they were; the next one begins cleanly."""
    tell(app, store, *history(12, 40))
    read_all(app, store)
    edit(owner, "UPDATE orderflow.timeline SET type = 'Odd' WHERE store = :s", s=store)
    before = dump(app, store, Timeline())

    def interrupted(position: int) -> None:
        if position >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        beside.rebuild(app, store, Timeline(), POLICY, interrupted, 10)
    assert dump(app, store, Timeline()) == before
    assert former(app, store, Timeline()) == []
    assert positions(app, store, "timeline", "timeline~kept") == {"timeline": 40, "timeline~kept": 0}
    assert anew(app, store, Timeline()).changed == 40


def test_a_rebuild_plans_and_sends_nothing(app, store):
    """Not even for orders that nobody has planned for: the planner is no projection."""
    tell(app, store, *history(13, 60))
    read_all(app, store)
    for projection in ALL:
        anew(app, store, projection, StorePolicy(environment="test"))
        back_ = anew(app, store, projection)
        assert back_.position == 60
    with app.begin() as conn:
        for table in ("outbox", "attempts"):
            assert conn.scalar(sa.text(f"SELECT count(*) FROM orderflow.{table} WHERE store = :s"), {"s": store}) == 0
        assert progress.positions(conn, [planner.Planner.name], store) == {"planner": 0}


def test_snapshots_are_not_believed(app, owner, store):
    """Whoever edits a snapshot changes what is judged live, and is found: a comparison folds from the log alone."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("b", e.Reported(Report.READY)))
    read_all(app, store)
    edit(
        owner,
        "UPDATE orderflow.orders o SET snapshot = b.snapshot FROM orderflow.orders b "
        "WHERE o.store = :s AND o.order_id = 'a' AND b.store = :s AND b.order_id = 'b'",
        s=store,
    )
    tell(app, store, ("a", e.NoteAdded("ann")))
    read_all(app, store)
    assert compare(app, store, Orders()).columns["status"] == 1
    assert compare(app, store, Timeline()).columns == {"status": 1}


def test_memory_is_bounded(app, store, monkeypatch):
    """Orders that were not met for long are folded from their streams again: the same comes out."""
    monkeypatch.setattr(beside, "FOLDS", 2)
    tell(app, store, *history(14, 120, many=9))
    read_all(app, store)
    for projection in ALL:
        assert compare(app, store, projection).count == 0
