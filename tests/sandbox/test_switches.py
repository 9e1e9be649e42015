"""Every switch of the fake Glopal is listed with all its settings, can be set by name, and changes what it says."""

import json
import re
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import pytest

from orderflow.sandbox import ROUTE_STYLES, SWITCHES, GlopalOptions, UnknownSwitch
from orderflow.sandbox.glopal.routes import RouteStyle
from orderflow.sandbox.glopal.switches import FREE, options, word

from .world import STORE, World


def test_every_switch_is_listed_and_its_default_comes_first() -> None:
    assert set(SWITCHES) == {one.name for one in fields(GlopalOptions)} - set(FREE)
    plain = GlopalOptions()
    for name, settings in SWITCHES.items():
        assert len(settings) > 1, name
        assert getattr(plain, name) == settings[0], name
        assert len({word(setting) for setting in settings}) == len(settings), name


@pytest.mark.parametrize(("name", "setting"), [(name, one) for name, all_ in SWITCHES.items() for one in all_])
def test_every_setting_can_be_given_as_value_or_as_word(name: str, setting: object) -> None:
    assert getattr(options({name: setting}), name) == setting
    assert getattr(options({name: word(setting)}), name) == setting


def test_counts_and_times_may_be_others() -> None:
    chosen = options({"page_cap": "33", "get_lag": "0.5 s", "completes_after": 7, "accept_takes": "3"})
    assert (chosen.page_cap, chosen.get_lag) == (33, timedelta(seconds=0.5))
    assert (chosen.completes_after, chosen.accept_takes) == (timedelta(seconds=7), timedelta(seconds=3))
    for name, setting in (("page_cap", 0), ("page_cap", True), ("get_lag", "-1 s"), ("get_lag", "soon")):
        with pytest.raises(UnknownSwitch, match="any other"):
            options({name: setting})


def test_what_does_not_exist_is_named_with_what_does() -> None:
    with pytest.raises(UnknownSwitch, match=r"get_lagg: there is no such switch; did you mean get_lag\?"):
        options({"get_lagg": timedelta(0)})
    with pytest.raises(UnknownSwitch, match=r"x: there is no such switch; there are routes, error_body"):
        options({"x": 1})
    with pytest.raises(UnknownSwitch, match=r"pages: 'odd' is not possible; it takes plain \| overlapping"):
        options({"pages": "odd"})
    with pytest.raises(UnknownSwitch, match=r"takes off \| on"):
        options({"extra_members": 1})


# ---- the feed ------------------------------------------------------------------------------------------------------


def world(**settings: object) -> World:
    return World(options(settings))


def read(it: World, limit: int = 4, **query: str) -> list[str]:
    """The order ids of a client that reads page after page until its cursor stands still."""
    cursor, seen, pages = "", list[str](), 0
    while page := it.page(cursor, limit=str(limit), **query):
        assert len(page) <= limit
        seen += [event["order_id"] for event in page]
        if page[-1]["event_id"] == cursor:
            break
        cursor = page[-1]["event_id"]
        assert (pages := pages + 1) < 50
    return seen


@pytest.mark.parametrize("pages", SWITCHES["pages"])
@pytest.mark.parametrize("cap", SWITCHES["page_cap"])
@pytest.mark.parametrize("emission", ["plain", "doubled"])
def test_reading_forward_ends_and_misses_nothing_on_any_pages(pages: str, cap: int, emission: str) -> None:
    it = world(pages=pages, page_cap=cap, emission=emission)
    ids = [it.glopal.place(STORE) for _ in range(23)]
    for limit in (2, 4):
        assert list(dict.fromkeys(read(it, limit))) == ids


def test_overlapping_pages_begin_with_what_was_there() -> None:
    it = world(pages="overlapping")
    ids = [it.glopal.place(STORE) for _ in range(6)]
    first = it.page(limit="4")
    second = it.page(first[-1]["event_id"], limit="4")
    assert [event["order_id"] for event in second] == ids[2:6]
    last = second[-1]["event_id"]
    assert it.page(last, limit="4") == second[-2:]  # never empty, and the cursor stands still
    assert it.page(last, limit="4", event="order.ready") == []


