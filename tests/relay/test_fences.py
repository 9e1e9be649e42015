"""Two workers and late news: a stale fence only records, a late sender is silent, no intent meets old news."""

import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import WINDOWS

from orderflow import intake, relay
from orderflow.domain import decisions
from orderflow.domain.events import (
    CancelRequested,
    Destination,
    EffectClosed,
    EffectDelivered,
    EffectIntended,
    EffectNotExecuted,
    EffectUnknown,
    Ids,
    LookedUp,
)
from orderflow.domain.machine import Status
from orderflow.orders import handle
from orderflow.relay import outcome
from orderflow.store.tables import outbox


def test_a_late_outcome_is_recorded_and_leaves_the_row_alone(stage: NewStage) -> None:
    """A sends and is suspended past its lease; B looks up; A's outcome is a fact, the row stays B's (R8)."""
    it = stage()
    one, other = it.relay, it.worker("b")
    order_id = it.place()
    call = it.call("draft")
    reply = relay.perform(one, call)
    it.clock.wait(WINDOWS.lease)
    looking = it.next(other)
    assert (looking.kind, looking.row.fence) == ("look_up", call.row.fence + 1)
    before = it.row(order_id, "draft")
    relay.settle(one, [(call, reply)])
    assert it.row(order_id, "draft") == before
    assert (before.owner, before.state) == ("b", "intent")
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectDelivered"]
    it.finish(looking, other)
    assert it.rows(order_id, "draft") == []
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectDelivered", "LookedUp"]
    it.live(60)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
    assert [(line.worker, line.fence) for line in it.attempts(order_id, "draft")] == [("a", 1), ("b", 2)]


def test_an_outcome_that_comes_after_the_end_changes_nothing(stage: NewStage) -> None:
    """B has found and delivered before A speaks: A's fact is kept, no row comes back, nothing counts twice."""
    it = stage()
    one, other = it.relay, it.worker("b")
    order_id = it.place()
    call = it.call("draft")
    reply = relay.perform(one, call)
    it.clock.wait(WINDOWS.lease)
    it.finish(it.next(other), other)
    assert it.names(order_id, "draft") == ["EffectIntended", "LookedUp", "EffectDelivered"]
    before = it.order(order_id)
    relay.settle(one, [(call, reply)])
    relay.settle(one, [(call, reply)])  # once more, as after a lost commit: the fact is known
    assert it.names(order_id, "draft") == ["EffectIntended", "LookedUp", "EffectDelivered", "EffectDelivered"]
    after = it.order(order_id)
    assert (after.generations, after.shop, after.shop_slot) == (before.generations, before.shop, None)
    assert it.rows(order_id, "draft") == []


def test_past_its_deadline_a_sender_sends_nothing(stage: NewStage) -> None:
    """A wakes up too late: the shop sees no request of its, and not executed is recorded without burning an attempt."""
    it = stage()
    order_id = it.place()
    call = it.call("draft")
    it.clock.wait(WINDOWS.send)
    it.finish(call)
    assert it.to_shop.seen == []
    [silent] = it.history(order_id, EffectNotExecuted)
    assert (silent.attempt, silent.burnt, silent.reason) == (1, False, "it was too late to send")
    it.live(60)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
    assert [event.attempt for event in it.history(order_id, EffectIntended)] == [1, 2]


