"""Orders that lived on while the log was set back: found again, never doubled."""

from collections.abc import Callable

import pytest
from tests.recovery.conftest import Past, pending, reconcile, reopen, started
from tests.relay.stage import DAY, Stage

from orderflow import codec, recovery
from orderflow.domain.decisions import Refund, Retry
from orderflow.domain.due import effects_due
from orderflow.domain.events import Effect, ShopState
from orderflow.domain.evolve import evolve
from orderflow.domain.order import Order
from orderflow.domain.policy import is_foreign
from orderflow.sandbox import GlopalOptions, Response
from orderflow.store import epochs

LATE = 200.0
"""Seconds after which answers count: send + call + the longest settle window are 100."""


def reference(stage: Stage, order_id: str) -> str:
    return f"glopal:{stage.store}:{order_id}"


def accepts(stage: Stage, order_id: str) -> list[tuple[str, str]]:
    """The ids of every accept call that reached Glopal."""
    return [call.ids for call in stage.at_glopal(order_id).accepts]


def placed(stage: Stage) -> str:
    """An order that the log knows as received, and nothing done about it."""
    order_id = stage.place()
    stage.news()
    return order_id


def recovered(stage: Stage) -> Stage:
    """A restored stage is started, looked up and opened again, and rests."""
    assert started(stage)
    stage.clock.wait(LATE)
    assert reconcile(stage) == {}
    reopen(stage)
    stage.live(600)
    return stage


def test_a_draft_that_was_made_after_the_fork_is_found_and_promoted(stage: Stage, past: Past) -> None:
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.rest()
    [draft] = stage.made(order_id)
    again = recovered(past.restored(stage, kept))
    assert again.order(order_id).shop.recorded == draft.id
    again.ready(order_id)
    again.live(60)
    assert [(one.id, one.state) for one in again.made(order_id)] == [(draft.id, "order")]
    assert accepts(again, order_id) == [(draft.id, draft.number)]


def test_an_order_that_was_promoted_after_the_fork_is_not_promoted_again(stage: Stage, past: Past) -> None:
    order_id = stage.drafted(ready=True)
    kept = past.keep(stage)
    stage.finish(stage.call("promote"))
    before = len([w for w in stage.to_shop.writes if w.path.endswith("/promote")])
    again = recovered(past.restored(stage, kept))
    assert [one.state for one in again.made(order_id)] == ["order"]
    assert len([w for w in stage.to_shop.writes if w.path.endswith("/promote")]) == before
    assert accepts(again, order_id) == [(one.id, one.number) for one in again.made(order_id)]


def test_an_accept_that_was_made_after_the_fork_is_known_to_be_ours(stage: Stage, past: Past) -> None:
    """Drafted, promoted and accepted, all after the fork: Glopal shows ids of which the log knows nothing."""
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.rest()
    stage.ready(order_id)
    stage.rest()
    made = [(one.id, one.number) for one in stage.made(order_id)]
    assert accepts(stage, order_id) == made
    again = past.restored(stage, kept)
    recovered(again)
    order = again.order(order_id)
    assert not is_foreign(order, again.policy)
    assert order.accepted is not None
    assert str(order.external) == " / ".join(made[0])
    assert again.exceptions(order_id) == {}
    assert accepts(again, order_id) == made
    assert [one.state for one in again.made(order_id)] == ["order"]


def test_at_no_moment_is_our_own_accept_taken_for_somebody_elses(stage: Stage, past: Past) -> None:
    """The shop's answer is recorded before Glopal's: no step between plans to withdraw our own draft."""
    order_id = stage.drafted(ready=True)
    kept = past.keep(stage)
    stage.rest()
    again = past.restored(stage, kept)
    recovered(again)
    order = Order()
    for record in again.records(order_id):
        order = evolve(order, codec.decode(record))
        assert not is_foreign(order, again.policy), record.type


