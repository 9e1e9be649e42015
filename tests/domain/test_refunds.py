"""The ledger of refunds: never more than was paid, whoever gave it back; what is unknown is a person's to settle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund
from orderflow.domain.attention import attention
from orderflow.domain.decisions import IllegalTransition, QuoteRefund, Refund, Settle, decide
from orderflow.domain.due import effects_due
from orderflow.domain.events import (
    Effect,
    EffectDelivered,
    EffectExhausted,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    QuoteRequested,
    RefundQuoted,
    RefundRequested,
    RefundSettled,
    Reported,
    RetryRequested,
)
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.domain.refunds import elsewhere, left, shown_as
from orderflow.domain.waiting import waits

from .histories import histories
from .test_effects import sent, writes
from .test_illegal import answer, then

POLICY = StorePolicy()


def shows(order: Order, *refunds: ShownRefund, total: str = "100", asked_after: int | None = None) -> Order:
    """Details that show these refunds, asked for now."""
    shown = replace(
        answer(order, Status.ACCEPTED, asked_after=asked_after),
        currency="EUR",
        total=Decimal(total),
        environment="live",
        aftersale=AfterSale(refunds=refunds) if refunds else None,
    )
    return then(order, shown)


def paid(*refunds: ShownRefund) -> Order:
    return shows(then(Order(), Reported(Report.ACCEPTED)), *refunds)


def one(name: str, amount: str | None, by: str = "", currency: str | None = None) -> ShownRefund:
    return ShownRefund(name, None if amount is None else Decimal(amount), currency, by=by)


def asked(order: Order, name: str, amount: str = "5") -> Order:
    return then(order, RefundRequested(name, Decimal(amount), "EUR", "damaged", "ann"))


def made(order: Order, name: str, amount: str = "5", receipt: str = "") -> Order:
    order = sent(shows(asked(order, name, amount), *(s.refund for s in order.shown)), Effect.REFUND, name)
    assert order.glopal_slot is not None
    return then(order, EffectDelivered(Effect.REFUND, order.glopal_slot.generation, 1, receipt=receipt))


def lost(order: Order, name: str, amount: str = "5") -> Order:
    order = sent(shows(asked(order, name, amount), *(s.refund for s in order.shown)), Effect.REFUND, name)
    assert order.glopal_slot is not None
    return then(order, EffectUnknown(Effect.REFUND, order.glopal_slot.generation, 1, "timeout"))


def kinds(order: Order) -> list[str]:
    return [found.kind for found in attention(order, POLICY)]


# --- what is left ---------------------------------------------------------------------------------------------------


def test_partial_then_the_rest_to_the_last_digit() -> None:
    order = shows(paid(), total="19.990000000000000001")
    order = made(order, "r1", "12.34")
    order = shows(order, total="19.990000000000000001")
    assert left(order) == Decimal("7.650000000000000001")
    with pytest.raises(IllegalTransition, match=r"only 7\.650000000000000001 EUR"):
        decide(order, Refund("r2", Decimal("7.650000000000000002"), "EUR", "damaged", "ann"))
    assert len(decide(order, Refund("r2", Decimal("7.650000000000000001"), "EUR", "damaged", "ann"))) == 1


def test_what_was_given_back_elsewhere_counts() -> None:
    """By whomever; twice the same amount is twice the money."""
    order = paid(one("g1", "40", "glopal"), one("g2", "40", "lost_dispute"))
    assert left(order) == 20
    assert [s.refund.refund_id for s in elsewhere(order)] == ["g1", "g2"]
    for amount, fits in (("20", True), ("20.01", False)):
        command = Refund("r", Decimal(amount), "EUR", "damaged", "ann")
        if fits:
            assert len(decide(order, command)) == 1
        else:
            with pytest.raises(IllegalTransition, match="only 20 EUR"):
                decide(order, command)


@pytest.mark.parametrize("odd", [one("g1", None), one("g1", "5", currency="USD"), one("g1", "NaN")])
def test_where_a_refund_cannot_be_read_no_money_moves(odd: ShownRefund) -> None:
    """No amount, another currency: what is left cannot be told."""
    assert left(paid(odd)) is None
    with pytest.raises(IllegalTransition, match="cannot be told"):
        decide(paid(odd), Refund("r", Decimal(1), "EUR", "damaged", "ann"))
    order = shows(asked(paid(), "r"), odd)
    assert writes(order) == []
    assert "refund_exceeds" in kinds(order)


def test_a_refund_that_is_shown_no_more_still_counts() -> None:
    """It was money; and the newest contents of an id count."""
    order = shows(shows(paid(one("g1", "40")), one("g2", "1")), one("g2", "2"))
    assert left(order) == 58
    assert left(shows(order)) == 58


def test_older_details_change_nothing() -> None:
    order = paid()
    assert left(shows(order, one("g1", "40"), asked_after=0)) == 100


AMOUNTS = st.decimals("0.01", 60, places=2)


@given(st.lists(st.tuples(st.sampled_from(["ask", "elsewhere", "lost"]), AMOUNTS, st.booleans()), max_size=8))
def test_together_they_never_exceed_the_total(steps: list[tuple[str, Decimal, bool]]) -> None:
    """Whatever order refunds of ours, lost replies, settlements and those of others come in: what we send always fits
    into what Glopal then shows to be left."""
    order, truth, numbered = paid(), dict[str, ShownRefund](), 0
    for kind, amount, receipt in steps:
        spent = sum((Fraction(r.amount or 0) for r in truth.values()), Fraction(0))
        if kind == "elsewhere":
            if spent + Fraction(amount) <= 100:
                truth[f"g{len(truth)}"] = ShownRefund(f"g{len(truth)}", amount, by="glopal")
            continue
        numbered += 1
        name = f"r{numbered}"
        try:
            decisions = decide(order, Refund(name, amount, "EUR", "damaged", "ann"))
        except IllegalTransition:
            continue
        for decision in decisions:
            order = then(order, decision)
        order = shows(order, *truth.values())
        if f"refund {name}" not in writes(order):
            order = then(order, RefundSettled(name, made=False, by="ann", why="too much"))
            continue
        assert spent + Fraction(amount) <= 100, "Glopal would have to refuse it"
        own = ShownRefund(f"g{len(truth)}", amount, by="merchant")
        truth[own.refund_id] = own
        order = sent(order, Effect.REFUND, name)
        assert order.glopal_slot is not None
        key = (Effect.REFUND, order.glopal_slot.generation, 1)
        if kind == "ask":
            order = then(order, EffectDelivered(*key, receipt=own.refund_id if receipt else ""))
        else:
            order = then(order, EffectUnknown(*key, "timeout"))
            order = shows(order, *truth.values())
            order = then(order, RefundSettled(name, made=True, by="ann", why="seen there"))
    order = shows(order, *truth.values())
    rest, all_spent = left(order), sum((Fraction(r.amount or 0) for r in truth.values()), Fraction(0))
    assert rest is not None
    assert Fraction(rest) == 100 - all_spent, "once everything is shown, nothing is counted twice or forgotten"


@given(histories())
def test_the_ledger_reads_any_history(history: tuple[object, ...]) -> None:
    """Never raises, and never takes one refund of Glopal's for two of ours."""
    order = Order()
    for recorded in history:
        order = then(order, recorded.event)  # type: ignore[attr-defined]
    explained = [s.refund.refund_id for s in shown_as(order).values()]
    assert len(explained) == len(set(explained))
    rest = left(order)
    assert rest is None or rest.is_finite()
    attention(order, POLICY)
    waits(order, POLICY)


