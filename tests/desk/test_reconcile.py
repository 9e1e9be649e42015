"""Whatever is changed by hand, at Glopal or in the shop, shows as exactly that difference, and closes when mended."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow.desk import reconcile
from orderflow.desk.reconcile import Report
from orderflow.domain import decisions
from orderflow.domain.attention import attention
from orderflow.domain.events import DetailsFetched, Drift, Reconciled
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.orders import UnknownOrderError
from orderflow.sandbox import Request
from orderflow.store import progress, rounds

SETTLED = 120


def asked(it: Stage, order_id: str) -> Report:
    """One reconciliation, when Glopal's GET shows everything."""
    it.clock.wait(SETTLED)
    report = reconcile.reconcile(it.relay, it.store, order_id)
    it.plan()
    return report


def kinds(report: Report) -> list[str]:
    return [f"{one.place}: {one.kind}" for one in report.drifts]


def open_exceptions(it: Stage, order_id: str) -> set[str]:
    return {one.kind for one in attention(it.order(order_id), it.policy)}


def accepted(it: Stage, **overrides) -> tuple[str, str]:
    """An accepted order, and its shop id."""
    order_id = it.place(**overrides)
    it.ready(order_id)
    it.live(300)
    assert it.status(order_id) is Status.ACCEPTED
    [entry] = it.made(order_id)
    return order_id, entry.id


def one_drift(it: Stage, order_id: str, kind: str, ours: str, theirs: str) -> Drift:
    """Reconciled twice, that difference was recorded once, and it is an exception with a way out."""
    report = asked(it, order_id)
    assert kinds(report) == [kind]
    [drift] = report.drifts
    assert (drift.ours, drift.theirs) == (ours, theirs)
    version = it.order(order_id).version
    assert asked(it, order_id).drifts == report.drifts
    assert it.order(order_id).version == version + 1, "Glopal's answer, and nothing else"
    assert len(it.history(order_id, Reconciled)) == 1
    name = f"drift_{kind.partition(': ')[2]}"
    [found] = [one for one in attention(it.order(order_id), it.policy) if one.kind == name]
    assert found.commands
    assert ours in found.text
    return drift


def closed(it: Stage, order_id: str) -> None:
    """All agrees again: recorded once, and no exception is left."""
    report = asked(it, order_id)
    assert (report.drifts, report.problem) == ((), "")
    assert it.history(order_id, Reconciled)[-1].drifts == ()
    assert open_exceptions(it, order_id) == set()
    assert asked(it, order_id).drifts == ()
    assert len(it.history(order_id, Reconciled)) == 2


def test_where_all_agrees_nothing_but_glopals_answer_is_recorded(stage: NewStage) -> None:
    """The log does not fill with "nothing new"."""
    it = stage()
    order_id, _ = accepted(it)
    before = it.names(order_id)
    report = asked(it, order_id)
    assert (report.drifts, report.problem, report.followed, report.status) == ((), "", "", "ACCEPTED")
    assert it.names(order_id) == [*before, "DetailsFetched"]
    assert [line.outcome for line in it.attempts(order_id)][-3:] == ["Found", "Found", "Found"]


# --- by hand in the shop ----------------------------------------------------------------------------------------------


def test_another_total_in_the_shop(stage: NewStage) -> None:
    it = stage()
    order_id, shop_id = accepted(it)
    total = it.order(order_id).total
    it.shop.change_by_hand(shop_id, total=str(total.amount + Decimal("0.01")))
    theirs = f"{total.amount + Decimal('0.01')} {total.currency}"
    one_drift(it, order_id, "shop: total_differs", str(total), theirs)
    it.shop.change_by_hand(shop_id, total=f"{total.amount}0")  # the same amount, written otherwise
    closed(it, order_id)


def test_other_lines_in_the_shop(stage: NewStage) -> None:
    """Quantity, price, article: what differs is told, the rest is not."""
    it = stage()
    order_id, shop_id = accepted(it)
    items = it.shop.created_from(shop_id)["items"]
    first, rest = items[0], items[1:]
    sku, quantity, price = first["sku"], first["quantity"], first["unit_price"]
    it.shop.change_by_hand(shop_id, items=[first | {"quantity": quantity + 1}, *rest])
    there = f"{quantity + 1} x {sku} at {price}"
    one_drift(it, order_id, "shop: lines_differ", f"{quantity} x {sku} at {price}", there)
    it.shop.change_by_hand(shop_id, items=[*rest, first])  # in another order
    closed(it, order_id)


