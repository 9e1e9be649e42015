"""Histories that should not be: each is taken as it comes, settled by asking, or left to a person."""

from decimal import Decimal

import pytest
from tests.badinput.test_details import good
from tests.badinput.test_feed import whole
from tests.relay.stage import VAULT, Stage

from orderflow import intake
from orderflow.domain.events import EvidenceFound, HoldReason
from orderflow.domain.machine import Status
from orderflow.glopal.jsontext import canonical, parse
from orderflow.sandbox import Emission, Response
from orderflow.store import progress

SILENT = Emission(copies=0)
STORIES = {
    "cancelled-first": (["cancelled", "received", "ready"], "RECEIVED", Status.RECEIVED),
    "ready-twice": (["ready", "ready"], "READY", Status.ACCEPTED),
    "received-after-ready": (["ready", "received"], "READY", Status.ACCEPTED),
    "ready-after-cancelled": (["received", "cancelled", "ready"], "CANCELLED", Status.CANCELLED),
    "completed-without-accepted": (["received", "completed"], "COMPLETED", Status.COMPLETED),
    "received-after-completed": (["completed", "received"], "COMPLETED", Status.COMPLETED),
    "accepted-out-of-nothing": (["accepted"], "READY", Status.ACCEPTED),
}


@pytest.mark.parametrize("name", STORIES)
def test_reports_in_an_odd_order(stage, name: str):
    """Whatever was reported in whatever order: in the end the order stands where Glopal has it, with one shop order."""
    here = stage()
    reports, true, ends = STORIES[name]
    order_id = tell(here, reports, true)
    other = here.place()
    here.ready(other)
    here.live(3 * 3600)
    assert here.status(other) is Status.ACCEPTED
    order = here.order(order_id)
    assert order.status is ends
    assert len([made for made in here.made(order_id) if made.state == "order"]) <= 1
    if name == "cancelled-first":
        assert [hold.reason for hold in order.holds] == [HoldReason.OVERRULED], "two answers against a report: a person"
    else:
        assert order.holds == ()
    whole(here)


def tell(stage: Stage, reports: list[str], true: str) -> str:
    """An order that stands at `true` at Glopal, of which only these reports come."""
    order_id = stage.glopal.place(stage.store, emission=SILENT)
    if true != "RECEIVED":
        stage.glopal.ready(stage.store, order_id, emission=SILENT)
    if true == "CANCELLED":
        stage.glopal.cancel(stage.store, order_id, emission=SILENT)
    if true == "COMPLETED":
        stage.glopal.accept_elsewhere(stage.store, order_id, "theirs", "1")
        stage.glopal.complete(stage.store, order_id)
    for report in reports:
        stage.glopal.report(stage.store, order_id, f"order.{report}")
    return order_id


def test_an_order_that_glopal_does_not_know(stage):
    """Reported, but every GET is 404: nothing is done for it, and it is left to a person after the last try."""
    here = stage()
    here.glopal.report(here.store, "9-9", "order.ready")
    good_one = here.place()
    here.ready(good_one)
    here.live(24 * 3600)
    assert here.status(good_one) is Status.ACCEPTED
    assert here.made("9-9") == []
    assert "parked_fetch" in here.exceptions("9-9")
    assert "404" in here.exceptions("9-9")["parked_fetch"]


def test_an_order_that_vanishes(stage):
    """Drafted, then every GET is 404: the draft stays, nothing is promoted, a person is told."""
    here = stage()
    order_id = here.drafted()
    here.glopal.serve_instead(here.store, order_id, b'{"error":{"code":"order_not_found"}}', 404)
    here.ready(order_id)
    here.live(24 * 3600)
    assert [made.state for made in here.made(order_id)] == ["draft"]
    assert "parked_fetch" in here.exceptions(order_id)


def test_the_same_order_id_in_two_stores(stage):
    """They have nothing in common: not the history, not the shop order, not the key."""
    one, two = stage("-1"), stage("-2")
    for here in (one, two):
        here.place(id="7-7")
    one.ready("7-7")
    both = one.worker("both", two)
    for _ in range(3):
        one.news()
        two.news()
        one.rest(both)
        one.clock.wait(5)
    one.live(30)
    assert (one.status("7-7"), two.status("7-7")) == (Status.ACCEPTED, Status.RECEIVED)
    assert [made.state for made in one.made("7-7")] == ["order"]
    assert [made.state for made in two.made("7-7")] == ["draft"]


def test_a_store_that_glopal_does_not_know(stage):
    """Its pull pauses with what Glopal said."""
    here = stage()
    here.to_glopal.instead = lambda _request: Response(404, b'{"error":{"code":"store_not_found"}}')
    assert intake.pull(here.engine, VAULT, here.feed).stopped == "404 store_not_found"
    with here.engine.begin() as conn:
        assert "pull" in progress.paused(conn, here.store)


def test_an_event_id_of_two_orders(stage):
    """Both contents are kept, both orders are held, everybody else goes on; a release lets the true one go."""
    here = stage()
    first, second, other = here.place(), here.place(), here.place()
    event_id = here.glopal.report(here.store, first, "order.received")
    here.glopal.report(here.store, second, "order.received", event_id=event_id)
    for order_id in (first, second, other):
        here.ready(order_id)
    here.live(60)
    for order_id in (first, second):
        assert here.history(order_id, EvidenceFound) == [EvidenceFound(event_id)]
        assert here.exceptions(order_id)["held_evidence"] == f"held: {event_id}"
        assert here.made(order_id) == []
    assert here.status(other) is Status.ACCEPTED


def test_ids_changed_by_hand(stage):
    """Accepted with our ids, and then Glopal shows others: a person is told, the shop order stays."""
    here = stage()
    order_id = here.place()
    here.ready(order_id)
    here.live(30)
    assert here.status(order_id) is Status.ACCEPTED
    shown = good(here, order_id) | {"external": {"order_id": "by-hand", "order_number": "1"}}
    here.glopal.serve_instead(here.store, order_id, canonical(shown))
    here.live(8 * 24 * 3600)
    assert "accepted_elsewhere" in here.exceptions(order_id)
    assert [made.state for made in here.made(order_id)] == ["order"]


def test_the_total_changes_between_received_and_ready(stage):
    """The draft was made for another total: it gives way to one for the total of today, and only that is promoted."""
    here = stage()
    item = {"sku": "MUG-01", "quantity": 1, "unit_price": Decimal(10)}
    plain = {"items": [item], "shipping": {}, "currency": "EUR"}
    order_id = here.place(**plain, totals={"total": Decimal(10)})
    here.rest()
    here.glopal.amend(
        here.store, order_id, **(plain | {"items": [item | {"quantity": 2}]}), totals={"total": Decimal(20)}
    )
    here.ready(order_id)
    here.live(60)
    assert here.order(order_id).details.total == Decimal(20)
    created = [parse(request.body) for request in here.to_shop.writes if request.path == "/orders"]
    assert [body["total"] for body in created if isinstance(body, dict)] == ["10", "20"]
    assert [made.state for made in here.made(order_id)] == ["deleted", "order"]
    assert here.status(order_id) is Status.ACCEPTED
