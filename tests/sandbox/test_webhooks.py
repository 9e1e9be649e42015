"""Webhooks: what a receiver gets, how it can tell that it is genuine, and what happens when it does not answer."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orderflow.sandbox import WEBHOOK_SWITCHES, WITHHELD, Cut, Emission, Request, Response, Webhooks, serve
from orderflow.sandbox.glopal.switches import webhook_options, word

from .world import STORE, World

SECRET = "s3cret"


class Receiver:
    """Keeps what it gets; answers these statuses one after the other (None: no answer), then 200."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.got: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.got.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise Cut(sent=True)
        return Response(status, b"")

    def names(self) -> list[str]:
        return [json.loads(request.body)["event_name"] for request in self.got]


def connected(receiver: Receiver, **settings: object) -> tuple[World, Webhooks]:
    world = World()
    options = webhook_options(settings)
    hooks = Webhooks(world.glopal, "http://shop.test/bell/{store}?a=1", SECRET, options, receiver)
    return world, hooks


def ring(receiver: Receiver, **settings: object) -> Request:
    world, hooks = connected(receiver, **settings)
    world.glopal.place(STORE)
    hooks.step(world.clock())
    return receiver.got[-1]


@pytest.mark.parametrize(("name", "setting"), [(name, one) for name, all_ in WEBHOOK_SWITCHES.items() for one in all_])
def test_every_switch_can_be_set_and_something_arrives(name: str, setting: object) -> None:
    receiver = Receiver()
    world, hooks = connected(receiver, **{name: setting})
    assert getattr(webhook_options({name: word(setting)}), name) == setting
    world.glopal.place(STORE)
    world.clock.pass_(3)
    hooks.step(world.clock())
    assert receiver.got[0].path == f"/bell/{STORE}"
    assert receiver.got[0].query[0] == ("a", "1")


@pytest.mark.parametrize(
    ("body", "find"),
    [
        ("event", lambda said: said),
        ("event in an object", lambda said: said["event"]),
        ("list", lambda said: said[0]),
        ("list in an object", lambda said: said["events"][0]),
        ("event with order", lambda said: said["event"]),
    ],
)
def test_the_event_is_the_one_of_the_feed(body: str, find: Callable[[Any], Any]) -> None:
    receiver = Receiver()
    world, hooks = connected(receiver, body=body)
    order_id = world.glopal.place(STORE)
    hooks.step(world.clock())
    said = json.loads(receiver.got[0].body)
    assert [find(said)] == world.page()
    if body == "event with order":
        assert said["order"] == world.order(order_id)


def test_a_thin_body_names_the_event_alone() -> None:
    assert list(json.loads(ring(Receiver(), body="event id").body)) == ["event_id"]


def test_every_way_to_prove_who_rings() -> None:
    got = ring(Receiver(), auth="basic")
    assert base64.b64decode(got.headers["authorization"].removeprefix("Basic ")) == b"glopal:s3cret"
    assert ring(Receiver(), auth="query secret").query == (("a", "1"), ("secret", SECRET))
    assert ring(Receiver(), auth="header secret").headers["x-glopal-secret"] == SECRET
    got = ring(Receiver(), auth="hmac hex")
    assert got.headers["x-glopal-signature"] == signature(got).hex()
    got = ring(Receiver(), auth="hmac base64")
    assert base64.b64decode(got.headers["x-glopal-signature"]) == signature(got)
    assert set(ring(Receiver(), auth="none").headers) == {"content-type"}


def signature(request: Request) -> bytes:
    return hmac.new(SECRET.encode(), request.body, hashlib.sha256).digest()


def test_failures_are_tried_again_by_plan_and_no_longer() -> None:
    receiver = Receiver(None, 503, None, 500, 500)
    world, hooks = connected(receiver)
    world.glopal.place(STORE)
    for _ in range(100):
        hooks.step(world.clock())
        world.clock.pass_(1)
    begin = hooks.attempts[0].at
    assert [(one.number, (one.at - begin) / timedelta(seconds=1), one.status) for one in hooks.attempts] == [
        (1, 0, None),
        (2, 1, 503),
        (3, 6, None),
        (4, 36, 500),
    ]
    assert len({request.body for request in receiver.got}) == 1


@pytest.mark.parametrize("status", [200, 204, 302, 404])
def test_an_answer_ends_it(status: int) -> None:
    receiver = Receiver(status)
    world, hooks = connected(receiver)
    world.glopal.place(STORE)
    for _ in range(50):
        hooks.step(world.clock())
        world.clock.pass_(1)
    assert len(receiver.got) == 1


def test_events_may_ring_twice_or_overtake_each_other() -> None:
    receiver = Receiver()
    world, hooks = connected(receiver, copies=2, order="out of order")
    world.glopal.ready(STORE, world.glopal.place(STORE))
    hooks.step(world.clock())
    world.clock.pass_(3)
    hooks.step(world.clock())
    assert receiver.names() == ["order.ready"] * 2 + ["order.received"] * 2


def test_it_rings_when_the_feed_shows_the_event() -> None:
    receiver = Receiver()
    world, hooks = connected(receiver)
    order_id = world.glopal.place(STORE, emission=Emission(delay=timedelta(seconds=5)))
    world.glopal.ready(STORE, order_id, emission=WITHHELD)
    hooks.step(world.clock())
    assert receiver.got == []
    world.clock.pass_(5)
    hooks.step(world.clock())
    assert receiver.names() == ["order.received"]


def test_over_real_http_a_thread_sends_and_the_api_goes_on() -> None:
    receiver = Receiver(500)
    world = World()
    with serve(receiver) as server:
        options = webhook_options({"retries": "1 s, 5 s, 30 s"})
        hooks = Webhooks(world.glopal, f"{server.url}/bell/{{store}}", SECRET, options)
        world.glopal.place(STORE)
        hooks.start(world.clock)
        wait(lambda: len(hooks.attempts) == 1)
        world.clock.pass_(1)
        wait(lambda: len(hooks.attempts) == 2)
        server.stop()
        world.glopal.place(STORE)
        wait(lambda: len(hooks.attempts) == 3)
        hooks.stop()
    assert [one.status for one in hooks.attempts] == [500, 200, None]


def test_an_address_must_be_one() -> None:
    with pytest.raises(ValueError, match="no address of a webhook"):
        Webhooks(World().glopal, "ftp://x", SECRET)


def wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
