"""Exceptions open on an event, count by recorded times, and close on the event that proves them over."""

from datetime import timedelta
from random import Random

import pytest
import sqlalchemy as sa
from tests.desk.telling import desk, rows
from tests.projections.telling import ALL, POLICY, anew, history, order, read_all, tell
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow.desk.deciding import Decider, assign, dismiss
from orderflow.desk.exceptions import ExceptionClosedError, UnknownExceptionError, read_id, traced
from orderflow.domain import decisions
from orderflow.domain.attention import judged
from orderflow.domain.events import Effect
from orderflow.domain.exceptions import CLASSES, STORES, Of
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.projections.exceptions import Exceptions
from orderflow.sandbox import ShopOptions
from orderflow.sandbox.faults import Kind
from orderflow.sandbox.glopal.emissions import Emission
from orderflow.store.tables import exceptions

REFUSING = ShopOptions(refuse=lambda _body: "no_stock")
ANN = Decider("ann", "looked at it", "ann-1")


def refused(stage: NewStage) -> tuple[Stage, str]:
    it = stage(shop_options=REFUSING)
    order_id = it.place()
    it.ready(order_id)
    it.rest()
    return it, order_id


def test_a_refusal_opens_one_and_a_retry_closes_it(stage: NewStage) -> None:
    it, order_id = refused(stage)
    [one] = desk(it)
    refusal = next(record for record in it.records(order_id) if record.type == "EffectRefused")
    assert one.id == f"{it.store}/{order_id}/parked_draft/{refusal.position}"
    assert (one.of, one.owner, one.severity) == (Of.REFUSED_BY_SHOP, "operator", "error")
    assert (one.effect, one.generation, one.attempt) == ("draft", 0, 1)
    assert (one.opened_type, one.since, one.commands) == ("EffectRefused", refusal.recorded_at, ("retry draft",))
    it.shop.options = ShopOptions()
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "in stock again"))
    it.rest()
    assert desk(it) == []
    [over] = desk(it, closed=True)
    retry = next(record for record in it.records(order_id) if record.type == "RetryRequested")
    assert (over.id, over.closed_position, over.closed_type) == (one.id, retry.position, "RetryRequested")
    assert (over.closed_by, over.closed_at) == ("ann", retry.recorded_at)