def test_shrinking_pages_get_shorter_and_begin_anew() -> None:
    it = world(pages="shrinking")
    for _ in range(10):
        it.glopal.place(STORE)
    assert [len(it.page(limit="8")) for _ in range(5)] == [8, 4, 2, 1, 8]


def test_a_filter_after_the_cut_may_leave_a_page_empty_although_more_is_behind() -> None:
    it = world(filtering="after the cut")
    ids = [it.glopal.place(STORE) for _ in range(4)]
    it.glopal.ready(STORE, ids[0])
    answer = json.loads(it.ask("GET", f"/v2/events/{STORE}", limit="4", event="order.ready").body)
    assert answer["events"] == []
    cursor = answer["links"]["next"].rpartition("after_event_id=")[2]
    assert it.names(cursor, limit="4", event="order.ready") == ["order.ready"]


def test_a_repeat_unmasked_by_the_filter_never_leads_back() -> None:
    it = world(filtering="after the cut")
    first = it.glopal.report(STORE, "1-1", "order.received")
    second = it.glopal.report(STORE, "2-1", "order.received")
    it.glopal.report(STORE, "1-1", "order.received", event_id=first)
    it.glopal.report(STORE, "3-1", "order.ready")
    assert it.page(second, event="order.received") == []


def test_questions_that_glopal_may_not_know() -> None:
    it = world(unknown_event="refused", unknown_query="refused", limit_name="page_size")
    path = f"/v2/events/{STORE}"
    assert it.ask("GET", path, event="order.accepted").status == 400
    assert it.ask("GET", path, event="return.requested", page_size="3").status == 200
    assert it.ask("GET", path, limit="3").status == 400
    it.glopal.options = options({"unknown_event": "refused", "emit_accepted_completed": "on", "limit_name": "none"})
    it.glopal.place(STORE)
    it.glopal.place(STORE)
    assert it.ask("GET", path, event="order.accepted").status == 200
    assert len(it.page(limit="1")) == 2


@pytest.mark.parametrize(
    ("links", "root"),
    [("absolute", "http://glopal.sandbox/"), ("relative", "/v2/"), ("another host", "http://elsewhere.invalid/")],
)
def test_links_lead_where_the_switch_says(links: str, root: str) -> None:
    it = world(links=links)
    it.glopal.place(STORE)
    assert json.loads(it.ask("GET", f"/v2/events/{STORE}").body)["links"]["next"].startswith(root)


def test_links_may_always_be_present() -> None:
    it = world(links="always present")
    assert all(json.loads(it.ask("GET", f"/v2/events/{STORE}").body)["links"].values())


@pytest.mark.parametrize(
    ("style", "form"), [("crockford", r"[0-9A-Z]{16}"), ("uuid", r"[0-9a-f-]{36}"), ("numeric", r"\d+")]
)
def test_event_ids_have_the_chosen_form(style: str, form: str) -> None:
    it = world(event_ids=style)
    it.glopal.place(STORE)
    (event,) = it.page()
    assert re.fullmatch(form, event["event_id"])
    assert it.page(event["event_id"]) == []


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("seconds", "2026-01-01T00:00:00Z"),
        ("microseconds", "2026-01-01T00:00:00.000000Z"),
        ("offset", "2026-01-01T00:00:00.000+00:00"),
    ],
)
def test_times_have_the_chosen_form(style: str, shown: str) -> None:
    it = world(times=style)
    order_id = it.glopal.place(STORE)
    assert it.page()[0]["event_at"] == it.order(order_id)["created_at"] == shown


def test_members_that_nobody_has_heard_of() -> None:
    it = world(extra_members=True)
    order_id = it.glopal.place(STORE)
    assert "x_new" in it.order(order_id)
    assert "x_new" in it.page()[0]


