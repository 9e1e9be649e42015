"""What never leaves, and what a closed, busy or missing door does: no guess, no loss, no attempt wrongly burnt."""

import math
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import DAY

from orderflow import relay
from orderflow.connectors import FreezeError, Retry
from orderflow.domain import decisions
from orderflow.domain.events import Destination, Effect, EffectExhausted, EffectIntended, EffectNotExecuted
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.projections.planner import sweep
from orderflow.sandbox import Fault
from orderflow.sandbox.wire import json_response
from orderflow.store import progress


def test_details_without_items_are_held_and_nothing_is_sent(stage: NewStage) -> None:
    """An order that the mapping cannot read is held, named, and sends nothing; other orders flow."""
    it = stage()
    bad, good = it.place(items=[]), it.place()
    it.ready(good)
    it.live(60)
    assert it.made(bad) == []
    assert it.exceptions(bad)["held_unmapped"] == "held: the details lack items"
    assert it.history(bad, EffectIntended) == []
    assert it.status(good) is Status.ACCEPTED


def test_a_draft_that_cannot_be_frozen_is_parked(stage: NewStage, monkeypatch) -> None:
    """A request that cannot be built ends as an exception without a call, once; other orders flow."""
    it = stage()
    bad, good = it.place(), it.place()
    freeze = it.shop_connector.freeze

    def picky(task):
        if task.order_id == bad:
            raise FreezeError("not mapped: items[0].sku")
        return freeze(task)

    monkeypatch.setattr(it.shop_connector, "freeze", picky)
    it.ready(good)
    it.live(4 * 3600)
    assert it.made(bad) == []
    assert it.attempts(bad, "draft") == []
    assert it.names(bad, "draft") == ["EffectIntended", "EffectExhausted"]
    assert it.exceptions(bad)["parked_draft"] == "draft was given up: not mapped: items[0].sku"
    assert it.rows(bad, "draft") == []
    assert it.status(good) is Status.ACCEPTED


def test_refused_credentials_pause_one_destination_of_one_store(stage: NewStage) -> None:
    """401 from the shop pauses that connection with its reason; nothing is burnt, and all else goes on."""
    it, other = stage(), stage("-other")
    both = it.worker("a", other)
    first, second = it.place(), it.place()
    elsewhere = other.place()
    other.ready(elsewhere)
    it.shop.key = "rotated"
    other.news()
    it.live(300, both)
    other.rest(both)
    other.live(60, both)
    with it.engine.begin() as conn:
        [(scope, (reason, _))] = progress.paused(conn, it.store).items()
        assert progress.paused(conn, other.store) == {}
    assert (scope, "401" in reason) == ("shop", True)
    assert len(it.to_shop.seen) == 1  # the others did not even try
    [turned_away] = it.history(first, EffectNotExecuted) + it.history(second, EffectNotExecuted)
    assert not turned_away.burnt
    tried, untried = (first, second) if it.history(first, EffectNotExecuted) else (second, first)
    assert it.order(tried).shop_slot.tries == 0
    assert it.row(untried, "draft").attempt == 0
    it.ready(first)  # Glopal's side goes on
    it.rest(both)
    assert it.status(first) is Status.READY
    assert it.order(first).confirmed
    assert other.status(elsewhere) is Status.ACCEPTED

    it.shop.key = "shop-sandbox"
    with it.engine.begin() as conn:
        assert progress.resume(conn, it.store, "shop")
    it.live(120, both)
    assert it.status(first) is Status.ACCEPTED
    assert [entry.state for entry in it.made(second)] == ["draft"]
    assert len(it.made(first)) == 1


def test_forbidden_pauses_as_well(stage: NewStage) -> None:
    """403 is a closed door too, found by a read as well as by a write."""
    it = stage()
    forbidden = json_response(403, {"error": {"code": "forbidden", "message": "no"}})
    it.to_glopal.instead = lambda request: forbidden if "/orders/" in request.path else None
    order_id = it.place()
    it.live(3600)
    with it.engine.begin() as conn:
        [(scope, (reason, _))] = progress.paused(conn, it.store).items()
    assert (scope, "403" in reason) == ("glopal", True)
    assert it.history(order_id, EffectExhausted) == []
    assert it.row(order_id, "fetch").failures == 0
    assert it.at_glopal(order_id).gets == 0