# --- ours, or another's ---------------------------------------------------------------------------------------------


def test_ours_is_known_by_glopals_id_then_by_amount_and_time() -> None:
    order = made(paid(one("before", "5")), "r1", receipt="g1")
    order = made(order, "r2")
    order = shows(order, one("before", "5"), one("g2", "5"), one("g1", "5"), one("ui", "7"))
    assert {name: s.refund.refund_id for name, s in shown_as(order).items()} == {"r1": "g1", "r2": "g2"}
    assert [s.refund.refund_id for s in elsewhere(order)] == ["before", "ui"]
    assert left(order) == 78


def test_made_elsewhere_is_an_exception_until_a_person_takes_note() -> None:
    order = paid(one("g1", "5", "lost_dispute"))
    (found,) = attention(order, POLICY)
    assert (found.kind, found.commands) == ("refunded_elsewhere", ("settle g1 --made",))
    assert found.text == "Glopal shows refund g1 of 5, by lost_dispute, which nobody asked for here"
    with pytest.raises(IllegalTransition, match="it was made"):
        decide(order, Settle("g1", made=False, by="ann", why="?"))
    (settled,) = decide(order, Settle("g1", made=True, by="ann", why="booked"))
    order = then(order, settled)
    assert kinds(order) == []
    assert left(order) == 95
    assert decide(order, Settle("g1", made=True, by="bob", why="again")) == ()
    assert kinds(shows(order, one("g1", "5"), one("g2", "1"))) == ["refunded_elsewhere"]


