"""Money back and goods back through the whole river: asked for, looked at once more, sent once, learnt and settled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import DAY, Stage

from orderflow import relay
from orderflow.domain.decisions import IllegalTransition, QuoteRefund, Refund, Retry, Settle
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectRefused,
    RefundQuoted,
    ReturnReported,
)
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.domain.refunds import left
from orderflow.domain.returns import ReturnState
from orderflow.projections import catch_up
from orderflow.projections.anomalies import Anomalies
from orderflow.projections.effects import Effects
from orderflow.sandbox import GlopalOptions
from orderflow.store.tables import anomalies, effects

EUR: dict[str, Any] = {
    "currency": "EUR",
    "items": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": Decimal("20.00")}],
    "shipping": {"method": "standard", "price": Decimal("5.00")},
    "totals": {"total": Decimal("25.00")},
}


def sold(it: Stage, *, shipped: bool = True) -> str:
    """An order of 25.00 EUR that was accepted, and completed."""
    order_id = it.place(**EUR)
    it.ready(order_id)
    it.live(60)
    it.glopal.complete(it.store, order_id)
    if shipped:
        it.glopal.ship(it.store, order_id)
    it.command(order_id, Retry(Effect.FETCH, "ann", "completed?"))
    it.rest()
    assert it.status(order_id) is Status.COMPLETED
    return order_id


def refund(it: Stage, order_id: str, name: str, amount: str, **more: Any) -> None:
    it.clock.wait(1)
    it.command(order_id, Refund(name, Decimal(amount), "EUR", "damaged", "ann", **more))


def given_back(it: Stage, order_id: str) -> list[tuple[str, Decimal]]:
    return [(one.by, one.amount) for one in it.at_glopal(order_id).refunds]


def outcomes(it: Stage, order_id: str) -> dict[str, str]:
    return {line.refund: line.outcome for line in it.order(order_id).refunds}


def odd(it: Stage, order_id: str) -> set[str]:
    """Kinds of its anomalies, as the read model has them."""
    with it.engine.begin() as conn:
        while catch_up(conn, it.store, [Anomalies()], it.policy):
            pass
        query = sa.select(anomalies.c.kind).where(anomalies.c.store == it.store, anomalies.c.order_id == order_id)
        return {kind.split()[0] for kind in conn.scalars(query)}


def in_view(it: Stage, order_id: str) -> list[tuple[str, str]]:
    """State and reason of its refunds, as the effects view has them."""
    with it.engine.begin() as conn:
        while catch_up(conn, it.store, [Effects()], it.policy):
            pass
        where = (effects.c.store == it.store, effects.c.order_id == order_id, effects.c.effect == "refund")
        return [(row.state, row.reason) for row in conn.execute(sa.select(effects).where(*where))]


# --- refunds --------------------------------------------------------------------------------------------------------


def test_a_part_then_the_rest(stage: NewStage) -> None:
    """Each after one more look at Glopal; to the last cent, and not one more."""
    it = stage(glopal_options=GlopalOptions(refund_needs_shipping=True))
    order_id = sold(it)
    looked = it.at_glopal(order_id).gets
    refund(it, order_id, "r1", "12.34", glopal_amount=Decimal("2.34"), claim="damaged")
    it.rest()
    assert it.at_glopal(order_id).gets == looked + 1
    assert given_back(it, order_id) == [("merchant", Decimal("12.34"))]
    [made] = it.at_glopal(order_id).refunds
    assert (made.reason, made.glopal_amount, made.claim) == ("damaged", Decimal("2.34"), "damaged")
    refund(it, order_id, "r2", "12.66")
    it.rest()
    assert outcomes(it, order_id) == {"r1": "delivered", "r2": "delivered"}
    with pytest.raises(IllegalTransition, match=r"only 0\.00 EUR"):
        refund(it, order_id, "r3", "0.01")
    assert sum(amount for _, amount in given_back(it, order_id)) == Decimal("25.00")
    receipts = [event.receipt for event in it.history(order_id, EffectDelivered) if event.effect is Effect.REFUND]
    assert receipts == [one.refund_id for one in it.at_glopal(order_id).refunds]
    it.command(order_id, Retry(Effect.FETCH, "ann", "shown?"))
    it.rest()
    assert (it.exceptions(order_id), odd(it, order_id)) == ({}, set()), "ours are known again by Glopal's own ids"


@pytest.mark.parametrize("reply", ["with id", "status ok"])
def test_a_refund_made_elsewhere_is_found_by_the_last_look(stage: NewStage, reply: Any) -> None:
    """Nobody here asked for it: it counts, is told, and what no longer fits is not sent."""
    it = stage(glopal_options=GlopalOptions(refund_reply=reply))
    order_id = sold(it)
    refund(it, order_id, "r1", "10.00")
    it.rest()
    it.glopal.refund(it.store, order_id, Decimal("10.00"), "chargeback", "lost_dispute")
    refund(it, order_id, "r2", "10.00")
    it.rest()
    assert given_back(it, order_id) == [("merchant", Decimal("10.00")), ("lost_dispute", Decimal("10.00"))]
    told = it.exceptions(order_id)
    assert told.keys() == {"refunded_elsewhere", "refund_exceeds"}
    assert "by lost_dispute (chargeback)" in told["refunded_elsewhere"]
    assert told["refund_exceeds"] == "refund r2 is not made: it is 10.00 EUR, and only 5.00 are left by now"
    assert odd(it, order_id) == {"refunded_elsewhere"}
    [_, theirs] = it.at_glopal(order_id).refunds
    it.command(order_id, Settle("r2", made=False, by="ann", why="too much"))
    it.command(order_id, Settle(theirs.refund_id, made=True, by="ann", why="booked as a loss"))
    assert (it.exceptions(order_id), left(it.order(order_id))) == ({}, Decimal("5.00"))
    refund(it, order_id, "r3", "5.00")
    it.rest()
    assert outcomes(it, order_id) == {"r1": "delivered", "r2": "not made", "r3": "delivered"}


def test_an_unshipped_order_is_refused_and_read_back(stage: NewStage) -> None:
    """Glopal's rule (STATED): its 400 frees the share; another refund may be asked for once it has shipped."""
    it = stage(glopal_options=GlopalOptions(refund_needs_shipping=True))
    order_id = sold(it, shipped=False)
    refund(it, order_id, "r1", "5.00")
    it.rest()
    [refused] = it.history(order_id, EffectRefused)
    assert (refused.effect, refused.reason) == (Effect.REFUND, "400 not_shipped")
    assert it.exceptions(order_id) == {"parked_refund": "refund was refused: 400 not_shipped"}
    it.glopal.ship(it.store, order_id)
    it.command(order_id, Retry(Effect.REFUND, "ann", "seen"))
    it.rest()
    assert (it.exceptions(order_id), given_back(it, order_id)) == ({}, [])
    refund(it, order_id, "r2", "5.00")
    it.rest()
    assert outcomes(it, order_id) == {"r1": "refused", "r2": "delivered"}


