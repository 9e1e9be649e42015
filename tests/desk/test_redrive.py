"""A redrive does what was planned, once, and nothing that has become another matter since."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import VAULT, Stage

from orderflow.desk import redrive
from orderflow.desk.redrive import Choice, Counts, Outcome, Plan, PlanError, StalePlanError, Waiting
from orderflow.desk.redrive.status import Standing
from orderflow.domain import decisions
from orderflow.domain.events import Destination, Effect, EffectIntended, RetryRequested
from orderflow.domain.policy import Mode, StorePolicy
from orderflow.projections import catch_up, planner
from orderflow.projections.effects import Effects
from orderflow.sandbox import ShopOptions
from orderflow.store import epochs

REFUSING, TAKING = ShopOptions(refuse=lambda _: "no_stock"), ShopOptions()
EVERYTHING = Choice(waiting=tuple(Waiting))


def planned(it: Stage, choice: Choice = Choice(), counts: Counts | None = None) -> Plan:  # noqa: B008  frozen
    """What a plan made now says."""
    with it.engine.begin() as conn:
        while catch_up(conn, it.store, [Effects()], it.policy):
            pass
        items = tuple(redrive.find(conn, it.relay, it.store, choice, it.clock(), counts))
        return Plan(it.store, epochs.current(conn, it.store), 0, it.clock(), "ann", "mended", choice.told(), items)


def apply(it: Stage, plan: Plan) -> list[tuple[Outcome, str]]:
    """What became of each item."""
    done = [
        redrive.apply_item(it.engine, VAULT, plan, item, it.policy, by="ann", why="in stock") for item in plan.items
    ]
    it.plan()
    return [(one.outcome, one.detail) for one in done]


def standings(it: Stage, plan: Plan) -> list[Standing]:
    with it.engine.begin() as conn:
        return [one.standing for one in redrive.fates(conn, plan, it.policy)]


def refused(it: Stage) -> str:
    """An order whose draft the shop refused; from now on it takes others."""
    it.shop.options = REFUSING
    order_id = it.place()
    it.ready(order_id)
    it.rest()
    it.shop.options = TAKING
    assert it.order(order_id).parked
    return order_id


def parked(it: Stage) -> str:
    """An order whose draft fell due only because the store came out of `observe`."""
    it.policy = StorePolicy(mode=Mode.OBSERVE)
    it.relay = it.worker("a")
    order_id = it.place()
    it.rest()
    it.policy = StorePolicy()
    it.relay = it.worker("a")
    with it.engine.begin() as conn:
        planner.sweep(conn, it.store, it.policy)
    assert it.row(order_id, "draft").parked
    return order_id


def test_what_was_refused_is_planned_applied_and_delivered(stage: NewStage) -> None:
    """The item names what a retry does and the request's digest; the intent that follows has that very digest."""
    it = stage()
    order_id = refused(it)
    plan = planned(it)
    [item] = plan.items
    assert (item.order_id, item.effect, item.waiting, item.generation) == (order_id, "draft", "refused", 1)
    assert (item.version, item.reason, item.does) == (it.order(order_id).version, "422 no_stock", "draft")
    assert standings(it, plan) == [Standing.NOT_APPLIED]
    assert apply(it, plan) == [(Outcome.APPLIED, "")]
    [retry] = it.history(order_id, RetryRequested)
    assert (retry.by, retry.why, retry.plan) == ("ann", "in stock", plan.name)
    assert standings(it, plan) == [Standing.WAITING]
    it.rest()
    assert standings(it, plan) == [Standing.DELIVERED]
    first, second = (event for event in it.history(order_id, EffectIntended) if event.effect is Effect.DRAFT)
    assert first.generation + 1 == second.generation == item.generation
    assert second.digest == item.digest
    assert planned(it, EVERYTHING).items == ()


