"""What the Medusa connector makes of canned answers. The real one answers in tests/shops (`make real-shops`)."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.shops.buying import BOOTS, PERSONAL, STORE, details, members

from orderflow.connectors import Delivered, Found, FreezeError, Missing, Refused, Result, Retry, Subject, Task, Unknown
from orderflow.connectors.medusa import Medusa, Place
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.sandbox import Request, Response

from .benches import Bench, bench
from .conformance import Closable, Conformance, Rig

ORDER = "310678-936140"
REFERENCE = f"glopal:{STORE}:{ORDER}"
PLACE = Place("reg_1", "sc_1", "so_1", {"WALKER-42": "variant_42", "MUG-01": "variant_1"})


def shown(shop_id: str, *, draft: bool = True, status: str = "draft", **more: Any) -> dict[str, Any]:
    """An order as Medusa shows it, as far as it is asked to."""
    total = {"raw_current_order_total": {"value": more.pop("total", "162.48"), "precision": 20}}
    return {
        "id": shop_id,
        "display_id": 19,
        "status": status,
        "is_draft_order": draft,
        "currency_code": "eur",
        "metadata": {"reference": REFERENCE, "total": "162.48"},
        "created_at": "2026-11-24T20:36:52.410Z",
        "canceled_at": None,
        "summary": total,
        **more,
    }


class Canned:
    """Answers for one order at a time; no second Medusa."""

    def __init__(self) -> None:
        self.made = 0
        self.order: dict[str, Any] | None = None

    def __call__(self, request: Request) -> Response:
        if request.headers["authorization"] != "Basic c2tfdmVyeS1zZWNyZXQ6":
            return _json(401, {"message": "Unauthorized"})
        match request.method, request.path.split("/")[2:]:
            case "GET", ["draft-orders"]:
                return _json(200, {"draft_orders": self._listed(draft=True)})
            case "GET", ["orders"]:
                return _json(200, {"orders": self._listed(draft=False)})
            case "POST", ["draft-orders"]:
                self.made += 1
                body = json.loads(request.body)
                self.order = shown(f"order_{self.made}", metadata=body["metadata"])
                return _json(200, {"draft_order": self.order})
            case _, [_, shop_id, *_] if self.order is None or self.order["id"] != shop_id:
                return _json(404, {"type": "not_found", "message": f"Order id not found: {shop_id}"})
            case "GET", [_, _]:
                return _json(200, {"order": self.order})
            case "POST", [_, _, act]:
                self.order |= {"status": "pending", "is_draft_order": False}
                if act == "cancel":
                    self.order |= {"status": "canceled", "canceled_at": "2026-11-24T20:40:00.000Z"}
                return _json(200, {"order": self.order})
            case _:
                shop_id, self.order = self.order["id"], None
                return _json(200, {"id": shop_id, "object": "draft-order", "deleted": True})

    def _listed(self, *, draft: bool) -> list[dict[str, Any]]:
        return [self.order] if self.order is not None and self.order["is_draft_order"] is draft else []


def _json(status: int, value: Any) -> Response:
    return Response(status, json.dumps(value).encode())


class TestMedusa(Conformance):
    @pytest.fixture
    def rig(self) -> Rig:
        canned = Canned()
        other = shown("order_9", metadata={"reference": f"{REFERENCE}1"})

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Medusa(base_url, "sk_very-secret", PLACE, transport=transport, total_seconds=total_seconds)

        return Rig(
            app=canned,
            connect=connect,
            key="sk_very-secret",
            task=Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details(ORDER)),
            executed=lambda: canned.made,
            seen=lambda sight, result: bool(sight.sightings) and sight.sightings == (result.sighting,),
            repeatable=False,
            elsewhere=json.dumps({"draft_orders": [other], "orders": [other]}).encode(),
            personal=PERSONAL,
        )


class Hand:
    """The connector before answers of one's own choosing."""

    def __init__(self, made: Bench) -> None:
        self.bench = made
        self.connector = Medusa(made.base_url, "sk_very-secret", PLACE, transport=made.transport)

    def body(self, given: dict[str, Any] = BOOTS) -> Any:
        task = Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details(ORDER, given))
        return json.loads(json.loads(self.connector.freeze(task))["body"], parse_float=Decimal)

    def do(self, effect: Effect, seen: ShopState | None = None) -> Result:
        target = "" if effect is Effect.DRAFT else "order_1"
        task = Task(effect, STORE, ORDER, REFERENCE, target, seen, details=details(ORDER))
        return self.connector.send(self.connector.freeze(task), key="k", in_time=lambda: True)

    def answer(self, status: int, value: Any) -> None:
        self.bench.fake.instead = _json(status, value)


@pytest.fixture
def hand() -> Iterator[Hand]:
    with bench(Canned(), "process") as made:
        yield Hand(made)


