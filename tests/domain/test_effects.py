"""What is due: the laws over arbitrary histories, and the policy's choices one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings

from orderflow.domain.attention import attention
from orderflow.domain.due import effects_due
from orderflow.domain.events import (
    AcceptRequested,
    CancelRequested,
    Effect,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    Event,
    EvidenceFound,
    Ids,
    LookedUp,
    Malformed,
    Recorded,
    RefundRequested,
    Reported,
    RetryRequested,
    ShopState,
    Sighting,
)
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, OnRefusal, StorePolicy

from .histories import T0, histories, policies, seconds
from .laws import check_due
from .test_illegal import answer, then

DEFAULT = StorePolicy()
READS = (Effect.FETCH, Effect.REAP)


def writes(order: Order, policy: StorePolicy = DEFAULT) -> list[str]:
    """The due writes as `effect target`."""
    return [f"{d.effect} {d.target}".strip() for d in check_due(order, policy) if d.effect not in READS]


def at(status: Status, *, confirmed: bool = True, external: Ids | None = None, **shown: object) -> Order:
    """An order that was reported as `status`, confirmed by details or not."""
    order = then(Order(), Reported(Report(status.value.lower()), T0))
    if not confirmed:
        return order
    return then(order, replace(answer(order, status), environment="live", currency="EUR", external=external, **shown))


def with_shop(order: Order, *sightings: Sighting) -> Order:
    for sighting in sightings:
        order = then(order, EffectDelivered(Effect.DRAFT, 9, 9, sighting))
    return order


def sent(order: Order, effect: Effect, target: str = "", attempt: int = 1) -> Order:
    assert order.last is not None
    by = order.last.at + seconds(30)
    own = order.shop.get(target)
    event = EffectIntended(
        effect, order.generation(effect), attempt, target, "d", by, by + seconds(130), own.state if own else None
    )
    return then(order, event)


DRAFTED = Sighting("s1", "1", ShopState.DRAFT)
PROMOTED = Sighting("s1", "1", ShopState.ORDER, promoted=True)
STRAY = Sighting("s2", "2", ShopState.DRAFT)


# --- laws -----------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(histories(), policies())
def test_the_laws_hold_after_every_event(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """See `laws`: each of them at every step of any history."""
    order = Order()
    assert effects_due(order, policy) == ()
    for recorded in history:
        order = evolve(order, recorded)
        check_due(order, policy)


@given(histories(), policies())
def test_attention_can_always_be_told(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """Exceptions are named for every order, each hold by its reason and each parked effect by its name."""
    order = fold(history)
    kinds = [a.kind for a in attention(order, policy)]
    assert {f"held_{h.reason}" for h in order.holds} <= set(kinds)
    assert {f"parked_{p.effect}" for p in order.parked} <= set(kinds)


# --- another total --------------------------------------------------------------------------------------------------


def drafted_for(amount: str, now: str, status: Status = Status.READY, state: Sighting = DRAFTED) -> Order:
    """An order whose shop order was made when Glopal showed `amount`, and that comes to `now` today."""
    order = sent(at(Status.RECEIVED, total=Decimal(amount)), Effect.DRAFT)
    order = then(order, EffectDelivered(Effect.DRAFT, 0, 1, state))
    return then(order, replace(answer(order, status), environment="live", currency="EUR", total=Decimal(now)))


def test_a_draft_for_another_total_gives_way_to_a_new_one() -> None:
    """It is withdrawn before it can become an order, and drafted anew; the same total in other digits is the same."""
    assert writes(drafted_for("10", "10.00")) == ["promote s1"]
    order = drafted_for("10", "20")
    assert writes(order) == ["withdraw s1"]
    order = then(
        sent(order, Effect.WITHDRAW, "s1"),
        EffectDelivered(Effect.WITHDRAW, 0, 1, replace(DRAFTED, state=ShopState.GONE)),
    )
    assert writes(order) == ["draft"]
    order = then(sent(order, Effect.DRAFT), EffectDelivered(Effect.DRAFT, 1, 1, STRAY))
    assert writes(order) == ["promote s2"]


def test_a_draft_for_another_total_that_stays_is_not_promoted() -> None:
    """Its withdrawal was refused: a person is told, and nothing is sold for the wrong total."""
    order = sent(drafted_for("10", "20"), Effect.WITHDRAW, "s1")
    order = then(order, EffectRefused(Effect.WITHDRAW, 0, 1, "no"))
    assert writes(order) == []
    assert "parked_withdraw" in {a.kind for a in attention(order, DEFAULT)}


def test_details_that_lack_a_total_or_are_held_withdraw_nothing() -> None:
    """Only a total that is shown, and adds up, speaks against a draft."""
    order = drafted_for("10", "20")
    assert order.details is not None
    for odd in ({"total": None, "unmapped": ("total",)}, {"money": "it does not add up"}):
        assert writes(then(order, replace(order.details, asked_after=order.position, **odd))) == []


def test_a_promoted_order_for_another_total_is_accepted_by_a_person_alone() -> None:
    """What was promoted stays, but is not accepted by itself: the exception names both totals and what helps."""
    order = drafted_for("10", "20", state=PROMOTED)
    assert writes(order) == []
    [told] = [a for a in attention(order, DEFAULT) if a.kind == "total_changed"]
    assert told.text == "shop order s1 was made for 10 EUR, Glopal's total is 20 EUR now"
    assert told.commands == ("cancel", "accept s1")
    assert writes(then(order, AcceptRequested(Ids("s1", "1"), "ann"))) == ["accept s1"]


# --- modes ----------------------------------------------------------------------------------------------------------

MODES = {
    # mode: what is due at RECEIVED with nothing, a draft, an order; and the same at READY
    Mode.OBSERVE: [[], [], [], [], [], []],
    Mode.DRAFT_ON_RECEIVED: [["draft"], [], [], ["draft"], ["promote s1"], ["accept s1"]],
    Mode.ORDER_ON_RECEIVED: [["draft"], ["promote s1"], [], ["draft"], ["promote s1"], ["accept s1"]],
    Mode.CREATE_ON_READY: [[], [], [], ["draft"], ["promote s1"], ["accept s1"]],
}


@pytest.mark.parametrize("mode", Mode)
def test_modes(mode: Mode) -> None:
    """When a store's orders enter the shop, step by step."""
    steps = [(status, shop) for status in (Status.RECEIVED, Status.READY) for shop in ((), (DRAFTED,), (PROMOTED,))]
    assert [writes(with_shop(at(status), *shop), StorePolicy(mode=mode)) for status, shop in steps] == MODES[mode]


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.COMPLETED])
def test_after_acceptance_nothing_new_is_drafted(status: Status) -> None:
    """No draft for an order that lives elsewhere; ours, if accepted with our ids, is still promoted."""
    assert writes(at(status)) == []
    assert writes(with_shop(at(status, external=Ids("s1", "1")), DRAFTED)) == ["promote s1"]
    assert writes(with_shop(at(status), DRAFTED)) == []


