"""What shows that a database is not where it was, and that nothing leaves from then on, whoever works."""

import pytest
import sqlalchemy as sa
from tests.recovery.conftest import Past, Sealed, pending, reconcile, reopen, sealed, started
from tests.relay.stage import Stage

from orderflow import recovery, relay
from orderflow.domain.events import Effect
from orderflow.store import epochs, log, server
from orderflow.store.epochs import ForkedError, check_cursor
from orderflow.store.server import Server
from orderflow.store.verify import verify

LATE = 200.0


def seen_elsewhere(stage: Stage, **changed: int) -> None:
    """As if the last start had been on another server."""
    with stage.engine.begin() as conn:
        last = server.last_seen(conn)
        assert last is not None
        values = {name: getattr(last, name) for name in Server.__slots__} | changed
        conn.exec_driver_sql("DELETE FROM orderflow.servers")
        conn.execute(
            sa.text("INSERT INTO orderflow.servers VALUES (1, :system_identifier, :timeline, :database)"), values
        )


def epoch_of(stage: Stage) -> int:
    with stage.engine.begin() as conn:
        return epochs.current(conn, stage.store)


def test_a_first_start_and_a_second_one_on_the_same_server_notice_nothing(stage: Stage) -> None:
    stage.drafted()
    assert started(stage) == []
    assert started(stage, sealed(stage)) == []
    assert epoch_of(stage) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"system_identifier": 7}, "another server"),
        ({"timeline": 2**32 - 1}, "another timeline"),
        ({"database": 1}, "another database"),
    ],
)
def test_another_server_timeline_or_database_is_noticed_once(stage: Stage, changed: dict[str, int], said: str) -> None:
    stage.drafted()
    seen_elsewhere(stage, **changed)
    [noticed] = started(stage)
    assert said in noticed.reason
    assert noticed.epoch == epoch_of(stage) == 2
    assert started(stage) == []


def test_a_database_behind_its_seal_is_noticed_though_the_server_is_the_same(stage: Stage) -> None:
    stage.drafted()
    now = sealed(stage)
    later = Sealed(now.size + 12, now.epoch, b"x" * 32)
    [noticed] = started(stage, later)
    assert noticed.reason == f"behind its seal by 12 positions (sealed {now.size + 12}, stands at {now.size})"
    assert noticed.fork == now.size
    assert started(stage, later) == []  # that seal has been dealt with ...
    assert len(started(stage, Sealed(now.size + 13, 2, b"y" * 32))) == 1  # ... another one has not


def test_a_history_that_is_not_the_sealed_one_is_noticed(stage: Stage) -> None:
    stage.drafted()
    now = sealed(stage)
    [noticed] = started(stage, Sealed(now.size, now.epoch, b"x" * 32))
    assert "another event stands at position" in noticed.reason


def test_the_next_epoch_is_above_every_one_that_was_seen_outside(stage: Stage) -> None:
    """A second restore to a moment before the first one must not give a number twice."""
    stage.drafted()
    now = sealed(stage)
    [noticed] = started(stage, Sealed(now.size + 1, 4, b"x" * 32))
    assert noticed.epoch == 5


def test_what_a_hardened_server_does_not_tell_cannot_differ(stage: Stage, past: Past, database_url: str) -> None:
    stage.drafted()
    kept = past.keep(stage)
    again = past.restored(stage, kept)
    owner = sa.create_engine(sa.make_url(database_url).set(database=kept), poolclass=sa.NullPool)
    with owner.begin() as conn:
        conn.exec_driver_sql("REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_current_wal_lsn() FROM PUBLIC")
    with again.engine.begin() as conn:
        assert (server.here(conn).system_identifier, server.here(conn).timeline) == (0, 0)
    assert len(started(again)) == 1
    assert started(again) == []


def test_an_empty_log_may_have_lost_everything(stage: Stage, past: Past) -> None:
    again = past.restored(stage, past.keep(stage))
    [noticed] = started(again)
    assert (noticed.fork, noticed.epoch) == (0, 2)
    again.news()
    again.place()
    again.news()
    with again.engine.begin() as conn:
        assert list(verify(conn, again.store))[-1] == log.head(conn, again.store) > 0


def test_no_worker_sends_anything_once_the_server_is_another_even_before_anybody_noticed(
    stage: Stage, past: Past
) -> None:
    """A worker that was never started anew goes on working, on a connection to the restored database."""
    order_id = stage.place()
    stage.news()
    again = past.restored(stage, past.keep(stage))
    stranger = again.worker("on another host")
    again.live(600, stranger)
    assert stage.to_shop.writes == stage.to_glopal.writes == []
    assert [row.state for row in again.rows(order_id, "draft")] == ["planned"]


def test_while_effects_are_kept_back_feeds_are_read_and_questions_asked(stage: Stage, past: Past) -> None:
    order_id = stage.place()
    stage.news()
    again = past.restored(stage, past.keep(stage))
    started(again)
    other = again.place()
    again.live(600)
    assert again.to_shop.writes == again.to_glopal.writes == []
    assert {again.status(one).value for one in (order_id, other)} == {"RECEIVED"}
    assert again.order(order_id).confirmed
    assert again.order(other).confirmed


