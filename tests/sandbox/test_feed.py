"""The event feed: an exclusive forward cursor over places that never move, however late or doubled events are."""

import json
import re
from datetime import timedelta
from typing import Any, cast

from orderflow.sandbox import WITHHELD, Emission, GlopalOptions, Request

from .world import GLOPAL_KEY, STORE, World


def test_events_look_like_the_sample() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    (event,) = world.page()
    assert list(event) == ["event_id", "event_name", "event_at", "order_id", "external", "entity_id"]
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{16}", event["event_id"])
    assert re.fullmatch(r"\d{6}-\d{6}", order_id)
    assert event["event_at"] == "2026-01-01T00:00:00.000Z"
    assert (event["order_id"], event["external"], event["entity_id"]) == (order_id, None, None)


def test_reading_forward_shows_every_event_once() -> None:
    world = World()
    for _ in range(45):
        world.glopal.place(STORE)
    seen: list[str] = []
    while page := world.page(seen[-1] if seen else ""):
        seen += [event["event_id"] for event in page]
    assert len(seen) == len(set(seen)) == 45
    assert len(world.page()) == 20
    assert len(world.page(limit="1000")) == 45
    world.glopal.options = GlopalOptions(page_cap=7)
    assert len(world.page(limit="1000")) == 7


def test_reading_backward_shows_the_nearest_in_feed_order() -> None:
    world = World()
    for _ in range(5):
        world.glopal.place(STORE)
    ids = [event["event_id"] for event in world.page()]
    assert [event["event_id"] for event in world.page(before_event_id=ids[4], limit="2")] == ids[2:4]


def test_the_filter_may_name_several_events() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    world.glopal.cancel(STORE, order_id)
    query = (("event", "order.ready"), ("event", "order.cancelled"))
    answer = world.glopal.handle(Request("GET", f"/v2/events/{STORE}", query, GLOPAL_KEY))
    assert [event["event_name"] for event in json.loads(answer.body)["events"]] == ["order.ready", "order.cancelled"]
    received = world.page(event="order.received")[0]["event_id"]
    assert world.names(received, event="order.cancelled") == ["order.cancelled"]  # a cursor outside the filter is fine


def test_bad_questions_are_refused() -> None:
    world = World()
    world.glopal.place(STORE)
    event_id = world.page()[0]["event_id"]
    path = f"/v2/events/{STORE}"
    assert world.ask("GET", path, after_event_id="0000000000000000").status == 400
    assert world.ask("GET", path, after_event_id=event_id, before_event_id=event_id).status == 400
    assert world.ask("GET", path, limit="0").status == world.ask("GET", path, limit="many").status == 400
    world.glopal.options = GlopalOptions(empty_cursor="rejected", event_filter="required")
    assert world.ask("GET", path, after_event_id="", event="order.ready").status == 400
    assert world.ask("GET", path).status == 400


def test_links_lead_on() -> None:
    world = World()
    world.glopal.place(STORE)
    links = json.loads(world.ask("GET", f"/v2/events/{STORE}", event="order.received").body)["links"]
    event_id = world.page()[0]["event_id"]
    assert links["next"].startswith(f"http://glopal.sandbox/v2/events/{STORE}?")
    assert links["next"].endswith(f"event=order.received&after_event_id={event_id}")
    world.glopal.options = GlopalOptions(links="relative")
    assert json.loads(world.ask("GET", f"/v2/events/{STORE}").body)["links"]["current"].startswith("/v2/")
    world.glopal.options = GlopalOptions(links="null at the end")
    assert json.loads(world.ask("GET", f"/v2/events/{STORE}", after_event_id=event_id).body)["links"]["next"] is None
    world.glopal.options = GlopalOptions(links="absent")
    assert "links" not in json.loads(world.ask("GET", f"/v2/events/{STORE}").body)


def test_a_late_event_comes_at_the_end() -> None:
    world = World()
    order_id = world.glopal.place(STORE, emission=Emission(delay=timedelta(seconds=5)))
    world.glopal.ready(STORE, order_id)
    assert world.names() == ["order.ready"]
    cursor = world.page()[-1]["event_id"]
    world.clock.pass_(5)
    assert world.names(cursor) == ["order.received"]
    assert world.page(cursor)[0]["event_at"] == "2026-01-01T00:00:00.000Z"


def test_a_backdated_event_appears_below_the_cursor() -> None:
    world = World()
    order_id = world.glopal.place(STORE, emission=Emission(delay=timedelta(seconds=5), backdated=True))
    world.glopal.ready(STORE, order_id)
    cursor = world.page()[-1]["event_id"]
    world.clock.pass_(5)
    assert world.names(cursor) == []
    assert world.names() == ["order.received", "order.ready"]


def test_an_event_not_yet_visible_is_no_cursor() -> None:
    world = World()
    event_id = world.glopal.report(STORE, "1-1", "order.ready", delay=timedelta(seconds=5), backdated=True)
    assert world.ask("GET", f"/v2/events/{STORE}", after_event_id=event_id).status == 400
    world.clock.pass_(5)
    assert world.page(event_id) == []


def test_withheld_events_never_come() -> None:
    world = World()
    order_id = world.glopal.place(STORE, emission=WITHHELD)
    world.glopal.ready(STORE, order_id)
    assert world.names() == ["order.ready"]


def test_doubled_events_have_one_id() -> None:
    world = World(GlopalOptions(emission=lambda _name: Emission(copies=2)))
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    page = world.page()
    assert [event["event_name"] for event in page] == ["order.received"] * 2 + ["order.ready"] * 2
    assert len({event["event_id"] for event in page}) == 2


def test_reading_forward_ends_and_misses_nothing_whatever_is_doubled() -> None:
    world = World()
    first = world.glopal.report(STORE, "1-1", "order.received")
    others = [world.glopal.report(STORE, f"2-{n}", "order.received") for n in range(4)]
    world.glopal.report(STORE, "1-1", "order.received", event_id=first)  # again, far behind its first place
    others += [world.glopal.report(STORE, f"3-{n}", "order.received") for n in range(4)]
    world.glopal.report(STORE, "1-1", "order.received", event_id=first)
    for limit in ("1", "2", "3", "5", "20"):
        cursor, seen, rounds = "", set[str](), 0
        while page := world.page(cursor, limit=limit):
            assert page[-1]["event_id"] != cursor
            cursor = page[-1]["event_id"]
            seen |= {event["event_id"] for event in page}
            assert (rounds := rounds + 1) < 20
        assert seen == {first, *others}
    assert [event["event_id"] for event in world.page()].count(first) == 2


def test_one_id_may_show_two_contents() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    event_id = world.page()[0]["event_id"]
    world.glopal.report(STORE, order_id, "order.cancelled", event_id=event_id)
    world.glopal.place(STORE)
    assert [event["event_name"] for event in world.page() if event["event_id"] == event_id] == [
        "order.received",
        "order.cancelled",
    ]


def test_ids_are_shown_as_known_now_or_as_known_then() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    world.accept(order_id)
    assert world.page()[0]["external"] == {"order_id": "7", "order_number": "00007"}
    world.glopal.options = GlopalOptions(event_external="as then")
    assert world.page()[0]["external"] is None


def test_bogus_and_broken_elements_can_stand_in_the_feed() -> None:
    world = World()
    world.glopal.report(STORE, "no-such-order", "order.invented", entity_id="4")
    world.glopal.poison(STORE, '"not an object"')
    event, broken = cast(list[Any], world.page())
    assert (event["event_name"], event["entity_id"], event["external"]) == ("order.invented", "4", None)
    assert broken == "not an object"
