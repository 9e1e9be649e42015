"""A read model is its history, whatever the way there: live in any batches, rebuilt, interrupted, or with others."""

import threading
from random import Random

import pytest
import sqlalchemy as sa

from orderflow import codec, orders
from orderflow.domain import events as e
from orderflow.domain import machine
from orderflow.domain.evolve import fold
from orderflow.domain.machine import Report
from orderflow.domain.policy import StorePolicy
from orderflow.orders import as_of
from orderflow.projections import Step, catch_up
from orderflow.projections.orders import Orders
from orderflow.projections.timeline import Timeline
from orderflow.store import log, progress
from orderflow.store.log import INTAKE
from orderflow.store.tables import anomalies, timeline
from orderflow.store.tables import orders as orders_table

from .telling import ALL, POLICY, anew, details, dump, history, order, read_all, tell


def full_fold(engine: sa.Engine, store: str, order_id: str) -> orders.Order:
    with engine.begin() as conn:
        return fold(map(codec.decode, log.read_stream(conn, store, order_id)))


@pytest.mark.parametrize("seed", range(5))
def test_live_equals_rebuilt(app, store, seed):
    """Followed live in batches of any size, events arriving in between: what a rebuild from position 1 makes."""
    told, rng = history(seed, 90), Random(seed)
    while told:
        piece = rng.randrange(1, 40)
        tell(app, store, *told[:piece])
        told = told[piece:]
        for _ in range(rng.randrange(4)):
            with app.begin() as conn:
                catch_up(conn, store, ALL, POLICY, batch=rng.choice([1, 3, 7, 50]))
    read_all(app, store)
    live = {projection.name: dump(app, store, projection) for projection in ALL}
    assert all(live.values())
    for projection in ALL:
        found = anew(app, store, projection, page=rng.choice([7, 13, 500]))
        assert (found.position, found.count, found.rows) == (90, 0, len(live[projection.name]))
        with app.begin() as conn:
            conn.execute(sa.delete(projection.table).where(projection.table.c.store == store))
        assert anew(app, store, projection, page=rng.choice([7, 13, 500])).only_new == len(live[projection.name])
        assert dump(app, store, projection) == live[projection.name], projection.name


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 1000])
def test_any_batch_gives_the_same(app, store, batch):
    """One event at a time, or all at once."""
    tell(app, store, *history(99, 50))
    read_all(app, store, batch=batch)
    rows = {projection.name: dump(app, store, projection) for projection in ALL}
    tell(app, f"{store}-2", *history(99, 50))
    read_all(app, f"{store}-2", batch=17)
    for projection in ALL:
        assert len(dump(app, f"{store}-2", projection)) == len(rows[projection.name])
    with app.begin() as conn:
        for order_id in {row[1] for row in rows["orders"]}:
            assert as_of(conn, store, order_id, order(app, store, order_id).version) == full_fold(app, store, order_id)


@pytest.mark.parametrize("seed", range(4))
def test_load_is_the_full_fold(app, store, seed):
    """However far the read model is behind, `load` gives what the whole history gives; snapshots lose nothing."""
    told, rng = history(seed + 100, 80, many=3), Random(seed)
    while told:
        piece = rng.randrange(1, 20)
        tell(app, store, *told[:piece])
        told = told[piece:]
        if rng.random() < 0.6:
            with app.begin() as conn:
                catch_up(conn, store, [Orders()], POLICY, batch=rng.choice([1, 5, 100]))
        for n in range(3):
            assert order(app, store, f"o{n}") == full_fold(app, store, f"o{n}")
    with app.begin() as conn:
        assert orders.load(conn, store, "nobody").version == 0


