"""The fake Glopal keeps the semantics of the reference: authentication, accept, cancel, refund, details."""

import json
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from orderflow.sandbox import SWITCHES, Glopal, GlopalOptions, Request

from .world import GLOPAL_KEY, STORE, Clock, World


def test_a_key_is_needed_and_a_store_must_be_known() -> None:
    world = World(GlopalOptions(store_keys={"other": "GL.other"}))
    world.glopal.open("other")

    def status(key: str | None, store: str) -> int:
        headers = {} if key is None else {"authorization": key}
        return world.glopal.handle(Request("GET", f"/v2/events/{store}", (), headers)).status

    assert status(None, STORE) == 401
    assert status("Bearer nonsense", STORE) == 401
    assert status("Bearer GL.sandbox", "unknown") == 403
    assert status("Bearer GL.other", STORE) == 403
    assert status("Bearer GL.other", "other") == status("bearer GL.sandbox", STORE) == 200


def test_unknown_orders_addresses_and_methods() -> None:
    world = World()
    assert world.ask("GET", f"/v2/orders/{STORE}/1-1").status == 404
    assert world.ask("GET", "/v2/nothing").status == 404
    assert world.ask("PUT", f"/v2/events/{STORE}").status == 405


def test_routes_are_data() -> None:
    world = World(GlopalOptions(routes={"order": ("GET", "/v9/o/{store}/{order}")}))
    order_id = world.glopal.place(STORE)
    assert world.ask("GET", f"/v9/o/{STORE}/{order_id}").status == 200
    assert world.ask("GET", f"/v2/orders/{STORE}/{order_id}").status == 404


def test_accept_when_ready_accepts_once_and_repeats_are_fine() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    assert world.accept(order_id) == world.accept(order_id) == 200
    assert world.order(order_id)["status"] == "ACCEPTED"
    assert world.order(order_id)["external"] == {"order_id": "7", "order_number": "00007"}
    assert world.accept(order_id, "8", "00008") == 400
    world.glopal.complete(STORE, order_id)
    assert world.accept(order_id) == 200
    (entry,) = world.glopal.ledger(STORE)
    assert [call.status for call in entry.accepts] == [200, 200, 400, 200]
    assert [call.ids for call in entry.applied_accepts] == [("7", "00007")]
    assert [status for _, status in entry.statuses] == ["RECEIVED", "READY", "ACCEPTED", "COMPLETED"]


def test_accept_before_ready_takes_effect_only_after_ready() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    assert world.accept(order_id) == 200
    assert world.order(order_id)["status"] == "RECEIVED"
    assert world.order(order_id)["external"] is not None
    assert world.accept(order_id, "8", "00008") == 400
    world.glopal.ready(STORE, order_id)
    assert world.order(order_id)["status"] == "ACCEPTED"
    assert world.names() == ["order.received", "order.ready"]


def test_an_early_accept_does_not_survive_a_cancellation_but_its_ids_stay_visible() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.accept(order_id)
    world.glopal.cancel(STORE, order_id)
    assert world.order(order_id)["status"] == "CANCELLED"
    assert world.order(order_id)["external"] == {"order_id": "7", "order_number": "00007"}
    assert world.page()[-1]["external"]["order_id"] == "7"
    assert world.accept(order_id) == 400


def test_accepting_may_take_time_and_completion_may_follow_by_itself() -> None:
    options = GlopalOptions(
        accept_takes=timedelta(seconds=5), completes_after=timedelta(seconds=5), emit_accepted_completed=True
    )
    world = World(options)
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    assert world.accept(order_id) == 200
    assert world.order(order_id)["status"] == "READY"
    world.clock.pass_(5)
    assert world.order(order_id)["status"] == "ACCEPTED"
    world.clock.pass_(60)
    assert world.names() == ["order.received", "order.ready", "order.accepted", "order.completed"]
    (entry,) = world.glopal.ledger(STORE)
    start = entry.statuses[0][0]
    assert [(at - start).total_seconds() for at, _ in entry.statuses] == [0, 0, 5, 10]


def test_accept_needs_both_ids_in_either_form() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    path = f"/v2/orders/{STORE}/{order_id}/accept"
    assert world.ask("POST", path, {"external": {"order_id": "7"}}).status == 400
    assert world.ask("POST", path, {"order_id": 7, "order_number": "00007"}).status == 400
    assert world.ask("POST", path).status == 400
    assert world.ask("POST", path, {"order_id": "7", "order_number": "00007"}).status == 200
    world.glopal.options = GlopalOptions(accept_body="nested")
    assert world.ask("POST", path, {"order_id": "7", "order_number": "00007"}).status == 400