def test_another_currency_number_and_reference_in_the_shop(stage: NewStage) -> None:
    """Each by itself; a reference may be a person's words, so it is not repeated."""
    it = stage()
    order_id, shop_id = accepted(it)
    own, ours = it.order(order_id).shop.own, f"glopal:{it.store}:{order_id}"
    currency = it.shop.created_from(shop_id)["currency"]
    for change, mended, kind, was, shows in (
        ({"currency": "XTS"}, {"currency": currency}, "currency_differs", currency, "XTS"),
        ({"number": "9-9"}, {"number": own.number}, "number_differs", own.number, "9-9"),
        ({"reference": "Ada's order"}, {"reference": ours}, "reference_differs", ours, "another"),
    ):
        it.shop.change_by_hand(shop_id, **change)
        report = asked(it, order_id)
        [drift] = report.drifts
        assert (drift.kind, drift.ours, drift.theirs) == (kind, was, shows)
        assert open_exceptions(it, order_id) == {f"drift_{kind}"}
        it.shop.change_by_hand(shop_id, **mended)
        assert asked(it, order_id).drifts == ()
        assert open_exceptions(it, order_id) == set()


def test_cancelled_in_the_shop(stage: NewStage) -> None:
    """Nothing is done about it by itself; the command that is offered cancels at Glopal."""
    it = stage()
    order_id, shop_id = accepted(it)
    it.shop.cancel_by_hand(shop_id)
    one_drift(it, order_id, "shop: cancelled_in_shop", f"{shop_id} (order)", f"{shop_id} (gone)")
    it.live(2 * 86400)
    assert (it.status(order_id), len(it.made(order_id))) == (Status.ACCEPTED, 1)
    it.command(order_id, decisions.Cancel("gone in the shop", "ann"))
    it.live(600)
    assert it.status(order_id) is Status.CANCELLED
    assert open_exceptions(it, order_id) == set()
    assert asked(it, order_id).drifts == ()


def test_missing_in_the_shop(stage: NewStage) -> None:
    """Neither drafted anew by itself: a shop may have lost its memory for an hour."""
    it = stage()
    order_id, shop_id = accepted(it)
    it.shop.lose_by_hand(shop_id)
    one_drift(it, order_id, "shop: missing_in_shop", f"{shop_id} (order)", "nothing")
    it.rest()
    assert len(it.made(order_id)) == 1
    it.shop.revive_by_hand(shop_id)
    closed(it, order_id)


def test_a_draft_that_was_promoted_by_hand(stage: NewStage) -> None:
    """It is an order there, and a draft here, while Glopal has not confirmed the payment."""
    it = stage()
    order_id = it.drafted()
    [entry] = it.made(order_id)
    it.shop.promote_by_hand(entry.id)
    one_drift(it, order_id, "shop: state_differs", f"{entry.id} (draft)", f"{entry.id} (order)")


def test_alive_though_cancelled(stage: NewStage) -> None:
    it = stage()
    order_id, shop_id = accepted(it)
    it.command(order_id, decisions.Cancel("out of stock", "ann"))
    it.live(600)
    assert it.status(order_id) is Status.CANCELLED
    it.shop.revive_by_hand(shop_id)
    one_drift(it, order_id, "shop: cancelled_but_alive", f"{shop_id} (gone)", f"{shop_id} (order)")
    it.shop.cancel_by_hand(shop_id)
    closed(it, order_id)


def test_a_shop_order_that_nobody_knows(stage: NewStage) -> None:
    """It carries our reference, and no event tells of it."""
    it = stage()
    order_id, shop_id = accepted(it)
    body = json.dumps(it.shop.created_from(shop_id)).encode()
    it.shop.handle(Request("POST", "/orders", (), {"authorization": "Bearer shop-sandbox"}, body))
    stray = it.made(order_id)[-1].id
    one_drift(it, order_id, "shop: unknown_in_fold", "nothing", f"{stray} (draft)")
    it.shop.delete_by_hand(stray)
    closed(it, order_id)


