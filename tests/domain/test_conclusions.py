"""How an attempt ends: by observation only, and never by a guess."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.domain.conclusions import ABSENTS_NEEDED, conclude, not_executed
from orderflow.domain.events import (
    AcceptRequested,
    Destination,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    EvidenceFound,
    Ids,
    LookedUp,
    Recorded,
    RefundRequested,
    Reported,
    ShopState,
    Sighting,
)
from orderflow.domain.evolve import fold
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import StorePolicy

from .histories import NEAR, SIGHTINGS, events, histories, policies, seconds
from .test_effects import DEFAULT, DRAFTED, PROMOTED, STRAY, at, sent, with_shop, writes
from .test_illegal import answer, then

SHOP, GLOPAL = Destination.SHOP, Destination.GLOPAL


def looked(order: Order, *found: Sighting, after: float) -> Order:
    """A look-up of the attempt at the shop, sent `after` seconds from its `counts_from`."""
    slot = order.shop_slot
    assert slot is not None
    when = slot.counts_from + seconds(after)
    return then(order, LookedUp(slot.effect, slot.generation, slot.attempt, when, found))


def end(order: Order, place: Destination = SHOP, refusal: str | None = None, policy: StorePolicy = DEFAULT) -> object:
    return conclude(order, policy, place, retry_in=10.0, refusal=refusal)


def lost_draft() -> Order:
    return then(sent(at(Status.READY), Effect.DRAFT), EffectUnknown(Effect.DRAFT, 0, 1, "timeout"))


def test_without_an_observation_there_is_no_conclusion() -> None:
    """Intended or unknown, due or not, held or not: it stays open."""
    order = lost_draft()
    assert order.shop_slot is not None
    assert (order.shop_slot.unknown, order.shop_slot.phase) == (True, Phase.OPEN)
    held = then(order, EvidenceFound("e"))
    gone = then(order, Reported(Report.CANCELLED))
    for one in (sent(at(Status.READY), Effect.DRAFT), order, held, gone):
        assert end(one) is None
        assert writes(one) == []


def test_absent_counts_only_twice() -> None:
    """One look-up that misses it never re-sends; the second, asked late enough, does."""
    once = looked(lost_draft(), after=0)
    assert (end(once), writes(once)) == (None, [])
    twice = looked(once, after=60)
    found = end(twice)
    assert found == EffectNotExecuted(Effect.DRAFT, 0, 1, "absent 2 times", 10.0)
    assert ABSENTS_NEEDED == 2
    assert writes(then(twice, found)) == ["draft"]


@given(st.lists(st.sampled_from([-1000.0, -130.0, -1.0, -0.001]), max_size=6))
def test_a_lookup_sent_too_early_never_counts(offsets: list[float]) -> None:
    """Before `send_by` + call timeout + settle window the request may still be on its way."""
    order = lost_draft()
    for offset in offsets:
        order = looked(order, after=offset)
    assert order.shop_slot is not None
    assert order.shop_slot.absents == 0
    assert end(order) is None
    assert end(looked(order, after=0)) is None


def test_found_is_delivered() -> None:
    """At once, also by an early look-up, and with its id; then promotion goes on."""
    order = looked(lost_draft(), DRAFTED, after=-100)
    found = end(order)
    assert found == EffectDelivered(Effect.DRAFT, 0, 1, DRAFTED)
    assert writes(then(order, found)) == ["promote s1"]


def test_found_after_an_absent_is_delivered() -> None:
    """An *absent* never hides a later *delivered*."""
    order = looked(looked(lost_draft(), after=0), DRAFTED, after=60)
    assert isinstance(end(order), EffectDelivered)


def test_what_is_no_longer_due_is_closed() -> None:
    """R15: absent twice after the order was cancelled; nothing is sent again and nobody is asked."""
    order = then(lost_draft(), Reported(Report.CANCELLED))
    order = looked(looked(order, after=0), after=60)
    found = end(order)
    assert isinstance(found, EffectClosed)
    order = then(order, found)
    assert (order.shop_slot, order.parked, order.generation(Effect.DRAFT)) == (None, (), 1)


@pytest.mark.parametrize("sighting", [None, Sighting("", "1", ShopState.DRAFT)])
def test_delivered_requires_an_id(sighting: Sighting | None) -> None:
    """R4: a success that names no shop order is unknown, whatever the connector calls it; look-ups end it."""
    order = then(sent(at(Status.READY), Effect.DRAFT), EffectDelivered(Effect.DRAFT, 0, 1, sighting))
    assert order.shop_slot is not None
    assert (order.shop_slot.phase, order.shop_slot.unknown, order.shop.seen) == (Phase.OPEN, True, ())
    assert (end(order), writes(order), order.generation(Effect.DRAFT)) == (None, [], 0)
    assert isinstance(end(looked(order, DRAFTED, after=-100)), EffectDelivered)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refusal_that_a_read_confirms_is_parked() -> None:
    """The other side meant it."""
    order = looked(sent(at(Status.READY), Effect.DRAFT), after=-100)
    found = end(order, refusal="bad address")
    assert found == EffectRefused(Effect.DRAFT, 0, 1, "bad address")
    assert writes(then(order, found)) == []


@pytest.mark.parametrize("effect", [Effect.DRAFT, Effect.PROMOTE, Effect.WITHDRAW])
def test_a_refusal_read_back_as_executed_is_delivered(effect: Effect) -> None:
    """ "Already exists", "is an order already", "is gone already": the first try was executed."""
    before = at(Status.READY) if effect is Effect.DRAFT else with_shop(at(Status.READY), DRAFTED)
    shown = {Effect.DRAFT: DRAFTED, Effect.PROMOTE: PROMOTED, Effect.WITHDRAW: replace(DRAFTED, state=ShopState.GONE)}
    order = sent(before, effect, "" if effect is Effect.DRAFT else "s1")
    found = end(looked(order, shown[effect], after=-100), refusal="no")
    assert found == EffectDelivered(effect, 0, 1, shown[effect])


def test_an_accept_refused_as_ours_is_delivered() -> None:
    """A 400, and the GET shows our ids: done."""
    order = then(with_shop(at(Status.READY), PROMOTED), AcceptRequested(Ids("s1", "1"), "policy"))
    order = sent(order, Effect.ACCEPT, "s1")
    assert isinstance(end(order, GLOPAL, "400"), EffectRefused)
    ours = then(order, replace(answer(order, Status.READY), external=Ids("s1", "1")))
    assert end(ours, GLOPAL, "400") == EffectDelivered(Effect.ACCEPT, 0, 1)
    others = then(order, replace(answer(order, Status.READY), external=Ids("e1", "9")))
    assert isinstance(end(others, GLOPAL, "400"), EffectClosed)
    cancelled = then(order, answer(order, Status.CANCELLED))
    assert isinstance(end(cancelled, GLOPAL, "400"), EffectClosed)


def test_a_refusal_of_what_is_no_longer_due_is_closed() -> None:
    """Not parked: nobody needs to look at it."""
    order = sent(with_shop(at(Status.READY), DRAFTED), Effect.PROMOTE, "s1")
    order = looked(then(order, Reported(Report.CANCELLED)), DRAFTED, after=-100)
    found = end(order, refusal="no")
    assert isinstance(found, EffectClosed)
    assert then(order, found).parked == ()


def test_a_draft_that_became_an_order_is_withdrawn_as_an_order() -> None:
    """R3: the refusal was about the draft; what it is now is recorded, and withdrawal decided anew, at once."""
    order = with_shop(at(Status.READY), DRAFTED)
    order = then(order, Reported(Report.CANCELLED))
    order = then(order, answer(order, Status.CANCELLED))
    order = looked(sent(order, Effect.WITHDRAW, "s1"), PROMOTED, after=-100)
    found = end(order, refusal="not a draft")
    assert isinstance(found, EffectNotExecuted)
    assert found.retry_in == 0
    again = then(order, found)
    assert writes(again) == ["withdraw s1"]
    slot = sent(again, Effect.WITHDRAW, "s1", attempt=2).shop_slot
    assert slot is not None
    assert slot.seen is ShopState.ORDER
    meant = looked(sent(again, Effect.WITHDRAW, "s1", attempt=2), PROMOTED, after=-100)
    assert isinstance(end(meant, refusal="fulfilled"), EffectRefused)


# --- giving up ------------------------------------------------------------------------------------------------------


def _fail(order: Order, attempts: int, *, burnt: bool, policy: StorePolicy) -> tuple[Order, object]:
    found: object = None
    for attempt in range(1, attempts + 1):
        order = sent(order, Effect.DRAFT, attempt=attempt)
        assert order.shop_slot is not None
        found = not_executed(order, policy, order.shop_slot, "503", retry_in=1.0, burnt=burnt)
        order = then(order, found)
    return order, found


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_exhausted_after_max_attempts(limit: int) -> None:
    """Not one earlier; then it is parked for a person."""
    policy = StorePolicy(max_attempts=limit)
    _, before = _fail(at(Status.READY), limit - 1, burnt=True, policy=policy)
    assert before is None or isinstance(before, EffectNotExecuted)
    order, found = _fail(at(Status.READY), limit, burnt=True, policy=policy)
    assert isinstance(found, EffectExhausted)
    assert order.parking(Effect.DRAFT) is not None
    assert (order.shop_slot, writes(order)) == (None, [])


def test_unburnt_tries_do_not_exhaust() -> None:
    """A 429 or a closed door may come as often as it likes."""
    _, found = _fail(at(Status.READY), 3, burnt=False, policy=StorePolicy(max_attempts=1))
    assert isinstance(found, EffectNotExecuted)
    policy = StorePolicy(max_attempts=2)
    order, _ = _fail(at(Status.READY), 30, burnt=False, policy=policy)
    order = sent(order, Effect.DRAFT, attempt=31)
    assert order.shop_slot is not None
    assert order.shop_slot.tries == 1
    assert isinstance(not_executed(order, policy, order.shop_slot, "503", retry_in=1.0), EffectNotExecuted)


def test_absent_twice_at_the_last_attempt_is_exhausted() -> None:
    """Look-ups that miss it burn attempts too."""
    order = looked(looked(lost_draft(), after=0), after=60)
    assert isinstance(end(order, policy=StorePolicy(max_attempts=1)), EffectExhausted)


# --- refunds --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.sampled_from(Status), st.sampled_from(["intended", "unknown"]))
def test_a_refund_in_unknown_is_never_concluded_not_executed(asked: int, status: Status, stage: str) -> None:
    """Money: a refund made is not to be told from one made elsewhere, so it waits for a person, never resent."""
    order = then(at(Status.ACCEPTED, total=Decimal(100)), RefundRequested("r1", Decimal(5), "EUR", "broken", "ann"))
    order = sent(order, Effect.REFUND, "r1")
    if stage == "unknown":
        order = then(order, EffectUnknown(Effect.REFUND, 0, 1, "timeout"))
    for n in range(asked):
        order = then(order, answer(order, status, sent=1000.0 * (n + 1)))
        assert end(order, GLOPAL) is None
        assert order.glopal_slot is not None
        assert writes(order) == []


# --- late outcomes --------------------------------------------------------------------------------------------------


def test_a_late_outcome_of_an_older_attempt_only_adds_what_it_saw() -> None:
    """R8: the suspended sender comes back. Its draft is a stray; the slot stays taken; the generation counts once."""
    order = looked(looked(lost_draft(), after=0), after=60)
    order = sent(then(order, end(order)), Effect.DRAFT, attempt=2)
    late = then(order, EffectDelivered(Effect.DRAFT, 0, 1, STRAY))
    assert late.shop_slot == order.shop_slot
    assert late.generation(Effect.DRAFT) == 0
    assert late.shop.living == (STRAY,)
    done = then(order, EffectDelivered(Effect.DRAFT, 0, 2, DRAFTED))
    late = then(done, EffectDelivered(Effect.DRAFT, 0, 1, STRAY))
    assert (late.shop.recorded, late.shop_slot, late.generation(Effect.DRAFT)) == ("s1", None, 1)
    assert writes(late) == ["withdraw s2"]


@pytest.mark.parametrize("late", [EffectUnknown(Effect.DRAFT, 0, 1, "?"), EffectRefused(Effect.DRAFT, 0, 1, "no")])
def test_late_news_of_an_older_attempt_ends_nothing(late: EffectUnknown | EffectRefused) -> None:
    """Nor parks or marks the attempt that is under way."""
    order = looked(looked(lost_draft(), after=0), after=60)
    order = sent(then(order, end(order)), Effect.DRAFT, attempt=2)
    after = then(order, late)
    assert (after.shop_slot, after.parked, after.generations) == (order.shop_slot, order.parked, order.generations)


@given(histories(events(NEAR)), SIGHTINGS)
def test_an_outcome_of_no_attempt_under_way_frees_nothing(history: tuple[Recorded, ...], sighting: Sighting) -> None:
    """In any history."""
    order = fold(history)
    after = then(order, EffectDelivered(Effect.PROMOTE, 77, 77, sighting))
    assert (after.shop_slot, after.glopal_slot, after.generations) == (
        order.shop_slot,
        order.glopal_slot,
        order.generations,
    )


# --- laws -----------------------------------------------------------------------------------------------------------


@given(histories(), policies(), st.sampled_from(Destination), st.none() | st.just("no"))
def test_a_conclusion_ends_or_frees_the_attempt(
    history: tuple[Recorded, ...], policy: StorePolicy, place: Destination, refusal: str | None
) -> None:
    """Recorded, it leaves nothing open at that place; a terminal one counts one generation; the same again none."""
    order = fold(history)
    slot = order.slot(place)
    found = conclude(order, policy, place, retry_in=10.0, refusal=refusal)
    if found is None:
        return
    assert slot is not None
    assert slot.phase is Phase.OPEN
    after = then(order, found)
    left = after.slot(place)
    if isinstance(found, EffectNotExecuted):
        assert left is not None
        assert left.phase is Phase.AGAIN
    else:
        assert left is None
        assert after.generation(slot.effect) == max(order.generation(slot.effect), slot.generation + 1)
    assert conclude(after, policy, place, retry_in=10.0, refusal=refusal) is None
    if isinstance(found, EffectDelivered) and place is SHOP:
        assert found.sighting is not None
        assert found.sighting.shop_id


def test_an_intent_of_a_new_key_starts_counting_anew() -> None:
    """Tries belong to a key, not to a slot."""
    order, _ = _fail(at(Status.READY), 3, burnt=True, policy=DEFAULT)
    assert order.last is not None
    by = order.last.at
    order = then(order, EffectIntended(Effect.DRAFT, 1, 1, "", "d", by, by))
    assert order.shop_slot is not None
    assert order.shop_slot.tries == 1


def test_a_late_outcome_never_takes_a_generation_back() -> None:
    """Keys that were used stay used, also when an old outcome is recorded last."""
    order = at(Status.READY)
    for _ in range(3):
        order = then(order, answer(order, Status.READY))
    before = order.generation(Effect.FETCH)
    assert then(order, EffectRefused(Effect.FETCH, 0, 1, "404")).generation(Effect.FETCH) == before == 4
