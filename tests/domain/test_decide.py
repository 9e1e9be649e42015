"""Commands: refused before anything is written, and never decided twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orderflow.domain.decisions import (
    Accept,
    Cancel,
    Command,
    IllegalTransition,
    Note,
    QuoteRefund,
    Refund,
    Release,
    Retry,
    Settle,
    allowed,
    decide,
)
from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    Decision,
    DetailsFetched,
    Effect,
    EffectIntended,
    EffectRefused,
    Event,
    EvidenceFound,
    HoldReason,
    Ids,
    Position,
    Recorded,
    RefundRequested,
    Reported,
    ShopState,
    Sighting,
    Version,
)
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order

from .histories import AMOUNTS, CURRENCIES, IDS, NEAR, POSITIONS, T0, WILD_AMOUNTS, WORDS, facts, histories, seconds
from .test_illegal import answer, then

A, B = Ids("a", "1"), Ids("b", "2")

COMMANDS = st.one_of(
    st.builds(Accept, IDS, WORDS),
    st.builds(Cancel, WORDS, WORDS),
    st.builds(Refund, WORDS, WILD_AMOUNTS, CURRENCIES, WORDS, WORDS, st.none() | WILD_AMOUNTS, WORDS),
    st.builds(QuoteRefund, WORDS, WILD_AMOUNTS, CURRENCIES, WORDS, st.none() | WILD_AMOUNTS),
    st.builds(Settle, WORDS | st.sampled_from(["g1", "g2"]), st.booleans(), WORDS, WORDS),
    st.builds(Release, st.sampled_from(HoldReason), POSITIONS, WORDS, WORDS),
    st.builds(Retry, st.sampled_from(Effect), WORDS, WORDS),
    st.builds(Note, WORDS),
)


def obey(order: Order, command: Command) -> tuple[Order, tuple[Decision, ...]]:
    """The order after `command`, in the same transaction: the same time for all its events."""
    events = decide(order, command)
    at = order.last.at if order.last else T0
    for event in events:
        order = evolve(order, Recorded(event, Position(order.position + 1), Version(order.version + 1), at))
    return order, events


def tried(order: Order, command: Command) -> tuple[Order, tuple[Decision, ...] | None]:
    try:
        return obey(order, command)
    except IllegalTransition:
        return order, None


@given(histories(), COMMANDS)
def test_decide_raises_only_illegal_transition(history: tuple[Recorded, ...], command: Command) -> None:
    """And that one names state, command and what is allowed."""
    order = fold(history)
    refused = None
    try:
        decide(order, command)
    except IllegalTransition as no:
        refused = no
    if refused is not None:
        assert refused.state is order.status
        assert refused.command == type(command).__name__
        assert refused.allowed == allowed(order)
        assert refused.why
        assert all(part in str(refused) for part in (refused.state, refused.command, refused.why, *refused.allowed))


@given(histories(), COMMANDS)
def test_the_same_command_again_writes_nothing(history: tuple[Recorded, ...], command: Command) -> None:
    """For every command that changes the order; a note or a quote is told from a repetition by its command id."""
    assume(not isinstance(command, Note))
    order, events = tried(fold(history), command)
    if events is not None:
        assert decide(order, command) == ()


# --- accept ---------------------------------------------------------------------------------------------------------


@given(st.lists(facts(NEAR) | IDS | st.builds(Cancel, WORDS, WORDS), max_size=16))
def test_never_two_sets_of_accept_ids(told: list[Event | Ids | Cancel]) -> None:
    """In every interleaving of facts and commands one set of ids passes; again it writes nothing, others fail."""
    order, passed = Order(), set[Ids]()
    for one in told:
        if isinstance(one, Ids):
            order, events = tried(order, Accept(one, "ann"))
            passed |= {e.ids for e in events or () if isinstance(e, AcceptRequested)}
        elif isinstance(one, Cancel):
            order, _ = tried(order, one)
        else:
            order = then(order, one)
        for ids in passed:
            assert decide(order, Accept(ids, "bob")) == ()
            with pytest.raises(IllegalTransition) as refused:
                decide(order, Accept(Ids(ids.order_id + "'", ids.number), "bob"))
            assert refused.value.state is order.status
    assert len(passed) <= 1


@given(histories(), IDS, IDS)
def test_other_ids_are_refused_in_every_state(history: tuple[Recorded, ...], known: Ids, other: Ids) -> None:
    """Whatever else is true of the order, ids known from us or from Glopal keep all others out."""
    assume(known != other)
    order = fold(history)
    for with_known in (replace(order, accept_ids=known), replace(order, accept_ids=None, external=known)):
        with pytest.raises(IllegalTransition):
            decide(with_known, Accept(other, "ann"))


@pytest.mark.parametrize("status", Status)
def test_accept_by_status(status: Status) -> None:
    """Legal from RECEIVED to COMPLETED; nothing to accept before a status is known or after it is cancelled."""
    order = replace(then(Order(), Reported(Report.RECEIVED)), status=status)
    if status in (Status.NEW, Status.CANCELLED):
        with pytest.raises(IllegalTransition):
            decide(order, Accept(A, "ann"))
        assert "Accept" not in allowed(order)
    else:
        assert decide(order, Accept(A, "ann")) == (AcceptRequested(A, "ann"),)
        assert "Accept" in allowed(order)


def test_accept_keeps_to_our_own_shop_order() -> None:
    """Ids of another shop order than ours are refused, and so are any while ours is on its way."""
    order = then(Order(), Reported(Report.READY))
    at = T0 + seconds(100)
    sent = then(order, EffectIntended(Effect.DRAFT, 0, 1, "", "d", at, at))
    with pytest.raises(IllegalTransition):
        decide(sent, Accept(A, "ann"))
    ours = replace(order, shop=order.shop.sight((Sighting("a", "1", ShopState.ORDER),)))
    assert decide(ours, Accept(A, "ann"))
    with pytest.raises(IllegalTransition):
        decide(ours, Accept(B, "ann"))


def test_a_held_order_is_not_accepted() -> None:
    """Any hold stops it; what was decided before stays decided."""
    order = then(then(Order(), Reported(Report.READY)), EvidenceFound("e"))
    with pytest.raises(IllegalTransition):
        decide(order, Accept(A, "ann"))
    assert decide(replace(order, accept_ids=A), Accept(A, "ann")) == ()


# --- cancel ---------------------------------------------------------------------------------------------------------


@given(histories(), st.sampled_from([Reported(Report.CANCELLED), CancelRequested("first", "ann")]), IDS, WORDS)
def test_a_cancelled_order_is_never_accepted_or_cancelled_again(
    history: tuple[Recorded, ...], how: Event, ids: Ids, reason: str
) -> None:
    """Cancelled by report or being cancelled by us: only repetitions pass, and they write nothing."""
    order = then(fold(history), how)
    for command in (Accept(ids, "ann"), Cancel(reason, "ann")):
        _, events = tried(order, command)
        assert not events
    assert not {"Accept", "Cancel"} & set(allowed(order))
    with pytest.raises(IllegalTransition):
        decide(order, Cancel("another reason", "ann"))


# --- refunds --------------------------------------------------------------------------------------------------------


def paid(status: Status = Status.ACCEPTED, total: str | None = "100", currency: str | None = "EUR") -> Order:
    order = then(Order(), Reported(Report.READY))
    shown = replace(answer(order, status), currency=currency, total=None if total is None else Decimal(total))
    return then(order, shown)


@given(
    st.sampled_from([Decimal(100), Decimal("0.03"), Decimal("19.990000000000000001"), Decimal("1E+30")]),
    st.lists(st.tuples(st.sampled_from("abc"), AMOUNTS | WILD_AMOUNTS, st.booleans()), max_size=12),
)
def test_the_ledger_never_exceeds_the_total(total: Decimal, asked: list[tuple[str, Decimal, bool]]) -> None:
    """Exactly, to the last digit; refused refunds free their share, and no command breaks the arithmetic."""
    order = replace(paid())
    assert order.details is not None
    order = replace(order, details=replace(order.details, total=total))
    for n, (name, amount, refuse) in enumerate(asked):
        order, events = tried(order, Refund(name, amount, "EUR", "broken", "ann"))
        if events and refuse:
            order = replace(
                order, refunds=tuple(replace(r, outcome="refused") if r.refund == name else r for r in order.refunds)
            )
        lines = [r for r in order.refunds if r.outcome != "refused"]
        assert all(r.amount.is_finite() and r.amount > 0 for r in order.refunds), n
        assert sum((Fraction(r.amount) for r in lines), Fraction(0)) <= Fraction(total)


@pytest.mark.parametrize("status", Status)
def test_refunds_by_status(status: Status) -> None:
    """Only ACCEPTED and COMPLETED; others are cancelled instead."""
    order = replace(paid(), status=status)
    for command in (Refund("r", Decimal(5), "EUR", "broken", "ann"), QuoteRefund("q", Decimal(5), "EUR", "ann")):
        if status in (Status.ACCEPTED, Status.COMPLETED):
            assert len(decide(order, command)) == 1
        else:
            with pytest.raises(IllegalTransition):
                decide(order, command)
        assert (type(command).__name__ in allowed(order)) is (status in (Status.ACCEPTED, Status.COMPLETED))


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "0", "-0", "100.01", "9E+999999"])
def test_impossible_amounts_are_refused(amount: str) -> None:
    """Not a number, nothing, less than nothing, more than was paid."""
    for command in (
        Refund("r", Decimal(amount), "EUR", "broken", "ann"),
        QuoteRefund("q", Decimal(amount), "EUR", "ann"),
    ):
        with pytest.raises(IllegalTransition):
            decide(paid(), command)


def test_refunds_need_the_order_s_currency() -> None:
    """Another currency, or one not known yet, is refused."""
    for order, currency in ((paid(), "USD"), (paid(currency=None), "EUR")):
        with pytest.raises(IllegalTransition):
            decide(order, Refund("r", Decimal(5), currency, "broken", "ann"))


def test_one_name_is_one_refund() -> None:
    """The same name with the same amount writes nothing, with another amount or currency it is refused."""
    order, events = obey(paid(), Refund("r", Decimal("5.0"), "EUR", "broken", "ann"))
    assert isinstance(events[0], RefundRequested)
    assert decide(order, Refund("r", Decimal(5), "EUR", "other words", "bob")) == ()
    for amount, currency in (
        (Decimal(6), "EUR"),
        (Decimal(5), "USD"),
        (Decimal("NaN"), "EUR"),
        (Decimal("sNaN"), "EUR"),
    ):
        with pytest.raises(IllegalTransition):
            decide(order, Refund("r", amount, currency, "broken", "ann"))


def test_a_refused_refund_frees_its_share() -> None:
    """What Glopal would not pay back may be asked for again, under another name; what was given up is still counted."""
    order, _ = obey(paid(), Refund("r", Decimal(100), "EUR", "broken", "ann"))
    refused = replace(order, refunds=(replace(order.refunds[0], outcome="refused"),))
    assert len(decide(refused, Refund("r2", Decimal(100), "EUR", "broken", "ann"))) == 1
    for outcome in ("requested", "delivered", "exhausted"):
        counted = replace(order, refunds=(replace(order.refunds[0], outcome=outcome),))
        with pytest.raises(IllegalTransition):
            decide(counted, Refund("r2", Decimal("0.01"), "EUR", "broken", "ann"))


def test_no_refund_under_contradiction() -> None:
    """While we do not know whether the sale lives, no money moves."""
    order = replace(then(then(paid(), Reported(Report.CANCELLED)), Reported(Report.READY)), status=Status.ACCEPTED)
    with pytest.raises(IllegalTransition):
        decide(order, Refund("r", Decimal(5), "EUR", "broken", "ann"))


# --- release, retry, note -------------------------------------------------------------------------------------------


@given(histories(), st.sampled_from(HoldReason), POSITIONS)
def test_release_names_reason_and_position(
    history: tuple[Recorded, ...], reason: HoldReason, position: Position
) -> None:
    """What is not held writes nothing; another position is refused (R14); the right one lifts this hold only."""
    assume(reason is not HoldReason.ENVIRONMENT)
    order = fold(history)
    hold = order.hold(reason)
    command = Release(reason, position, "ann", "checked")
    if hold is None:
        assert decide(order, command) == ()
        return
    if hold.position != position:
        with pytest.raises(IllegalTransition):
            decide(order, command)
    after, events = obey(order, Release(reason, hold.position, "ann", "checked"))
    assert len(events) == 1
    assert after.holds == tuple(h for h in order.holds if h.reason is not reason)
    assert after.dispute is (None if reason is HoldReason.CONTRADICTION else order.dispute)


def test_a_release_that_lost_a_race_leaves_the_newer_hold() -> None:
    """R14, also in the log itself: the fold lifts nothing that is newer than the release says."""
    order = then(Order(), EvidenceFound("e1"))
    _, (released,) = obey(order, Release(HoldReason.EVIDENCE, order.position, "ann", "checked"))
    newer = then(order, EvidenceFound("e2"))
    assert then(newer, released).hold(HoldReason.EVIDENCE) == newer.hold(HoldReason.EVIDENCE)


def test_environment_is_released_for_what_was_seen() -> None:
    """A test order in a live store goes on after a release; seen in yet another environment it is held again."""
    order = paid()
    assert order.details is not None
    order = replace(order, details=replace(order.details, environment="test"))
    with pytest.raises(IllegalTransition, match="the test environment was shown by details asked after position"):
        decide(order, Release(HoldReason.ENVIRONMENT, Position(99), "ann", "another one"))
    after, events = obey(order, Release(HoldReason.ENVIRONMENT, Position(order.details.asked_after), "ann", "our test"))  # type: ignore[union-attr]
    assert len(events) == 1
    assert after.released_environment == "test"
    assert decide(after, Release(HoldReason.ENVIRONMENT, Position(1), "ann", "our test")) == ()


@pytest.mark.parametrize("effect", Effect)
def test_retry_unparks_once(effect: Effect) -> None:
    """A parked effect is freed by one event, and by one only."""
    order = paid()
    at = T0 + seconds(100)
    order = then(order, EffectIntended(effect, 0, 1, "t", "d", at, at))
    order = then(order, EffectRefused(effect, 0, 1, "no"))
    assert order.parking(effect) is not None
    order, events = obey(order, Retry(effect, "ann", "mended"))
    assert len(events) == 1
    assert order.parking(effect) is None
    assert decide(order, Retry(effect, "ann", "mended")) == ()


def test_a_retry_counts_again_once_there_is_news() -> None:
    """What waits in the outbox may have been parked since (shadow, a changed policy): a second retry frees it too."""
    order, _ = obey(paid(), Retry(Effect.ACCEPT, "ann", "go"))
    assert decide(order, Retry(Effect.ACCEPT, "ann", "go")) == ()
    order = then(order, answer(order, order.status))
    assert len(decide(order, Retry(Effect.ACCEPT, "ann", "go"))) == 1


def test_a_retry_speaks_of_one_effect() -> None:
    """Another effect of the same order may wait as well, and is freed by a retry of its own."""
    order, _ = obey(paid(), Retry(Effect.WITHDRAW, "ann", "go"))
    order, events = obey(order, Retry(Effect.ACCEPT, "ann", "go"))
    assert len(events) == 1
    assert decide(order, Retry(Effect.ACCEPT, "ann", "go")) == ()


def test_asking_again_is_possible_after_each_answer() -> None:
    """`retry fetch`: once until it is answered, then again."""
    order, events = obey(paid(), Retry(Effect.FETCH, "ann", "look"))
    assert len(events) == 1
    assert decide(order, Retry(Effect.FETCH, "ann", "look")) == ()
    order = then(order, DetailsFetched(order.position, T0, T0, Status.ACCEPTED, "accepted"))
    assert len(decide(order, Retry(Effect.FETCH, "ann", "look"))) == 1


def test_notes_are_always_taken() -> None:
    """In every state, and as often as a person likes."""
    assert len(decide(Order(), Note("ann"))) == len(decide(paid(), Note("ann"))) == 1