def test_early_accept_is_a_store_option_or_a_command() -> None:
    """At RECEIVED only by the option, or with ids that a person gave."""
    order = with_shop(at(Status.RECEIVED), PROMOTED)
    assert writes(order) == []
    assert writes(order, StorePolicy(early_accept=True)) == ["accept s1"]
    assert writes(then(at(Status.RECEIVED), AcceptRequested(Ids("x", "1"), "ann"))) == ["accept x"]
    assert writes(then(order, AcceptRequested(Ids("s1", "1"), "ann"))) == ["accept s1"]


def test_a_200_is_not_accepted() -> None:
    """After a delivered accept nothing is sent again; Glopal is asked after 5 s, 30 s, 2 min, 15 min, then hourly."""
    order = then(with_shop(at(Status.READY), PROMOTED), AcceptRequested(Ids("s1", "1"), "policy"))
    order = then(sent(order, Effect.ACCEPT, "s1"), EffectDelivered(Effect.ACCEPT, 0, 1))
    assert order.status is Status.READY
    assert order.accepted is not None
    start, asked = order.accepted.at, []
    for _ in range(8):
        assert writes(order) == []
        (due,) = [d for d in effects_due(order, DEFAULT) if d.effect is Effect.FETCH]
        asked.append((due.not_before - start).total_seconds())
        order = evolve(
            order,
            Recorded(answer(order, Status.READY), order.position, order.version, due.not_before),
        )
    assert asked == [0, 5, 30, 120, 900, 4500, 8100, 11700]