@pytest.mark.parametrize(
    ("style", "at_once", "in_the_end"),
    [
        ("plain", "received ready cancelled", "received ready cancelled"),
        ("doubled", "received received ready ready cancelled cancelled", None),
        ("late", "", "received ready cancelled"),
        ("out of order", "cancelled", "cancelled ready received"),
        ("backdated", "received", "received ready cancelled"),
    ],
)
def test_events_come_as_the_emission_says(style: str, at_once: str, in_the_end: str | None) -> None:
    it = world(emission=style)
    order_id = it.glopal.place(STORE)
    it.glopal.ready(STORE, order_id)
    it.glopal.cancel(STORE, order_id)

    def names() -> str:
        return " ".join(name.removeprefix("order.") for name in it.names())

    assert names() == at_once
    it.clock.pass_(30)
    assert names() == (in_the_end or at_once)


# ---- an order's life -----------------------------------------------------------------------------------------------


def test_a_cancellation_may_be_silent() -> None:
    it = world(cancel_emits=False)
    order_id = it.glopal.place(STORE)
    assert it.cancel(order_id) == 200
    assert it.order(order_id)["status"] == "CANCELLED"
    assert it.names() == ["order.received"]


def test_glopal_may_cancel_unasked() -> None:
    it = world(cancels_ready_after="2 s", cancels_accepted_after="20 s")
    slow, quick, early = (it.glopal.place(STORE) for _ in range(3))
    it.accept(early)
    for order_id in (slow, quick, early):
        it.glopal.ready(STORE, order_id)
    it.accept(quick)
    it.clock.pass_(2)
    assert [it.order(one)["status"] for one in (slow, quick, early)] == ["CANCELLED", "ACCEPTED", "ACCEPTED"]
    it.clock.pass_(20)
    assert it.order(quick)["status"] == "CANCELLED"
    assert it.order(slow)["cancellation"]["by"] == "glopal"


def test_orders_may_complete_by_themselves() -> None:
    it = world(completes_after="10 s")
    order_id = it.glopal.place(STORE)
    it.glopal.ready(STORE, order_id)
    it.accept(order_id)
    it.clock.pass_(10)
    assert it.order(order_id)["status"] == "COMPLETED"


def test_an_early_accept_may_show_nothing() -> None:
    it = world(early_ids="hidden", early_ready="silent")
    order_id = it.glopal.place(STORE)
    it.accept(order_id)
    assert it.order(order_id)["external"] is None
    it.glopal.ready(STORE, order_id)
    assert it.order(order_id)["external"]["order_id"] == "7"
    assert it.names() == ["order.received"]


def test_a_cancellation_may_clear_the_ids() -> None:
    it = world(cancelled_ids="cleared")
    order_id = it.glopal.place(STORE)
    it.accept(order_id)
    it.glopal.cancel(STORE, order_id)
    assert it.order(order_id)["external"] is None


def test_what_a_cancel_may_be_refused_for() -> None:
    it = world(cancel_received="refused", cancel_completed="refused", cancel_reason="required")
    order_id = it.glopal.place(STORE)
    path = f"/v2/orders/{STORE}/{order_id}/cancel"
    assert it.cancel(order_id) == 400
    it.glopal.ready(STORE, order_id)
    assert it.ask("POST", path, {}).status == 400
    it.accept(order_id)
    it.glopal.complete(STORE, order_id)
    assert it.cancel(order_id) == 400
    it.glopal.options = GlopalOptions()
    assert it.ask("POST", path, {}).status == 200


@pytest.mark.parametrize(("reply", "begins"), [("the order", b'{"id":'), ("empty", b"")])
def test_how_a_cancel_is_answered(reply: str, begins: bytes) -> None:
    it = world(cancel_reply=reply)
    answer = it.ask("POST", f"/v2/orders/{STORE}/{it.glopal.place(STORE)}/cancel", {"reason": "x"})
    assert answer.status == 200
    assert answer.body.startswith(begins)
    assert (b"CANCELLED" in answer.body) == (reply == "the order")


