"""Returns in the fold: events move them along their table and ask for details; details alone tell of the parcel."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.domain.aftersale import AfterSale, ShownReturn
from orderflow.domain.attention import asks, attention
from orderflow.domain.due import effects_due
from orderflow.domain.events import Effect, Reported, ReturnReported
from orderflow.domain.machine import MOVING, Report, Status, Verdict
from orderflow.domain.order import Order, Return
from orderflow.domain.policy import StorePolicy
from orderflow.domain.returns import RETURN_TARGET, ReturnState, ReturnStep, judge_return
from orderflow.domain.waiting import waits

from .histories import T0, seconds
from .test_effects import writes
from .test_illegal import answer, then

POLICY = StorePolicy()
DAY = timedelta(days=1)


def over(*, born: bool = True) -> Order:
    order = then(Order(), Reported(Report.COMPLETED, T0 if born else None))
    return then(order, answer(order, Status.COMPLETED))


def told(order: Order, step: ReturnStep, return_id: str = "4") -> Order:
    return then(order, ReturnReported(return_id, step))


def shown(order: Order, *steps: ReturnStep, return_id: str = "4", asked_after: int | None = None) -> Order:
    after = AfterSale(returns=(ShownReturn(return_id, "/".join(steps), steps),))
    return then(order, replace(answer(order, Status.COMPLETED, asked_after=asked_after), aftersale=after))


def only(order: Order) -> Return:
    (one,) = order.returns
    return one


def fetch(order: Order) -> timedelta | None:
    """How long until the next fetch, from the last news on."""
    assert order.last is not None
    times = [due.not_before - order.last.at for due in effects_due(order, POLICY) if due.effect is Effect.FETCH]
    return times[0] if times else None


def kinds(order: Order) -> list[str]:
    return [found.kind for found in attention(order, POLICY)]


@given(st.lists(st.sampled_from(ReturnStep), max_size=8))
def test_events_move_a_return_along_its_table_only(steps: list[ReturnStep]) -> None:
    """Whatever comes in whatever order: the state is what the table says, and what is illegal moves nothing."""
    order, state = over(), ReturnState.NEW
    for step in steps:
        order = told(order, step)
        state = RETURN_TARGET[step] if judge_return(state, step) in MOVING else state
    assert [one.state for one in order.returns] == ([state] if steps else [])
    assert order.status is Status.COMPLETED
    assert writes(order) == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(ReturnStep)), max_size=8), st.sampled_from(ReturnStep))
def test_the_newest_details_have_the_last_word(before: list[tuple[bool, ReturnStep]], last: ReturnStep) -> None:
    """After whatever went before, a return stands where they say, or beyond where the step is only a late one."""
    order = over()
    for event, step in before:
        order = told(order, step) if event else shown(order, step)
    held = order.returns[0].state if order.returns else ReturnState.NEW
    order = shown(order, last)
    echo = judge_return(held, last) is Verdict.ECHO
    assert only(order).state is (held if echo else RETURN_TARGET[last])
    assert only(order).awaits is None


def test_an_event_asks_for_details_that_show_it() -> None:
    """At once, then again and again, then a person; details asked before it, or of another return, do not count."""
    order = told(over(), ReturnStep.REQUESTED)
    assert fetch(order) == timedelta(0)
    assert asks(order, POLICY)
    order = shown(order, ReturnStep.REQUESTED, asked_after=order.position - 1)
    assert only(order).awaits is not None
    order = shown(order, ReturnStep.REQUESTED, return_id="5")
    assert fetch(order) is not None
    assert any("details that show return 4" in one.what for one in waits(order, POLICY))
    asked = 0
    while (wait := fetch(order)) is not None and wait < DAY / 2:
        asked += 1
        order = then(order, answer(order, Status.COMPLETED), after=max(1.0, wait.total_seconds()))
        assert asked < 60
    assert asked > 4
    assert "return_unseen" in kinds(order)
    assert [one.commands for one in attention(order, POLICY) if one.kind == "return_unseen"] == [("retry fetch",)]
    order = shown(order, ReturnStep.REQUESTED)
    assert (kinds(order), fetch(order)) == ([], DAY)


def test_an_open_return_is_polled_slowly_until_it_is_closed() -> None:
    """No event tells of its parcel. Also for an order that is COMPLETED, which is never asked about otherwise."""
    assert fetch(over()) is None
    order = shown(told(over(), ReturnStep.AUTHORIZED), ReturnStep.AUTHORIZED)
    assert fetch(order) == DAY
    assert not asks(order, POLICY), "that is routine"
    assert any("return 4, which is AUTHORIZED, to go on" in one.what for one in waits(order, POLICY))
    order = shown(order, ReturnStep.AUTHORIZED, ReturnStep.PENDING)
    assert (only(order).state, fetch(order)) == (ReturnState.PENDING, DAY)
    order = shown(order, ReturnStep.AUTHORIZED, ReturnStep.DELIVERED)
    assert (only(order).state, fetch(order), kinds(order)) == (ReturnState.DELIVERED, None, [])
    often = StorePolicy(returns_every=timedelta(hours=1))
    open_ = shown(over(), ReturnStep.PENDING)
    assert open_.last is not None
    assert effects_due(open_, often)[0].not_before == open_.last.at + timedelta(hours=1)


def test_it_is_not_asked_about_for_ever() -> None:
    order, asked = shown(over(), ReturnStep.AUTHORIZED), 0
    while (wait := fetch(order)) is not None:
        order, asked = shown(_later(order, wait), ReturnStep.AUTHORIZED), asked + 1
        assert asked <= 90
    assert asked == 90
    assert kinds(order) == ["return_silent"]
    moved = shown(order, ReturnStep.PENDING)
    assert (fetch(moved), kinds(moved)) == (DAY, [])


def _later(order: Order, wait: timedelta) -> Order:
    assert order.last is not None
    return replace(order, last=replace(order.last, at=order.last.at + wait - seconds(1)))


def test_one_field_or_two() -> None:
    """The parcel's status counts, wherever it stands."""
    for steps in ((ReturnStep.PENDING,), (ReturnStep.AUTHORIZED, ReturnStep.PENDING)):
        assert only(shown(over(), *steps)).state is ReturnState.PENDING
    assert only(shown(over())).state is ReturnState.NEW, "a word without a name here"