def test_a_whole_life(hand: Hand) -> None:
    assert hand.do(Effect.DRAFT).sighting == Sighting("order_1", "19", ShopState.DRAFT)  # type: ignore[union-attr]
    order = Sighting("order_1", "19", ShopState.ORDER, promoted=True)
    assert hand.do(Effect.PROMOTE).sighting == order  # type: ignore[union-attr]
    assert hand.connector.find(Subject(STORE, ORDER, REFERENCE, ("order_1",))) == Found((order,), status=200)
    gone = Sighting("order_1", "19", ShopState.GONE, promoted=True)
    assert hand.do(Effect.WITHDRAW, ShopState.ORDER).sighting == gone  # type: ignore[union-attr]
    assert isinstance(hand.connector.view("order_2"), Missing)


def test_the_request_adds_up_to_the_total(hand: Hand) -> None:
    """Tax, duty, fees, discount and a missing cent stand in lines of their own, which say what they are."""
    body = hand.body(
        members(("MUG-01", "0.10", 3), tax="0.20", duty="4.11", fees="1.05", discount="0.70", total="17.47")
    )
    prices = {item.get("title", "goods"): Decimal(item["unit_price"]) * item["quantity"] for item in body["items"]}
    assert prices == {
        "goods": Decimal("0.30"),
        "Tax": Decimal("0.20"),
        "Duty": Decimal("4.11"),
        "Fees": Decimal("1.05"),
        "Discount": Decimal("-0.70"),
        "Rounding": Decimal("0.01"),
    }
    assert sum(prices.values()) + Decimal(body["shipping_methods"][0]["amount"]) == Decimal(body["metadata"]["total"])
    assert [item["metadata"]["glopal"] for item in body["items"] if "title" in item] == [
        *("tax", "duty", "fees", "discount", "rounding")
    ]
    assert (body["currency_code"], body["shipping_address"]["country_code"]) == ("eur", "de")
    assert (body["shipping_address"]["address_1"], body["email"]) == ("Hauptstr. 1", "buyer@example.com")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (members(("NO-SUCH", "5.00", 1)), "items[0]: the mapping names no variant_id"),
        (members(("MUG-01", "19.999999999999999999", 1)), "items[0].unit_price has more than 15 digits"),
        (BOOTS | {"shipping_address": {"street": "Hauptstr. 1"}}, "shipping_address: its members are not known"),
        (BOOTS | {"billing_address": "Hauptstr. 1"}, "billing_address: its members are not known"),
        (
            BOOTS | {"billing_address": BOOTS["billing_address"] | {"country": "Germany"}},
            "billing_address.country is no",
        ),
    ],
)
def test_what_cannot_be_said_is_not_sent(hand: Hand, given: Any, told: str) -> None:
    with pytest.raises(FreezeError, match=re.escape(told)) as caught:
        hand.body(given)
    assert "Hauptstr" not in str(caught.value)


def test_a_draft_with_another_total_is_refused_and_only_begun(hand: Hand) -> None:
    order = shown("order_1", total="193.35")
    hand.answer(200, {"draft_order": order, "draft_orders": [order], "orders": []})
    assert isinstance(hand.do(Effect.DRAFT), Refused)
    sight = hand.connector.find(Subject(STORE, ORDER, REFERENCE))
    assert sight == Found((Sighting("order_1", "19", ShopState.BEGUN),), status=200)


def test_a_cancelled_draft_is_gone_and_never_promoted(hand: Hand) -> None:
    hand.answer(200, {"order": shown("order_1", status="canceled")})
    assert isinstance(hand.do(Effect.PROMOTE), Refused)
    assert [request.method for request in hand.bench.fake.requests] == ["GET"]


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, {}, Unknown),  # promoted while it was deleted: no order in it
        (200, {"order": shown("order_2", draft=False, status="pending")}, Unknown),
        (404, {"type": "not_found"}, Delivered),
        (404, {"message": "Cannot POST"}, Retry),
        (400, {"type": "invalid_data"}, Refused),
        (500, {"code": "unknown_error", "type": "unknown_error"}, Unknown),
    ],
)
def test_answers_to_a_cancellation(hand: Hand, status: int, answer: Any, kind: type) -> None:
    hand.answer(status, answer)
    assert isinstance(hand.do(Effect.WITHDRAW, ShopState.ORDER), kind)


def test_a_list_that_does_not_go_on_is_no_answer(hand: Hand) -> None:
    """A full page of orders made at one time: nobody knows what stands behind it."""
    hand.answer(200, {"draft_orders": [shown(f"order_{number}") for number in range(100)], "orders": []})
    assert isinstance(hand.connector.find(Subject(STORE, ORDER, REFERENCE)), Retry)
