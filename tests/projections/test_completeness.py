"""Nothing to read any more also means that nothing is missing: count and chain of what each reader applied."""

import threading

import pytest
import sqlalchemy as sa

from orderflow.projections import catch_up, steps
from orderflow.projections.orders import Orders
from orderflow.projections.timeline import Timeline
from orderflow.store import log, progress
from orderflow.store.applied import Applied, flaws, further, links, nothing

from .telling import ALL, POLICY, anew, history, read_all, tell

NAMES = [one.name for one in ALL]


def applied(engine: sa.Engine, store: str, *names: str) -> dict[str, Applied]:
    with engine.begin() as conn:
        return progress.applied(conn, names or NAMES, store)


def wrong(engine: sa.Engine, store: str) -> dict[str, str]:
    with engine.begin() as conn:
        return flaws(conn, store, progress.applied(conn, NAMES, store))


def logged(engine: sa.Engine, store: str, position: int) -> bytes:
    with engine.begin() as conn:
        query = "SELECT hash FROM orderflow.events WHERE store = :s AND position = :p"
        return conn.scalar(sa.text(query), {"s": store, "p": position})


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_who_applied_all_has_the_hash_of_the_log(app, store, batch):
    """In whatever batches; also events that name no order. Before the first event as well."""
    assert set(applied(app, store).values()) == {nothing(store)}
    assert wrong(app, store) == {}
    tell(app, store, *history(1, 60))
    read_all(app, store, batch=batch)
    assert set(applied(app, store).values()) == {Applied(60, 60, logged(app, store, 60))}
    assert wrong(app, store) == {}


def test_a_new_epoch_is_part_of_the_chain(app, owner, store):
    """A log that goes on after a restore has another epoch in its hashes, and readers compute it likewise."""
    tell(app, store, *history(2, 10))
    with owner.begin() as conn:
        begin = "INSERT INTO orderflow.epochs (store, epoch, first_position, forked_from_hash) VALUES (:s, 2, 11, :h)"
        conn.execute(sa.text(begin), {"s": store, "h": b"h" * 32})
    tell(app, store, *history(3, 10))
    read_all(app, store, [Timeline()], batch=7)
    read_all(app, store)
    assert wrong(app, store) == {}
    assert set(applied(app, store).values()) == {Applied(20, 20, logged(app, store, 20))}


def test_a_batch_that_was_skipped_is_found(app, owner, store):
    """The checkpoint moved, the events were not applied: found however much is read afterwards, until it is mended."""
    tell(app, store, *history(4, 40))
    read_all(app, store, batch=40)
    tell(app, store, *history(5, 10))
    skip = "UPDATE orderflow.checkpoints SET position = position + 10 WHERE store = :s AND reader = 'timeline'"
    with owner.begin() as conn:
        conn.execute(sa.text(skip), {"s": store})
    assert wrong(app, store) == {"timeline": "has applied 40 events up to position 50: 10 were never applied"}
    tell(app, store, *history(6, 10))
    read_all(app, store)
    assert wrong(app, store) == {"timeline": "has applied 50 events up to position 60: 10 were never applied"}
    assert anew(app, store, Timeline()).only_new == 10
    assert wrong(app, store) == {}


def test_a_reader_that_is_handed_too_little_is_found(app, store, monkeypatch):
    """A bug between the log and the readers: an event within a batch gets lost, or one is handed over twice."""
    whole = steps.steps_of

    def lossy(*args, **kwargs):
        first, _, *others = whole(*args, **kwargs)
        return [first, *others]

    def doubling(*args, **kwargs):
        found = whole(*args, **kwargs)
        return [*found, found[-1]]

    tell(app, store, *history(7, 20))
    for bug, flaw in ((lossy, "1 were never applied"), (doubling, "1 more than there are")):
        name = f"{store}-{bug.__name__}"
        tell(app, name, *history(7, 20))
        monkeypatch.setattr("orderflow.projections.steps_of", bug)
        with app.begin() as conn:
            catch_up(conn, name, [Orders()], POLICY, batch=20)
        monkeypatch.undo()
        assert flaw in wrong(app, name)["orders"]
    assert wrong(app, store) == {}


def test_the_wrong_events_are_found(app, owner, store):
    """The number is right, the events are not: a log that was rewritten after it had been read."""
    tell(app, store, *history(8, 20))
    read_all(app, store)
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        conn.execute(
            sa.text("UPDATE orderflow.events SET hash = leaf WHERE store = :s AND position = 20"), {"s": store}
        )
    found = wrong(app, store)
    assert set(found) == set(NAMES)
    assert set(found.values()) == {"has applied 20 events up to position 20, but not those of the log"}


def test_a_place_beyond_the_end_is_found(app, owner, store):
    """As after a restore of the log alone."""
    tell(app, store, *history(9, 20))
    read_all(app, store)
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        conn.execute(sa.text("DELETE FROM orderflow.events WHERE store = :s AND position > 15"), {"s": store})
    assert set(wrong(app, store).values()) == {"stands at 20, where the log has no event"}


def test_two_workers_apply_everything_once(app, store):
    """Side by side, in small batches, while events arrive."""
    stop, failures = threading.Event(), []

    def work(batch: int) -> None:
        try:
            while not stop.is_set():
                with app.begin() as conn:
                    catch_up(conn, store, ALL, POLICY, batch=batch)
        except Exception as error:  # noqa: BLE001  told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(batch,)) for batch in (3, 4)]
    for thread in threads:
        thread.start()
    for number in range(10):
        tell(app, store, *history(number, 9))
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    read_all(app, store)
    assert set(applied(app, store).values()) == {Applied(90, 90, logged(app, store, 90))}


def test_the_chain_is_computed_not_copied(app, owner, store):
    """Two events swapped between reading and hashing give another chain than the log's."""
    tell(app, store, *history(10, 12))
    with app.begin() as conn:
        records, known = log.read(conn, store, 0), links(conn, store, 0, 12)
    right = further(nothing(store), records, known)
    assert right == Applied(12, 12, logged(app, store, 12))
    assert further(nothing(store), [*records[:-2], records[-1], records[-2]], known).hash != right.hash
    assert further(further(nothing(store), records[:5], known), records[5:], known) == right