def test_a_sender_that_lost_its_lease_sends_nothing(stage: NewStage) -> None:
    """Suspended past the lease, A neither sends nor touches the row that B looks up, which then goes on."""
    it = stage()
    other = it.worker("b")
    order_id = it.place()
    call = it.call("draft")
    it.clock.wait(WINDOWS.lease)
    looking = it.next(other)
    reply = relay.perform(it.relay, call)
    assert it.to_shop.writes == []
    before = it.row(order_id, "draft")
    relay.settle(it.relay, [(call, reply)])
    assert it.row(order_id, "draft") == before
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectNotExecuted"]
    it.finish(looking, other)
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectNotExecuted", "LookedUp"]
    assert it.row(order_id, "draft").state == "planned"
    it.live(60, other)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_a_worker_that_dies_after_the_intent_is_looked_up(stage: NewStage) -> None:
    """Nobody performs or settles: once the lease is over it is looked up, and sent again only after two absents."""
    it = stage()
    order_id = it.place()
    it.call("draft")
    it.live(WINDOWS.lease - 1, it.worker("b"))
    assert it.names(order_id, "draft") == ["EffectIntended"]
    it.live(120, it.worker("b"))
    assert it.names(order_id, "draft")[:5] == [
        "EffectIntended",
        "LookedUp",
        "LookedUp",
        "EffectNotExecuted",
        "EffectIntended",
    ]
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_news_between_load_and_commit_rolls_the_intent_back(stage: NewStage, monkeypatch) -> None:
    """A cancellation recorded while the request is frozen: no intent, no call, and the row is superseded (R2)."""
    it = stage()
    order_id = it.place()
    freeze, frozen = it.shop_connector.freeze, []

    def slow(task):
        if not frozen:
            it.cancel(order_id)
            assert intake.pull(it.engine, it.relay.vault, it.feed).new == 1  # another process records the news
        frozen.append(task)
        return freeze(task)

    monkeypatch.setattr(it.shop_connector, "freeze", slow)
    it.rest()
    assert len(frozen) == 1
    assert it.history(order_id, EffectIntended) == []
    assert it.rows(order_id, "draft") == []
    assert it.to_shop.writes == []
    it.live(3600)
    assert it.status(order_id) is Status.CANCELLED
    assert it.made(order_id) == []


def test_news_that_change_nothing_only_make_it_look_again(stage: NewStage, monkeypatch) -> None:
    """A race with news that leave the draft due costs a second freeze, and makes one intent and one draft."""
    it = stage()
    order_id = it.place()
    freeze, frozen = it.shop_connector.freeze, []

    def slow(task):
        if not frozen:
            it.glopal.report(it.store, order_id, "order.received")
            intake.pull(it.engine, it.relay.vault, it.feed)
        frozen.append(task)
        return freeze(task)

    monkeypatch.setattr(it.shop_connector, "freeze", slow)
    it.rest()
    assert frozen == [frozen[0]] * 2
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectDelivered"]
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_a_decision_is_rolled_back_with_its_intent(stage: NewStage, monkeypatch) -> None:
    """A person cancels while accept is being frozen: neither AcceptRequested nor its intent is recorded."""
    it = stage()
    order_id = it.drafted(ready=True)
    connector = it.connectors[Destination.GLOPAL]
    freeze, frozen = connector.freeze, []

    def slow(task):
        if not frozen:
            handle(it.engine, it.relay.vault, it.store, order_id, decisions.Cancel("out of stock", "ann"), "by hand")
        frozen.append(task.effect)
        return freeze(task)

    monkeypatch.setattr(connector, "freeze", slow)
    it.live(120)
    assert "AcceptRequested" not in it.names(order_id)
    assert it.names(order_id, "accept") == []
    assert it.history(order_id, CancelRequested) == [CancelRequested("out of stock", "ann")]
    assert it.at_glopal(order_id).accepts == ()
    assert [entry.state for entry in it.made(order_id)] == ["cancelled"]
    assert it.status(order_id) is Status.CANCELLED


def test_news_during_settle_are_taken_in(stage: NewStage, monkeypatch) -> None:
    """A cancellation recorded while the outcome is: both stand, one line of the call, and the draft is withdrawn."""
    it = stage()
    order_id = it.place()
    call = it.call("draft")
    line, kept = outcome.attempts.line, []

    def slow(*arguments):
        if not kept:
            it.cancel(order_id)
            intake.pull(it.engine, it.relay.vault, it.feed)
        kept.append(arguments)
        return line(*arguments)

    monkeypatch.setattr(outcome.attempts, "line", slow)
    it.finish(call)
    assert len(kept) == 2
    assert len(it.attempts(order_id, "draft")) == 1
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectDelivered"]
    it.live(3600)
    assert [entry.state for entry in it.made(order_id)] == ["deleted"]