def test_asking_ends_at_the_age_limit_as_an_exception() -> None:
    """Glopal took the accept and never shows it: named, and from then on only the age limit's fetch is due."""
    order = then(with_shop(at(Status.READY), PROMOTED), AcceptRequested(Ids("s1", "1"), "policy"))
    order = then(sent(order, Effect.ACCEPT, "s1"), EffectDelivered(Effect.ACCEPT, 0, 1))
    for _ in range(40):
        (due,) = [d for d in effects_due(order, DEFAULT) if d.effect is Effect.FETCH]
        order = evolve(order, Recorded(answer(order, Status.READY), order.position, order.version, due.not_before))
    assert [a.kind for a in attention(order, DEFAULT)] == ["accept_unseen"]
    assert order.answered_at is not None
    (due,) = [d for d in effects_due(order, DEFAULT) if d.effect is Effect.FETCH]
    assert due.not_before == order.answered_at + seconds(86400)


# --- confirmation ---------------------------------------------------------------------------------------------------


def test_no_shop_effect_before_details_confirm() -> None:
    """A moved status makes a fetch due, and only that; details sent before the move confirm nothing."""
    order = at(Status.READY, confirmed=False)
    assert [d.effect for d in effects_due(order, DEFAULT)] == [Effect.FETCH]
    early = then(order, answer(order, Status.READY, asked_after=0))
    assert writes(early) == []
    assert writes(then(early, answer(early, Status.READY))) == ["draft"]


def test_details_that_move_the_status_count_as_confirmation() -> None:
    """Whenever they were sent."""
    order = at(Status.RECEIVED, confirmed=False)
    assert writes(then(order, answer(order, Status.READY, asked_after=0))) == ["draft"]


def test_a_reported_cancellation_is_confirmed_before_withdrawal() -> None:
    """But our own cancel, foreign ids and strays need no confirmation."""
    order = with_shop(at(Status.RECEIVED), DRAFTED)
    cancelled = then(order, Reported(Report.CANCELLED))
    assert writes(cancelled) == []
    assert writes(then(cancelled, answer(cancelled, Status.CANCELLED))) == ["withdraw s1"]
    ready = then(order, Reported(Report.READY))
    assert writes(ready) == []
    assert writes(then(ready, CancelRequested("fraud", "ann"))) == ["withdraw s1"]
    assert writes(replace(ready, external=Ids("e1", "9"))) == ["withdraw s1"]
    assert writes(with_shop(ready, STRAY)) == ["withdraw s2"]


# --- foreign ids ----------------------------------------------------------------------------------------------------


def test_accepted_elsewhere() -> None:
    """Our draft is withdrawn, a promoted order stays, neither is promoted nor accepted, and a person is told."""
    foreign = at(Status.READY, external=Ids("e1", "9"))
    assert writes(foreign) == []
    assert writes(with_shop(foreign, DRAFTED)) == ["withdraw s1"]
    assert writes(with_shop(foreign, PROMOTED)) == []
    for order in (foreign, with_shop(foreign, DRAFTED), with_shop(foreign, PROMOTED)):
        assert "accepted_elsewhere" in [a.kind for a in attention(order, DEFAULT)]
    (told,) = [a for a in attention(with_shop(foreign, PROMOTED), DEFAULT) if a.kind == "accepted_elsewhere"]
    assert "e1" in told.text
    assert "s1" in told.text


def test_our_own_ids_are_not_foreign() -> None:
    """Shown by Glopal after our accept: the order goes on."""
    order = with_shop(at(Status.ACCEPTED, external=Ids("s1", "1")), PROMOTED)
    assert writes(order) == []
    assert attention(order, DEFAULT) == ()


