"""What the Glopal connector makes of Glopal's answers, beyond what every connector must do."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from orderflow import sandbox
from orderflow.connectors import (
    Delivered,
    Found,
    FreezeError,
    Missing,
    Refused,
    Result,
    Retry,
    Subject,
    Task,
    Unknown,
    Unreadable,
)
from orderflow.connectors.glopal import Glopal
from orderflow.domain.events import Effect, Ids
from orderflow.domain.machine import Status
from orderflow.glopal.client import Client
from orderflow.glopal.route_settings import routes
from orderflow.sandbox import GlopalOptions, Response

from .benches import Bench, bench
from .test_conformance import ORDER, REFERENCE, STORE, fake_glopal

KEY = "GL.very-secret"
IDS = Ids("ord_1", "00092")


class Hand:
    """Glopal, its connector, and short ways to use them."""

    def __init__(self, glopal: sandbox.Glopal, made: Bench, overrides: dict[str, Any] | None = None) -> None:
        self.glopal, self.bench = glopal, made
        self.connector = Glopal(
            Client(made.base_url, STORE, KEY, transport=made.transport, routes=routes(overrides or {}))
        )

    def do(self, effect: Effect, order_id: str = ORDER, **task: Any) -> Result:
        frozen = self.connector.freeze(Task(effect, STORE, order_id, REFERENCE, **task))
        return self.connector.send(frozen, key="k", in_time=lambda: True)

    def find(self, order_id: str = ORDER) -> Any:
        return self.connector.find(Subject(STORE, order_id, REFERENCE))


@pytest.fixture
def hand() -> Iterator[Hand]:
    glopal = fake_glopal()
    with bench(glopal.handle, "process") as made:
        yield Hand(glopal, made)


def test_accept(hand: Hand) -> None:
    assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Delivered)
    assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Delivered)
    refused = hand.do(Effect.ACCEPT, ids=Ids("ord_2", "00093"))
    assert isinstance(refused, Refused)
    assert refused.status == 400
    sight = hand.find()
    assert isinstance(sight, Found)
    assert sight.details is not None
    assert (sight.details.status, sight.details.external) == (Status.ACCEPTED, IDS)


def test_cancel(hand: Hand) -> None:
    assert isinstance(hand.do(Effect.CANCEL, reason="out_of_stock"), Delivered)
    (entry,) = hand.glopal.ledger(STORE)
    assert [call.reason for call in entry.cancels] == ["out_of_stock"]
    assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Refused)


def test_cancel_without_a_reason_sends_none(hand: Hand) -> None:
    assert isinstance(hand.do(Effect.CANCEL), Delivered)
    assert hand.bench.fake.requests[-1].body == b"{}"


def test_refund_and_quote(hand: Hand) -> None:
    hand.do(Effect.ACCEPT, ids=IDS)
    amount = Decimal("1.10")
    quote = hand.do(Effect.QUOTE, amount=amount, currency="EUR")
    assert isinstance(quote, Delivered), quote
    assert b"liability" in quote.reply
    assert isinstance(hand.do(Effect.REFUND, amount=amount, currency="EUR", reason="damaged"), Delivered)
    (entry,) = hand.glopal.ledger(STORE)
    assert [(refund.amount, refund.reason) for refund in entry.refunds] == [(amount, "damaged")]
    assert b'"amount":1.10' in hand.bench.fake.requests[-1].body


def test_an_order_that_glopal_does_not_know(hand: Hand) -> None:
    assert isinstance(hand.find("1-1"), Missing)
    refused = hand.do(Effect.ACCEPT, "1-1", ids=IDS)
    assert isinstance(refused, Refused)
    assert refused.status == 404


def test_a_wrong_route_is_loud() -> None:
    glopal = fake_glopal()
    with bench(glopal.handle, "process") as made:
        for wrong in ({"path": "/v2/orders/{store_id}/{order_id}/acceptance"}, {"method": "PUT"}):
            result = Hand(glopal, made, {"accept": wrong}).do(Effect.ACCEPT, ids=IDS)
            assert isinstance(result, Retry)
            assert result.closed
            assert not result.burnt


def test_another_body() -> None:
    glopal = fake_glopal()
    glopal.options = GlopalOptions(accept_body="flat")
    with bench(glopal.handle, "process") as made:
        assert isinstance(Hand(glopal, made).do(Effect.ACCEPT, ids=IDS), Refused)
        flat = {"accept": {"body": {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}}}
        assert isinstance(Hand(glopal, made, flat).do(Effect.ACCEPT, ids=IDS), Delivered)


@pytest.mark.parametrize(
    "body", [b'{"status":"error"}', b'{"status":"OK"}', b'{"status":true}', b'{"ok":1}', b'["ok"]']
)
def test_200_without_ok_is_unknown(hand: Hand, body: bytes) -> None:
    hand.bench.fake.instead = Response(200, body)
    assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Unknown)


def test_another_reply_may_prove_success() -> None:
    glopal = fake_glopal()
    proof = {"accept": {"success": {"status": [202], "holds": {"accepted": True, "id": "{any}"}}}}
    with bench(glopal.handle, "process") as made:
        hand = Hand(glopal, made, proof)
        made.fake.instead = Response(202, b'{"accepted":true,"id":"a-1","more":1}')
        assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Delivered)
        for status, body in ((200, made.fake.instead.body), (202, b'{"accepted":true}'), (202, b'{"status":"ok"}')):
            made.fake.instead = Response(status, body)
            assert isinstance(hand.do(Effect.ACCEPT, ids=IDS), Unknown)


def test_a_reason_that_glopal_does_not_list() -> None:
    glopal = fake_glopal()
    with bench(glopal.handle, "process") as made:
        assert isinstance(
            Hand(glopal, made, {"cancel": {"otherwise": "OTHER"}}).do(Effect.CANCEL, reason="x"), Delivered
        )
    (entry,) = glopal.ledger(STORE)
    assert [call.reason for call in entry.cancels] == ["OTHER"]


def test_details_that_cannot_be_read(hand: Hand) -> None:
    hand.glopal.serve_instead(STORE, ORDER, b'{"id":"310678-936140","status":5}')
    sight = hand.find()
    assert isinstance(sight, Unreadable)
    assert sight.problem == "status is no text"
    assert sight.body == b'{"id":"310678-936140","status":5}'
    assert "310678" not in repr(sight)


@pytest.mark.parametrize("style", ["nested", "flat", "string", "problem", "text"])
def test_error_bodies_in_every_style(style: Any) -> None:
    glopal = fake_glopal()
    glopal.options = GlopalOptions(error_body=style)
    glopal.cancel(STORE, ORDER)
    with bench(glopal.handle, "process") as made:
        refused = Hand(glopal, made).do(Effect.ACCEPT, ids=IDS)
        assert isinstance(refused, Refused)
        assert refused.reason.startswith("400")
        assert "cannot" not in refused.reason


@pytest.mark.parametrize(
    "task",
    [
        Task(Effect.ACCEPT, STORE, ORDER, REFERENCE),
        Task(Effect.REFUND, STORE, ORDER, REFERENCE),
        Task(Effect.DRAFT, STORE, ORDER, REFERENCE),
        Task(Effect.FETCH, STORE, ORDER, REFERENCE),
        Task(Effect.CANCEL, STORE, "..", REFERENCE),
        Task(Effect.CANCEL, STORE, "a/b", REFERENCE),
    ],
    ids=range(6),
)
def test_what_cannot_be_frozen(hand: Hand, task: Task) -> None:
    with pytest.raises(FreezeError):
        hand.connector.freeze(task)


def test_a_reads_path_cannot_be_climbed(hand: Hand) -> None:
    assert isinstance(hand.find(".."), Unreadable)
    assert not hand.bench.fake.requests


def test_the_transport_may_be_anything() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"status": "ok"}))
    connector = Glopal(Client("https://glopal.test/", STORE, KEY, transport=transport))
    frozen = connector.freeze(Task(Effect.ACCEPT, STORE, ORDER, REFERENCE, ids=IDS))
    assert isinstance(connector.send(frozen, key="k", in_time=lambda: True), Delivered)
