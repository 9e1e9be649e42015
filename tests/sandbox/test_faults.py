"""Faults: which request they hit, and whether the app has acted when the client hears nothing."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import get_args

import pytest

from orderflow.sandbox import KINDS, ODD_WAITS, UNCLEAR, Cut, Fault, Faults, Request, Response, deliver
from orderflow.sandbox.faults import Kind

from .world import GLOPAL_KEY, SHOP_KEY, STORE, World

GET = Request("GET", "/orders")
POST = Request("POST", "/orders", body=b"one")


class Counting:
    """An app that counts what it executed, and a time that stands until `pass_time`."""

    def __init__(self) -> None:
        self.executed = 0
        self.later: list[tuple[timedelta, Callable[[], None]]] = []

    def __call__(self, _request: Request) -> Response:
        self.executed += 1
        return Response(200, b"{}")

    def ask(self, kind: Kind) -> int | bool:
        """The status, or whether the cut request may have been sent."""
        try:
            return deliver(self, POST, Fault(kind), lambda delay, action: self.later.append((delay, action))).status
        except Cut as cut:
            return cut.sent


@pytest.mark.parametrize(
    ("kind", "heard", "executed"),
    [
        ("none", 200, 1),
        ("refused", False, 0),
        ("cut_before", True, 0),
        ("cut_after", True, 1),
        ("late", True, 0),
        ("throttled", 429, 0),
        ("error_500", 500, 0),
        ("error_503", 503, 0),
        ("error_after", 500, 1),
        ("silent_after", True, 1),
        ("drip", True, 1),
        ("truncated", 200, 1),
        ("html_before", 200, 0),
        ("html_after", 200, 1),
        ("empty_after", 200, 1),
        ("wrong_type", 200, 1),
        ("throttled_oddly", 429, 0),
        ("redirect", 307, 0),
        ("stale", 200, 1),
    ],
)
def test_what_the_client_hears_and_what_was_done(kind: Kind, heard: object, executed: int) -> None:
    app = Counting()
    assert app.ask(kind) is heard if isinstance(heard, bool) else app.ask(kind) == heard
    assert app.executed == executed


def test_a_late_request_is_executed_later() -> None:
    app = Counting()
    app.ask("late")
    ((delay, action),) = app.later
    assert delay == timedelta(seconds=2)
    action()
    assert app.executed == 1


def test_throttling_says_when_to_come_back() -> None:
    answer = deliver(Counting(), GET, Fault("throttled", retry_after=7), lambda _delay, _action: None)
    assert answer.headers["retry-after"] == "7"
    answer = deliver(Counting(), GET, Fault("error_503", retry_after=None), lambda _delay, _action: None)
    assert "retry-after" not in answer.headers


def answer(kind: Kind, app: Callable[[Request], Response], request: Request = GET) -> Response:
    return deliver(app, request, Fault(kind), lambda _delay, _action: None)


def test_every_kind_is_described() -> None:
    assert set(KINDS) == set(get_args(Kind)) > UNCLEAR


def test_odd_waits_come_one_after_the_other() -> None:
    faults = Faults(Random(1), {"throttled_oddly": 1.0})
    waits = [
        deliver(Counting(), GET, faults.choose(GET), lambda _d, _a: None).headers["retry-after"] for _ in range(20)
    ]
    assert waits == [*ODD_WAITS, *ODD_WAITS]


def test_a_truncated_answer_promises_more_than_it_has() -> None:
    whole = answer("none", lambda _: Response(200, b'{"status":"ok"}')).body
    half = answer("truncated", lambda _: Response(200, b'{"status":"ok"}'))
    assert whole.startswith(half.body)
    assert (len(half.body), half.headers["content-length"]) == (7, "15")
    assert answer("truncated", lambda _: Response(204, b"", {})).headers["content-length"] == "1"


def test_odd_bodies_are_what_they_say() -> None:
    def app(_: Request) -> Response:
        return Response(200, b"{}")

    assert b"<html>" in answer("html_after", app).body
    assert answer("empty_after", app) == Response(200, b"", {})
    assert answer("wrong_type", app) == Response(200, b"{}", {"content-type": "text/html"})
    assert answer("redirect", app, POST).headers["location"] == "http://elsewhere.invalid/orders"


def test_a_stale_get_shows_what_was() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    draft = world.draft()
    world.clock.pass_(5)
    world.glopal.ready(STORE, order_id)
    world.at_shop("POST", f"/orders/{draft['id']}/promote")
    path = f"/v2/orders/{STORE}/{order_id}"
    get = Request("GET", path, (), GLOPAL_KEY)
    assert b'"status":"RECEIVED"' in answer("stale", world.glopal.handle, get).body
    assert (
        b'"state":"draft"'
        in answer("stale", world.shop.handle, Request("GET", f"/orders/{draft['id']}", (), SHOP_KEY)).body
    )
    world.clock.pass_(2)
    assert b'"status":"READY"' in answer("stale", world.glopal.handle, get).body


def test_rates_are_kept_and_repeatable() -> None:
    def run() -> list[Kind]:
        faults = Faults(Random(3), {"cut_after": 0.1, "throttled": 0.2})
        return [faults.choose(GET).kind for _ in range(5000)]

    kinds = run()
    assert kinds == run()
    assert 400 < kinds.count("cut_after") < 600
    assert 900 < kinds.count("throttled") < 1100
    assert kinds.count("none") + kinds.count("cut_after") + kinds.count("throttled") == 5000


def test_faults_end_with_their_budget_or_when_stopped() -> None:
    faults = Faults(Random(3), {"cut_before": 1.0}, budget=2)
    assert [faults.choose(GET).kind for _ in range(3)] == ["cut_before", "cut_before", "none"]
    faults = Faults(Random(3), {"cut_before": 1.0})
    faults.script("throttled")
    faults.stop()
    assert faults.choose(GET).kind == "none"
    faults.start()
    assert [faults.choose(GET).kind for _ in range(2)] == ["throttled", "cut_before"]
    assert faults.counts == {"none": 1, "throttled": 1, "cut_before": 1}


def test_a_script_hits_exactly_what_it_names() -> None:
    faults = Faults()
    faults.script("cut_after", method="POST", path="^/orders$", nth=2, times=2)
    kinds = [faults.choose(request).kind for request in (POST, GET, POST, GET, POST, POST)]
    assert kinds == ["none", "none", "cut_after", "none", "cut_after", "none"]
    faults.script(Fault("late", timedelta(seconds=9)), where=lambda request: b"two" in request.body)
    assert faults.choose(POST).kind == "none"
    assert faults.choose(Request("POST", "/orders", body=b"two")).delay == timedelta(seconds=9)


def test_the_delay_can_be_drawn() -> None:
    faults = Faults(Random(3), {"late": 1.0}, delay=lambda: timedelta(seconds=4))
    assert faults.choose(GET) == Fault("late", timedelta(seconds=4))


def test_rates_must_be_probabilities() -> None:
    with pytest.raises(ValueError, match="probabilities"):
        Faults(Random(1), {"late": 0.7, "throttled": 0.7})