def test_an_epoch_opens_only_by_name_and_is_written_down(stage: Stage, past: Past) -> None:
    order_id = stage.drafted()
    again = past.restored(stage, past.keep(stage))
    started(again)
    with pytest.raises(recovery.NotReadyError, match="feed was not read"):
        reopen(again)
    again.clock.wait(LATE)
    recovery.read_feed(again.engine, again.relay.vault, again.feed, pending(again))
    again.plan()
    with pytest.raises(recovery.NotReadyError, match=f"1 order was not looked up yet: {order_id}"):
        reopen(again)
    assert reconcile(again) == {}
    opened = reopen(again)
    assert (opened.opened_by, opened.why, opened.epoch) == ("alice", "a test", 2)
    with pytest.raises(recovery.NotReadyError, match="nothing to recover"):
        reopen(again)
    with again.engine.begin() as conn:
        assert recovery.progress_of(conn, opened).remaining == 0
        assert list(verify(conn, again.store))[-1] == log.head(conn, again.store)


def test_an_order_that_comes_after_the_feed_was_read_again_holds_nothing_up(stage: Stage, past: Past) -> None:
    again = past.restored(stage, past.keep(stage))
    started(again)
    again.clock.wait(LATE)
    assert reconcile(again) == {}
    order_id = again.place()
    again.news()
    reopen(again)
    again.live(60)
    assert [one.state for one in again.made(order_id)] == ["draft"]


def test_what_was_learnt_late_before_the_fork_is_read_again(stage: Stage, past: Past) -> None:
    """A report below the cursor, found by a trailing re-read after the backup: no pull from the cursor brings it."""
    early = stage.place()
    stage.news()
    stage.clock.wait(30)
    stage.place()
    stage.news()
    kept = past.keep(stage)
    again = past.restored(stage, kept)
    again.clock.wait(3 * 24 * 3600)
    started(again)
    with again.engine.begin() as conn:
        before = log.head(conn, again.store)
    asked = len(again.to_glopal.seen)
    recovery.read_feed(again.engine, again.relay.vault, again.feed, pending(again))
    cursors = [dict(request.query).get("after_event_id") for request in again.to_glopal.seen[asked:]]
    assert cursors[0] is None, "the re-read begins before the window that the restored cursor ends"
    with again.engine.begin() as conn:
        assert log.head(conn, again.store) == before
    assert again.status(early).value == "RECEIVED"


def test_a_second_restore_during_a_recovery_begins_another_one(stage: Stage, past: Past) -> None:
    order_id = stage.place()
    stage.news()
    again = past.restored(stage, past.keep(stage))
    started(again)
    seen_elsewhere(again, timeline=99)
    assert len(started(again)) == 1
    again.clock.wait(LATE)
    assert reconcile(again) == {}
    assert reopen(again).epoch == 3
    with again.engine.begin() as conn:
        assert epochs.pending(conn, again.store) is None
        assert not conn.exec_driver_sql("SELECT 1 FROM orderflow.recoveries WHERE opened_at IS NULL").all()
    again.live(60)
    assert len(again.made(order_id)) == 1


def test_a_cursor_past_the_fork_is_told_so(stage: Stage, past: Past) -> None:
    stage.place()
    stage.news()
    kept = past.keep(stage)
    fork = sealed(stage)
    stage.drafted()
    lost = sealed(stage)
    again = past.restored(stage, kept)
    started(again)
    again.place()
    again.live(600)
    now = sealed(again)
    assert now.epoch == 2
    with again.engine.begin() as conn:
        check_cursor(conn, again.store, 1, fork.size, fork.chain)
        check_cursor(conn, again.store, 2, now.size, now.chain)
        check_cursor(conn, again.store, 1, 0)
        with pytest.raises(ForkedError, match=f"forked at position {fork.size}") as told:
            check_cursor(conn, again.store, 1, lost.size)
        assert (told.value.epoch, told.value.fork) == (2, fork.size)
        assert f"go on from epoch 2, position {fork.size}" in str(told.value)
        with pytest.raises(ForkedError, match="forked"):
            check_cursor(conn, again.store, 1, fork.size + 1)  # also where something else stands there by now
        with pytest.raises(ForkedError, match="it ends at"):
            check_cursor(conn, again.store, 2, now.size + 1)
        with pytest.raises(ForkedError, match="no epoch above 2"):
            check_cursor(conn, again.store, 3, 1)
        with pytest.raises(ForkedError, match="another event"):
            check_cursor(conn, again.store, 2, now.size, lost.chain)


def test_positions_after_the_fork_never_have_the_hash_of_what_was_lost(stage: Stage, past: Past) -> None:
    """The epoch begins when the fork is noticed, so all that is written after it is of the new one."""
    stage.place()
    stage.news()
    again = past.restored(stage, past.keep(stage))
    [noticed] = started(again)
    again.place()
    again.news()
    with again.engine.begin() as conn:
        assert conn.execute(
            sa.text("SELECT first_position, forked_from_hash FROM orderflow.epochs WHERE store = :s AND epoch = 2"),
            {"s": again.store},
        ).one() == (noticed.fork + 1, sealed(stage).chain)
        assert list(verify(conn, again.store))[-1] == noticed.fork + 1


def test_a_worker_in_the_middle_of_a_call_records_what_it_learnt(stage: Stage, past: Past) -> None:
    """Its intent is lost, its lease too; what the shop said is true all the same."""
    order_id = stage.place()
    stage.news()
    kept = past.keep(stage)
    call = stage.call("draft")
    reply = relay.perform(stage.relay, call)
    again = past.restored(stage, kept)
    started(again)
    relay.settle(again.relay, [(call, reply)])
    [draft] = again.made(order_id)
    assert again.order(order_id).shop.recorded == draft.id
    again.plan()
    assert not [row for row in again.rows(order_id) if row.effect == Effect.DRAFT]