def test_accept_elsewhere_takes_the_order_away() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    world.glopal.accept_elsewhere(STORE, order_id, "99", "00099")
    assert world.accept(order_id) == 400
    assert world.order(order_id)["external"]["order_id"] == "99"
    assert world.glopal.ledger(STORE)[0].accepts[0].by == "elsewhere"


def test_cancel_by_the_merchant_voids_and_reports_once() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    assert world.cancel(order_id) == world.cancel(order_id) == 200
    assert world.names() == ["order.received", "order.ready", "order.cancelled"]
    order = world.order(order_id)
    assert order["cancellation"]["by"] == "merchant"
    assert order["payment"]["status"] == "voided"
    world.glopal.options = GlopalOptions(repeat_cancel="refused")
    assert world.cancel(order_id) == 400


def test_cancel_is_refused_when_glopal_was_first_or_the_parcel_has_left() -> None:
    world = World()
    first, second = world.glopal.place(STORE), world.glopal.place(STORE)
    world.glopal.cancel(STORE, first)
    assert world.cancel(first) == 400
    world.glopal.ready(STORE, second)
    world.accept(second)
    world.glopal.ship(STORE, second)
    assert world.cancel(second) == 400
    assert [call.applied for call in world.glopal.ledger(STORE)[1].cancels] == [False]


def test_every_refund_moves_money_again_up_to_the_total() -> None:
    world = World()
    order_id = world.glopal.place(STORE, totals={"total": Decimal("10.00")})
    stem = f"/v2/orders/{STORE}/{order_id}"
    assert world.ask("POST", f"{stem}/refund", {"amount": 4}).status == 400  # not accepted yet: cancel instead
    world.glopal.ready(STORE, order_id)
    world.accept(order_id)
    quote = world.ask("POST", f"{stem}/refund/quote", {"amount": 4, "glopal_amount": 1})
    assert json.loads(quote.body)["liability"] == {"merchant": 3, "glopal": 1}
    assert world.order(order_id)["refunds"] == []
    assert [world.ask("POST", f"{stem}/refund", {"amount": "4.00"}).status for _ in range(3)] == [200, 200, 400]
    assert [refund["amount"] for refund in world.order(order_id)["refunds"]] == [4, 4]


def test_returns_are_reported_with_their_id() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    return_id = world.glopal.returned(STORE, order_id)
    world.glopal.returned(STORE, order_id, "AUTHORIZED", return_id)
    assert [(e["event_name"], e["entity_id"]) for e in world.page()[1:]] == [
        ("return.requested", "1"),
        ("return.authorized", "1"),
    ]
    (one,) = world.order(order_id)["returns"]
    assert (one["id"], one["status"], one["tracking_number"]) == ("1", "AUTHORIZED", "SANDBOX1")


def test_money_that_goes_back_without_a_call_shows_and_emits_nothing() -> None:
    """In the Merchant Account, by Glopal, by a lost dispute (STATED that there are these three, 7)."""
    world = World()
    order_id = world.glopal.place(STORE, totals={"total": Decimal(10)})
    with pytest.raises(ValueError, match="not_refundable"):
        world.glopal.refund(STORE, order_id, Decimal(1))
    world.glopal.ready(STORE, order_id)
    world.accept(order_id)
    events = len(world.page())
    ids = [world.glopal.refund(STORE, order_id, Decimal(1), "chargeback", by) for by in ("merchant", "lost_dispute")]
    shown = world.order(order_id)["refunds"]
    assert [(one["id"], one["by"]) for one in shown] == list(zip(ids, ("merchant", "lost_dispute"), strict=True))
    assert len(world.page()) == events
    with pytest.raises(ValueError, match="amount_too_high"):
        world.glopal.refund(STORE, order_id, Decimal(9))
    hidden = World(GlopalOptions(initiators="absent"))
    other = hidden.glopal.place(STORE)
    hidden.glopal.cancel(STORE, other, "fraud_detected")
    assert hidden.order(other)["cancellation"].keys() == {"reason", "cancelled_at"}


@pytest.mark.parametrize(
    ("style", "shares"),
    [
        ("nested", {"liability": {"merchant": 3, "glopal": 1}}),
        ("flat", {"merchant_amount": 3, "glopal_amount": 1}),
        ("status ok", {"status": "ok"}),
    ],
)
def test_a_quote_is_answered_in_several_shapes_and_moves_nothing(style, shares) -> None:
    """UNKNOWN which (7)."""
    world = World(GlopalOptions(quote_reply=style))
    order_id = world.glopal.place(STORE, totals={"total": Decimal(10)})
    world.glopal.ready(STORE, order_id)
    world.accept(order_id)
    path = f"/v2/orders/{STORE}/{order_id}/refund/quote"
    said = json.loads(world.ask("POST", path, {"amount": 4, "glopal_amount": 1}).body)
    assert {name: said[name] for name in shares} == shares
    (entry,) = world.glopal.ledger(STORE)
    assert (entry.quotes, entry.refunds) == (1, ())


