"""Refusals, lost replies and news on the way: only what is seen afterwards counts, and no second draft is ever made."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import COUNTS, Stage

from orderflow.domain import decisions
from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    DetailsFetched,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    HoldReason,
    Ids,
    LookedUp,
    Malformed,
)
from orderflow.domain.machine import Status
from orderflow.domain.policy import Mode, OnRefusal, StorePolicy
from orderflow.projections.planner import sweep
from orderflow.sandbox import GlopalOptions, ShopOptions
from orderflow.sandbox.wire import json_response
from orderflow.store.vault import key, unseal

REFUSING = ShopOptions(refuse=lambda _body: "no_stock")


def transaction_of(it: Stage, order_id: str, kind: str) -> list[str]:
    """The kinds of all events that were recorded in the same transaction as the one of this kind."""
    query = sa.text(
        "SELECT type FROM orderflow.events WHERE store = :s AND order_id = :o AND xmin = (SELECT xmin FROM"
        " orderflow.events WHERE store = :s AND order_id = :o AND type = :k) ORDER BY version"
    )
    with it.engine.begin() as conn:
        return list(conn.scalars(query, {"s": it.store, "o": order_id, "k": kind}))


# --- refusals of the shop -------------------------------------------------------------------------------------------


def test_a_refused_draft_is_read_back_then_parked_once(stage: NewStage) -> None:
    """422: looked up once, refused, parked; planned again and again while READY, nothing follows (R13)."""
    it = stage(shop_options=REFUSING)
    order_id = it.place()
    it.ready(order_id)
    it.rest()
    assert it.names(order_id, "draft") == ["EffectIntended", "LookedUp", "EffectRefused"]
    assert [event.found for event in it.history(order_id, LookedUp)] == [()]
    assert it.exceptions(order_id) == {"parked_draft": "draft was refused: 422 no_stock"}
    for _ in range(3):
        it.live(3600)
        it.glopal.report(it.store, order_id, "order.ready")
        it.news()
        with it.engine.begin() as conn:
            sweep(conn, it.store, it.policy)
        it.rest()
    assert it.status(order_id) is Status.READY
    assert it.rows(order_id, "draft") == []
    assert len(it.to_shop.writes) == 1
    assert it.at_glopal(order_id).cancels == ()
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "in stock again"))
    it.rest()
    assert [event.generation for event in it.history(order_id, EffectIntended)] == [0, 1]


def test_a_refused_draft_may_cancel_the_order(stage: NewStage) -> None:
    """Where the policy says so, a refusal cancels at Glopal; decision and intent are one transaction."""
    it = stage(shop_options=REFUSING, policy=StorePolicy(on_refusal=OnRefusal.CANCEL))
    order_id = it.place()
    it.ready(order_id)
    it.live(3600)
    assert it.status(order_id) is Status.CANCELLED
    assert it.history(order_id, CancelRequested) == [CancelRequested("the shop refused the order", "orderflow")]
    assert transaction_of(it, order_id, "CancelRequested") == ["CancelRequested", "EffectIntended"]
    [cancel] = it.at_glopal(order_id).cancels
    assert (cancel.by, cancel.reason, cancel.applied) == ("merchant", "the shop refused the order", True)
    assert len(it.to_shop.writes) == 1


def test_a_refusal_that_cannot_be_read_back_is_unknown(stage: NewStage) -> None:
    """The shop says no, and does not answer the look-up: nothing is concluded until it does, then refused as ever."""
    it = stage(shop_options=REFUSING)
    it.to_shop.faults.script("error_500", method="GET", times=2)
    order_id = it.place()
    it.rest()
    [unknown] = it.history(order_id, EffectUnknown)
    assert unknown.reason == "refused (422 no_stock), not read back"
    assert it.exceptions(order_id) == {}
    it.live(300)
    assert it.names(order_id, "draft") == [
        *("EffectIntended", "EffectUnknown", "LookedUp", "LookedUp", "EffectNotExecuted"),
        *("EffectIntended", "LookedUp", "EffectRefused"),
    ]
    assert it.exceptions(order_id) == {"parked_draft": "draft was refused: 422 no_stock"}


def test_an_unknown_refund_is_never_sent_again(stage: NewStage) -> None:
    """Nobody can tell whether money went: however often Glopal is asked, only a person goes on from there."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.live(60)
    known = it.order(order_id).details
    it.to_glopal.faults.script("cut_before", method="POST")
    it.command(order_id, decisions.Refund("r1", Decimal("1.00"), known.currency, "late", "ann"))
    it.live(6 * 3600)
    assert it.names(order_id, "refund")[:2] == ["EffectIntended", "EffectUnknown"]
    assert len([request for request in it.to_glopal.writes if request.path.endswith("/refund")]) == 1
    assert len(it.history(order_id, EffectIntended)) == 4  # draft, promote, accept, refund
    assert it.row(order_id, "refund").state == "unknown"
    assert it.exceptions(order_id).keys() == {"unknown_refund"}
    assert len(it.attempts(order_id, "refund")) < 50  # asked ever more rarely