@pytest.mark.parametrize("made", [True, False])
def test_a_lost_reply_is_settled_by_a_person(stage: NewStage, made) -> None:
    """Never resent, never concluded; the proof is shown, the answer recorded, the row leaves the outbox."""
    it = stage(glopal_options=GlopalOptions(refund_reply="status ok"))
    order_id = sold(it)
    it.to_glopal.faults.script("cut_after" if made else "cut_before", method="POST")
    refund(it, order_id, "r1", "5.00")
    it.live(3600)
    assert ("which was not there before" in it.exceptions(order_id)["unknown_refund"]) is made
    assert len([request for request in it.to_glopal.writes if request.path.endswith("/refund")]) == 1
    it.command(order_id, Settle("r1", made=made, by="ann", why="seen in the Merchant Account"))
    it.live(3600)
    assert it.rows(order_id, "refund") == []
    assert it.exceptions(order_id) == {}
    assert outcomes(it, order_id) == {"r1": "delivered" if made else "not made"}
    assert in_view(it, order_id) == [("delivered" if made else "closed", "seen in the Merchant Account")]
    refund(it, order_id, "r2", "20.00" if made else "25.00")
    it.rest()
    assert [amount for _, amount in given_back(it, order_id)][-1] == Decimal("20.00" if made else "25.00")
    assert [event.generation for event in it.history(order_id, EffectIntended) if event.effect == "refund"] == [0, 1]