def test_an_order_of_which_the_log_knows_nothing_is_found(stage: Stage, past: Past) -> None:
    kept = past.keep(stage)
    order_id = stage.drafted(ready=True)
    stage.rest()
    again = past.restored(stage, kept)
    assert again.order(order_id).version == 0
    recovered(again)
    assert [one.state for one in again.made(order_id)] == ["order"]
    assert len(accepts(again, order_id)) == 1
    assert again.order(order_id).shop.own is not None


def test_an_order_that_was_cancelled_after_the_fork_leaves_nothing_in_the_shop(stage: Stage, past: Past) -> None:
    """The draft was made after the fork, too; by now the order is no open one, and is looked up all the same."""
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.rest()
    stage.cancel(order_id)
    assert [one.state for one in stage.made(order_id)] == ["draft"]
    again = recovered(past.restored(stage, kept))
    assert [one.state for one in again.made(order_id)] == ["deleted"]


def test_a_withdrawal_that_was_made_after_the_fork_is_known(stage: Stage, past: Past) -> None:
    order_id = stage.drafted()
    kept = past.keep(stage)
    stage.cancel(order_id)
    stage.rest()
    again = recovered(past.restored(stage, kept))
    own = again.order(order_id).shop.own
    assert own is not None
    assert own.state is ShopState.GONE
    assert len([w for w in stage.to_shop.writes if w.method == "DELETE"]) == 1


def test_two_drafts_of_the_lost_time_become_one(stage: Stage, past: Past) -> None:
    """A request was executed late, and its stray stood in the shop when the log was lost."""
    order_id = placed(stage)
    kept = past.keep(stage)
    first = stage.call("draft")
    stage.finish(first)
    stage.to_shop.app(stage.to_shop.writes[-1])  # the same request, once more
    assert len(stage.made(order_id)) == 2
    again = recovered(past.restored(stage, kept))
    assert sorted(one.state for one in again.made(order_id)) == ["deleted", "draft"]


def test_strays_of_lost_drafts_are_reaped_as_long_as_any(stage: Stage, past: Past) -> None:
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.finish(stage.call("draft"))
    request = stage.to_shop.writes[-1]
    again = recovered(past.restored(stage, kept))
    again.to_shop.app(request)  # executed hours late
    assert len([one for one in again.made(order_id) if one.state == "draft"]) == 2
    again.live(DAY.total_seconds() + 3600)
    assert len([one for one in again.made(order_id) if one.state == "draft"]) == 1


def test_an_accept_with_somebody_elses_ids_is_still_an_exception(stage: Stage, past: Past) -> None:
    order_id = stage.drafted(ready=True)
    kept = past.keep(stage)
    stage.glopal.accept_elsewhere(stage.store, order_id, "elsewhere", "7")
    again = recovered(past.restored(stage, kept))
    assert "accepted_elsewhere" in again.exceptions(order_id)
    assert [one.state for one in again.made(order_id)] == ["deleted"]


def test_a_refund_that_may_have_been_sent_waits_for_a_person(new_stage: Callable[..., Stage], past: Past) -> None:
    stage = new_stage(glopal_options=GlopalOptions(emit_accepted_completed=True))
    started(stage)
    order_id = stage.drafted(ready=True)
    stage.live(600)
    total = stage.order(order_id).total
    assert total is not None
    stage.command(order_id, Refund("r1", total.amount / 2, str(total.currency), "damaged", "alice"))
    kept = past.keep(stage)
    stage.finish(stage.call("refund"))
    sent = len([w for w in stage.to_glopal.writes if w.path.endswith("/refund")])
    assert sent == 1, [(w.method, w.path) for w in stage.to_glopal.writes]
    again = recovered(past.restored(stage, kept))
    assert len([w for w in stage.to_glopal.writes if w.path.endswith("/refund")]) == sent
    assert "parked_refund" in again.exceptions(order_id)
    again.command(order_id, Retry(Effect.REFUND, "alice", "it is not there"))
    again.finish(again.call("fetch", "read"))  # what is left to refund is asked once more before any money moves
    assert [one.effect for one in effects_due(again.order(order_id), again.policy) if not one.effect.reads] == [
        Effect.REFUND
    ]