def test_observe_does_not_mind_ids() -> None:
    """Glopal inserts the orders of such a store itself; a cancelled one is withdrawn, and nothing else happens."""
    look = StorePolicy(mode=Mode.OBSERVE)
    order = at(Status.ACCEPTED, external=Ids("p1", "7"))
    assert (writes(order, look), attention(order, look)) == ([], ())
    order = then(order, Reported(Report.CANCELLED))
    assert writes(order, look) == []
    assert writes(then(order, answer(order, Status.CANCELLED)), look) == ["withdraw p1"]


def test_blank_ids_name_nothing_to_withdraw() -> None:
    """Junk from Glopal in an observing store: there is no such shop order, so nothing is asked of the shop."""
    look = StorePolicy(mode=Mode.OBSERVE)
    order = at(Status.CANCELLED, external=Ids("", "7"))
    assert writes(order, look) == []


def test_an_inserted_order_is_withdrawn_before_glopal_is_told() -> None:
    """A person's cancel in an observing store: the shop first, then Glopal, as everywhere."""
    look = StorePolicy(mode=Mode.OBSERVE)
    order = then(at(Status.ACCEPTED, external=Ids("p1", "7")), CancelRequested("fraud", "ann"))
    assert writes(order, look) == ["withdraw p1"]
    order = sent(order, Effect.WITHDRAW, "p1")
    assert writes(order, look) == []
    order = then(order, EffectDelivered(Effect.WITHDRAW, 0, 1, Sighting("p1", "7", ShopState.GONE, promoted=True)))
    assert writes(order, look) == ["cancel"]


# --- cancel ---------------------------------------------------------------------------------------------------------


def test_our_cancel_goes_shop_first() -> None:
    """Nothing new, then withdrawal, then Glopal; not while an intent is open or a shop order lives."""
    order = then(with_shop(at(Status.READY), DRAFTED), CancelRequested("fraud", "ann"))
    assert writes(order) == ["withdraw s1"]
    order = sent(order, Effect.WITHDRAW, "s1")
    assert writes(order) == []
    order = then(order, EffectDelivered(Effect.WITHDRAW, 0, 1, replace(DRAFTED, state=ShopState.GONE)))
    assert writes(order) == ["cancel"]
    order = then(sent(order, Effect.CANCEL), EffectRefused(Effect.CANCEL, 0, 1, "shipped"))
    assert writes(order) == []
    assert "parked_cancel" in [a.kind for a in attention(order, DEFAULT)]


def test_cancel_waits_for_a_draft_in_flight() -> None:
    """R7: a shop intent that is open may still create an order."""
    order = then(sent(at(Status.RECEIVED), Effect.DRAFT), CancelRequested("fraud", "ann"))
    assert writes(order) == []
    order = then(order, EffectDelivered(Effect.DRAFT, 0, 1, DRAFTED))
    assert writes(order) == ["withdraw s1"]


def test_an_order_whose_promoted_shop_order_is_gone_gets_no_new_one() -> None:
    """Somebody deleted it in the shop: a person decides. A draft that is gone is made again."""
    gone = with_shop(at(Status.READY), PROMOTED, replace(PROMOTED, state=ShopState.GONE))
    assert writes(gone) == []
    assert [a.kind for a in attention(gone, DEFAULT)] == ["shop_order_gone"]
    assert writes(with_shop(at(Status.READY), DRAFTED, replace(DRAFTED, state=ShopState.GONE))) == ["draft"]


# --- parking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [EffectRefused, EffectExhausted])
def test_a_parked_draft_waits_for_a_retry_or_another_basis(how: type[EffectRefused | EffectExhausted]) -> None:
    """R13: refused and still READY is no loop; the same details again change nothing, others do, a person does."""
    order = then(sent(at(Status.READY, basis="b1"), Effect.DRAFT), how(Effect.DRAFT, 0, 1, "bad address"))
    assert writes(order) == []
    same = then(order, replace(answer(order, Status.READY), basis="b1"))
    assert writes(same) == []
    other = then(same, replace(answer(same, Status.READY), basis="b2"))
    assert writes(other) == ["draft"]
    retried = then(same, RetryRequested(Effect.DRAFT, "ann", "mended"))
    assert writes(retried) == ["draft"]
    (due,) = [d for d in effects_due(retried, DEFAULT) if d.effect is Effect.DRAFT]
    assert due.generation == 1