# --- by hand at Glopal ------------------------------------------------------------------------------------------------


def test_a_status_that_no_event_told_is_followed(stage: NewStage) -> None:
    """Glopal's word moves the order at once; the report says so, and there is nothing left to do."""
    it = stage()
    order_id, _ = accepted(it)
    it.glopal.complete(it.store, order_id)  # this Glopal emits no such event
    report = asked(it, order_id)
    assert (report.followed, report.drifts) == ("ACCEPTED -> COMPLETED", ())
    assert it.status(order_id) is Status.COMPLETED


def test_a_status_that_stays_behind(stage: NewStage) -> None:
    """Long after an event moved the order, Glopal's own GET shows less: that is no lag any more."""
    it = stage()
    order_id, _ = accepted(it)
    shown = it.glopal.handle(
        Request("GET", f"/v2/orders/{it.store}/{order_id}", (), {"authorization": "Bearer GL.sandbox"}, b"")
    )
    it.glopal.serve_instead(it.store, order_id, shown.body.replace(b"ACCEPTED", b"READY"))
    one_drift(it, order_id, "glopal: status_differs", "ACCEPTED", "READY")
    it.glopal.serve_instead(it.store, order_id, None)
    closed(it, order_id)


def test_other_ids_at_glopal(stage: NewStage) -> None:
    """Accepted there by hand with ids that are not ours: told once, as accepted elsewhere."""
    it = stage()
    order_id = it.drafted()
    it.glopal.accept_elsewhere(it.store, order_id, "X-1", "0001")
    [entry] = it.made(order_id)
    report = asked(it, order_id)
    assert kinds(report) == ["glopal: ids_differ"]
    assert (report.drifts[0].ours, report.drifts[0].theirs) == (f"{entry.id} / {entry.number}", "X-1 / 0001")
    assert open_exceptions(it, order_id) == {"accepted_elsewhere"}


def test_another_total_at_glopal_after_acceptance(stage: NewStage) -> None:
    """The shop's order was made for another one; tolerance is zero."""
    it = stage()
    order_id, _ = accepted(it, **walkers("10.00"))
    it.glopal.amend(it.store, order_id, **walkers("10.01"))
    report = asked(it, order_id)
    assert kinds(report) == ["glopal: total_differs", "shop: lines_differ"]
    assert [(one.ours, one.theirs) for one in report.drifts] == [
        ("10.00 EUR", "10.01 EUR"),
        ("1 x WALKER at 10.01", "1 x WALKER at 10.00"),
    ]
    assert open_exceptions(it, order_id) == {"drift_total_differs", "drift_lines_differ"}
    it.glopal.amend(it.store, order_id, **walkers("10.00"))
    closed(it, order_id)


def walkers(price: str) -> dict:
    """An order of one article, free of tax and shipping."""
    amount, nothing = Decimal(price), Decimal(0)
    item = {"id": "1", "sku": "WALKER", "name": "Walker", "quantity": 1, "unit_price": amount, "total": amount}
    sums = dict.fromkeys(("discount", "shipping", "tax", "duty", "fees"), nothing)
    return {
        "currency": "EUR",
        "items": [item],
        "shipping": {"method": "standard", "price": nothing},
        "totals": {"items": amount, **sums, "total": amount},
    }


def test_in_the_store_s_own_currency_the_frozen_rate_counts(stage: NewStage) -> None:
    """Glopal's rate of today is another one: what entered the shop is compared with the rate of then."""
    it = stage(policy=StorePolicy(base_currency="USD"))
    order_id, shop_id = accepted(it)
    entered = it.order(order_id).entered
    assert entered.currency == "USD"
    assert entered.rate is not None
    assert asked(it, order_id).drifts == ()
    details = it.history(order_id, DetailsFetched)[-1]
    assert details.rate == entered.rate
    it.shop.change_by_hand(shop_id, total=str(entered.total + Decimal("0.01")))
    assert kinds(asked(it, order_id)) == ["shop: total_differs"]


# --- what is not compared ---------------------------------------------------------------------------------------------


