"""The engine over a Shopify: one order each and none twice, whatever is lost, late, throttled or not ready."""

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.relay.conftest import NewStage
from tests.relay.shopify_stage import ShopifyStage, asks
from tests.relay.stage import WINDOWS

from orderflow.domain.events import EffectNotExecuted, EffectUnknown, Ids
from orderflow.domain.machine import Status
from orderflow.sandbox import Faults
from orderflow.sandbox.faults import Kind
from orderflow.sandbox.shopify import ShopifyOptions

SETTLES = 60.0
COUNTS = WINDOWS.send + WINDOWS.call + SETTLES
HOUR = 3600.0


@pytest.fixture
def stage(request: pytest.FixtureRequest, app: Any, clock: Any) -> NewStage:
    """Make a stage with a store that no other test of the module knows."""

    def make(suffix: str = "", **options: Any) -> ShopifyStage:
        name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
        return ShopifyStage(app, clock, f"{name}{suffix}", shopify=ShopifyOptions(**options))

    return make


def lagging(seconds: float, **more: Any) -> dict[str, Any]:
    return {"search_lag": timedelta(seconds=seconds), **more}


def test_glopal_is_told_the_orders_own_id(stage: NewStage) -> None:
    it: Any = stage()
    order_id = it.drafted(ready=True)
    it.live(HOUR)
    [entry] = it.world.ledger()
    assert entry.state == "order"
    assert it.status(order_id) is Status.ACCEPTED
    [call] = it.at_glopal(order_id).applied_accepts
    assert call.ids == (entry.id, entry.number)
    assert entry.id.isdecimal()
    order = it.order(order_id)
    assert order.external == Ids(entry.id, entry.number)
    assert order.shop.recorded == "gid://shopify/DraftOrder/" + order.shop.recorded.rpartition("/")[2]
    assert it.exceptions(order_id) == {}
    assert it.differences() == []


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "html_after"])
@pytest.mark.parametrize("mutation", ["draftOrderCreate", "draftOrderComplete", "orderCancel", "draftOrderDelete"])
def test_a_lost_reply_makes_no_second_one(stage: NewStage, mutation: str, fault: Kind) -> None:
    """Though the search shows nothing yet at the first look-ups."""
    it: Any = stage(**lagging(50.0))
    it.to_shop.faults.script(fault, where=asks(mutation))
    order_id = it.place()
    it.live(HOUR)
    if mutation != "draftOrderDelete":
        it.ready(order_id)
        it.live(HOUR)
        assert it.status(order_id) is Status.ACCEPTED
    if mutation in {"orderCancel", "draftOrderDelete"}:
        it.cancel(order_id)
        it.live(HOUR)
    assert it.to_shop.faults.counts[fault] == 1
    entries = it.world.ledger()
    assert len(entries) == 1
    assert entries[0].state == {"orderCancel": "cancelled", "draftOrderDelete": "deleted"}.get(mutation, "order")
    assert it.differences() == []
    assert it.open(order_id) == []
    assert it.exceptions(order_id) == {}


def test_not_found_at_first_is_not_absent(stage: NewStage) -> None:
    """The draft was made, the reply lost, and the search shows it only after 50 seconds."""
    it: Any = stage(**lagging(50.0))
    it.to_shop.faults.script("cut_after", where=asks("draftOrderCreate"))
    order_id = it.place()
    it.live(40.0)
    assert [len(event.found) for event in it.history(order_id) if type(event).__name__ == "LookedUp"].count(0) >= 1
    assert len(it.mutations("draftOrderCreate(")) == 1
    it.live(HOUR)
    assert it.names(order_id, "draft")[-1] == "EffectDelivered"
    assert len(it.mutations("draftOrderCreate(")) == 1
    assert len(it.world.ledger()) == 1


def test_absent_is_tried_again_when_the_search_must_have_shown_it(stage: NewStage) -> None:
    it: Any = stage(**lagging(50.0))
    it.to_shop.faults.script("cut_before", where=asks("draftOrderCreate"))
    order_id = it.place()
    began = it.clock.now
    it.live(HOUR)
    [again] = it.history(order_id, EffectNotExecuted)
    assert again.reason == "absent 2 times"
    [entry] = it.world.ledger()
    assert (entry.created_at - began).total_seconds() > COUNTS
    assert it.differences() == []


def test_a_throttled_shop_gets_everything_in_the_end(stage: NewStage) -> None:
    """Six orders through a bucket for a few calls: paced by what its answers say, never given up, none twice."""
    it: Any = stage(points=40.0, restore=1.0)
    orders = [it.place() for _ in range(6)]
    for order_id in orders:
        it.ready(order_id)
    it.live(2 * HOUR)
    turned_away = [event for one in orders for event in it.history(one, EffectNotExecuted)]
    assert {(event.reason, event.burnt) for event in turned_away} <= {("200 THROTTLED", False)}
    assert len(turned_away) <= 6, "the relay keeps to the rest that answers ask for"
    assert [entry.state for entry in it.world.ledger()] == ["order"] * 6
    assert {it.status(one) for one in orders} == {Status.ACCEPTED}
    assert it.differences() == []


