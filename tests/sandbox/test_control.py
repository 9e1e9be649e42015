"""The control of `orderflow sandbox`, and the settings that it writes for each dialect."""

import json
from random import Random

import pytest

from orderflow import config
from orderflow.cli.sandbox.control import HELP, control
from orderflow.cli.sandbox.files import write
from orderflow.sandbox import KINDS, SWITCHES, Request, Response
from orderflow.sandbox.glopal.switches import options
from orderflow.sandbox.scenario import read
from orderflow.sandbox.stage import Stage, staged

from .world import GLOPAL_KEY, Clock


class Desk:
    """A stage in virtual time with its control."""

    def __init__(self, text: str = "") -> None:
        self.clock = Clock()
        self.stage: Stage = staged(read(text), self.clock)
        self.app = control(self.stage)
        self.order_id = self.post("acme/place").body.decode().strip()

    def post(self, path: str, body: bytes = b"") -> Response:
        return self.app(Request("POST", f"/{path}", body=body))

    def get(self, path: str) -> object:
        answer = self.app(Request("GET", f"/{path}"))
        assert answer.status == 200
        return json.loads(answer.body)

    def order(self) -> Response:
        return self.stage.glopal.handle(Request("GET", f"/v2/orders/acme/{self.order_id}", (), GLOPAL_KEY))


def test_help_names_everything() -> None:
    assert Desk().app(Request("GET", "/")).body.decode() == HELP


@pytest.mark.parametrize(
    "path",
    [
        *("ready", "cancel", "elsewhere", "report/order.cancelled", "return/REQUESTED", "serve/502", "serve"),
    ],
)
def test_an_order_can_be_driven(path: str) -> None:
    desk = Desk()
    assert desk.post(f"acme/{desk.order_id}/{path}").body == b"done\n"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("acme/1-1/ready", 409),
        ("globex/1-1/ready", 409),
        ("acme/{}/complete", 409),
        ("acme/{}/dance", 404),
        ("acme/{}/return/LOST", 404),
        ("acme/{}/serve/9999", 404),
        ("acme/{}/amend", 400),
        ("switches/nothing/on", 409),
        ("switches/pages/odd", 409),
        ("faults/loud", 404),
        ("", 404),
    ],
)
def test_the_impossible_is_refused(path: str, status: int) -> None:
    desk = Desk()
    assert desk.post(path.format(desk.order_id)).status == status


def test_returns_amendments_and_answers_of_ones_own() -> None:
    desk = Desk()
    for status in ("REQUESTED", "AUTHORIZED", "PENDING"):
        desk.post(f"acme/{desk.order_id}/return/{status}")
    assert json.loads(desk.order().body)["returns"][0]["status"] == "PENDING"
    desk.post(f"acme/{desk.order_id}/amend", b'{"customer_note": "ring twice", "currency": "EUR"}')
    assert json.loads(desk.order().body)["customer_note"] == "ring twice"
    desk.post(f"acme/{desk.order_id}/serve/502", b"<html>")
    assert (desk.order().status, desk.order().body) == (502, b"<html>")
    desk.post(f"acme/{desk.order_id}/serve")
    assert desk.order().status == 200


def test_switches_are_shown_and_turned() -> None:
    desk = Desk()
    assert desk.post("switches/get_lag/20%20s").status == 200
    shown = desk.get("switches")
    assert isinstance(shown, dict)
    assert set(shown) == set(SWITCHES)
    assert shown["get_lag"] == {"now": "20 s", "settings": ["0 s", "20 s"]}


def test_faults_are_counted_and_can_be_stopped() -> None:
    desk = Desk("[faults.glopal]\ncut_before = 1")
    faults = desk.stage.faults["glopal"]
    request = Request("GET", "/")
    assert faults.choose(request).kind == "cut_before"
    desk.post("faults/off")
    assert faults.choose(request).kind == "none"
    desk.post("faults/on")
    assert faults.choose(request).kind == "cut_before"
    shown = desk.get("faults")
    assert isinstance(shown, dict)
    assert shown["so_far"] == {"glopal": {"cut_before": 2, "none": 1}, "shop": {}}
    assert shown["kinds"] == KINDS


def test_webhooks_are_shown() -> None:
    desk = Desk('[webhooks]\nurl = "http://127.0.0.1:9/bell"')
    desk.stage.step(desk.clock())
    shown = desk.get("webhooks")
    assert isinstance(shown, dict)
    assert [(one["attempt"], one["status"]) for one in shown["attempts"]] == [(1, None)]
    assert Desk().get("webhooks") == {"attempts": []}


def test_settings_speak_any_dialect(tmp_path) -> None:
    rng = Random(1)
    for place in range(40):
        dialect = options({name: rng.choice(settings) for name, settings in SWITCHES.items()})
        home = tmp_path / str(place)
        home.mkdir()
        write(home, ("acme", "globex"), dialect, "http://127.0.0.1:1", "http://127.0.0.1:2")
        read_ = config.read(home / "orderflow.toml")
        for store in ("acme", "globex"):
            assert read_.stores[store].environment == dialect.environment
        assert (home / "glopal.key").stat().st_mode & 0o077 == 0
