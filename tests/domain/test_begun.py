"""A draft whose making broke off half-way: it never counts as made, is withdrawn, and is not tried for ever."""

from __future__ import annotations

from dataclasses import replace

from orderflow.domain.conclusions import conclude, not_executed
from orderflow.domain.events import (
    Destination,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectRefused,
    EffectUnknown,
    LookedUp,
    ShopState,
    Sighting,
)
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy

from .histories import seconds
from .test_effects import DEFAULT, at, sent, writes
from .test_illegal import then

BEGUN = Sighting("s1", "", ShopState.BEGUN)
MADE = Sighting("s2", "2", ShopState.DRAFT)


def looked(order: Order, *found: Sighting, late: bool = True) -> Order:
    slot = order.shop_slot
    assert slot is not None
    when = slot.counts_from + seconds(1) if late else slot.since
    return then(order, LookedUp(slot.effect, slot.generation, slot.attempt, when, found))


def broken_off(order: Order, found: Sighting = BEGUN) -> Order:
    """A draft is sent, its maker dies, and two look-ups show what it left."""
    order = sent(order, Effect.DRAFT)
    generation = order.generation(Effect.DRAFT)
    order = then(order, EffectUnknown(Effect.DRAFT, generation, 1, "died"))
    return looked(looked(order, found), found)


def test_it_is_not_done_and_not_recorded() -> None:
    order = broken_off(at(Status.READY))
    assert order.shop.own is None
    assert order.shop_slot is not None
    assert order.shop_slot.absents == 2


def test_it_is_withdrawn_before_another_is_made() -> None:
    order = broken_off(at(Status.READY))
    outcome = conclude(order, DEFAULT, Destination.SHOP, retry_in=0.0)
    assert outcome is not None
    order = then(order, outcome)
    assert writes(order) == []  # the attempt is to be closed first: what is due is something else now
    order = then(order, EffectClosed(Effect.DRAFT, 0, 1, "no longer due"))
    assert writes(order) == ["withdraw s1"]
    order = then(sent(order, Effect.WITHDRAW, "s1"), EffectDelivered(Effect.WITHDRAW, 0, 1, _gone(BEGUN)))
    assert writes(order) == ["draft"]


def test_one_that_was_still_being_made_is_the_draft() -> None:
    """A look-up came in between two of its calls; the next one sees it whole."""
    order = looked(sent(at(Status.READY), Effect.DRAFT), BEGUN, late=False)
    order = looked(order, replace(BEGUN, state=ShopState.DRAFT, number="1"))
    assert isinstance(conclude(order, DEFAULT, Destination.SHOP, retry_in=0.0), EffectDelivered)
    assert order.shop.own is not None
    assert order.shop.own.state is ShopState.DRAFT


def test_a_whole_one_beside_it_is_the_draft_and_the_broken_one_is_withdrawn() -> None:
    order = sent(at(Status.READY), Effect.DRAFT)
    order = looked(order, BEGUN, MADE)
    outcome = conclude(order, DEFAULT, Destination.SHOP, retry_in=0.0)
    assert isinstance(outcome, EffectDelivered)
    assert outcome.sighting == MADE
    assert writes(then(order, outcome)) == ["withdraw s1"]


def test_a_refusal_half_way_is_a_refusal() -> None:
    """The broken one goes, and nothing is drafted until a person has looked."""
    order = sent(at(Status.READY), Effect.DRAFT)
    order = looked(order, BEGUN, late=False)
    outcome = conclude(order, DEFAULT, Destination.SHOP, retry_in=0.0, refusal="no such variant")
    assert isinstance(outcome, EffectRefused)
    order = then(order, outcome)
    assert writes(order) == ["withdraw s1"]
    order = then(sent(order, Effect.WITHDRAW, "s1"), EffectDelivered(Effect.WITHDRAW, 0, 1, _gone(BEGUN)))
    assert writes(order) == []


def test_a_shop_that_always_fails_half_way_is_given_up() -> None:
    policy = StorePolicy(max_attempts=3)
    order = at(Status.READY)
    for number in range(3):
        begun = replace(BEGUN, shop_id=f"b{number}")
        order = broken_off(order, begun)
        slot = order.shop_slot
        assert slot is not None
        assert slot.tries == number + 1
        outcome = not_executed(order, policy, slot, "absent 2 times", retry_in=0.0)
        assert isinstance(outcome, EffectExhausted) == (number == 2)
        order = then(order, outcome)
        if number < 2:
            order = then(order, EffectClosed(Effect.DRAFT, slot.generation, 1, "no longer due"))
            generation = order.generation(Effect.WITHDRAW)
            order = sent(order, Effect.WITHDRAW, begun.shop_id)
            order = then(order, EffectDelivered(Effect.WITHDRAW, generation, 1, _gone(begun)))
    assert writes(order, policy) == ["withdraw b2"]
    assert [p.effect for p in order.parked] == [Effect.DRAFT]


def test_it_goes_with_a_cancelled_order() -> None:
    order = broken_off(at(Status.READY))
    order = then(order, EffectClosed(Effect.DRAFT, 0, 1, "no longer due"))
    cancelled = replace(at(Status.CANCELLED), shop=order.shop)
    assert writes(cancelled) == ["withdraw s1"]


def _gone(sighting: Sighting) -> Sighting:
    return replace(sighting, state=ShopState.GONE)