def test_an_intent_that_was_kept_is_resolved_by_its_own_look_ups(stage: Stage, past: Past) -> None:
    order_id = placed(stage)
    call = stage.call("draft")
    kept = past.keep(stage)
    stage.finish(call)
    again = past.restored(stage, kept)
    assert started(again)
    again.live(300)  # look-ups go on while effects are kept back
    assert again.names(order_id, "draft")[-1] == "EffectDelivered"
    assert reconcile(again) == {}
    reopen(again)
    assert len(again.made(order_id)) == 1


def test_answers_that_come_too_early_do_not_count(stage: Stage, past: Past) -> None:
    """The shop may still not show what was on its way when the log was lost."""
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.rest()
    again = past.restored(stage, kept)
    started(again)
    recovery.read_feed(again.engine, again.relay.vault, again.feed, pending(again))
    with pytest.raises(recovery.TooEarlyError) as early:
        recovery.look_up(again.relay, pending(again), order_id)
    again.clock.now = early.value.at
    assert recovery.look_up(again.relay, pending(again), order_id) is None


def test_a_shop_that_shows_nothing_is_asked_twice(stage: Stage, past: Past) -> None:
    order_id = placed(stage)
    again = past.restored(stage, past.keep(stage))
    started(again)
    again.clock.wait(LATE)
    reconcile(again)
    asked = [one for one in again.attempts(order_id, "reap") if one.kind == "read"]
    assert len(asked) == 2


def test_what_could_not_be_looked_up_keeps_effects_back_or_is_left_out(stage: Stage, past: Past) -> None:
    order_id, other = placed(stage), placed(stage)
    kept = past.keep(stage)
    stage.rest()
    again = past.restored(stage, kept)
    started(again)
    again.clock.wait(LATE)
    stage.to_shop.instead = lambda wire: (
        Response(503) if ("reference", reference(again, order_id)) in wire.query else None
    )
    problems = reconcile(again)
    stage.to_shop.instead = lambda _wire: None
    assert list(problems) == [order_id]
    with pytest.raises(recovery.NotReadyError, match=order_id):
        reopen(again)
    with pytest.raises(recovery.NotReadyError, match="is not among"):
        reopen(again, order_id, other)
    reopen(again, order_id)
    again.ready(order_id)
    again.ready(other)
    again.live(60)
    assert [one.state for one in again.made(other)] == ["order"]
    assert [one.state for one in again.made(order_id)] == ["draft"]
    assert not [r for r in again.rows(order_id) if r.state != "planned"]
    with again.engine.begin() as conn:
        newest = epochs.newest(conn, again.store)
    assert newest is not None
    assert recovery.look_up(again.relay, newest, order_id) is None
    again.live(60)
    assert [one.state for one in again.made(order_id)] == ["order"]


def test_an_order_left_out_once_can_be_left_out_again(stage: Stage, past: Past) -> None:
    order_id = placed(stage)
    again = past.restored(stage, past.keep(stage))
    for _ in range(2):
        assert started(again)
        again.clock.wait(LATE)
        again.to_shop.instead = lambda _wire: Response(503)
        assert list(reconcile(again)) == [order_id]
        reopen(again, order_id)
        with again.engine.begin() as conn:
            conn.exec_driver_sql("DELETE FROM orderflow.servers")
            conn.exec_driver_sql("INSERT INTO orderflow.servers VALUES (1, 1, 1, 1)")
    with again.engine.begin() as conn:
        assert epochs.orders_left_out(conn, again.store) == [order_id]


def test_without_any_look_up_a_second_order_would_be_made(stage: Stage, past: Past) -> None:
    """What all this is for: the test that would fail if the tests above could not."""
    order_id = placed(stage)
    kept = past.keep(stage)
    stage.rest()
    again = past.restored(stage, kept)
    again.live(60)  # nobody called `notice`, and the gate of the server was taken away
    assert len(again.made(order_id)) == 1
    with again.engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM orderflow.servers")
    again.live(60)
    assert len(again.made(order_id)) == 2