def test_other_parked_effects_wait_for_a_person_only() -> None:
    """What a promotion, a withdrawal or an accept is built from are ids: other details change nothing."""
    order = then(
        sent(with_shop(at(Status.READY), DRAFTED), Effect.PROMOTE, "s1"), EffectRefused(Effect.PROMOTE, 0, 1, "no")
    )
    other = then(order, replace(answer(order, Status.READY), basis="b2"))
    assert writes(other) == []
    assert writes(then(other, RetryRequested(Effect.PROMOTE, "ann", "mended"))) == ["promote s1"]


def test_a_parked_withdrawal_parks_that_target_only() -> None:
    """A stray that cannot be deleted does not keep another from being deleted."""
    order = with_shop(at(Status.RECEIVED), DRAFTED, STRAY, Sighting("s3", "3", ShopState.DRAFT))
    order = then(sent(order, Effect.WITHDRAW, "s2"), EffectRefused(Effect.WITHDRAW, 0, 1, "no"))
    assert writes(order) == ["withdraw s3"]


def test_on_refusal_cancel() -> None:
    """The shop's no becomes a cancellation at Glopal, for refusals only and before acceptance only."""
    cancels = StorePolicy(on_refusal=OnRefusal.CANCEL)
    refused = then(sent(at(Status.READY), Effect.DRAFT), EffectRefused(Effect.DRAFT, 0, 1, "no"))
    exhausted = then(sent(at(Status.READY), Effect.DRAFT), EffectExhausted(Effect.DRAFT, 0, 1, "down"))
    assert writes(refused) == []
    assert writes(refused, cancels) == ["cancel"]
    assert writes(exhausted, cancels) == []
    promote = sent(with_shop(at(Status.READY), DRAFTED), Effect.PROMOTE, "s1")
    promote = then(promote, EffectRefused(Effect.PROMOTE, 0, 1, "no"))
    assert writes(promote, cancels) == ["withdraw s1"]


# --- scope, reaping, refunds ----------------------------------------------------------------------------------------


def test_older_orders_get_effects_only_by_a_redrive() -> None:
    """`effects_from`: recorded and projected, and nothing is sent, not even a fetch."""
    policy = StorePolicy(effects_from=T0 + seconds(1))
    order = at(Status.READY)
    assert effects_due(order, policy) == ()
    assert writes(then(order, RetryRequested(Effect.DRAFT, "ann", "take it in")), policy) == ["draft"]
    asked = then(order, RetryRequested(Effect.FETCH, "ann", "what is it today?"))
    assert [due.effect for due in check_due(asked, policy)] == [Effect.FETCH]
    assert check_due(then(asked, answer(asked, Status.READY)), policy) == (), "asking what it is does nothing about it"
    assert writes(order, StorePolicy(effects_from=T0)) == ["draft"]


def test_a_later_effects_from_leaves_nothing_behind() -> None:
    """An order whose draft was sent is served to its end; one that had not begun is left alone."""
    later = StorePolicy(effects_from=T0 + seconds(10**6))
    begun = then(sent(at(Status.RECEIVED), Effect.DRAFT), EffectDelivered(Effect.DRAFT, 0, 1, DRAFTED))
    cancelled = then(begun, Reported(Report.CANCELLED))
    cancelled = then(cancelled, answer(cancelled, Status.CANCELLED))
    assert writes(cancelled, later) == ["withdraw s1"]
    assert writes(at(Status.READY), later) == []