def test_every_event_becomes_a_line_of_the_timeline(app, store):
    """Also those that name no order, and those that nobody understands; with the status as it was then."""
    tell(app, store, *history(5, 100))
    read_all(app, store)
    with app.begin() as conn:
        lines = conn.execute(sa.select(timeline).where(timeline.c.store == store).order_by(timeline.c.position)).all()
        records = log.read(conn, store, 0)
    assert [line.position for line in lines] == list(range(1, 101))
    assert [(line.order_id, line.version, line.type) for line in lines] == [
        (r.order_id, r.version, r.type) for r in records
    ]
    assert all(line.summary for line in lines)
    for line in lines[::17]:
        with app.begin() as conn:
            assert orders.as_of(conn, store, line.order_id, line.version).status == line.status


def test_what_names_no_order_is_no_order(app, store):
    """The stream of the unnamed has no row among the orders, and its anomalies are told."""
    tell(app, store, (INTAKE, e.Malformed("the event is no object")), ("a", e.Reported(Report.READY)))
    read_all(app, store)
    assert [row[1] for row in dump(app, store, Orders())] == ["a"]
    with app.begin() as conn:
        kinds = list(conn.scalars(sa.select(anomalies.c.kind).where(anomalies.c.store == store)))
    assert kinds == ["malformed"]


def test_checkpoint_and_rows_go_together(app, store):
    """If a read model fails in the middle of a batch, neither its rows nor its checkpoint move, nor those beside it."""

    class Breaks(Timeline):
        def apply(self, conn, store, steps, policy):
            super().apply(conn, store, steps, policy)
            if any(step.record.position == 7 for step in steps):
                raise RuntimeError("cannot")

    tell(app, store, *history(3, 10))
    both = [Orders(), Breaks()]
    with app.begin() as conn:
        catch_up(conn, store, both, POLICY, batch=4)
    before = [dump(app, store, one) for one in both]
    for _ in range(3):
        with pytest.raises(RuntimeError), app.begin() as conn:
            catch_up(conn, store, both, POLICY, batch=4)
    assert [dump(app, store, one) for one in both] == before
    with app.begin() as conn:
        assert set(progress.positions(conn, [one.name for one in both], store).values()) == {4}
    read_all(app, store)
    assert len(dump(app, store, Timeline())) == 10


def test_one_process_at_a_time(app, store):
    """While one applies, another leaves the read model out, waits for nothing, and does what is left to do."""
    tell(app, store, *history(4, 20))
    with app.begin() as one, app.begin() as two:
        assert catch_up(one, store, [Timeline()], POLICY) == 20
        assert catch_up(two, store, [Timeline()], POLICY) == 0
        assert catch_up(two, store, [Timeline(), Orders()], POLICY) == 20
    with app.begin() as conn:
        assert catch_up(conn, store, [Timeline(), Orders()], POLICY) == 0
    assert len(dump(app, store, Timeline())) == 20


def test_many_processes_together(app, store):
    """Several at once, while events arrive: every event is applied exactly once, in order."""
    stop = threading.Event()
    failures = []

    def work() -> None:
        try:
            while not stop.is_set():
                with app.begin() as conn:
                    catch_up(conn, store, ALL, POLICY, batch=5)
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(12):
        tell(app, store, *history(number, 8))
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    read_all(app, store)
    live = {one.name: dump(app, store, one) for one in ALL}
    for one in ALL:
        assert anew(app, store, one).count == 0
        assert dump(app, store, one) == live[one.name]


def test_read_models_at_different_places_share_what_they_can(app, store):
    """One is behind, one is new, one stands elsewhere: each gets every event once."""
    tell(app, store, *history(6, 60))
    read_all(app, store, [Timeline()], batch=500)
    with app.begin() as conn:
        catch_up(conn, store, [ALL[2]], POLICY, batch=13)
    read_all(app, store, batch=10)
    live = {one.name: dump(app, store, one) for one in ALL}
    for one in ALL:
        assert anew(app, store, one).count == 0, one.name
        assert dump(app, store, one) == live[one.name], one.name


