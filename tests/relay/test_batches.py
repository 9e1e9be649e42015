"""Many orders in one transaction: what befalls one of them befalls no other, and nothing is done twice."""

import pytest
from tests.relay.conftest import NewStage
from tests.relay.stage import WINDOWS, Stage

from orderflow import intake, relay
from orderflow.connectors import FreezeError
from orderflow.domain import decisions
from orderflow.domain.events import EffectIntended
from orderflow.domain.machine import Status
from orderflow.relay import Call, outcome
from orderflow.sandbox import Response
from orderflow.store import progress

DONE = ["EffectIntended", "EffectDelivered"]


def fetched(it: Stage, number: int) -> list[str]:
    """So many orders whose drafts are due, in the order of their names."""
    order_ids = sorted(it.place() for _ in range(number))
    it.news()
    it.finish_all(it.calls("glopal"))
    it.news()
    return order_ids


def test_many_orders_are_prepared_and_settled_together(stage: NewStage) -> None:
    """One append for the intents and one for the outcomes: each stands beside the others of its kind."""
    it = stage()
    order_ids = fetched(it, 5)
    calls = it.calls("shop")
    assert {call.row.key.order_id for call in calls} == set(order_ids)
    assert it.to_shop.writes == []
    it.finish_all(calls)
    for kind in range(2):
        positions = [
            record.position for order_id in order_ids for record in it.records(order_id) if record.type == DONE[kind]
        ]
        assert max(positions) - min(positions) == 4
    assert [it.names(order_id, "draft") for order_id in order_ids] == [DONE] * 5
    assert [len(it.attempts(order_id, "draft")) for order_id in order_ids] == [1] * 5
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"]] * 5
    assert [it.rows(order_id, "draft") for order_id in order_ids] == [[]] * 5


def test_most_is_most(stage: NewStage) -> None:
    """No more rows are leased than asked for; the others are nobody's."""
    it = stage()
    fetched(it, 3)
    assert len(it.calls("shop", most=2)) == 2
    assert sorted(row.fence for row in it.rows(effect="draft")) == [0, 1, 1]
    assert len(it.calls("shop", most=2)) == 1


def test_news_about_one_order_hold_up_no_other(stage: NewStage, monkeypatch) -> None:
    """A cancellation recorded while the requests are frozen: that order gets no intent and comes up again at once."""
    it = stage()
    order_ids = fetched(it, 3)
    freeze, frozen = it.shop_connector.freeze, []

    def slow(task):
        if not frozen:
            it.cancel(order_ids[1])
            assert intake.pull(it.engine, it.relay.vault, it.feed).new == 1
        frozen.append(task.order_id)
        return freeze(task)

    monkeypatch.setattr(it.shop_connector, "freeze", slow)
    calls = it.calls("shop")
    assert [call.row.key.order_id for call in calls] == [order_ids[0], order_ids[2]]
    assert it.history(order_ids[1], EffectIntended) == []
    row = it.row(order_ids[1], "draft")
    assert (row.state, row.request, row.lease_until, row.owner) == ("planned", None, None, "a")
    it.finish_all(calls)
    it.live(3600)
    assert frozen == order_ids
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"], [], ["draft"]]
    assert it.status(order_ids[1]) is Status.CANCELLED


def test_what_cannot_be_built_is_its_own_affair(stage: NewStage, monkeypatch) -> None:
    """One request of three cannot be frozen: its order goes to a person, the others to the shop."""
    it = stage()
    order_ids = fetched(it, 3)
    freeze = it.shop_connector.freeze

    def fussy(task):
        if task.order_id == order_ids[1]:
            raise FreezeError("lines.0.sku is missing")
        return freeze(task)

    monkeypatch.setattr(it.shop_connector, "freeze", fussy)
    prepared = relay.prepare(it.relay, 8, [(it.store, "shop")])
    assert [isinstance(one, Call) for one in prepared] == [True, False, True]
    it.finish_all([one for one in prepared if isinstance(one, Call)])
    assert it.names(order_ids[1], "draft") == ["EffectIntended", "EffectExhausted"]
    assert "parked_draft" in it.exceptions(order_ids[1])
    assert [it.names(order_id, "draft") for order_id in (order_ids[0], order_ids[2])] == [DONE] * 2


def test_a_mistake_of_ours_delays_one_order(stage: NewStage, monkeypatch, caplog) -> None:
    """A connector that raises what it must not: the row waits and says so, nothing personal is logged, others go on."""
    it = stage()
    order_ids = fetched(it, 3)
    freeze = it.shop_connector.freeze

    def broken(task):
        if task.order_id == order_ids[0]:
            raise KeyError("Ann Example")
        return freeze(task)

    with monkeypatch.context() as patch:
        patch.setattr(it.shop_connector, "freeze", broken)
        calls = it.calls("shop")
        assert [call.row.key.order_id for call in calls] == order_ids[1:]
        row = it.row(order_ids[0], "draft")
        assert (row.state, row.failures, row.reason) == ("planned", 1, "orderflow itself failed: KeyError")
        assert row.next_at > it.clock.now
        it.finish_all(calls)
    assert "KeyError" in caplog.text
    assert "Example" not in caplog.text
    it.live(60)
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"]] * 3