def test_reaping_looks_until_the_window_closes() -> None:
    """Three look-ups, counted from the last draft's `send_by`, also for a cancelled order with nothing recorded."""
    order = sent(at(Status.RECEIVED), Effect.DRAFT)
    assert order.draft_send_by is not None
    assert Effect.REAP not in [d.effect for d in effects_due(order, DEFAULT)], "not beside a shop write under way"
    order = then(order, EffectExhausted(Effect.DRAFT, 0, 1, "down"))
    order = then(order, Reported(Report.CANCELLED))
    order = then(order, answer(order, Status.CANCELLED))
    looked = []
    while reaps := [d for d in effects_due(order, DEFAULT) if d.effect is Effect.REAP]:
        (due,) = reaps
        looked.append((due.not_before - order.draft_send_by).total_seconds())
        event = _reaped(due.generation, due.not_before)
        order = evolve(order, Recorded(event, order.position, order.version, due.not_before))
        assert len(looked) < 9
    assert looked == [600, 7200, 86400]


def _reaped(generation: int, when: datetime) -> Event:
    return LookedUp(Effect.REAP, generation, 1, when)


def test_a_refund_is_due_while_it_may_be_made() -> None:
    """Once each, in turn, after one more look at what Glopal shows; not for an order that was cancelled meanwhile:
    Glopal's cancellation gives all back."""
    order = at(Status.ACCEPTED, total=Decimal(100))
    for name in ("r1", "r2"):
        order = then(order, RefundRequested(name, Decimal(5), "EUR", "broken", "ann"))
    assert writes(order) == []
    assert Effect.FETCH in [d.effect for d in check_due(order, DEFAULT)]
    order = looked_again(order)
    assert writes(order) == ["refund r1"]
    assert writes(sent(order, Effect.REFUND, "r1")) == []
    done = then(sent(order, Effect.REFUND, "r1"), EffectDelivered(Effect.REFUND, 0, 1))
    assert writes(done) == ["refund r2"]
    assert writes(then(order, Reported(Report.CANCELLED))) == []
    given_up = then(sent(done, Effect.REFUND, "r2"), EffectExhausted(Effect.REFUND, 1, 1, "down"))
    assert writes(given_up) == []
    again = then(given_up, RetryRequested(Effect.REFUND, "ann", "up again"))
    assert writes(again) == []
    assert writes(looked_again(again)) == ["refund r2"]
    refused = then(sent(done, Effect.REFUND, "r2"), EffectRefused(Effect.REFUND, 1, 1, "no"))
    refused = looked_again(then(refused, RetryRequested(Effect.REFUND, "ann", "?")))
    assert writes(refused) == [], "a refused one is asked for anew"


def looked_again(order: Order) -> Order:
    shown = replace(answer(order, Status.ACCEPTED), environment="live", currency="EUR", total=Decimal(100))
    return then(order, shown)


# --- slots ----------------------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_the_same_row_again() -> None:
    """Same key and target, from its own time on; something else at that destination waits until it is closed."""
    order = sent(at(Status.READY), Effect.DRAFT)
    order = then(order, EffectNotExecuted(Effect.DRAFT, 0, 1, "503", 60.0))
    assert order.last is not None
    (due,) = [d for d in effects_due(order, DEFAULT) if d.effect is Effect.DRAFT]
    assert (due.generation, due.not_before) == (0, order.last.at + seconds(60))
    assert writes(with_shop(order, STRAY, DRAFTED)) == []


def test_holds_stop_effects() -> None:
    """Evidence, money, unmapped, malformed, environment: no draft; the fetch for malformed details comes."""
    order = at(Status.READY)
    assert writes(then(order, EvidenceFound("e"))) == []
    assert writes(then(order, replace(answer(order, Status.READY), money="sum differs"))) == []
    assert writes(then(order, replace(answer(order, Status.READY), unmapped=("country",)))) == []
    assert writes(order, StorePolicy(environment="test")) == []
    malformed = then(order, Malformed("total", order.position))
    assert writes(malformed) == []
    assert Effect.FETCH in [d.effect for d in effects_due(malformed, DEFAULT)]
    mended = then(malformed, answer(malformed, Status.READY))
    assert writes(mended) == ["draft"]
