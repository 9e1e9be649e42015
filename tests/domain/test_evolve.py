"""How history makes an order: total, steady, and the status in nobody's hands but Glopal's."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow.domain.decisions import allowed
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    EffectIntended,
    Event,
    EvidenceFound,
    HoldReason,
    NoteAdded,
    Position,
    Recorded,
    Reported,
    ShopState,
    Sighting,
    Unrecognised,
    Version,
)
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.folding import Folding
from orderflow.domain.machine import Report, Status, Verdict, judge
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy, held
from orderflow.domain.shop import Shop

from .histories import (
    SIGHTINGS,
    T0,
    decisions,
    facts,
    histories,
    in_order,
    intents,
    jumbles,
    outcomes,
    policies,
    seconds,
)

_RANK = [ShopState.BEGUN, ShopState.DRAFT, ShopState.ORDER, ShopState.GONE]


def _next(order: Order, event: Event) -> Recorded:
    at = T0 if order.last is None else order.last.at
    return Recorded(event, Position(order.position + 1), Version(order.version + 1), at + seconds(1))


def _forget_place(order: Order) -> Order:
    """Without what every event moves."""
    return replace(order, position=Position(0), version=Version(0), first=None, last=None)


@given(jumbles())
def test_evolve_never_raises(jumble: list[Recorded]) -> None:
    """Whatever comes in whatever place, an order comes out, and it can be looked at."""
    order = Order()
    for recorded in jumble:
        order = evolve(order, recorded)
        assert isinstance(order, Order)
        assert (order.position, order.version) == (recorded.position, recorded.version)
        allowed(order)


@given(jumbles(), st.integers(0, 14))
def test_fold_goes_on_from_a_snapshot(jumble: list[Recorded], cut: int) -> None:
    """Folding a part and then the rest is folding all."""
    # Compared as texts: from Python 3.13 on, two equal dataclasses that hold NaN differ.
    assert repr(fold(jumble[cut:], fold(jumble[:cut]))) == repr(fold(jumble))


@given(jumbles())
def test_fold_is_evolve_step_by_step(jumble: list[Recorded]) -> None:
    """One rule for both. No step touches the order it began from, and what comes out is frozen: never a `Folding`."""
    order, texts = Order(), []
    for recorded in jumble:
        before, text = order, repr(order)
        order = evolve(order, recorded)
        assert repr(before) == text
        assert type(order) is Order
        texts.append(repr(order))
    assert type(fold(jumble)) is Order
    assert repr(fold(jumble)) == repr(reduce(evolve, jumble, Order())) == (texts[-1] if texts else repr(Order()))


def test_what_comes_out_of_a_fold_cannot_be_changed() -> None:
    """Not even by whoever held it while it was folded."""
    folding = Folding(Order())
    order = folding.done()
    assert order is folding
    assert (order, hash(order)) == (Order(), hash(Order()))
    with pytest.raises(FrozenInstanceError):
        folding.status = Status.READY


def test_a_folding_begins_as_a_copy_of_every_field() -> None:
    """A field that an order gets later must not be forgotten here."""
    order = object.__new__(Order)
    for number, field in enumerate(fields(Order)):
        object.__setattr__(order, field.name, number)
    assert Folding(order).done() == order


@given(jumbles())
def test_status_moves_only_on_reports_and_details(jumble: list[Recorded]) -> None:
    """And there only along the table, or out of CANCELLED by an overruling that holds the order."""
    order = Order()
    for recorded in jumble:
        after = evolve(order, recorded)
        event = recorded.event
        if after.status is not order.status:
            assert isinstance(event, Reported | DetailsFetched)
            word = event.report if isinstance(event, Reported) else Report((event.status or "").lower())
            assert after.status.value == word.value.upper()
            if judge(order.status, word) not in (Verdict.ADVANCE, Verdict.LEAP):
                assert order.status is Status.CANCELLED
                assert isinstance(event, DetailsFetched)
                assert after.hold(HoldReason.OVERRULED) is not None
                assert order.dispute is not None
                assert order.dispute.answer is after.status
            assert after.moved is not None
            assert after.moved.position == recorded.position
        elif isinstance(event, Reported):
            assert after.moved == order.moved
        order = after


@given(histories(), st.sampled_from([Unrecognised("new_thing"), NoteAdded("ann")]))
def test_unknown_events_change_nothing(history: tuple[Recorded, ...], event: Event) -> None:
    """Only the order's place in the log moves on."""
    order = fold(history)
    assert _forget_place(evolve(order, _next(order, event))) == _forget_place(order)


@given(histories(), st.sampled_from(Report), st.integers(1, 3))
def test_a_repeated_report_changes_nothing(history: tuple[Recorded, ...], report: Report, times: int) -> None:
    """The same report again moves marks only; a contradicting one is the same contradiction, seen anew."""
    first = fold(history)
    once = evolve(first, _next(first, Reported(report, T0)))
    again = once
    for _ in range(times):
        again = evolve(again, _next(again, Reported(report, T0)))
    if judge(first.status, report) is Verdict.CONFLICT:
        again, once = replace(again, dispute=None, holds=()), replace(once, dispute=None, holds=())
    assert _forget_place(again) == _forget_place(once)


@given(st.lists(SIGHTINGS, max_size=8), st.lists(SIGHTINGS, max_size=8))
def test_shop_knowledge_only_grows(before: list[Sighting], after: list[Sighting]) -> None:
    """A shop id is never forgotten, moves only draft < order < gone, and stays known as promoted."""
    old = Shop().sight(before)
    new = old.sight(after)
    for sighting in old.seen:
        now = new.get(sighting.shop_id)
        assert now is not None
        assert _RANK.index(now.state) >= _RANK.index(sighting.state)
        assert now.promoted or not sighting.promoted
        assert now.number or not sighting.number
    assert all(s.shop_id for s in new.seen)
    assert all(s.promoted for s in new.seen if s.state is ShopState.ORDER)


