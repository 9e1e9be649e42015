"""Shadow: everything is read, planned and shown; nothing is sent, and nothing sends itself when shadow ends."""

import json
from typing import Any

from tests.relay.conftest import NewStage
from tests.relay.stage import DAY, VAULT, Stage

from orderflow.domain import decisions
from orderflow.domain.events import Effect, EffectIntended, EffectNotExecuted
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.relay.request import frozen_requests
from orderflow.relay.shadow import SHADOW

DARK, LIGHT = StorePolicy(shadow=True), StorePolicy()


def turn(it: Stage, policy: StorePolicy) -> None:
    """The store comes back with another policy."""
    it.policy = policy
    it.relay = it.worker("b")


def shown(it: Stage, order_id: str) -> dict[str, Any]:
    """The one request in its outbox, as its key opens it."""
    with it.engine.begin() as conn:
        [frozen] = frozen_requests(conn, VAULT, it.store, order_id)
    assert frozen.planned
    return json.loads(frozen.request)


def test_everything_is_planned_and_read_and_nothing_is_written(stage: NewStage) -> None:
    """Whatever is asked for, no write reaches anybody and no intent is recorded; each row waits, parked."""
    it = stage(policy=DARK)
    wanted, unwanted = it.place(), it.place()
    it.ready(wanted)
    it.live(600)
    it.command(unwanted, decisions.Cancel("out of stock", "ann"))
    it.live(3 * 3600)
    assert it.to_glopal.writes == []
    assert it.to_shop.writes == []
    assert [it.status(order_id) for order_id in (wanted, unwanted)] == [Status.READY, Status.RECEIVED]
    assert it.at_glopal(wanted).gets > 0
    assert it.history(wanted, EffectIntended) + it.history(unwanted, EffectIntended) == []
    for row in (it.row(wanted, "draft"), it.row(unwanted, "cancel")):
        assert (row.state, row.attempt, row.lease_until, row.parked, row.reason) == ("planned", 0, None, True, SHADOW)


def test_the_request_is_shown_as_it_would_be_sent(stage: NewStage) -> None:
    """The very bytes: taken out of shadow and retried, the shop gets what was shown, under the same digest."""
    it = stage(policy=DARK)
    order_id = it.place()
    it.live(60)
    request, digest = shown(it, order_id), it.row(order_id, "draft").digest
    assert request["method"] == "POST"
    assert str(it.order(order_id).details.total) in json.dumps(request)
    turn(it, LIGHT)
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "seen and found good"))
    it.rest()
    assert [event.digest for event in it.history(order_id, EffectIntended)] == [digest]


def test_another_request_is_shown_anew_and_the_same_one_is_not(stage: NewStage) -> None:
    """The row follows the details; what has not changed is not sealed again."""
    it = stage(policy=DARK)
    order_id = it.place()
    it.live(60)
    before = it.row(order_id, "draft")
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "again"))
    it.live(60)
    assert it.row(order_id, "draft").request == before.request
    it.glopal.amend(it.store, order_id, customer_note="another note")
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "once more"))
    it.live(60)
    after = it.row(order_id, "draft")
    assert after.digest != before.digest
    assert "another note" in json.dumps(shown(it, order_id))
    assert after.parked


def test_a_request_that_cannot_be_built_says_why(stage: NewStage) -> None:
    """Shadow finds it before it would matter, and burns nothing."""
    it = stage(policy=DARK)
    order_id = it.place(items=[])
    it.live(60)
    it.command(order_id, decisions.Release(*_hold(it, order_id), "ann", "let us see"))
    it.live(60)
    row = it.row(order_id, "draft")
    assert row.reason == f"{SHADOW}; it could not be: not mapped: items"
    assert (row.request, row.digest, row.parked) == (None, None, True)
    assert it.order(order_id).parked == ()


def _hold(it: Stage, order_id: str) -> tuple:
    [hold] = it.order(order_id).holds
    return hold.reason, hold.position


def test_leaving_shadow_fires_nothing(stage: NewStage) -> None:
    """Neither at once nor after a day of routine fetches: what was planned in shadow waits for a retry, each order."""
    it = stage(policy=DARK)
    one, other = it.place(), it.place()
    it.live(60)
    turn(it, LIGHT)
    it.live(2 * DAY.total_seconds())
    assert it.to_shop.writes == []
    it.command(one, decisions.Retry(Effect.DRAFT, "ann", "this one"))
    it.live(60)
    assert ([entry.state for entry in it.made(one)], it.made(other)) == (["draft"], [])


def test_what_nobody_had_looked_at_in_shadow_does_not_fire_either(stage: NewStage) -> None:
    """Planned while the shop was paused and no worker met it: it is shown and parked by the first that does."""
    it = stage(policy=DARK)
    order_id = it.place()
    call = it.call("fetch", "read")
    it.finish(call)
    it.news()
    assert not it.row(order_id, "draft").parked
    turn(it, LIGHT)
    it.live(60)
    assert it.row(order_id, "draft").parked
    assert it.to_shop.writes == []


def test_news_that_move_the_order_go_their_way_after_shadow(stage: NewStage) -> None:
    """An order that becomes READY in the light is drafted, promoted and accepted like any other."""
    it = stage(policy=DARK)
    order_id = it.place()
    it.live(60)
    turn(it, LIGHT)
    it.ready(order_id)
    it.live(60)
    assert it.status(order_id) is Status.ACCEPTED


def test_a_retry_in_shadow_sends_nothing(stage: NewStage) -> None:
    """It is shown once more; and when shadow has ended, it may be asked for again."""
    it = stage(policy=DARK)
    order_id = it.place()
    it.live(60)
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "now"))
    it.live(60)
    assert it.to_shop.writes == []
    assert it.row(order_id, "draft").parked


def test_what_was_under_way_is_looked_up_in_shadow_and_not_sent_again(stage: NewStage) -> None:
    """Shadow begins between two attempts: the second one waits, parked; when it is not due any more it is closed."""
    it = stage()
    it.to_shop.faults.script("refused", method="POST")
    order_id = it.place()
    it.rest()
    assert it.history(order_id, EffectNotExecuted)
    turn(it, DARK)
    it.live(3600)
    row = it.row(order_id, "draft")
    assert (row.state, row.parked) == ("planned", True)
    writes = len(it.to_shop.writes)
    it.cancel(order_id)
    it.live(600)
    assert it.rows(order_id, "draft") == []
    assert len(it.to_shop.writes) == writes
    assert "EffectClosed" in it.names(order_id, "draft")