def test_cancelled_after_the_intent_is_sent_and_then_withdrawn(stage: NewStage) -> None:
    """Once intended, later news do not stop the call: what it made is withdrawn."""
    it = stage()
    order_id = it.place()
    call = it.call("draft")
    it.cancel(order_id)
    it.news()
    it.finish(call)
    it.live(3600)
    assert [entry.state for entry in it.made(order_id)] == ["deleted"]
    assert it.rows(order_id, "draft") == []


def test_what_did_nothing_and_is_no_longer_due_is_closed(stage: NewStage) -> None:
    """Not executed, then cancelled: the row ends by a closed outcome, never by another call."""
    it = stage()
    it.to_shop.faults.script("refused", method="POST")
    order_id = it.place()
    it.rest()
    assert it.row(order_id, "draft").attempt == 1
    it.cancel(order_id)
    it.live(3600)
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectNotExecuted", "EffectClosed"]
    assert [event.reason for event in it.history(order_id, EffectClosed)] == ["no longer due"]
    assert it.rows(order_id, "draft") == []
    assert it.made(order_id) == []


def test_a_second_write_waits_for_the_open_row(stage: NewStage) -> None:
    """The fold knows that the draft was delivered, its row does not yet: the promote waits for that row's end."""
    it = stage()
    other, third = it.worker("b"), it.worker("c")
    order_id = it.place()
    call = it.call("draft")
    reply = relay.perform(it.relay, call)
    it.clock.wait(WINDOWS.lease)
    looking = it.next(other)
    relay.settle(it.relay, [(call, reply)])  # under a stale fence: recorded, the row stays open
    it.ready(order_id)
    it.rest(third)
    waiting = it.row(order_id, "promote")
    assert (waiting.state, waiting.reason, waiting.lease_until) == ("planned", "another row is still open", None)
    assert it.row(order_id, "draft").state == "intent"
    it.live(10, third)
    assert len(it.to_shop.writes) == 1
    it.finish(looking, other)
    it.live(10, third)
    assert [entry.state for entry in it.made(order_id)] == ["order"]


def test_open_rows_of_one_destination_exclude_each_other(stage: NewStage) -> None:
    """While a write is under way at the shop, nothing else is planned there, while Glopal's side and others go on."""
    it = stage()
    order_id = it.place()
    it.to_shop.faults.script("cut_after", method="POST")
    it.rest()
    assert it.row(order_id, "draft").state == "unknown"
    it.cancel(order_id)
    second = it.place()
    it.rest()
    assert [row.effect for row in it.rows(order_id) if row.destination == "shop"] == ["draft"]
    assert it.status(order_id) is Status.CANCELLED
    assert [entry.state for entry in it.made(second)] == ["draft"]
    it.live(120)
    assert [entry.state for entry in it.made(order_id)] == ["deleted"]
    with it.engine.begin() as conn:
        open_ = sa.select(sa.func.count()).where(outbox.c.store == it.store, outbox.c.state != "planned")
        assert conn.scalar(open_) == 0


def test_ids_by_hand_are_frozen_before_the_first_send(stage: NewStage) -> None:
    """A lost accept is looked up by GET and found with exactly the ids that were decided; it is never sent twice."""
    it = stage()
    order_id = it.drafted()
    [made] = it.made(order_id)
    it.command(order_id, decisions.Accept(Ids(made.id, made.number), "ann"))
    it.to_glopal.faults.script("cut_after", method="POST")
    it.finish(it.call("accept"))
    assert isinstance(it.history(order_id)[-1], EffectUnknown)
    it.live(60)
    assert [type(event) for event in it.history(order_id, EffectUnknown, EffectDelivered, LookedUp)][-1] is (
        EffectDelivered
    )
    assert [call.ids for call in it.at_glopal(order_id).accepts] == [(made.id, made.number)]