# --- lost and empty replies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut_after", "error_after"])
def test_a_lost_reply_is_looked_up_and_delivered(stage: NewStage, fault) -> None:
    """Executed without a good answer: unknown, looked up, delivered with that very id; no second draft."""
    it = stage()
    it.to_shop.faults.script(fault, method="POST")
    order_id = it.place()
    it.rest()
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectUnknown"]
    assert it.row(order_id, "draft").state == "unknown"
    it.live(60)
    assert it.names(order_id, "draft") == ["EffectIntended", "EffectUnknown", "LookedUp", "EffectDelivered"]
    [made] = it.made(order_id)
    [delivered] = it.history(order_id, EffectDelivered)
    assert (delivered.sighting.shop_id, delivered.sighting.number) == (made.id, made.number)
    assert len(it.to_shop.writes) == 1


def test_success_without_an_id_is_unknown(stage: NewStage) -> None:
    """200 {} to a create is no success: the id is learnt by looking up, and nothing is made twice (R4)."""
    it = stage(shop_options=ShopOptions(answer_without_id=1.0))
    order_id = it.place()
    it.ready(order_id)
    it.live(60)
    assert [type(event) for event in it.history(order_id, EffectUnknown, EffectDelivered)][:2] == [
        EffectUnknown,
        EffectDelivered,
    ]
    [made] = it.made(order_id)
    assert it.order(order_id).shop.recorded == made.id
    assert it.at_glopal(order_id).ids == (made.id, made.number)


def test_absent_counts_only_twice_and_late(stage: NewStage) -> None:
    """Cut before execution: early look-ups count nothing, two late ones do, and then the same key is sent again."""
    it = stage()
    it.to_shop.faults.script("cut_before", method="POST")
    order_id = it.place()
    it.rest()
    began = it.clock.now
    it.live(COUNTS - 1)
    assert it.order(order_id).shop_slot.absents == 0
    assert it.history(order_id, EffectNotExecuted) == []
    assert len(it.history(order_id, LookedUp)) == 1  # soon once; then not before it can count
    it.live(60)
    late = [event for event in it.history(order_id, LookedUp) if event.sent_at >= began + timedelta(seconds=COUNTS)]
    assert len(late) == 2
    assert [event.reason for event in it.history(order_id, EffectNotExecuted)] == ["absent 2 times"]
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
    assert {r.headers["idempotency-key"] for r in it.to_shop.writes} == {f"{order_id}:shop:draft:0"}


# --- promote and withdraw -------------------------------------------------------------------------------------------