def test_throttling_waits_as_long_as_it_is_told_and_burns_nothing(stage: NewStage) -> None:
    """After 429 the next try comes not before Retry-After, as a new intent with the same key."""
    it = stage()
    it.to_shop.faults.script(Fault("throttled", retry_after=120), method="POST")
    order_id = it.place()
    it.rest()
    began = it.clock.now
    [turned_away] = it.history(order_id, EffectNotExecuted)
    assert (turned_away.burnt, turned_away.retry_in) == (False, 120.0)
    row = it.row(order_id, "draft")
    assert (row.state, row.next_at) == ("planned", began + timedelta(seconds=120))
    it.live(119)
    assert len(it.to_shop.writes) == 1
    it.live(1)
    keys = [request.headers["idempotency-key"] for request in it.to_shop.writes]
    assert keys == [f"{order_id}:shop:draft:0"] * 2
    first, second = it.history(order_id, EffectIntended)
    assert (first.generation, first.attempt) == (0, 1)
    assert (second.generation, second.attempt) == (0, 2)
    assert first.digest == second.digest
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_no_connection_is_retried_then_given_up_then_retried_by_a_person(stage: NewStage) -> None:
    """What provably did nothing is tried again, `max_attempts` times; a person's retry begins a new generation."""
    it = stage(policy=StorePolicy(max_attempts=3))
    it.to_shop.faults.script("refused", method="POST", times=3)
    order_id = it.place()
    it.live(3600)
    outcomes = ["EffectNotExecuted", "EffectNotExecuted", "EffectExhausted"]
    assert it.names(order_id, "draft") == [name for one in outcomes for name in ("EffectIntended", one)]
    assert [event.retry_in for event in it.history(order_id, EffectNotExecuted)] == [5.0, 20.0]
    assert it.rows(order_id, "draft") == []
    assert it.exceptions(order_id) == {"parked_draft": "draft was given up: no connection: ConnectError"}
    assert it.to_shop.writes == []

    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "the shop is back"))
    it.rest()
    assert it.history(order_id, EffectIntended)[-1].generation == 1
    assert it.to_shop.writes[0].headers["idempotency-key"] == f"{order_id}:shop:draft:1"
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
    assert it.exceptions(order_id) == {}


def test_an_unknown_order_is_asked_for_again_then_given_up_until_the_age_limit(stage: NewStage) -> None:
    """A 404 to a fetch is retried with back-off and given up; the routine fetch at the age limit lifts it."""
    it = stage(policy=StorePolicy(max_attempts=3))
    order_id = it.place()
    it.glopal.serve_instead(it.store, order_id, b"{}", 404)
    began = it.clock.now
    it.live(3600)
    lines = it.attempts(order_id, "fetch")
    assert [(line.started_at - began).total_seconds() for line in lines] == [0, 5, 25]
    assert {(line.kind, line.status) for line in lines} == {("read", 404)}
    assert [line.decision for line in lines] == ["ask again later", "ask again later", "EffectExhausted"]
    assert "parked_fetch" in it.exceptions(order_id)
    assert it.row(order_id, "fetch").next_at == began + timedelta(seconds=25) + DAY
    it.glopal.serve_instead(it.store, order_id, None)
    it.live(DAY.total_seconds())
    assert set(it.exceptions(order_id)) == {"stuck_in_received"}  # so Glopal says by now
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_a_sweep_plans_what_nobody_asked_for_parked(stage: NewStage) -> None:
    """What falls due only since the policy changed is planned parked, and is not sent."""
    it = stage(policy=StorePolicy(effects_from=None, shadow=True))
    order_id = it.place()
    it.rest()
    with it.engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM orderflow.outbox WHERE store = :s"), {"s": it.store})
        sweep(conn, it.store, it.policy)
    it.policy = StorePolicy()
    worker = it.worker("b")
    while relay.step(worker):
        pass
    assert it.row(order_id, "draft").parked
    assert it.to_shop.writes == []


@pytest.mark.parametrize("odd", [math.inf, math.nan, 1e300, -5.0])
def test_a_wait_that_is_no_number_stops_nobody(stage: NewStage, monkeypatch, odd) -> None:
    """Whatever a connector says about waiting, for a read or a write, the row comes up again within a day."""
    it = stage()
    order_id = it.place()
    glopal, busy = it.connectors[Destination.GLOPAL], Retry("busy", after=odd, burnt=False)
    with monkeypatch.context() as patch:
        patch.setattr(glopal, "find", lambda _subject: busy)
        it.rest()
        assert it.clock.now < it.row(order_id, "fetch").next_at <= it.clock.now + DAY
    with monkeypatch.context() as patch:
        patch.setattr(it.shop_connector, "send", lambda *_, **__: busy)
        it.live(DAY.total_seconds() if odd == 1e300 else 60)
        assert it.row(order_id, "draft").next_at <= it.clock.now + DAY
    it.live(DAY.total_seconds())
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