def test_a_reply_that_comes_after_the_settlement_counts(stage: NewStage) -> None:
    """The sender was suspended, somebody settled "not made", and then Glopal's word is recorded all the same."""
    it = stage()
    order_id = sold(it)
    refund(it, order_id, "r1", "5.00")
    call = it.call("refund")
    it.clock.wait(9)
    reply = relay.perform(it.relay, call)
    it.clock.wait(3600)
    it.live(600, it.worker("b"))
    assert "unknown_refund" in it.exceptions(order_id), "also where the sender never said so"
    it.command(order_id, Settle("r1", made=False, by="ann", why="I did not look"))
    relay.settle(it.relay, [(call, reply)])
    it.plan()
    assert outcomes(it, order_id) == {"r1": "delivered"}
    assert "refund_after_all" in odd(it, order_id)
    assert left(it.order(order_id)) == Decimal("20.00")


def test_what_the_body_has_no_place_for_is_not_sent_without_it(stage: NewStage) -> None:
    """A share that was said and would be lost: the request cannot be built, and that is told."""
    it = stage()
    order_id = sold(it)
    routes = dict(it.feed.client.routes)
    routes["refund"] = replace(routes["refund"], body={"amount": "{amount}"})
    it.feed.client.routes = routes
    refund(it, order_id, "r1", "5.00", glopal_amount=Decimal(1))
    it.rest()
    assert "no place for {glopal_amount}" in it.exceptions(order_id)["parked_refund"]
    assert given_back(it, order_id) == []


# --- quotes ---------------------------------------------------------------------------------------------------------


def quote(it: Stage, order_id: str, name: str = "q1", share: str | None = "2.00") -> None:
    part = None if share is None else Decimal(share)
    it.command(order_id, QuoteRefund(name, Decimal("5.00"), "EUR", "ann", part))


def test_a_quote_is_asked_recorded_and_moves_nothing(stage: NewStage) -> None:
    """A read with a request: no intent, no slot, its call on record as every call."""
    it = stage()
    order_id = sold(it)
    intents = len(it.history(order_id, EffectIntended))
    quote(it, order_id)
    it.rest()
    assert it.history(order_id, RefundQuoted) == [RefundQuoted("q1", Decimal("3.00"), Decimal("2.00"), "EUR")]
    assert len(it.history(order_id, EffectIntended)) == intents
    [line] = it.attempts(order_id, "quote")
    assert (line.kind, line.outcome, line.decision, line.status) == ("read", "Delivered", "RefundQuoted", 200)
    assert line.digest
    assert line.response is not None
    assert (given_back(it, order_id), it.at_glopal(order_id).quotes) == ([], 1)
    assert (it.rows(order_id, "quote"), left(it.order(order_id))) == ([], Decimal("25.00"))


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "error_500", "rate_limited"])
def test_a_lost_quote_is_asked_again(stage: NewStage, fault: Any) -> None:
    """It moves no money, whatever became of the first one."""
    it = stage()
    order_id = sold(it)
    it.to_glopal.faults.script(fault, method="POST")
    quote(it, order_id)
    it.live(3600)
    assert len(it.history(order_id, RefundQuoted)) == 1
    assert len(it.attempts(order_id, "quote")) == 2