def test_a_draft_promoted_by_hand_counts_as_promoted(stage: NewStage) -> None:
    """The shop refuses to promote what a person has promoted meanwhile: read back, that is delivered."""
    it = stage()
    order_id = it.drafted(ready=True)
    call = it.call("promote")
    [made] = it.made(order_id)
    it.shop.promote_by_hand(made.id)
    it.finish(call)
    assert it.names(order_id, "promote") == ["EffectIntended", "LookedUp", "EffectDelivered"]
    it.live(60)
    assert it.at_glopal(order_id).ids == (made.id, made.number)
    assert it.exceptions(order_id) == {}


def test_withdrawing_a_draft_that_became_an_order_is_decided_anew(stage: NewStage) -> None:
    """The shop will not delete what is an order by now: recorded as such, and cancelled instead."""
    it = stage()
    order_id = it.drafted()
    it.cancel(order_id)
    call = it.call("withdraw")
    [made] = it.made(order_id)
    it.shop.promote_by_hand(made.id)
    it.finish(call)
    assert it.names(order_id, "withdraw") == ["EffectIntended", "LookedUp", "EffectNotExecuted"]
    it.live(60)
    assert [request.method + request.path[-7:] for request in it.to_shop.writes[1:]] == [
        "DELETE" + made.id[-7:],
        "POST/cancel",
    ]
    assert it.history(order_id, EffectDelivered)[-1].effect is Effect.WITHDRAW
    assert [entry.state for entry in it.made(order_id)] == ["cancelled"]
    assert it.exceptions(order_id) == {}