def test_the_same_again_writes_nothing(stage: NewStage) -> None:
    """As after a kill: items that were written are passed over, the others are done."""
    it = stage()
    one, two = refused(it), refused(it)
    plan = planned(it)
    assert len(plan.items) == 2
    first = dataclasses.replace(plan, items=plan.items)
    redrive.apply_item(it.engine, VAULT, first, first.items[0], it.policy, by="ann", why="in stock")
    assert [outcome for outcome, _ in apply(it, plan)] == [Outcome.DONE, Outcome.APPLIED]
    it.rest()
    assert [outcome for outcome, _ in apply(it, plan)] == [Outcome.DONE, Outcome.DONE]
    assert [len(it.history(order_id, RetryRequested)) for order_id in (one, two)] == [1, 1]


def test_it_is_refused_after_success(stage: NewStage) -> None:
    """Somebody else has retried it, and it was delivered: there is nothing to try again."""
    it = stage()
    order_id = refused(it)
    plan = planned(it)
    it.command(order_id, decisions.Retry(Effect.DRAFT, "bob", "I was faster"))
    it.rest()
    assert apply(it, plan) == [(Outcome.MOVED, "draft was tried since, and waits no more")]


def test_it_is_refused_where_it_was_refused_once_more(stage: NewStage) -> None:
    """Another refusal is another matter: who planned has not seen it."""
    it = stage()
    order_id = refused(it)
    plan = planned(it)
    it.shop.options = REFUSING
    it.command(order_id, decisions.Retry(Effect.DRAFT, "bob", "again"))
    it.rest()
    assert apply(it, plan) == [(Outcome.MOVED, "draft was tried since, and waits again")]


def test_it_is_refused_where_the_order_moved(stage: NewStage) -> None:
    """Cancelled meanwhile: the item says what is not as it was."""
    it = stage()
    order_id = refused(it)
    plan = planned(it)
    it.cancel(order_id)
    it.rest()
    [(outcome, detail)] = apply(it, plan)
    assert outcome is Outcome.MOVED
    assert "status was READY, is CANCELLED" in detail
    assert it.history(order_id, RetryRequested) == []


def test_news_that_do_not_matter_are_no_reason_to_refuse(stage: NewStage) -> None:
    """A note, a fetch with the same answer: the version is another, the matter is the same."""
    it = stage()
    order_id = refused(it)
    plan = planned(it)
    it.command(order_id, decisions.Note("bob"))
    it.command(order_id, decisions.Retry(Effect.FETCH, "bob", "the same?"))
    it.rest()
    assert it.order(order_id).version > plan.items[0].version
    assert apply(it, plan) == [(Outcome.APPLIED, "")]


def test_what_a_change_of_policy_parked_waits_for_a_redrive(stage: NewStage) -> None:
    """It is listed as such, with what it would do, and goes once it is applied."""
    it = stage()
    order_id = parked(it)
    it.live(3 * 86400)
    assert it.made(order_id) == []
    plan = planned(it)
    assert [(item.waiting, item.does) for item in plan.items] == [("parked", "draft")]
    assert apply(it, plan) == [(Outcome.APPLIED, "")]
    it.live(60)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_what_is_held_says_so_and_goes_when_the_hold_ends(stage: NewStage) -> None:
    """A retry of what is not due for now counts as soon as it is."""
    it = stage()
    order_id = parked(it)
    event_id = it.glopal.report(it.store, order_id, "order.received", event_id="twice")
    it.glopal.report(it.store, order_id, "order.ready", event_id=event_id)
    it.news()
    [hold] = it.order(order_id).holds
    plan = planned(it)
    assert [item.blocked for item in plan.items] == ["held: evidence"]
    assert apply(it, plan) == [(Outcome.APPLIED, "")]
    it.command(order_id, decisions.Release(hold.reason, hold.position, "ann", "seen"))
    it.live(60)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


def test_shadow_and_what_comes_by_itself_are_asked_for_by_name(stage: NewStage) -> None:
    """Usually they are left out, and counted."""
    it = stage(policy=StorePolicy(shadow=True))
    order_id = it.place()
    it.live(60)
    it.policy = StorePolicy()
    it.relay = it.worker("b")
    it.to_shop.faults.script("refused", times=3, method="POST")
    later = it.place()
    it.rest()
    counts = Counts()
    assert planned(it, counts=counts).items == ()
    assert counts.left_out == {Waiting.SHADOW: 1, Waiting.LATER: 1}
    shadow = planned(it, Choice(waiting=(Waiting.SHADOW,)))
    [item] = shadow.items
    assert (item.order_id, item.digest) == (order_id, it.row(order_id, "draft").digest)
    assert apply(it, shadow) == [(Outcome.APPLIED, "")]
    now = planned(it, Choice(waiting=(Waiting.LATER,)))
    assert [item.order_id for item in now.items] == [later]
    before = it.row(later, "draft").next_at
    assert apply(it, now) == [(Outcome.APPLIED, "")]
    assert it.row(later, "draft").next_at <= it.clock() < before