def test_refunds_may_be_idempotent_hidden_and_taciturn() -> None:
    it = world(refund_repeat="refunds once", refund_reply="empty", refunds_shown="hidden")
    order_id = it.glopal.place(STORE, totals={"total": Decimal(10)})
    it.glopal.ready(STORE, order_id)
    it.accept(order_id)
    path = f"/v2/orders/{STORE}/{order_id}/refund"
    assert it.ask("POST", path, {"amount": 6, "reason": "x"}).body == b""
    assert it.ask("POST", path, {"amount": 6, "reason": "x"}).status == 200
    assert len(it.glopal.ledger(STORE)[0].refunds) == 1
    assert "refunds" not in it.order(order_id)
    it.glopal.options = options({"refund_reply": "status ok"})
    assert json.loads(it.ask("POST", path, {"amount": 1}).body) == {"status": "ok"}


# ---- addresses and contents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", SWITCHES["routes"])
def test_every_style_of_routes_reaches_every_operation(style: RouteStyle) -> None:
    it = world(routes=style)
    order_id = it.glopal.place(STORE)
    it.glopal.ready(STORE, order_id)
    ids = {"external": {"order_id": "7", "order_number": "00007"}}
    bodies = {"accept": ids, "cancel": {"reason": "x"}, "refund": {"amount": 1}, "quote": {"amount": 1}}
    for operation in ("events", "order", "accept", "quote", "refund", "cancel"):
        method, template = ROUTE_STYLES[style][operation]
        path = template.format(store=STORE, order=order_id)
        assert it.ask(method, path, bodies.get(operation)).status == 200, operation


@pytest.mark.parametrize(("language", "shown"), [("object", {"0": "de-DE"}), ("list", ["de-DE"])])
def test_the_language_may_be_no_string(language: str, shown: object) -> None:
    it = world(language=language)
    assert it.order(it.glopal.place(STORE, language="de-DE"))["language"] == shown


def test_rates_amounts_and_empty_members() -> None:
    rates = {"USD": {"rate": Decimal("0.9102")}}
    it = world(amounts="string")
    order = it.order(it.glopal.place(STORE, exchange_rates=rates))
    assert isinstance(order["totals"]["total"], str)
    assert order["exchange_rates"]["USD"]["rate"] == 0.9102
    it = world(exchange_rates="string", empty_members="absent")
    order = it.order(it.glopal.place(STORE, exchange_rates=rates))
    assert order["exchange_rates"]["USD"]["rate"] == "0.9102"
    assert not {"internal_note", "cancellation"} & set(order)
    it = world(exchange_rates="absent")
    assert "exchange_rates" not in it.order(it.glopal.place(STORE))


def test_the_cart_may_be_there() -> None:
    it = world(cart="present")
    order = it.order(it.glopal.place(STORE))
    assert [line["sku"] for line in order["cart"]["items"]] == [line["sku"] for line in order["items"]]


def test_a_return_has_one_status_or_two_and_only_its_request_is_reported() -> None:
    it = world()
    order_id = it.glopal.place(STORE)
    return_id = it.glopal.returned(STORE, order_id)
    for status in ("AUTHORIZED", "PENDING", "DELIVERED"):
        it.glopal.returned(STORE, order_id, status, return_id)
    assert it.names()[1:] == ["return.requested", "return.authorized"]
    assert it.order(order_id)["returns"][0]["status"] == "DELIVERED"
    it.glopal.options = options({"return_status": "two fields", "return_ids": "number"})
    it.glopal.returned(STORE, order_id, "DELIVERED", return_id)
    (one,) = it.order(order_id)["returns"]
    assert (one["id"], one["status"], one["shipment"]) == (1, "AUTHORIZED", {"status": "DELIVERED"})