def test_details_overrule_a_cancellation_that_cannot_be() -> None:
    """A parcel that is under way was not cancelled; but details asked before the event prove nothing."""
    order = told(shown(over(), ReturnStep.AUTHORIZED), ReturnStep.CANCELLED)
    assert only(order).state is ReturnState.CANCELLED
    assert only(shown(order, ReturnStep.PENDING, asked_after=2)).state is ReturnState.CANCELLED
    assert only(shown(order, ReturnStep.PENDING)).state is ReturnState.PENDING
    late = told(shown(over(), ReturnStep.PENDING), ReturnStep.CANCELLED)
    assert only(late).state is ReturnState.PENDING
    assert only(late).awaits is not None, "details shall tell"
    assert only(shown(late, ReturnStep.CANCELLED)).state is ReturnState.CANCELLED


@pytest.mark.parametrize("return_id", ["4", "5"])
def test_several_returns_each_for_itself(return_id: str) -> None:
    """Keyed by their ids within the order; one without an id is kept, too."""
    order = told(told(told(over(), ReturnStep.REQUESTED, "4"), ReturnStep.REQUESTED, "5"), ReturnStep.REQUESTED, "")
    order = told(order, ReturnStep.CANCELLED, return_id)
    states = {one.return_id: one.state for one in order.returns}
    assert states == {"4": "REQUESTED", "5": "REQUESTED", "": "REQUESTED", return_id: "CANCELLED"}


def test_orders_out_of_scope_are_left_alone() -> None:
    """What happened before `effects_from` is recorded, and neither asked about nor an exception."""
    policy = StorePolicy(effects_from=T0 + seconds(10**6))
    order = told(over(), ReturnStep.REQUESTED)
    assert (effects_due(order, policy), attention(order, policy)) == ((), ())