def test_a_refused_quote_is_told_and_may_be_asked_again(stage: NewStage) -> None:
    it = stage(glopal_options=GlopalOptions(refund_needs_shipping=True))
    order_id = sold(it, shipped=False)
    quote(it, order_id)
    it.rest()
    assert it.exceptions(order_id) == {"parked_quote": "quote was refused: 400 not_shipped"}
    it.glopal.ship(it.store, order_id)
    it.command(order_id, Retry(Effect.QUOTE, "ann", "it has shipped"))
    it.rest()
    assert len(it.history(order_id, RefundQuoted)) == 1
    assert it.exceptions(order_id) == {}


def test_an_answer_without_shares_is_none(stage: NewStage) -> None:
    """Where the shares stand is assumed: an answer that has them elsewhere is asked for again, then told."""
    it = stage(glopal_options=GlopalOptions(quote_reply="flat"), policy=StorePolicy(max_attempts=3))
    order_id = sold(it)
    quote(it, order_id)
    it.live(6 * 3600)
    [exhausted] = it.history(order_id, EffectExhausted)
    assert exhausted.reason == "200, and no quote was found at liability.merchant, liability.glopal, currency"
    assert it.exceptions(order_id).keys() == {"parked_quote"}
    assert len(it.attempts(order_id, "quote")) == 3


def test_in_shadow_nothing_is_asked(stage: NewStage) -> None:
    """That a quote moves nothing is inferred, not stated: it is shown as the writes are."""
    it = stage()
    order_id = sold(it)
    it.policy = replace(it.policy, shadow=True)
    it.relay = it.worker("b")
    quote(it, order_id)
    it.rest()
    assert it.at_glopal(order_id).quotes == 0
    row = it.row(order_id, "quote")
    assert (row.parked, row.shadow, row.request is not None) == (True, True, True)
    it.policy = replace(it.policy, shadow=False)
    it.relay = it.worker("c")
    it.command(order_id, Retry(Effect.QUOTE, "ann", "out of shadow"))
    it.rest()
    assert len(it.history(order_id, RefundQuoted)) == 1


# --- returns --------------------------------------------------------------------------------------------------------


def with_returns(it: Stage) -> None:
    it.feed = replace(it.feed, names=(*it.feed.names, "return.requested", "return.authorized", "return.cancelled"))


@pytest.mark.parametrize(
    "options",
    [GlopalOptions(), GlopalOptions(return_status="two fields"), GlopalOptions(return_ids="number")],
    ids=["one field", "two fields", "ids as numbers"],
)
def test_a_return_lives_its_life(stage: NewStage, options: GlopalOptions) -> None:
    """Events bring it, details show it, and its parcel is found by asking once a day."""
    it = stage(glopal_options=options)
    with_returns(it)
    order_id = sold(it)
    assert it.rows(order_id, "fetch") == []
    it.clock.wait(1)
    it.glopal.returned(it.store, order_id, "REQUESTED", "4")
    it.rest()
    assert state(it, order_id) is ReturnState.REQUESTED
    assert [event.return_id for event in it.history(order_id, ReturnReported)] == ["4"]
    assert [record.type for record in it.records(order_id)][-2:] == ["ReturnRequested", "DetailsFetched"]
    it.live(3600)
    it.glopal.returned(it.store, order_id, "AUTHORIZED", "4")
    it.rest()
    assert state(it, order_id) is ReturnState.AUTHORIZED
    gets = it.at_glopal(order_id).gets
    it.glopal.returned(it.store, order_id, "PENDING", "4")
    it.live(3600)
    assert (state(it, order_id), it.at_glopal(order_id).gets) == (ReturnState.AUTHORIZED, gets)
    it.live(DAY.total_seconds())
    assert (state(it, order_id), it.at_glopal(order_id).gets) == (ReturnState.PENDING, gets + 1)
    it.glopal.returned(it.store, order_id, "DELIVERED", "4")
    it.live(DAY.total_seconds())
    assert state(it, order_id) is ReturnState.DELIVERED
    it.live(3 * DAY.total_seconds())
    assert (it.rows(order_id, "fetch"), it.at_glopal(order_id).gets) == ([], gets + 2)
    assert (it.exceptions(order_id), odd(it, order_id)) == ({}, set())
    assert it.status(order_id) is Status.COMPLETED
    assert left(it.order(order_id)) == Decimal("25.00"), "goods that came back are no money that went back"