def test_glopals_id_is_no_name_for_a_refund_of_ours() -> None:
    with pytest.raises(IllegalTransition, match="Glopal's id"):
        decide(paid(one("g1", "5")), Refund("g1", Decimal(5), "EUR", "damaged", "ann"))


# --- asked once more before money moves -----------------------------------------------------------------------------


def test_one_more_look_before_money_moves() -> None:
    """Details asked before the request prove nothing: somebody may have given money back meanwhile."""
    order = asked(paid(), "r1", "60")
    before = order.position - 1
    assert writes(shows(order, asked_after=before)) == []
    assert Effect.FETCH in [due.effect for due in effects_due(order, POLICY)]
    assert any("before refund r1" in one.what for one in waits(order, POLICY))
    assert writes(shows(order)) == ["refund r1"]
    exceeded = shows(order, one("ui", "50"))
    assert writes(exceeded) == []
    (_, found) = attention(exceeded, POLICY)
    assert (found.kind, found.commands[0]) == ("refund_exceeds", "settle r1 --not-made")
    assert found.text == "refund r1 is not made: it is 60 EUR, and only 50 are left by now"
    dropped = then(exceeded, RefundSettled("r1", made=False, by="ann", why="too much"))
    assert kinds(dropped) == ["refunded_elsewhere"]
    assert left(dropped) == 50


def test_a_silent_glopal_leaves_the_refund_to_a_person() -> None:
    order = asked(paid(), "r1")
    for _ in range(400):
        fetches = [due for due in effects_due(order, POLICY) if due.effect is Effect.FETCH]
        if not fetches or fetches[0].not_before > order.last.at + timedelta(hours=2):  # type: ignore[union-attr]
            break
        order = shows(order, asked_after=1)
        order = replace(order, last=replace(order.last, at=fetches[0].not_before), answered_at=fetches[0].not_before)  # type: ignore[arg-type]
    else:
        pytest.fail("it asks for ever")
    assert writes(order) == []


# --- unknown, and settled -------------------------------------------------------------------------------------------


def test_an_unknown_refund_is_proposed_with_its_proof_never_concluded() -> None:
    """The same amount that newly appears may be another's; one that was there before cannot be ours."""
    order = lost(paid(one("old", "5")), "r1")
    (found,) = [one for one in attention(order, POLICY) if one.kind == "unknown_refund"]
    assert "look it up at Glopal" in found.text
    assert found.commands == ("settle r1 --made", "settle r1 --not-made")
    order = shows(order, one("old", "5"), one("new", "5", "merchant"))
    (found,) = [one for one in attention(order, POLICY) if one.kind == "unknown_refund"]
    assert "Glopal shows refund new of 5, by merchant, which was not there before" in found.text
    assert order.glopal_slot is not None
    assert writes(order) == []


@pytest.mark.parametrize("was", [True, False])
def test_a_person_settles_it(was) -> None:
    """Made: delivered, and explained by what Glopal shows. Not made: its share is free again, nothing is resent."""
    order = shows(lost(paid(), "r1"), one("new", "5"))
    (settled,) = decide(order, Settle("r1", made=was, by="ann", why="seen in the Merchant Account"))
    assert settled == RefundSettled("r1", was, "ann", "seen in the Merchant Account")
    order = then(order, settled)
    assert order.glopal_slot is None
    assert order.refunds[0].outcome == ("delivered" if was else "not made")
    assert decide(order, Settle("r1", made=was, by="bob", why="again")) == ()
    assert [s.refund.refund_id for s in elsewhere(order)] == ([] if was else ["new"])
    assert left(order) == 95
    assert writes(shows(order, one("new", "5"))) == []
    other = then(order, decide(order, Settle("r1", made=not was, by="ann", why="I was wrong"))[0])
    assert other.refunds[0].outcome == ("not made" if was else "delivered")
    again = then(order, RefundRequested("r2", Decimal(5), "EUR", "damaged", "ann"))
    again = shows(again, one("new", "5"))
    assert writes(again) == ["refund r2"]
    assert effects_due(again, POLICY)[-1].generation == 1