@given(st.lists(SIGHTINGS, max_size=8))
def test_the_recorded_shop_order_stays_while_it_lives(found: list[Sighting]) -> None:
    """Another takes its place only where it is gone and never was promoted; then the promoted one, else the oldest."""
    shop = Shop()
    for sighting in found:
        after = shop.sight((sighting,))
        own = shop.own
        if own is not None and after.recorded != own.shop_id:
            now = after.get(own.shop_id)
            assert now is not None
            assert (now.state, now.promoted) == (ShopState.GONE, False)
        shop = after
    if shop.own is None:
        unmade = (ShopState.BEGUN, ShopState.GONE)
        assert not any((s.promoted and s.state is ShopState.GONE) or s.state not in unmade for s in shop.seen)
    elif shop.own.state is ShopState.GONE and not shop.own.promoted:
        assert shop.made == ()


def test_of_several_found_at_once_the_promoted_one_else_the_oldest() -> None:
    """The rule for a look-up that finds more than it should; ids known to be gone are passed over."""
    gone, a, b, c = (Sighting(n, n, s) for n, s in zip("gabc", (ShopState.GONE, *[ShopState.DRAFT] * 3), strict=True))
    assert Shop().sight((gone, a, b)).recorded == "a"
    assert Shop().sight((a, b, replace(c, state=ShopState.ORDER))).recorded == "c"
    assert Shop().sight((b,)).sight((replace(a, state=ShopState.ORDER), b)).recorded == "b"
    assert Shop().sight((a, b)).sight((replace(a, state=ShopState.GONE),)).recorded == "b"
    assert Shop().sight((gone,)).recorded is None


def test_an_order_that_was_promoted_and_is_gone_is_the_recorded_one() -> None:
    """Also where we never saw it live: nothing takes its place, so it gets no new draft by itself."""
    lost = Sighting("a", "a", ShopState.GONE, promoted=True)
    assert Shop().sight((lost,)).recorded == "a"
    assert Shop().sight((lost,)).sight((Sighting("b", "b", ShopState.DRAFT),)).recorded == "a"


@given(jumbles())
def test_generations_never_decrease(jumble: list[Recorded]) -> None:
    """A key that has been used is never used again."""
    order = Order()
    for recorded in jumble:
        after = evolve(order, recorded)
        for effect in Effect:
            assert after.generation(effect) >= order.generation(effect)
        order = after


@given(histories(), intents() | outcomes())
def test_an_outcome_counts_once(history: tuple[Recorded, ...], outcome: Event) -> None:
    """The same outcome recorded twice ends one generation, frees one slot, parks one effect."""
    first = fold(history)
    once = evolve(first, _next(first, outcome))
    if isinstance(outcome, EffectIntended):
        assert once.generations == first.generations
        return
    twice = evolve(once, _next(once, outcome))
    assert twice.generations == once.generations
    assert {(p.effect, p.target) for p in twice.parked} == {(p.effect, p.target) for p in once.parked}
    for effect in Effect:
        if not effect.reads:
            assert once.generation(effect) <= first.generation(effect) + 1 or once.slot(effect.destination) is None


@given(histories(intents() | outcomes()))
@example(
    in_order(
        [EffectIntended(Effect.FETCH, 0, 1, "", "", T0, T0)],
    )
)
def test_reads_never_take_a_slot(history: tuple[Recorded, ...]) -> None:
    """At most one write is under way at a destination, and it is a write of that destination."""
    order = fold(history)
    for slot in (order.shop_slot, order.glopal_slot):
        assert slot is None or not slot.effect.reads
    assert order.shop_slot is None or order.shop_slot.effect.destination == "shop"
    assert order.glopal_slot is None or order.glopal_slot.effect.destination == "glopal"


@given(histories(), policies())
def test_two_contents_hold(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """One source id with two contents holds the order for a person, from that position on."""
    order = fold(history)
    after = evolve(order, _next(order, EvidenceFound("evt-1")))
    hold = after.hold(HoldReason.EVIDENCE)
    assert hold is not None
    assert hold.position == after.position
    assert after.status is order.status
    assert hold in held(after, policy)


@given(histories(facts()))
def test_only_a_person_lifts_evidence_and_overruled(history: tuple[Recorded, ...]) -> None:
    """No fact that follows takes these two away."""
    order = Order()
    for recorded in history:
        after = evolve(order, recorded)
        for reason in (HoldReason.EVIDENCE, HoldReason.OVERRULED):
            assert after.hold(reason) is not None or order.hold(reason) is None
        order = after


@given(jumbles())
def test_an_open_dispute_is_the_contradiction(jumble: list[Recorded]) -> None:
    """An order is held by contradiction exactly while there is one to settle; and only a cancelled one can be."""
    order = fold(jumble)
    assert (order.dispute is None) is (order.hold(HoldReason.CONTRADICTION) is None)
    assert order.dispute is None or order.status is Status.CANCELLED
    assert len({h.reason for h in order.holds}) == len(order.holds)


@given(jumbles(), decisions())
def test_decisions_never_move_the_status(jumble: list[Recorded], decision: Event) -> None:
    """What we decide says nothing about where Glopal's order stands."""
    order = fold(jumble)
    assert evolve(order, _next(order, decision)).status is order.status