def test_the_details_lag_behind_but_are_never_older_than_the_order() -> None:
    world = World(GlopalOptions(get_lag=timedelta(seconds=10)))
    order_id = world.glopal.place(STORE)
    world.clock.pass_(1)
    world.glopal.ready(STORE, order_id)
    assert world.order(order_id)["status"] == "RECEIVED"
    world.clock.pass_(9.5)
    assert world.order(order_id)["status"] == "RECEIVED"
    world.clock.pass_(0.5)
    assert world.order(order_id)["status"] == "READY"
    assert world.glopal.ledger(STORE)[0].gets == 3


def test_every_digit_of_an_amount_survives() -> None:
    world = World()
    order_id = world.glopal.place(STORE, totals={"total": Decimal("19.990000000000000001")})
    body = world.ask("GET", f"/v2/orders/{STORE}/{order_id}").body
    assert b'"totals":{"total":19.990000000000000001}' in body
    world.glopal.options = GlopalOptions(amounts="string")
    world.glopal.amend(STORE, order_id, totals={"total": Decimal("20.00")})
    body = world.ask("GET", f"/v2/orders/{STORE}/{order_id}").body
    assert b'"totals":{"total":"20.00"}' in body
    assert b'"rate":"' not in body


def test_invented_orders_add_up() -> None:
    world = World()
    for _ in range(50):
        body = world.ask("GET", f"/v2/orders/{STORE}/{world.glopal.place(STORE)}").body
        order = json.loads(body, parse_float=Decimal)
        totals = order["totals"]
        assert totals["items"] == sum(item["unit_price"] * item["quantity"] for item in order["items"])
        assert totals["total"] == sum(totals[key] for key in ("items", "shipping", "tax", "duty"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (GlopalOptions(), '"external":null'),
        (GlopalOptions(external_before_accept="absent"), '"status":"RECEIVED","currency"'),
        (GlopalOptions(external_before_accept="null members"), '"external":{"order_id":null,"order_number":null}'),
        (GlopalOptions(environment="test"), '"environment":"test"'),
        (GlopalOptions(language="object"), '"language":{"0":"'),
    ],
)
def test_the_switches_of_the_order(options: GlopalOptions, text: str) -> None:
    world = World(options)
    order_id = world.glopal.place(STORE)
    body = world.ask("GET", f"/v2/orders/{STORE}/{order_id}").body.decode()
    assert text in body
    assert json.loads(body)["id"] == order_id
    assert len(world.page()) == 1


@pytest.mark.parametrize("style", SWITCHES["error_body"])
def test_refusals_come_in_the_chosen_style(style: str) -> None:
    world = World(GlopalOptions(error_body=style))  # type: ignore[arg-type]
    answer = world.ask("GET", f"/v2/orders/{STORE}/1-1")
    assert answer.status == 404
    assert (answer.headers.get("content-type") == "text/plain") == (style == "text")


def test_the_same_seed_gives_the_same_bytes() -> None:
    def run(seed: int) -> list[bytes]:
        glopal = Glopal(clock=Clock(), rng=Random(seed))
        order_id = glopal.place(STORE)
        glopal.ready(STORE, order_id)
        paths = (f"/v2/events/{STORE}", f"/v2/orders/{STORE}/{order_id}")
        return [glopal.handle(Request("GET", path, (), GLOPAL_KEY)).body for path in paths]

    assert run(5) == run(5) != run(6)


def test_the_driver_cannot_ask_for_the_impossible() -> None:
    world = World()
    order_id = world.glopal.place(STORE, id="1-1")
    with pytest.raises(ValueError, match="exists"):
        world.glopal.place(STORE, id="1-1")
    with pytest.raises(ValueError, match="RECEIVED, not ACCEPTED"):
        world.glopal.complete(STORE, order_id)
    world.glopal.cancel(STORE, order_id)
    with pytest.raises(ValueError, match="already_cancelled"):
        world.glopal.cancel(STORE, order_id, by="merchant")
    with pytest.raises(KeyError):
        world.glopal.ready(STORE, "2-2")


def test_a_get_can_be_replaced() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.serve_instead(STORE, order_id, b"<html>")
    assert world.ask("GET", f"/v2/orders/{STORE}/{order_id}").body == b"<html>"
    world.glopal.serve_instead(STORE, order_id, None)
    assert world.order(order_id)["id"] == order_id