def test_a_fulfilled_order_is_not_cancelled_at_glopal(stage: NewStage) -> None:
    """The goods have left: the withdrawal is refused and parked, and Glopal's cancel never falls due."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.live(60)
    [made] = it.made(order_id)
    it.shop.fulfil(made.id)
    it.command(order_id, decisions.Cancel("out of stock", "ann"))
    it.live(30 * 3600)
    assert [event.reason for event in it.history(order_id, EffectRefused)] == ["409 fulfilled"]
    assert "withdraw was refused: 409 fulfilled" in it.exceptions(order_id)["parked_withdraw"]
    assert it.at_glopal(order_id).cancels == ()
    assert it.rows(order_id, "cancel") == []
    assert it.status(order_id) is Status.ACCEPTED


# --- accept ---------------------------------------------------------------------------------------------------------


def test_accepted_elsewhere_withdraws_our_draft(stage: NewStage) -> None:
    """400, and the read shows other ids: closed, not parked; our draft, never promoted, is withdrawn."""
    it = stage()
    order_id = it.drafted()
    [made] = it.made(order_id)
    it.command(order_id, decisions.Accept(Ids(made.id, made.number), "ann"))
    call = it.call("accept")
    it.glopal.accept_elsewhere(it.store, order_id, "else-1", "E-1")
    it.finish(call)
    assert [event.reason for event in it.history(order_id, EffectClosed)] == [
        "refused (400 already_accepted) and no longer due"
    ]
    it.live(3600)
    assert [entry.state for entry in it.made(order_id)] == ["deleted"]
    assert it.exceptions(order_id).keys() == {"accepted_elsewhere"}
    assert len(it.at_glopal(order_id).accepts) == 2


def test_accepted_elsewhere_leaves_our_order_to_a_person(stage: NewStage) -> None:
    """The same after promotion: our order stays, and attention names theirs and ours."""
    it = stage()
    order_id = it.drafted(ready=True)
    call = it.call("accept")
    it.glopal.accept_elsewhere(it.store, order_id, "else-1", "E-1")
    it.finish(call)
    it.live(3600)
    [made] = it.made(order_id)
    assert made.state == "order"
    assert it.names(order_id, "accept") == ["EffectIntended", "EffectClosed"]
    text = it.exceptions(order_id)["accepted_elsewhere"]
    assert "else-1" in text
    assert made.id in text
    assert it.at_glopal(order_id).ids == ("else-1", "E-1")


def test_a_refused_accept_that_was_ours_is_delivered(stage: NewStage) -> None:
    """The reply was lost, the GET lagged, the second accept is refused: the ids read back are ours, so it is done."""
    it = stage(glopal_options=GlopalOptions(get_lag=timedelta(0)))
    order_id = it.drafted(ready=True)
    call = it.call("accept")
    it.to_glopal.faults.script("cut_after", method="POST")
    it.glopal.options = GlopalOptions(get_lag=timedelta(hours=1))
    it.finish(call)
    assert it.names(order_id, "accept") == ["EffectIntended", "EffectUnknown"]
    refusal = json_response(400, {"error": {"code": "already_accepted", "message": "no"}})
    it.to_glopal.instead = lambda request: refusal if request.path.endswith("accept") else None
    while not it.history(order_id, EffectNotExecuted):
        it.clock.wait(60)
        it.finish(it.call("accept", "look_up"))
    it.clock.wait(60)
    again = it.call("accept")
    it.glopal.options = GlopalOptions()
    it.finish(again)
    assert it.names(order_id, "accept")[-3:] == ["EffectNotExecuted", "EffectIntended", "EffectDelivered"]
    assert isinstance(it.history(order_id)[-2], DetailsFetched)  # the read after the refusal
    [made] = it.made(order_id)
    assert it.history(order_id, AcceptRequested) == [AcceptRequested(Ids(made.id, made.number), "orderflow")]
    it.live(60)
    assert (it.status(order_id), it.exceptions(order_id)) == (Status.ACCEPTED, {})


# --- details and observing ------------------------------------------------------------------------------------------


def test_unreadable_details_hold_the_order_until_good_ones_come(stage: NewStage) -> None:
    """What cannot be read is kept sealed and holds the order, by name; good details lift that."""
    it = stage()
    order_id = it.place()
    poison = b'{"id": "x", "status": 5, "customer": {"email": "canary@example.com"}}'
    it.glopal.serve_instead(it.store, order_id, poison)
    it.rest()
    [malformed] = it.history(order_id, Malformed)
    [record] = [record for record in it.records(order_id) if record.type == "Malformed"]
    with it.engine.begin() as conn:
        query = sa.text(
            "SELECT event_id, body, body_key FROM orderflow.events"
            " WHERE store = :s AND order_id = :o AND type = 'Malformed'"
        )
        event_id, body, body_key = conn.execute(query, {"s": it.store, "o": order_id}).one()
        opened = unseal(key(conn, it.relay.vault, it.store, order_id, body_key), body, event_id, "body")
    assert opened == poison
    assert b"canary" not in body
    assert "canary" not in record.clear
    assert it.order(order_id).hold(HoldReason.MALFORMED).detail == malformed.problem
    assert "held_malformed" in it.exceptions(order_id)
    it.live(60)
    assert it.made(order_id) == []
    it.glopal.serve_instead(it.store, order_id, None)
    it.live(300)
    assert it.exceptions(order_id) == {}
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_observing_creates_nothing_and_withdraws_what_glopal_inserted(stage: NewStage) -> None:
    """In observe nothing is made or accepted; once cancelled, the shop order behind Glopal's ids is cancelled."""
    it = stage(policy=StorePolicy(mode=Mode.OBSERVE))
    maker = stage("-maker")
    inserted = maker.drafted(ready=True)
    maker.live(60)
    [made] = maker.made(inserted)
    assert made.state == "order"
    it.to_shop.app = maker.shop.handle  # the shop into which Glopal itself inserts
    order_id, quiet = it.place(), it.place()
    it.ready(order_id)
    it.glopal.accept_elsewhere(it.store, order_id, made.id, made.number)
    it.live(3600)
    assert it.to_shop.writes == []
    assert it.to_glopal.writes == []
    assert it.status(order_id) is Status.ACCEPTED
    it.cancel(order_id)
    it.cancel(quiet)
    it.live(3600)
    assert [request.path for request in it.to_shop.writes] == [f"/orders/{made.id}/cancel"]
    assert [entry.state for entry in maker.made(inserted)] == ["cancelled"]
    assert it.to_glopal.writes == []
    assert it.exceptions(order_id) == {}
