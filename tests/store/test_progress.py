"""How far everybody is: claimed by one at a time, moved by compare-and-set, and kept short."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from orderflow.store import progress
from orderflow.store.applied import Applied, nothing
from orderflow.store.progress import CursorMovedError

from .writing import rows


def at(position: int) -> Applied:
    return Applied(position, position, b"h" * 32)


def test_a_reader_is_claimed_by_one(app, store):
    """While one transaction reads in its name everybody else is told so at once; other names and stores are free."""
    with app.begin() as one, app.begin() as two:
        assert progress.claim(one, ["orders"], store) == {"orders": nothing(store)}
        assert progress.claim(two, ["orders"], store) == {}
        assert progress.claim(two, ["timeline"], store) == {"timeline": nothing(store)}
        assert progress.claim(two, ["orders"], f"{store}-2") == {"orders": nothing(f"{store}-2")}
        progress.advance(one, store, {"orders": at(5)})
    with app.begin() as two:
        assert progress.claim(two, ["orders"], store) == {"orders": at(5)}


def test_a_place_that_was_rolled_back_was_never_reached(app, store):
    """The checkpoint lives and dies with the transaction that did the work."""
    with app.connect() as conn:
        progress.claim(conn, ["orders"], store)
        progress.advance(conn, store, {"orders": at(5)})
        conn.rollback()
    with app.begin() as conn:
        assert progress.claim(conn, ["orders"], store) == {"orders": nothing(store)}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 16, 500])
def test_checkpoints_are_trimmed(app, store, step):
    """Whatever the size of the batches, old checkpoints do not pile up, and the newest stays."""
    for position in range(1, 25 * step, step):
        with app.begin() as conn:
            progress.advance(conn, store, {"orders": at(position)})
            assert progress.positions(conn, ["orders"], store)["orders"] == position
    kept = rows(app, "SELECT position FROM orderflow.checkpoints WHERE store = :s", s=store)
    assert (position,) in kept
    assert len(kept) <= 9


def test_reset_waits_for_who_is_reading(app, store):
    """Beginning anew while another process reads would leave its checkpoint behind: reset waits, then takes it too."""
    done = threading.Event()

    def reset() -> None:
        with app.begin() as conn:
            progress.reset(conn, "orders", store)
        done.set()

    with app.begin() as conn:
        progress.claim(conn, ["orders"], store)
        thread = threading.Thread(target=reset)
        thread.start()
        progress.advance(conn, store, {"orders": at(7)})
        assert not done.wait(0.2)
    thread.join(5)
    with app.begin() as conn:
        assert progress.claim(conn, ["orders"], store) == {"orders": nothing(store)}


def test_a_cursor_moves_by_compare_and_set(app, store):
    """R11: of two pullers who saw the same cursor one moves it, the other is told and writes nothing."""
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (0, None)
        progress.move_cursor(conn, store, 0, "e1")
    with app.begin() as conn, pytest.raises(CursorMovedError):
        progress.move_cursor(conn, store, 0, "e2")
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (1, "e1")
        progress.move_cursor(conn, store, 1, "e2")
        assert progress.cursor_of(conn, store) == (2, "e2")
    with app.begin() as conn, pytest.raises(CursorMovedError):
        progress.move_cursor(conn, store, 0, "e0")


@pytest.mark.parametrize("first_commits", [True, False])
def test_two_pullers_at_the_same_time(app, store, first_commits):
    """The second waits for the first: loses if that commits, and moves the cursor itself if that gives up."""
    outcome: list[str] = []

    def second() -> None:
        try:
            with app.begin() as conn:
                progress.move_cursor(conn, store, 0, "second")
            outcome.append("moved")
        except CursorMovedError:
            outcome.append("lost")

    with app.connect() as first:
        progress.move_cursor(first, store, 0, "first")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert outcome == []
        first.commit() if first_commits else first.rollback()
    thread.join(5)
    assert outcome == ["lost" if first_commits else "moved"]
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (1, "first" if first_commits else "second")


def age(owner: sa.Engine, store: str, **minutes: float) -> None:
    """Make cursors older than they are."""
    with owner.begin() as conn:
        for cursor, old in minutes.items():
            conn.execute(
                sa.text(
                    "UPDATE orderflow.cursors SET moved_at = clock_timestamp() - make_interval(mins => :old) "
                    "WHERE store = :store AND cursor = :cursor"
                ),
                {"old": old, "store": store, "cursor": cursor},
            )


def test_a_trailing_window(app, owner, store):
    """It begins at the newest cursor that is old enough; older ones are trimmed, that one and all newer ones stay."""
    with app.begin() as conn:
        assert progress.cursor_before(conn, store, timedelta(minutes=15)) is None
        for number in range(5):
            progress.move_cursor(conn, store, number, f"e{number}")
        assert progress.cursor_before(conn, store, timedelta(minutes=15)) is None
    age(owner, store, e0=60, e1=30, e2=20, e3=10)
    with app.begin() as conn:
        assert progress.cursor_before(conn, store, timedelta(minutes=15)) == "e2"
        assert progress.cursor_of(conn, store) == (5, "e4")
    assert [c for (c,) in rows(app, "SELECT cursor FROM orderflow.cursors WHERE store = :s ORDER BY seq", s=store)] == [
        "e2",
        "e3",
        "e4",
    ]


def test_a_trimmed_number_is_not_free_again(app, owner, store):
    """A puller that slept until the number behind its own was trimmed is told that the cursor has moved on."""
    with app.begin() as conn:
        for number in range(3):
            progress.move_cursor(conn, store, number, f"e{number}")
    age(owner, store, e0=60, e1=60)
    with app.begin() as conn:
        assert progress.cursor_before(conn, store, timedelta(minutes=15)) == "e1"
    with pytest.raises(CursorMovedError), app.begin() as conn:
        progress.move_cursor(conn, store, 0, "old")
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (3, "e2")


def test_the_newest_cursor_is_never_trimmed(app, owner, store):
    """However old the newest is, it stays: nothing ever begins anew by itself."""
    with app.begin() as conn:
        for number in range(3):
            progress.move_cursor(conn, store, number, f"e{number}")
    age(owner, store, e0=6000, e1=6000, e2=6000)
    for _ in range(2):
        with app.begin() as conn:
            assert progress.cursor_before(conn, store, timedelta(minutes=15)) == "e2"
    with app.begin() as conn:
        assert progress.cursor_of(conn, store) == (3, "e2")
        progress.move_cursor(conn, store, 3, "e3")


def test_pauses(app, store):
    """The first reason stays until it is lifted; each scope is its own; only known scopes can be paused."""
    with app.begin() as conn:
        progress.pause(conn, store, "pull", "first", "orderflow")
        progress.pause(conn, store, "pull", "second", "ann")
        progress.pause(conn, store, "shop", "other", "ann")
        found = progress.paused(conn, store)
        assert {scope: reason for scope, (reason, _) in found.items()} == {"pull": "first", "shop": "other"}
        assert progress.paused(conn, f"{store}-2") == {}
        assert progress.resume(conn, store, "pull")
        assert not progress.resume(conn, store, "pull")
        assert list(progress.paused(conn, store)) == ["shop"]
    with pytest.raises(sa.exc.IntegrityError, match="pauses_scope"), app.begin() as conn:
        progress.pause(conn, store, "everything", "", "ann")


def test_a_silent_pull_leaves_one_note_of_the_newest(app, owner, store):
    """Often noted, seldom written; old notes do not pile up; stores are apart."""
    with app.begin() as conn:
        assert progress.last_pull(conn, store) is None
        for _ in range(3):
            progress.note_pull(conn, store)
        first = progress.last_pull(conn, store)
    assert first is not None
    assert len(rows(owner, "SELECT at FROM orderflow.pulls WHERE store = :store", store=store)) == 1
    with owner.begin() as conn:
        conn.execute(
            sa.text("UPDATE orderflow.pulls SET at = at - interval '11 seconds' WHERE store = :s"), {"s": store}
        )
    with app.begin() as conn:
        progress.note_pull(conn, store)
    with app.begin() as conn:
        assert progress.last_pull(conn, store) >= first
        assert progress.last_pull(conn, f"{store}-2") is None
    assert len(rows(owner, "SELECT at FROM orderflow.pulls WHERE store = :store", store=store)) == 1


def test_a_note_from_the_future_does_not_hide_that_nothing_is_pulled(app, owner, store):
    """A clock that was wrong once leaves no note that counts for hours."""
    with owner.begin() as conn:
        ahead = sa.text("INSERT INTO orderflow.pulls SELECT :s, orderflow.wall_clock() + interval '5 hours'")
        conn.execute(ahead, {"s": store})
    with app.begin() as conn:
        progress.note_pull(conn, store)
        now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
        assert progress.last_pull(conn, store) <= now


def test_a_cursor_that_moves_is_a_pull_too(app, owner, store):
    with app.begin() as conn:
        progress.move_cursor(conn, store, 0, "e1")
        assert progress.last_pull(conn, store) is not None
    assert rows(owner, "SELECT at FROM orderflow.pulls WHERE store = :store", store=store) == []