def test_an_order_without_trouble_leaves_no_trace(stage: NewStage) -> None:
    """Each of its calls was on its way to be one, and was answered in time."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.rest()
    assert it.order(order_id).accepted
    assert (desk(it), rows(it)) == ([], 0)


def test_what_is_stuck_was_asked_about_and_closes_on_the_report_that_moves_it(stage: NewStage) -> None:
    """Lost report or silent buyer? At the age limit Glopal is asked; only its answer makes it an exception."""
    it = stage(policy=StorePolicy(age_limits={Status.RECEIVED: timedelta(hours=2)}))
    order_id = it.drafted()
    moved = it.order(order_id).moved
    it.live(2 * 3600 - 60)
    assert desk(it) == []
    it.live(120)
    [one] = desk(it)
    asked = [record for record in it.records(order_id) if record.type == "DetailsFetched"][-1]
    assert one.id == f"{it.store}/{order_id}/stuck_in_received/{asked.position}"
    assert (one.of, one.opened_type) == (Of.STUCK, "DetailsFetched")
    assert one.text == f"RECEIVED since {moved.at:%Y-%m-%d %H:%M} UTC, longer than 2 h; Glopal confirms it"
    assert one.commands == ("retry fetch", "cancel")
    it.live(6 * 3600)
    assert [again.id for again in desk(it)] == [one.id]
    it.ready(order_id)
    it.rest()
    assert desk(it) == []
    [over] = desk(it, closed=True)
    assert (over.id, over.closed_type, over.closed_by) == (one.id, "OrderReady", None)


def test_a_report_that_was_lost_is_found_and_is_no_exception(stage: NewStage) -> None:
    """What the fetch at the limit shows moves the order on: nothing was stuck."""
    it = stage(policy=StorePolicy(age_limits={Status.RECEIVED: timedelta(hours=2)}))
    order_id = it.drafted()
    it.live(3600)
    it.glopal.ready(it.store, order_id, emission=Emission(copies=0))
    it.live(2 * 3600)
    assert it.status(order_id) is not Status.RECEIVED
    assert (desk(it), rows(it)) == ([], 0)


@pytest.mark.parametrize(
    ("fault", "conclusion"), [("cut_after", "EffectDelivered"), ("cut_before", "EffectNotExecuted")]
)
def test_unknown_too_long_counts_from_its_intent_and_closes_on_what_is_seen(
    stage: NewStage, fault: Kind, conclusion: str
) -> None:
    """The reply is lost and nobody can look: until somebody can, it is on the desk from the fifteenth minute on."""
    it = stage()
    it.to_shop.faults.script(fault, method="POST")
    it.to_shop.faults.script("refused", method="GET", times=10**6)
    order_id = it.place()
    it.rest()
    intent = next(record for record in it.records(order_id) if record.type == "EffectIntended")
    assert (desk(it), rows(it)) == ([], 1)
    it.live(14 * 60)
    assert desk(it) == []
    it.live(2 * 60)
    [one] = desk(it)
    assert (one.id, one.of) == (f"{it.store}/{order_id}/unknown_draft/{intent.position}", Of.UNKNOWN_TOO_LONG)
    assert one.since == intent.recorded_at + timedelta(minutes=15)
    assert (one.effect, one.attempt, one.owner) == ("draft", 1, "integrator")
    assert one.text.startswith("nobody can tell what became of draft, attempt 1 (")
    it.to_shop.faults.stop()
    it.live(2 * 3600)
    assert len(it.made(order_id)) == 1
    [over] = desk(it, closed=True)
    assert (desk(it), over.id, over.closed_type) == ([], one.id, conclusion)


# --- decisions --------------------------------------------------------------------------------------------------------


def test_one_is_given_to_somebody(stage: NewStage) -> None:
    it, _ = refused(stage)
    [one] = desk(it)
    wanted = read_id(one.id)
    assert assign(it.engine, it.vault, wanted, "bo", it.policy, ANN).written
    assert not assign(it.engine, it.vault, wanted, "bo", it.policy, ANN).written
    assert not assign(it.engine, it.vault, wanted, "bo", it.policy, Decider("ann", "again", "ann-2")).written
    [given] = desk(it)
    assert (given.id, given.owner) == (one.id, "bo")


def test_one_that_was_dismissed_comes_back_if_it_happens_again(stage: NewStage) -> None:
    it, order_id = refused(stage)
    [one] = desk(it)
    assert dismiss(it.engine, it.vault, read_id(one.id), it.policy, ANN).written
    assert desk(it) == []
    assert it.exceptions(order_id) == {}
    assert it.order(order_id).parked  # nothing but the exception is gone
    [over] = desk(it, closed=True)
    assert (over.closed_type, over.closed_by) == ("ExceptionDismissed", "ann")
    assert not dismiss(it.engine, it.vault, read_id(one.id), it.policy, Decider("ann", "again", "ann-2")).written
    it.command(order_id, decisions.Retry(Effect.DRAFT, "bo", "try"))
    it.rest()
    [again] = desk(it)
    assert (again.kind, again.position > one.position) == (one.kind, True)
    with pytest.raises(decisions.IllegalTransition, match="was dismissed"):
        assign(it.engine, it.vault, read_id(one.id), "bo", it.policy, Decider("ann", "late", "ann-3"))


def test_what_is_over_or_unknown_is_not_decided_about(stage: NewStage) -> None:
    it, order_id = refused(stage)
    [one] = desk(it)
    it.command(order_id, decisions.Cancel("no stock", "ann"))
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "over"))
    it.rest()
    desk(it)
    with pytest.raises(ExceptionClosedError, match="was closed by RetryRequested"):
        dismiss(it.engine, it.vault, read_id(one.id), it.policy, ANN)
    for text in (f"{it.store}/{order_id}/parked_draft/1", f"{it.store}/~store/paused_shop/1"):
        with pytest.raises(UnknownExceptionError):
            dismiss(it.engine, it.vault, read_id(text), it.policy, ANN)
    for text in ("", "a", "a/b/c", "a/b/c/x", "/b/c/1", "a//c/1", "a/b/c/-1", "a/b/c/²", f"a/b/c/{'9' * 19}"):
        with pytest.raises(UnknownExceptionError):
            read_id(text)


def test_an_order_id_may_hold_slashes() -> None:
    assert str(read_id("acme/a/b/held_money/7")) == "acme/a/b/held_money/7"
    assert read_id("acme/a/b/held_money/7").order_id == "a/b"


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_open_is_what_attention_says_whatever_happened(module_database_url: str, stage: NewStage, seed: int) -> None:
    """After any history and in batches of any size: read model, history and judge agree, and anew is the same."""
    it = stage()
    tell(it.engine, it.store, *history(seed, 300))
    rng = Random(seed)
    while read_all(it.engine, it.store, ALL, batch=rng.randrange(1, 60)):
        pass
    for order_id in (f"o{n}" for n in range(6)):
        said = {(one.kind, one.subject) for one in judged(order(it.engine, it.store, order_id), POLICY)}
        with it.engine.begin() as conn:
            open_ = sa.and_(exceptions.c.store == it.store, exceptions.c.order_id == order_id)
            query = sa.select(exceptions.c.kind, exceptions.c.subject, exceptions.c.position).where(
                open_, exceptions.c.closed_position.is_(None)
            )
            shown = {tuple(row) for row in conn.execute(query)}
            found = {(case.kind, case.subject, case.position) for case in traced(conn, it.store, order_id, POLICY)}
        assert {(kind, subject) for kind, subject, _ in shown} == said
        assert shown == found
    assert anew(it.engine, it.store, Exceptions()).count == 0


def test_every_class_is_explained() -> None:
    assert set(CLASSES) == set(Of)
    assert set(STORES) < set(Of)
    for about in CLASSES.values():
        assert about.meaning
        assert about.closes
