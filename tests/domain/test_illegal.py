"""Contradictions: a conflicting report moves nothing, holds the order, and one re-fetch falls due."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from orderflow.domain.due import effects_due
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    HoldReason,
    Ids,
    LookedUp,
    Position,
    Recorded,
    Reported,
    ShopState,
    Sighting,
    Version,
)
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.machine import Report, Status, Verdict, judge
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy

from .driver import SETTLE
from .histories import T0, facts, histories, policies, seconds
from .laws import check_due

CONFLICTING = [Report.READY, Report.ACCEPTED, Report.COMPLETED]


def then(order: Order, event: object, after: float = 1.0) -> Order:
    at = (order.last.at if order.last else T0) + seconds(after)
    return evolve(order, Recorded(event, Position(order.position + 1), Version(order.version + 1), at))  # type: ignore[arg-type]


def answer(order: Order, status: Status | None, *, asked_after: int | None = None, sent: float = 0.0) -> DetailsFetched:
    at = (order.last.at if order.last else T0) + seconds(sent)
    asked = order.position if asked_after is None else asked_after
    return DetailsFetched(Position(asked), at, at + SETTLE, status, str(status))


@given(histories(), histories(max_size=4), st.sampled_from(CONFLICTING), policies())
def test_a_conflict_holds_and_asks_once(
    history: tuple[Recorded, ...], more: tuple[Recorded, ...], report: Report, policy: StorePolicy
) -> None:
    """Status unchanged, held by contradiction at this position, one fetch due, and nothing else while it lasts."""
    before = then(fold(history), Reported(Report.CANCELLED))
    for recorded in more:
        before = then(before, recorded.event)
    assume(judge(before.status, report) is Verdict.CONFLICT)
    after = then(before, Reported(report))
    assert after.status is before.status is Status.CANCELLED
    assert after.moved == before.moved
    hold = after.hold(HoldReason.CONTRADICTION)
    assert hold is not None
    assert hold.position == after.position
    due = check_due(after, policy)
    if not due:
        assert (policy.effects_from is not None and not after.redriven) or after.parking(Effect.FETCH) is not None
        return
    assert [d.effect for d in due] == [Effect.FETCH]
    assert after.last is not None
    if after.asked is None:
        sooner = after.hold(HoldReason.MALFORMED) or any(one.awaits for one in after.returns)
        assert due[0].not_before == after.last.at or sooner


@given(histories(), st.lists(st.sampled_from(CONFLICTING), min_size=1, max_size=4), policies())
def test_conflicts_in_every_cancelled_history(
    history: tuple[Recorded, ...], reports: list[Report], policy: StorePolicy
) -> None:
    """Every conflict cell is reached: cancel whatever there is, then contradict it."""
    order = then(fold(history), Reported(Report.CANCELLED))
    for report in reports:
        order = then(order, Reported(report))
        assert order.status is Status.CANCELLED
        assert order.hold(HoldReason.CONTRADICTION) is not None
        assert {d.effect for d in check_due(order, policy)} <= {Effect.FETCH}


@given(histories(facts()), policies())
def test_while_held_only_what_the_design_allows(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """Contradiction and overruled stop all but fetches; any other hold lets withdrawal and reaping pass."""
    order = Order()
    for recorded in history:
        order = evolve(order, recorded)
        check_due(order, policy)


def test_money_holds_promotion_but_neither_withdrawal_nor_reaping() -> None:
    """A hold that details caused: a stray is still withdrawn, a reap still comes; under contradiction neither does."""
    policy = StorePolicy()
    order = then(Order(), Reported(Report.READY))
    order = then(order, replace(answer(order, Status.READY), money="sum differs"))
    order = replace(order, draft_send_by=T0)
    found = (Sighting("s1", "1", ShopState.DRAFT), Sighting("s2", "2", ShopState.DRAFT))
    order = then(order, LookedUp(Effect.REAP, 0, 1, T0, found))
    names = [(d.effect, d.target) for d in effects_due(order, policy)]
    assert (Effect.REAP, "") in names
    assert (Effect.WITHDRAW, "s2") in names
    assert Effect.PROMOTE not in {e for e, _ in names}
    order = then(then(order, Reported(Report.CANCELLED)), Reported(Report.READY))
    assert [d.effect for d in effects_due(order, policy)] == [Effect.FETCH]
    for wait in (0, 300):
        order = then(order, answer(order, Status.READY, sent=wait))
    assert {h.reason for h in order.holds} == {HoldReason.OVERRULED}
    assert {d.effect for d in effects_due(order, policy)} == {Effect.FETCH}, "overruled stops them as well"


# --- details as authority -------------------------------------------------------------------------------------------


def _cancelled(*before: Report) -> Order:
    order = Order()
    for report in (*before, Report.CANCELLED):
        order = then(order, Reported(report))
    return order


def test_details_sent_before_the_cancellation_raise_nothing() -> None:
    """R6: the reply to an older GET is late news, not a contradiction."""
    order = _cancelled(Report.READY)
    late = then(order, answer(order, Status.READY, asked_after=order.position - 1))
    assert (late.status, late.holds, late.confirmed) == (Status.CANCELLED, (), False)


def test_details_sent_after_it_raise_a_contradiction_and_are_the_first_answer() -> None:
    """One more answer, a settle window later, overrules."""
    order = _cancelled(Report.READY)
    first = then(order, answer(order, Status.READY))
    assert first.hold(HoldReason.CONTRADICTION) is not None
    soon = then(first, answer(first, Status.READY, sent=60))
    assert soon.status is Status.CANCELLED
    assert soon.hold(HoldReason.CONTRADICTION) is not None
    second = then(soon, answer(soon, Status.READY, sent=180))
    assert second.status is Status.READY
    assert {h.reason for h in second.holds} == {HoldReason.OVERRULED}


def test_answers_that_differ_start_anew() -> None:
    """Two answers must agree; another one is a first answer again."""
    order = then(_cancelled(), Reported(Report.READY))
    order = then(order, answer(order, Status.READY))
    order = then(order, answer(order, Status.ACCEPTED, sent=300))
    assert order.status is Status.CANCELLED
    order = then(order, answer(order, Status.ACCEPTED, sent=600))
    assert order.status is Status.ACCEPTED


def test_an_answer_to_an_earlier_question_settles_nothing() -> None:
    """A GET sent before the conflict was recorded neither lifts nor overrules it."""
    order = then(_cancelled(), Reported(Report.READY))
    asked_before = order.position - 1
    lifted = then(order, answer(order, Status.CANCELLED, asked_after=asked_before))
    assert lifted.hold(HoldReason.CONTRADICTION) is not None
    for late in range(2):
        order = then(order, answer(order, Status.READY, asked_after=asked_before, sent=1000.0 * late))
    assert order.status is Status.CANCELLED
    assert order.dispute is not None
    assert order.dispute.answer is None


def test_an_agreeing_answer_lifts_the_contradiction() -> None:
    """Equal to our status, and sent after the conflict was recorded."""
    order = then(_cancelled(), Reported(Report.READY))
    order = then(order, answer(order, Status.CANCELLED))
    assert (order.holds, order.dispute, order.confirmed) == ((), None, True)


def test_an_unnamed_status_moves_nothing_and_settles_nothing() -> None:
    """A word that Glopal's documents do not name is kept as said."""
    order = then(_cancelled(), Reported(Report.READY))
    after = then(order, answer(order, None))
    assert (after.status, after.holds, after.dispute) == (order.status, order.holds, order.dispute)


def test_a_new_report_after_settling_is_a_new_contradiction() -> None:
    """What was settled stays settled until news comes, and news starts from the beginning."""
    order = then(_cancelled(), Reported(Report.READY))
    order = then(order, answer(order, Status.READY))
    again = then(order, Reported(Report.READY))
    assert again.dispute is not None
    assert again.dispute.answer is None
    settled = then(order, answer(order, Status.CANCELLED))
    held = then(settled, Reported(Report.ACCEPTED)).hold(HoldReason.CONTRADICTION)
    assert held is not None
    assert held.position == settled.position + 1


def test_accepted_elsewhere_is_seen_in_any_status() -> None:
    """Ids that Glopal shows are kept, whatever its status says about the present."""
    order = then(_cancelled(Report.READY), Reported(Report.READY))
    shown = replace(answer(order, None), external=Ids("e1", "1"))
    assert then(order, shown).external == Ids("e1", "1")


def test_lookups_never_wait_for_a_hold() -> None:
    """An observe store under contradiction still asks Glopal."""
    order = then(_cancelled(), Reported(Report.READY))
    assert [d.effect for d in effects_due(order, StorePolicy(mode=Mode.OBSERVE))] == [Effect.FETCH]
