"""The judge of exceptions: its short cuts change nothing, and every exception can be told from every other."""

from datetime import timedelta
from itertools import pairwise

import pytest
from tests.projections.telling import T0, history

from orderflow.domain import attention as judge
from orderflow.domain.attention import attention, judged
from orderflow.domain.cases import Told, follow
from orderflow.domain.decisions import Assign, Dismiss, IllegalTransition, decide
from orderflow.domain.events import (
    Effect,
    EffectDelivered,
    EffectIntended,
    EffectRefused,
    ExceptionDismissed,
    Position,
    Recorded,
    Reported,
    ShopState,
    Sighting,
    Version,
)
from orderflow.domain.evolve import evolve
from orderflow.domain.exceptions import CLASSES, STORES, Of, Owner, Severity
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Mark, Order
from orderflow.domain.policy import LIMITED, StorePolicy, in_scope

DEFAULT = StorePolicy()
SHORT = StorePolicy(age_limits=dict.fromkeys(LIMITED, timedelta(minutes=2)))
LATE = StorePolicy(effects_from=T0 + timedelta(hours=5))
HOURLY = timedelta(hours=1)


def steps(seed: int, step: timedelta):
    """One order's random life: each event with the order after it."""
    order = Order()
    for number, (_, event) in enumerate(history(seed, 120, many=1), 1):
        here = Mark(Position(number), T0 + number * step)
        order = evolve(order, Recorded(event, here.position, Version(number), here.at))
        yield Told(event, type(event).__name__, here), order


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("step", [timedelta(seconds=7), HOURLY])
@pytest.mark.parametrize("policy", [DEFAULT, SHORT, LATE])
def test_what_is_too_early_is_no_silence(seed: int, step: timedelta, policy: StorePolicy) -> None:
    """Where the judge does not look, there is nothing: of an order that gets effects, `asks` says the same."""
    for _, order in steps(seed, step):
        if judge._still_early(order, policy) and in_scope(order, policy):
            assert list(judge._silence(order, policy)) == []


@pytest.mark.parametrize("seed", range(20))
def test_each_is_one_of_its_kind_and_subject(seed: int) -> None:
    for _, order in steps(seed, HOURLY):
        found = judged(order, DEFAULT)
        assert len({(one.kind, one.subject) for one in found}) == len(found)
        assert {one.of for one in found} <= set(CLASSES) - set(STORES)
        later = order.last.at + timedelta(days=400) if order.last else T0
        assert set(attention(order, DEFAULT)) <= set(attention(order, DEFAULT, later)) == set(found)


@pytest.mark.parametrize("seed", range(20))
def test_a_case_lives_as_long_as_it_is_judged(seed: int) -> None:
    """It opens with its first step and ends with the first step that no longer has it; its beginning never changes."""
    cases = ()
    for told, order in steps(seed, timedelta(minutes=4)):
        after = follow(cases, told, order, DEFAULT)
        assert {case.key for case in after.open} == {(one.kind, one.subject) for one in judged(order, DEFAULT)}
        known = {case.key: case for case in cases}
        for case in after.open:
            began = known.get(case.key, case)
            assert (case.position, case.opened_at) == (began.position, began.opened_at)
            assert case.key in known or case.position == told.here.position
        for case in after.closed:
            assert case.closed is not None
            assert (case.closed.position, case.closed.at >= case.opens_at) == (told.here.position, True)
        for case in after.never:
            assert case.opens_at > told.here.at
        assert {case.key for case in (*after.open, *after.closed, *after.never)} >= set(known)
        cases = after.open


def test_an_answer_in_time_was_never_one_and_a_late_one_closes_it() -> None:
    intended = EffectIntended(Effect.DRAFT, 0, 1, "", "d", T0, T0)
    delivered = EffectDelivered(Effect.DRAFT, 0, 1, Sighting("s1", "1", ShopState.DRAFT))
    for wait, closed, never in ((14, 0, 1), (15, 1, 0)):
        orders = [Order()]
        for number, event in enumerate([Reported(Report.RECEIVED, T0), intended], 1):
            orders.append(evolve(orders[-1], Recorded(event, Position(number), Version(number), T0)))
        opened = follow((), Told(intended, "EffectIntended", Mark(Position(2), T0)), orders[-1], DEFAULT).open
        assert [case.kind for case in opened] == ["unknown_draft"]
        end = T0 + timedelta(minutes=wait)
        after = evolve(orders[-1], Recorded(delivered, Position(3), Version(3), end))
        ended = follow(opened, Told(delivered, "EffectDelivered", Mark(Position(3), end)), after, DEFAULT)
        assert (len(ended.closed), len(ended.never), ended.open) == (closed, never, ())


def parked() -> Order:
    order = Order()
    events = [
        Reported(Report.RECEIVED, T0),
        EffectIntended(Effect.DRAFT, 0, 1, "", "d", T0, T0),
        EffectRefused(Effect.DRAFT, 0, 1, "422 no_stock"),
    ]
    for number, event in enumerate(events, 1):
        order = evolve(order, Recorded(event, Position(number), Version(number), T0))
    return order


def test_decisions_about_one_are_made_once() -> None:
    order = parked()
    give = Assign("parked_draft", "3", Position(3), "bo", "ann", "hers")
    [given] = decide(order, give)
    order = evolve(order, Recorded(given, Position(4), Version(4), T0))
    assert decide(order, give) == ()
    assert [one.owned_by for one in attention(order, DEFAULT)] == ["bo"]
    drop = Dismiss("parked_draft", "3", Position(3), "ann", "sold by phone")
    [dropped] = decide(order, drop)
    assert dropped == ExceptionDismissed("parked_draft", "3", Position(3), "ann", "sold by phone")
    after = evolve(order, Recorded(dropped, Position(5), Version(5), T0))
    assert (decide(after, drop), attention(after, DEFAULT)) == ((), ())
    assert after.parked == order.parked
    with pytest.raises(IllegalTransition, match="was dismissed"):
        decide(after, give)


def test_the_owner_is_the_role_of_the_class_until_somebody_is_named() -> None:
    [one] = attention(parked(), DEFAULT)
    assert (one.of, one.owner, one.owned_by) == (Of.REFUSED_BY_SHOP, "", Owner.OPERATOR)


def test_the_table_is_whole() -> None:
    assert list(CLASSES) == list(Of)
    assert {about.severity for about in CLASSES.values()} == set(Severity)
    assert {about.owner for about in CLASSES.values()} == set(Owner)
    for first, second in pairwise(CLASSES.values()):
        assert first.meaning != second.meaning
    assert set(LIMITED) == set(Status) - {Status.COMPLETED, Status.CANCELLED}