def test_a_snapshot_of_another_machine_is_ignored(app, owner, store):
    """Made by another version of the machine, or unreadable, it is passed over for the history itself."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("b", e.Reported(Report.READY)))
    read_all(app, store)
    wrong = codec.freeze_order(order(app, store, "b"))
    for column in (f"machine = {machine.VERSION + 1}, snapshot = :wrong", "snapshot = 'no JSON'"):
        with owner.begin() as conn:
            change = f"UPDATE orderflow.orders SET {column} WHERE store = :s AND order_id = 'a'"
            conn.execute(sa.text(change), {"s": store} | ({"wrong": wrong} if ":wrong" in column else {}))
        assert order(app, store, "a") == full_fold(app, store, "a")
    tell(app, store, ("a", e.Reported(Report.READY)))
    read_all(app, store)
    with app.begin() as conn:
        assert as_of(conn, store, "a", 2) == full_fold(app, store, "a")
        versions = conn.scalars(sa.select(orders_table.c.machine).where(orders_table.c.store == store))
        assert set(versions) == {machine.VERSION}


def test_a_snapshot_is_used(app, owner, store):
    """The other side of it: of this machine's version it is believed, and only what came later is read."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("b", e.Reported(Report.READY)))
    read_all(app, store)
    with owner.begin() as conn:
        conn.execute(
            sa.text(
                "UPDATE orderflow.orders o SET snapshot = b.snapshot FROM orderflow.orders b "
                "WHERE o.store = :s AND o.order_id = 'a' AND b.store = :s AND b.order_id = 'b'"
            ),
            {"s": store},
        )
    assert order(app, store, "a").status == "READY"


def test_the_policy_of_today_judges(app, store):
    """An order of the test environment is held in a live store; a rebuild under another policy sees it free."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("a", details(1, environment="test")))
    read_all(app, store)
    held = sa.select(orders_table.c.held).where(orders_table.c.store == store)
    with app.begin() as conn:
        assert conn.scalar(held) == ["environment"]
    assert anew(app, store, Orders(), StorePolicy(environment="test")).columns["held"] == 1
    with app.begin() as conn:
        assert conn.scalar(held) == []


def test_hostile_texts_stop_no_read_model(app, store):
    """Whatever stands in a recorded event can be shown: a NUL in a reason must not stop the store's read models."""
    odd = "a\0b\u202e\n\U0001f600" + "x" * 3000
    sighting = e.Sighting(odd, odd, e.ShopState.ORDER)
    told = [
        e.Reported(Report.RECEIVED),
        details(1, external=e.Ids(odd, odd), money=odd, unmapped=(odd,)),
        e.EffectIntended(e.Effect.DRAFT, 0, 1, odd, odd, details().sent_at, details().sent_at),
        e.EffectUnknown(e.Effect.DRAFT, 0, 1, odd),
        e.LookedUp(e.Effect.DRAFT, 0, 1, details().sent_at, (sighting, e.Sighting(odd + "2", "", e.ShopState.DRAFT))),
        e.EffectDelivered(e.Effect.DRAFT, 0, 1, sighting),
        e.EffectRefused(e.Effect.PROMOTE, 0, 1, odd),
        e.Malformed(odd),
        e.EvidenceFound(odd),
        e.CancelRequested(odd, odd),
        e.NoteAdded(odd),
    ]
    tell(app, store, *(("a", one) for one in told))
    assert read_all(app, store) == len(told)
    assert order(app, store, "a") == full_fold(app, store, "a")
    assert order(app, store, "a").cancel_reason == odd


def test_a_step_tells_before_and_after(app, store):
    """Read models see each event with the order just before and just after it."""
    seen: list[Step] = []

    class Watches(Timeline):
        name = "watches"

        def apply(self, conn, store, steps, policy):
            del conn, store, policy
            seen.extend(steps)

    tell(app, store, *history(10, 50))
    read_all(app, store, [Watches()], batch=8)
    assert len(seen) == 50
    for step in seen:
        with app.begin() as conn:
            assert step.before == orders.as_of(conn, store, step.record.order_id, step.record.version - 1)
            assert step.after == orders.as_of(conn, store, step.record.order_id, step.record.version)
