"""What an order waits for: no living order waits for nothing, and every state says on whom, until when, what then."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from orderflow.domain.attention import attention
from orderflow.domain.due import effects_due
from orderflow.domain.events import (
    CancelRequested,
    Effect,
    EffectDelivered,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    EvidenceFound,
    Ids,
    LookedUp,
    Malformed,
    Recorded,
    Reported,
)
from orderflow.domain.evolve import fold
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy, in_scope
from orderflow.domain.waiting import On, Wait, waits

from .histories import histories, policies, seconds
from .test_effects import DRAFTED, PROMOTED, at, sent, with_shop
from .test_illegal import answer, then

DEFAULT = StorePolicy()
OVER = (Status.COMPLETED, Status.CANCELLED)


@settings(max_examples=400)
@given(histories(), policies())
def test_no_living_order_waits_for_nothing(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """Whatever happened: something is named, with somebody whose turn it is; and what is due has its time named."""
    order = fold(history)
    named = waits(order, policy)
    if order.last is None or not in_scope(order, policy):
        assert [one.next_at for one in named] == [due.not_before for due in effects_due(order, policy)]
        return
    if order.status not in OVER:
        assert named != ()
    people = [one for one in attention(order, policy) if not one.settling]
    assert bool(people) == any(one.on is On.PERSON for one in named)
    times = {one.next_at for one in named}
    assert all(d.not_before in times for d in effects_due(order, policy) if not d.effect.reads)


# --- one state after the other --------------------------------------------------------------------------------------


def first(order: Order, policy: StorePolicy = DEFAULT) -> Wait:
    return waits(order, policy)[0]


def test_a_new_status_waits_for_details_until_the_age_limit():
    order = at(Status.READY, confirmed=False)
    one = first(order)
    assert (one.on, one.what) == (On.GLOPAL, "details that confirm READY")
    assert order.moved is not None
    assert one.next_at == order.moved.at
    assert one.until == order.moved.at + DEFAULT.age_limits[Status.READY]


def test_a_contradiction_waits_for_two_answers_and_then_for_a_person():
    order = then(at(Status.CANCELLED), Reported(Report.READY))
    one = first(order)
    assert (one.on, one.what) == (On.GLOPAL, "Glopal's answer")
    assert one.then == "CANCELLED lifts the hold; two others that agree are followed"
    assert all(told.settling for told in attention(order, DEFAULT))

    answered = then(order, answer(order, Status.READY))
    again = first(answered)
    assert again.what == "a second answer of Glopal; the first said READY"
    assert answered.dispute is not None
    assert answered.dispute.settles_at is not None
    assert again.next_at is not None
    assert again.next_at >= answered.dispute.settles_at

    later = order
    for _ in range(60):  # answers without a status, an hour apart: beyond the age limit nobody asks any more
        later = then(later, answer(later, None), after=3600)
    assert first(later).on is On.PERSON
    assert not any(told.settling for told in attention(later, DEFAULT))


def test_what_was_refused_waits_for_a_retry():
    order = sent(at(Status.READY), Effect.DRAFT)
    refused = then(order, EffectRefused(Effect.DRAFT, 0, 1, "no_such_thing"))
    assert first(refused) == Wait(
        On.PERSON, "a retry of draft, which was refused, or other details", "draft is tried again"
    )


def test_an_attempt_waits_for_its_reply_then_for_look_ups_then_for_the_next_try():
    order = sent(at(Status.READY), Effect.DRAFT)
    slot = order.shop_slot
    assert slot is not None
    assert first(order) == Wait(
        On.SHOP,
        "the reply to draft, attempt 1",
        "without one, a look-up tells what became of it",
        "it must have left",
        slot.send_by,
    )
    unknown = then(order, EffectUnknown(Effect.DRAFT, 0, 1, "no answer"))
    assert first(unknown) == Wait(
        On.SHOP,
        "a look-up that shows what became of draft, attempt 1",
        "found: it is done; missing 2 times: it is sent again",
        "a look-up may count it as missing",
        slot.counts_from,
    )
    looked = then(unknown, LookedUp(Effect.DRAFT, 0, 1, slot.counts_from))
    assert "missing once more" in first(looked).then
    again = then(looked, EffectNotExecuted(Effect.DRAFT, 0, 1, "absent 2 times", 7.0))
    one = first(again)
    assert (one.on, one.what) == (On.WORKER, "the next try of draft")
    assert (one.step, one.then) == ("attempt 2 is sent", "7 more may fail before it is parked for you")
    assert again.last is not None
    assert one.next_at == again.last.at + seconds(7)
    cancelled = then(again, CancelRequested("out_of_stock", "ada"))
    assert first(cancelled).what == "the end of draft, attempt 1"


def test_holds_wait_for_what_lifts_them():
    assert first(then(at(Status.READY), EvidenceFound("e1"))).on is On.PERSON
    order = at(Status.READY)
    unmapped = then(order, replace(answer(order, Status.READY), unmapped=("items[0].sku",)))
    assert first(unmapped).what == "details that have it, a mended mapping, or a release"
    unread = then(order, Malformed("total: not a number"))
    assert first(unread).what == "details that can be read"
    assert first(order, StorePolicy(environment="test")).what.startswith("a release, or another `environment`")


def test_what_is_due_waits_for_a_worker_and_shadow_says_that_nothing_is_sent():
    assert first(at(Status.RECEIVED)).what == "a worker to do draft"
    dark = first(at(Status.RECEIVED), StorePolicy(shadow=True))
    assert (dark.on, dark.then) == (On.PERSON, "a retry of draft sends it")


def test_the_next_report_is_named_with_what_follows():
    drafted = with_shop(at(Status.RECEIVED), DRAFTED)
    assert first(drafted).what == "Glopal to report ready"
    assert first(drafted).then == "it is promoted and accepted"
    assert (
        first(at(Status.RECEIVED), StorePolicy(mode=Mode.CREATE_ON_READY)).then
        == "it is drafted, promoted and accepted"
    )
    assert first(at(Status.READY), StorePolicy(mode=Mode.OBSERVE)).what.startswith("Glopal to report accepted")
    assert first(at(Status.ACCEPTED)).what.startswith("Glopal to report completed")
    assert waits(at(Status.COMPLETED), DEFAULT) == ()


def test_a_taken_accept_waits_until_glopal_shows_it():
    promoted = with_shop(at(Status.READY), PROMOTED)
    order = then(sent(promoted, Effect.ACCEPT, "s1"), EffectDelivered(Effect.ACCEPT, 0, 1))
    assert first(order).what == "Glopal to show ACCEPTED, for it took our accept"


def test_a_shop_order_without_a_number_waits_for_a_person():
    order = with_shop(at(Status.READY), replace(PROMOTED, number=""))
    assert effects_due(order, DEFAULT)[0].effect is Effect.FETCH
    [told] = attention(order, DEFAULT)
    assert (told.kind, told.commands) == ("no_number", ("accept s1",))
    assert first(order).on is On.PERSON


def test_an_order_that_glopal_shows_with_our_ids_waits_for_its_report():
    order = with_shop(at(Status.READY, external=Ids("s1", "1")), PROMOTED)
    assert first(order).what.startswith("Glopal to report accepted")
