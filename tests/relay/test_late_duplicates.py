"""Look-ups that lag and requests that are executed after we gave up: a stray at most, and never two orders.

What a destination declares (`Capabilities`) is believed. Where it takes longer than it declared, a second draft is
made; the reaper finds the stray within minutes, only the recorded draft is ever promoted.
"""

from datetime import timedelta

import pytest
from tests.relay.conftest import NewStage
from tests.relay.stage import COUNTS, SETTLES, WINDOWS, Stage

from orderflow import relay
from orderflow.connectors import Capabilities, Consistency
from orderflow.connectors.shop import Shop
from orderflow.domain.events import (
    Destination,
    EffectDelivered,
    EffectIntended,
    EffectNotExecuted,
    LookedUp,
)
from orderflow.domain.machine import Status
from orderflow.sandbox import GlopalOptions, Request, ShopOptions

REAPED = 600.0
"""By then the reaper has looked."""


def lagging(seconds: float, *, unique: bool = False) -> ShopOptions:
    return ShopOptions(search_lag=timedelta(seconds=seconds), unique_reference=unique)


def given_up(it: Stage, path: str, method: str = "POST") -> Request:
    """A write is cut before it arrives: the request, to be executed whenever the test likes."""
    it.to_shop.faults.script("cut_before", method=method, path=path)
    it.rest()
    return it.to_shop.writes[-1]


def states(it: Stage, order_id: str) -> list[str]:
    return [entry.state for entry in it.made(order_id)]


def strays_lived(it: Stage, order_id: str) -> list[float]:
    """How long each deleted draft stood, in seconds."""
    return [(one.deleted_at - one.created_at).total_seconds() for one in it.made(order_id) if one.deleted_at]


def test_a_search_that_lags_less_than_declared_finds_the_draft(stage: NewStage) -> None:
    """The first look-up misses it and does not count; the next is sent when everything must show."""
    it = stage(shop_options=lagging(SETTLES - 3))
    it.to_shop.faults.script("cut_after", method="POST", path="/orders$")
    order_id = it.place()
    it.live(COUNTS + 30)
    assert states(it, order_id) == ["draft"]
    assert len(it.to_shop.writes) == 1
    looks = it.history(order_id, LookedUp)
    assert [bool(look.found) for look in looks] == [False, True]
    assert isinstance(it.history(order_id, EffectDelivered)[-1], EffectDelivered)


def test_a_search_that_lags_longer_than_declared_makes_a_stray_for_minutes(stage: NewStage) -> None:
    """Two look-ups that count miss a draft that stands there. A second one is made, the first is reaped."""
    it = stage(shop_options=lagging(COUNTS + 60))
    it.to_shop.faults.script("cut_after", method="POST", path="/orders$")
    order_id = it.place()
    it.live(COUNTS + 30)
    assert states(it, order_id) == ["draft", "draft"]
    it.ready(order_id)
    it.live(REAPED)
    assert states(it, order_id) == ["deleted", "order"]
    assert [one.promoted_at is not None for one in it.made(order_id)] == [False, True]
    assert max(strays_lived(it, order_id)) < REAPED + COUNTS + 30
    assert it.status(order_id) is Status.ACCEPTED
    assert {call.ids[0] for call in it.at_glopal(order_id).accepts} == {it.made(order_id)[1].id}
    assert it.exceptions(order_id) == {}


def test_a_shop_that_knows_references_makes_none_however_long_it_lags(stage: NewStage) -> None:
    it = stage(shop_options=lagging(COUNTS + 60, unique=True))
    it.to_shop.faults.script("cut_after", method="POST", path="/orders$")
    order_id = it.place()
    it.live(COUNTS + 300)
    assert states(it, order_id) == ["draft"]
    assert len(it.to_shop.writes) == 2


def test_executed_after_the_timeout_and_within_the_window_it_is_found(stage: NewStage) -> None:
    it = stage()
    order_id = it.place()
    late = given_up(it, "/orders$")
    it.live(COUNTS - 5)
    it.shop.handle(late)
    it.live(60)
    assert states(it, order_id) == ["draft"]
    assert len(it.to_shop.writes) == 1


def test_executed_after_we_gave_up_it_is_a_stray_and_never_an_order(stage: NewStage) -> None:
    """The second draft is promoted and accepted; the late first one is found by its reference and withdrawn."""
    it = stage()
    order_id = it.place()
    late = given_up(it, "/orders$")
    it.live(COUNTS + 30)
    it.ready(order_id)
    it.rest()
    it.shop.handle(late)
    assert states(it, order_id) == ["order", "draft"]
    it.live(REAPED)
    assert states(it, order_id) == ["order", "deleted"]
    assert it.exceptions(order_id) == {}


def test_a_late_draft_of_a_cancelled_order_goes_too(stage: NewStage) -> None:
    """Closed as no longer due, with nothing recorded: the reaper looks all the same."""
    it = stage()
    order_id = it.place()
    late = given_up(it, "/orders$")
    it.cancel(order_id)
    it.live(COUNTS + 30)
    assert it.made(order_id) == []
    it.shop.handle(late)
    it.live(REAPED)
    assert states(it, order_id) == ["deleted"]
    assert it.status(order_id) is Status.CANCELLED