def test_choosing(stage: NewStage) -> None:
    """By effect, destination, order and time."""
    it = stage()
    one = refused(it)
    it.clock.wait(100)
    between = it.clock()
    two = refused(it)
    for choice, found in (
        (Choice(effects=(Effect.DRAFT,)), [one, two]),
        (Choice(effects=(Effect.ACCEPT, Effect.PROMOTE)), []),
        (Choice(destination=Destination.SHOP), [one, two]),
        (Choice(destination=Destination.GLOPAL), []),
        (Choice(since=between), [two]),
        (Choice(until=between), [one]),
        (Choice(orders=(two,)), [two]),
        (Choice(waiting=(Waiting.GIVEN_UP,)), []),
    ):
        assert {item.order_id for item in planned(it, choice).items} == set(found), choice


# --- the plan as a whole ----------------------------------------------------------------------------------------------


def test_a_plan_that_was_altered_is_not_read(stage: NewStage, tmp_path: Path) -> None:
    """Any figure in it; and what is read is what was written."""
    it = stage()
    refused(it)
    plan, path = planned(it), tmp_path / "plan.json"
    redrive.write(path, plan)
    assert redrive.read(path) == plan
    with pytest.raises(PlanError, match="exists already"):
        redrive.write(path, plan)
    for was, now in (
        ('"version": ', '"version": 1'),
        ("refused", "given_up"),
        ('"made_by": "ann"', '"made_by": "bob"'),
    ):
        text = path.read_text()
        assert was in text
        (tmp_path / "altered.json").write_text(text.replace(was, now, 1))
        with pytest.raises(PlanError, match="was altered"):
            redrive.read(tmp_path / "altered.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "orderflow redrive plan 9"}', "\xff", '{"format": 7}'])
def test_what_is_no_plan_is_not_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(PlanError, match="is no redrive plan"):
        redrive.read(tmp_path / "other.json")
    with pytest.raises(PlanError, match="cannot be read"):
        redrive.read(tmp_path / "none.json")


def test_a_plan_holds_nothing_personal(stage: NewStage) -> None:
    """The buyer's name, street and note stand in the details, not in the plan."""
    it = stage()
    it.shop.options = REFUSING
    it.place(customer_note="ring twice, says Ada")
    it.rest()
    [item] = planned(it).items
    plan = redrive.sealed(planned(it)).decode()
    assert item.digest is not None
    assert "Ada" not in plan
    assert "@" not in plan


def test_an_old_plan_and_one_of_another_epoch_are_refused(stage: NewStage) -> None:
    """Older than a day only by force; of a log that was restored since, never; and nothing while it recovers."""
    it = stage()
    refused(it)
    plan = planned(it)
    day = timedelta(days=1, seconds=1)
    with it.engine.begin() as conn:
        redrive.check(conn, plan, it.clock())
        with pytest.raises(StalePlanError, match="more than a day"):
            redrive.check(conn, plan, it.clock() + day)
        redrive.check(conn, plan, it.clock() + day, force=True)
    with it.engine.connect() as conn, conn.begin() as unfinished:
        epochs.begin(conn, it.store, "a test", None, None, 0)
        with pytest.raises(StalePlanError, match="kept back"):
            redrive.check(conn, plan, it.clock(), force=True)
        opened = "UPDATE orderflow.recoveries SET read_to = 1, opened_at = now(), opened_by = 'a', why = 'b' "
        conn.execute(sa.text(opened + "WHERE store = :store"), {"store": it.store})
        with pytest.raises(StalePlanError, match="epoch 1, now 2"):
            redrive.check(conn, plan, it.clock(), force=True)
        unfinished.rollback()