def state(it: Stage, order_id: str) -> ReturnState:
    [one] = it.order(order_id).returns
    return one.state


def test_details_may_lag_behind_the_event(stage: NewStage) -> None:
    """Not shown yet: asked again, not dropped."""
    it = stage()
    with_returns(it)
    order_id = sold(it)
    it.glopal.options = replace(it.glopal.options, get_lag=DAY / 24)
    it.glopal.returned(it.store, order_id, "REQUESTED", "4")
    it.live(60)
    assert it.order(order_id).returns[0].awaits is not None
    assert it.exceptions(order_id) == {}
    it.live(2 * 3600)
    assert it.order(order_id).returns[0].awaits is None


def test_a_return_that_is_never_shown_is_an_exception(stage: NewStage) -> None:
    it = stage()
    with_returns(it)
    order_id = sold(it)
    it.glopal.report(it.store, order_id, "return.authorized", entity_id="9")
    it.live(2 * DAY.total_seconds())
    assert it.exceptions(order_id) == {"return_unseen": "Glopal's details never showed return 9"}
    assert odd(it, order_id) == {"return_leap"}
    assert it.rows(order_id, "fetch") == []


def test_an_illegal_step_is_kept_and_told(stage: NewStage) -> None:
    """A cancellation of what the carrier has: the event stays in the log, the return where it stands."""
    it = stage()
    with_returns(it)
    order_id = sold(it)
    it.clock.wait(1)
    it.glopal.returned(it.store, order_id, "REQUESTED", "4")
    it.glopal.returned(it.store, order_id, "PENDING", "4")
    it.live(10)
    it.glopal.report(it.store, order_id, "return.cancelled", entity_id="4")
    it.rest()
    assert state(it, order_id) is ReturnState.PENDING
    assert odd(it, order_id) == {"return_conflict"}
    assert it.exceptions(order_id) == {}


# --- how it ended ---------------------------------------------------------------------------------------------------


def test_who_cancelled_and_why_is_learnt(stage: NewStage) -> None:
    it = stage()
    order_id = it.drafted()
    it.clock.wait(1)
    it.glopal.cancel(it.store, order_id, "fraud_detected")
    it.rest()
    ending = it.order(order_id).ending
    assert (ending.by, ending.reason, ending.at is not None) == ("glopal", "fraud_detected", True)
    it.glopal.options = replace(it.glopal.options, initiators="absent")
    other = it.drafted()
    it.clock.wait(1)
    it.glopal.cancel(it.store, other, "Ada called and does not want it")
    it.rest()
    ending = it.order(other).ending
    assert (ending.by, ending.reason) == ("", ""), "free text may be personal"
    [*_, shown] = it.history(other, DetailsFetched)
    assert shown.aftersale is not None


# --- money that does not add up never becomes a draft ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "price", "total", "held"),
    [
        ("JPY", "1234.567", "1234.567", False),
        ("JPY", "1234.567", "1237", True),
        ("KWD", "1.995", "1.998", True),
        ("KWD", "1.995", "1.995", False),
        ("EUR", "19.99", "20.99", True),
    ],
)
def test_a_sum_that_does_not_hold_stops_the_draft(stage: NewStage, currency: str, price: str, total: str, held) -> None:
    it = stage()
    item = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": Decimal(price)}
    shipping = {"method": "standard", "price": Decimal(0)}
    order_id = it.place(currency=currency, items=[item], shipping=shipping, totals={"total": Decimal(total)})
    it.live(3600)
    assert (it.made(order_id) == []) is held
    assert ("held_money" in it.exceptions(order_id)) is held
    assert (it.to_shop.writes == []) is held