def test_a_promotion_executed_late_promotes_nothing_twice(stage: NewStage) -> None:
    it = stage()
    order_id = it.drafted(ready=True)
    late = given_up(it, "/promote$")
    it.live(COUNTS + 30)
    assert states(it, order_id) == ["order"]
    assert it.shop.handle(late).status == 409
    it.live(REAPED)
    assert states(it, order_id) == ["order"]
    assert it.status(order_id) is Status.ACCEPTED


@pytest.mark.parametrize("when", ["before the withdrawal is sent", "after it"])
def test_a_promotion_executed_late_of_a_cancelled_order_is_undone(stage: NewStage, when: str) -> None:
    """Found to have become an order, it is cancelled; deleted before, there is nothing left to promote."""
    it = stage()
    order_id = it.drafted(ready=True)
    late = given_up(it, "/promote$")
    it.cancel(order_id)
    withdraw = it_comes_to(it, "withdraw")
    if when == "before the withdrawal is sent":
        assert it.shop.handle(late).status == 200
    it.finish(withdraw)
    if when == "after it":
        assert it.shop.handle(late).status == 404
    it.live(REAPED)
    assert states(it, order_id) == ["cancelled" if when == "before the withdrawal is sent" else "deleted"]


def it_comes_to(it: Stage, effect: str) -> relay.Call:
    """The next call of this effect, whenever it falls due."""
    for _ in range(60):
        it.news()
        prepared = it.next()
        if isinstance(prepared, relay.Call):
            if (prepared.effect, prepared.kind) == (effect, "send"):
                return prepared
            it.finish(prepared)
        elif prepared is None:
            times = [row.next_at for row in it.rows() if row.next_at > it.clock.now]
            it.clock.now = min(times)
    raise AssertionError(f"no {effect} came up")


def test_delivered_late_after_absent_is_kept_and_withdrawn(stage: NewStage) -> None:
    """A's reply is recorded long after B has taken the draft for absent and made another: both stand in the fold."""
    it = stage(shop_options=lagging(COUNTS + 600))
    one, other = it.relay, it.worker("b")
    order_id = it.place()
    call = it.call("draft")
    reply = relay.perform(one, call)
    it.live(COUNTS + 60, other)
    assert states(it, order_id) == ["draft", "draft"]
    relay.settle(one, [(call, reply)])
    order = it.order(order_id)
    first, second = it.made(order_id)
    assert order.shop.recorded == second.id
    assert {sighting.shop_id for sighting in order.shop.seen} == {first.id, second.id}
    assert [event.attempt for event in it.history(order_id, EffectDelivered)] == [2, 1]
    it.live(30, other)
    assert states(it, order_id) == ["deleted", "draft"]


def test_delivered_late_after_absent_but_before_the_next_try_ends_it(stage: NewStage) -> None:
    """Absent twice, and about to be tried again: then the first worker says that it was made after all."""
    it = stage(shop_options=lagging(COUNTS + 600))
    one, other = it.relay, it.worker("b")
    order_id = it.place()
    call = it.call("draft")
    reply = relay.perform(one, call)
    while not it.history(order_id, EffectNotExecuted):
        it.clock.now = min(max(row.next_at, row.lease_until or row.next_at) for row in it.rows(order_id, "draft"))
        relay.step(other)
    relay.settle(one, [(call, reply)])
    it.live(REAPED, other)
    assert states(it, order_id) == ["draft"]
    assert len(it.history(order_id, EffectIntended)) == 1


def test_an_accept_behind_a_get_that_lags_longer_than_declared_keeps_its_ids(stage: NewStage) -> None:
    """Sent a second time with the same ids, which Glopal takes for one accept."""
    it = stage(glopal_options=GlopalOptions(get_lag=timedelta(seconds=400)))
    it.to_glopal.faults.script("cut_after", method="POST", path="/accept$")
    order_id = it.place()
    it.live(500)
    it.ready(order_id)
    it.live(2000)
    entry = it.at_glopal(order_id)
    assert len({call.ids for call in entry.accepts}) == 1
    assert len(entry.applied_accepts) == 1
    assert it.status(order_id) is Status.ACCEPTED
    assert states(it, order_id) == ["order"]


@pytest.mark.parametrize(("look_up", "window"), [(Consistency.STRONG, 0.0), (Consistency.EVENTUAL, SETTLES)])
def test_what_is_declared_says_from_when_absent_counts(stage: NewStage, look_up: Consistency, window: float) -> None:
    """Strong look-ups count from the end of the call on; others only after the settle window."""
    it = stage()
    able = Capabilities(look_up=look_up, settle_window=SETTLES)
    strong = Shop("http://shop.test", "shop-sandbox", capabilities=able, transport=it.to_shop)
    it.connectors[Destination.SHOP] = strong
    order_id = it.place()
    given_up(it, "/orders$")
    [intended] = it.history(order_id, EffectIntended)
    assert (intended.counts_from - intended.send_by).total_seconds() == WINDOWS.call + window
    it.live(WINDOWS.send + WINDOWS.call + window - 1)
    assert len(it.to_shop.writes) == 1
    it.live(30)
    assert len(it.to_shop.writes) == 2
    assert states(it, order_id) == ["draft"]