def test_news_about_one_order_while_all_are_settled(stage: NewStage, monkeypatch) -> None:
    """Its outcome is concluded anew, the others' are not; one line a call, and the cancelled one's draft goes."""
    it = stage()
    order_ids = fetched(it, 3)
    calls = it.calls("shop")
    line, lines = outcome.attempts.line, []

    def slow(turn, *arguments):
        if not lines:
            it.cancel(order_ids[1])
            intake.pull(it.engine, it.relay.vault, it.feed)
        lines.append(turn.row.key.order_id)
        return line(turn, *arguments)

    monkeypatch.setattr(outcome.attempts, "line", slow)
    it.finish_all(calls)
    assert lines == [*order_ids, order_ids[1]]
    assert [it.names(order_id, "draft") for order_id in order_ids] == [DONE] * 3
    assert [len(it.attempts(order_id, "draft")) for order_id in order_ids] == [1] * 3
    it.live(3600)
    states = [[entry.state for entry in it.made(order_id)] for order_id in order_ids]
    assert states == [["draft"], ["deleted"], ["draft"]]


def test_two_calls_of_one_order_in_one_settling(stage: NewStage) -> None:
    """A read at Glopal and a write at the shop have come back: both are recorded, one upon the other."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.news()
    it.command(order_id, decisions.Cancel("out of stock", "ann"))
    calls = [*it.calls("shop"), *it.calls("glopal")]
    assert [(call.effect, call.kind) for call in calls] == [("withdraw", "send"), ("fetch", "read")]
    before = len(it.attempts(order_id))
    it.finish_all(calls)
    assert len(it.attempts(order_id)) == before + 2
    assert it.names(order_id)[-2:] == ["EffectDelivered", "DetailsFetched"]
    assert it.rows(order_id, "withdraw") == []
    assert [entry.state for entry in it.made(order_id)] == ["deleted"]


def test_stale_and_fresh_in_one_settling(stage: NewStage) -> None:
    """Of two replies one comes under a stale fence: its fact is recorded and its row left alone, the other row ends."""
    it = stage()
    other = it.worker("b")
    order_ids = fetched(it, 2)
    [call] = it.calls("shop", most=1)
    first = call.row.key.order_id
    late = (call, relay.perform(it.relay, call))
    it.clock.wait(WINDOWS.lease)
    looking = {one.kind: one for one in it.calls("shop", worker=other)}
    assert looking["look_up"].row.fence == call.row.fence + 1
    before = it.row(first, "draft")
    fresh = (looking["send"], relay.perform(other, looking["send"]))
    relay.settle(other, [late, fresh])
    assert it.row(first, "draft") == before
    assert [it.names(order_id, "draft") for order_id in order_ids] == [DONE] * 2
    assert [row.order_id for row in it.rows(effect="draft")] == [first]
    it.finish(looking["look_up"], other)
    assert it.rows(effect="draft") == []
    it.live(120, other)
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"]] * 2


@pytest.mark.parametrize("performed", [0, 1, 3])
@pytest.mark.parametrize("settled", [0, 1])
def test_a_crew_that_dies_with_calls_under_way(stage: NewStage, performed, settled) -> None:
    """Whatever was prepared, performed or settled when it died: each order has one draft in the end."""
    it = stage()
    order_ids = fetched(it, 3)
    calls = it.calls("shop")
    done = [(call, relay.perform(it.relay, call)) for call in calls[:performed]]
    relay.settle(it.relay, done[:settled])
    assert len(it.to_shop.writes) == performed
    it.live(WINDOWS.lease + 120, it.worker("b"))
    assert len(it.to_shop.writes) == 3
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"]] * 3
    assert it.rows(effect="draft") == []


def test_a_door_that_closes_pauses_once(stage: NewStage) -> None:
    """Several calls of a batch are turned away: one pause, no attempt burnt, nothing leased until it is lifted."""
    it = stage()
    order_ids = fetched(it, 3)
    calls = it.calls("shop")
    it.to_shop.instead = lambda _request: Response(401)
    it.finish_all(calls)
    it.to_shop.instead = lambda _request: None
    assert [it.names(order_id, "draft") for order_id in order_ids] == [["EffectIntended", "EffectNotExecuted"]] * 3
    it.live(60)
    assert it.calls("shop") == []
    with it.engine.begin() as conn:
        assert list(progress.paused(conn, it.store)) == ["shop"]
        progress.resume(conn, it.store, "shop")
    it.live(60)
    assert [[entry.state for entry in it.made(order_id)] for order_id in order_ids] == [["draft"]] * 3