def test_what_gives_no_answer_closes_nothing(stage: NewStage) -> None:
    """A shop that is away leaves what was known of it; Glopal's side is compared all the same."""
    it = stage()
    order_id, shop_id = accepted(it)
    it.shop.change_by_hand(shop_id, number="9-9")
    assert kinds(asked(it, order_id)) == ["shop: number_differs"]
    it.to_shop.faults.script("error_503", times=5)
    report = asked(it, order_id)
    assert "the shop gave no answer: 503" in report.problem
    assert kinds(report) == ["shop: number_differs"]
    it.to_glopal.faults.script("error_503", times=1)
    report = asked(it, order_id)
    assert "Glopal gave no answer" in report.problem
    assert open_exceptions(it, order_id) == {"drift_number_differs"}


def test_nobody_is_asked_where_a_destination_is_paused(stage: NewStage) -> None:
    it = stage()
    order_id, _ = accepted(it)
    with it.engine.begin() as conn:
        progress.pause(conn, it.store, "shop", "stocktaking", "ann")
    gets = it.at_glopal(order_id).gets
    assert asked(it, order_id).problem == "shop is paused: stocktaking"
    assert it.at_glopal(order_id).gets == gets


def test_a_shop_order_under_way_is_not_compared(stage: NewStage) -> None:
    """What the shop shows in the middle of a call says nothing."""
    it = stage()
    order_id = it.place()
    call = it.call("draft")
    report = reconcile.reconcile(it.relay, it.store, order_id)
    assert report.problem == "draft is under way in the shop"
    assert report.drifts == ()
    it.finish(call)


def test_an_unknown_order(stage: NewStage) -> None:
    it = stage()
    with pytest.raises(UnknownOrderError):
        reconcile.reconcile(it.relay, it.store, "1-1")


# --- rounds -----------------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


def test_a_round_asks_about_every_open_order_once_a_period(stage: NewStage) -> None:
    """At one pace for all workers; the first round begins a period after the store is first seen."""
    it = stage()
    ids = sorted(accepted(it)[0] for _ in range(3))
    it.cancel(ids[1])
    it.live(600)
    gets = {order_id: it.at_glopal(order_id).gets for order_id in ids}
    other = it.worker("b")
    assert reconcile.turn(it.relay, it.store, HOUR) == 3600
    assert reconcile.turn(it.relay, it.store, HOUR) == 3600
    it.clock.wait(3600)
    assert reconcile.turn(it.relay, it.store, HOUR) == 1.0
    assert 0 < reconcile.turn(other, it.store, HOUR) <= 1.0  # the same pace for both
    it.clock.wait(1)
    reconcile.turn(other, it.store, HOUR)
    it.clock.wait(1)
    assert reconcile.turn(it.relay, it.store, HOUR) > 1
    now = {order_id: it.at_glopal(order_id).gets for order_id in ids}
    assert {order_id: now[order_id] - gets[order_id] for order_id in ids} == {ids[0]: 1, ids[1]: 0, ids[2]: 1}
    it.clock.wait(3600)
    reconcile.turn(it.relay, it.store, HOUR)
    assert it.at_glopal(ids[0]).gets == gets[ids[0]] + 2


def test_a_round_goes_on_after_a_crash_and_leaves_few_rows(stage: NewStage) -> None:
    """Whoever takes the next order takes the one behind the last that was taken, by whomever."""
    it = stage()
    ids = sorted(it.place() for _ in range(20))
    it.rest()
    taken = []
    with it.engine.begin() as conn:
        assert rounds.take(conn, it.store, HOUR, timedelta(0)).order_id is None
    it.clock.wait(3600)
    for _ in range(21):
        with it.engine.begin() as conn:
            taken.append(rounds.take(conn, it.store, HOUR, timedelta(0)).order_id)
    assert taken == [*ids, None]
    with it.engine.begin() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM orderflow.rounds").scalar_one() <= 16


def test_a_round_stops_while_the_shop_is_paused(stage: NewStage) -> None:
    it = stage()
    accepted(it)
    reconcile.turn(it.relay, it.store, HOUR)
    it.clock.wait(3600)
    with it.engine.begin() as conn:
        progress.pause(conn, it.store, "glopal", "maintenance", "ann")
    asked_before = len(it.to_glopal.seen)
    assert reconcile.turn(it.relay, it.store, HOUR) == 30.0
    assert len(it.to_glopal.seen) == asked_before