def test_a_late_reply_counts_over_what_was_settled() -> None:
    """The sender was suspended: a person settled "not made", then Glopal's own word comes."""
    order = lost(paid(), "r1")
    order = then(order, RefundSettled("r1", made=False, by="ann", why="not there"))
    assert left(order) == 100
    order = then(order, EffectDelivered(Effect.REFUND, 0, 1, receipt="g1"))
    assert (order.refunds[0].outcome, left(order)) == ("delivered", 95)


def test_what_cannot_be_settled() -> None:
    """While a reply may come, where Glopal has spoken, and what nobody knows."""
    sending = sent(shows(asked(paid(), "r1")), Effect.REFUND, "r1")
    refused = then(sending, EffectRefused(Effect.REFUND, 0, 1, "400 not_shipped"))
    for order, name, why in (
        (sending, "r1", "its reply may still come"),
        (refused, "r1", "it was refused"),
        (made(paid(), "r1"), "r1", "it was delivered"),
        (paid(), "r9", "there is no refund r9"),
    ):
        for was in (True, False):
            if order.refunds and order.refunds[0].outcome == "delivered" and was:
                continue
            with pytest.raises(IllegalTransition, match=why):
                decide(order, Settle(name, made=was, by="ann", why="?"))
    waiting = then(sending, EffectNotExecuted(Effect.REFUND, 0, 1, "503", 60.0))
    dropped = then(waiting, decide(waiting, Settle("r1", made=False, by="ann", why="no longer"))[0])
    assert dropped.glopal_slot is None
    given_up = then(sending, EffectExhausted(Effect.REFUND, 0, 1, "down"))
    assert kinds(given_up) == ["parked_refund"]
    assert kinds(then(given_up, RefundSettled("r1", made=True, by="ann", why="by hand"))) == []


# --- shares and quotes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["-0.01", "5.01", "NaN"])
def test_glopals_share_is_a_part_of_the_amount(share: str) -> None:
    for command in (
        Refund("r", Decimal(5), "EUR", "damaged", "ann", Decimal(share)),
        QuoteRefund("q", Decimal(5), "EUR", "ann", Decimal(share)),
    ):
        with pytest.raises(IllegalTransition, match="share"):
            decide(paid(), command)


def test_a_quote_is_asked_until_it_is_answered() -> None:
    """One at a time; no intent, no slot; what got no answer is asked again by a retry."""
    order = then(paid(), QuoteRequested("q1", Decimal(5), "EUR", "ann", Decimal(2)))
    order = then(order, QuoteRequested("q2", Decimal(6), "EUR", "ann"))
    assert quotes(order) == ["q1/0"]
    refused = then(order, EffectRefused(Effect.QUOTE, 0, 0, "400 not_shipped"))
    assert kinds(refused) == ["parked_quote"]
    assert quotes(refused) == ["q2/1"]
    assert quotes(then(refused, RetryRequested(Effect.QUOTE, "ann", "shipped now"))) == ["q1/1"]
    order = then(order, RefundQuoted("q1", Decimal(3), Decimal(2), "EUR"))
    first = order.quotes[0]
    assert (first.outcome, first.merchant, first.glopal) == ("quoted", Decimal(3), Decimal(2))
    assert quotes(order) == ["q2/1"]
    again = then(order, RefundQuoted("q1", Decimal(9), Decimal(9), "EUR"))
    assert (again.quotes, quotes(again)) == (order.quotes, ["q2/1"]), "a second answer changes nothing"
    late = then(order, EffectExhausted(Effect.QUOTE, 0, 0, "no answer"))
    assert quotes(late) == ["q2/1"], "of the first question"
    assert left(order) == 100
    cancelled = then(order, Reported(Report.CANCELLED))
    assert quotes(cancelled) == []


def quotes(order: Order) -> list[str]:
    return [f"{d.target}/{d.generation}" for d in effects_due(order, POLICY) if d.effect is Effect.QUOTE]


def test_who_cancelled_and_why_is_kept() -> None:
    """From the newest details; later ones that say nothing take nothing away."""
    ending = Ending("glopal", "fraud_detected")
    order = then(paid(), replace(answer(paid(), Status.CANCELLED), aftersale=AfterSale(ending=ending)))
    assert (order.status, order.ending) == (Status.CANCELLED, ending)
    assert then(order, answer(order, Status.CANCELLED)).ending == ending