def test_a_draft_that_is_not_ready_waits_for_its_promotion(stage: NewStage) -> None:
    it: Any = stage(ready_lag=timedelta(seconds=90))
    order_id = it.place()
    it.ready(order_id)
    it.live(HOUR)
    assert next(event.reason for event in it.history(order_id, EffectNotExecuted)) == "the draft is not ready"
    assert it.status(order_id) is Status.ACCEPTED
    assert it.differences() == []


def test_another_total_is_refused_and_nothing_stands(stage: NewStage) -> None:
    it: Any = stage(surcharge=Decimal("0.01"))
    order_id = it.place()
    it.ready(order_id)
    it.live(HOUR)
    [entry] = it.world.ledger()
    assert entry.state == "deleted"
    assert list(it.exceptions(order_id)) == ["parked_draft"]
    assert "the draft comes to" in it.exceptions(order_id)["parked_draft"]
    assert it.at_glopal(order_id).accepts == ()


def test_another_total_whose_undoing_was_lost_is_withdrawn(stage: NewStage) -> None:
    """The maker could not take it back: the engine does, and the next one is refused."""
    it: Any = stage(surcharge=Decimal("0.01"))
    it.to_shop.faults.script("cut_before", where=asks("draftOrderDelete"))
    order_id = it.place()
    it.live(HOUR)
    assert {entry.state for entry in it.world.ledger()} == {"deleted"}
    assert list(it.exceptions(order_id)) == ["parked_draft"]
    assert it.open(order_id) == []


def test_a_draft_that_a_person_changed_waits_for_a_person(stage: NewStage) -> None:
    it: Any = stage()
    order_id = it.drafted()
    it.world.change_by_hand(it.order(order_id).shop.recorded, shippingLine=None)
    it.ready(order_id)
    it.live(HOUR)
    assert it.world.ledger()[0].state == "draft"
    assert list(it.exceptions(order_id)) == ["parked_promote"]
    assert it.at_glopal(order_id).accepts == ()


def test_a_cancellation_counts_when_the_order_shows_it(stage: NewStage) -> None:
    it: Any = stage(job_lag=timedelta(seconds=45))
    order_id = it.drafted(ready=True)
    it.live(HOUR)
    it.cancel(order_id)
    it.live(30.0)
    assert it.world.ledger()[0].state == "order"
    [unknown] = it.history(order_id, EffectUnknown)
    assert unknown.reason == "200 and the order is being cancelled"
    it.live(HOUR)
    assert it.world.ledger()[0].state == "cancelled"
    assert len(it.mutations("orderCancel(")) == 1
    assert it.open(order_id) == []
    assert it.differences() == []


def test_completed_by_hand_before_it_is_cancelled(stage: NewStage) -> None:
    """The engine knows a draft and finds an order: it is cancelled, not deleted."""
    it: Any = stage()
    order_id = it.drafted()
    it.world.complete_by_hand(it.order(order_id).shop.recorded)
    it.cancel(order_id)
    it.live(HOUR)
    assert it.world.ledger()[0].state == "cancelled"
    assert it.differences() == []


RATES: dict[Kind, float] = {
    "refused": 0.03,
    "cut_before": 0.05,
    "cut_after": 0.06,
    "error_after": 0.04,
    "error_503": 0.03,
    "html_after": 0.03,
    "truncated": 0.03,
    "throttled": 0.03,
}


@pytest.mark.parametrize("seed", range(8))
def test_storms_leave_one_order_each(stage: NewStage, seed: int) -> None:
    """Three lives through a faulty wire, a lagging search, slow jobs and few points; then it calms down."""
    chance = Random(seed)

    def lag() -> timedelta:
        return timedelta(seconds=chance.uniform(0, 55))

    it: Any = stage(search_lag=lag, job_lag=lag, ready_lag=lag, points=chance.choice([60.0, 1000.0]), restore=2.0)
    it.to_shop.faults = Faults(Random(seed), RATES, budget=25)
    orders = [it.place() for _ in range(3)]
    for _ in range(12):
        it.live(chance.uniform(1, 400))
        order_id, coin = chance.choice(orders), chance.random()
        status = it.at_glopal(order_id).status
        if coin < 0.5 and status == "RECEIVED":
            it.ready(order_id)
        elif coin > 0.8 and status in {"RECEIVED", "READY", "ACCEPTED"}:
            it.cancel(order_id)
    assert sum(it.to_shop.faults.counts[kind] for kind in RATES) > 0
    it.to_shop.faults.stop()
    it.live(30 * HOUR)
    assert it.differences() == []
    assert [it.open(one) for one in orders] == [[], [], []]
    assert [it.exceptions(one) for one in orders] == [{}, {}, {}]
