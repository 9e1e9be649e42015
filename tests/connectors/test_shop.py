"""What the shop connector makes of the contract, beyond what every connector must do."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from orderflow import sandbox
from orderflow.connectors import (
    Capabilities,
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
    View,
    ViewedLine,
)
from orderflow.connectors.shop import Shop
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.mapping import mapping_from
from orderflow.sandbox import App, Request, Response, ShopOptions

from .benches import Bench, bench
from .test_conformance import ORDER, REFERENCE, STORE, details, now


class Hand:
    """A shop, its connector, and short ways to use them."""

    def __init__(self, shop: sandbox.Shop, made: Bench) -> None:
        self.shop, self.bench = shop, made
        self.connector = Shop(made.base_url, shop.key, transport=made.transport)

    def do(self, effect: Effect, target: str = "", seen: ShopState | None = None, reason: str = "") -> Result:
        task = Task(effect, STORE, ORDER, REFERENCE, target, seen, details=details(), reason=reason)
        return self.connector.send(self.connector.freeze(task), key="acme/1-1/draft/é", in_time=lambda: True)

    def draft(self) -> str:
        result = self.do(Effect.DRAFT)
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        return result.sighting.shop_id

    def find(self, *known: str) -> Any:
        return self.connector.find(Subject(STORE, ORDER, REFERENCE, known))

    def seen(self, *known: str) -> list[tuple[str, ShopState, bool]]:
        sight = self.find(*known)
        assert isinstance(sight, Found), sight
        return [(one.shop_id, one.state, one.promoted) for one in sight.sightings]


@pytest.fixture
def options() -> ShopOptions:
    return ShopOptions()


@pytest.fixture
def hand(options: ShopOptions) -> Iterator[Hand]:
    shop = sandbox.Shop(clock=now, rng=Random(3), options=options)
    with bench(shop.handle, "process") as made:
        yield Hand(shop, made)


def test_a_whole_life(hand: Hand) -> None:
    shop_id = hand.draft()
    assert hand.seen() == [(shop_id, ShopState.DRAFT, False)]
    promoted = hand.do(Effect.PROMOTE, shop_id)
    assert isinstance(promoted, Delivered)
    assert promoted.sighting == Sighting(shop_id, "000092", ShopState.ORDER, promoted=True)
    again = hand.do(Effect.PROMOTE, shop_id)
    assert isinstance(again, Refused)
    assert again.reason == "409 not_a_draft"
    cancelled = hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER, "buyer changed his mind")
    assert isinstance(cancelled, Delivered)
    assert cancelled.sighting == Sighting(shop_id, "000092", ShopState.GONE, promoted=True)
    assert json.loads(hand.bench.fake.requests[-1].body) == {"reason": "buyer changed his mind"}
    assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER), Delivered)
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, True)]


def test_a_draft_is_deleted(hand: Hand) -> None:
    shop_id = hand.draft()
    for _ in range(2):  # the second time it is gone already
        result = hand.do(Effect.WITHDRAW, shop_id, ShopState.DRAFT)
        assert isinstance(result, Delivered), result
        assert result.sighting == Sighting(shop_id, "", ShopState.GONE)
    assert hand.seen() == []
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, False)]


def test_what_changed_meanwhile_is_refused_for_the_relay_to_read_back(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.shop.promote_by_hand(shop_id)
    refused = hand.do(Effect.WITHDRAW, shop_id, ShopState.DRAFT)
    assert isinstance(refused, Refused)
    assert refused.reason == "409 not_a_draft"
    hand.shop.fulfil(shop_id)
    refused = hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER)
    assert isinstance(refused, Refused)
    assert refused.reason == "409 fulfilled"


def test_the_request_holds_the_order_exactly(hand: Hand) -> None:
    shop_id = hand.draft()
    made = hand.shop.created_from(shop_id)
    order = json.loads(details(), parse_float=str)
    assert made["total"] == order["totals"]["total"]
    assert [item["unit_price"] for item in made["items"]] == [item["unit_price"] for item in order["items"]]
    assert made["reference"] == REFERENCE
    assert made["customer"] == order["customer"]
    headers = hand.bench.fake.requests[0].headers
    assert headers["idempotency-key"] == "acme/1-1/draft/%C3%A9"
    assert headers["content-type"] == "application/json"


def test_what_is_mapped_is_handed_on_and_nothing_else() -> None:
    order = json.loads(details())
    order["items"][0] |= {"tax": "1.50", "variant": 7}
    order |= {"internal_note": "checked", "payment": {"method": "card"}, "language": ["fr"], "latin": {"city": "Lodz"}}
    raw = json.dumps(order).encode()

    def made(**mapping: Any) -> dict[str, Any]:
        shop = Shop("https://shop.test", "key", mapping_from(mapping))
        frozen = json.loads(shop.freeze(Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=raw)))
        return json.loads(frozen["body"])

    plain = made()
    assert not plain.keys() & {"internal_note", "payment", "cart", "shipping_address_romanised"}
    assert not plain["items"][0].keys() & {"tax", "variant_id"}
    assert plain["language"] == "fr"
    full = made(
        internal_note="internal_note",
        payment="payment",
        shipping_address_romanised="latin",
        line={"tax": "tax", "variant_id": "variant"},
    )
    assert (full["internal_note"], full["payment"]) == ("checked", {"method": "card"})
    assert full["shipping_address_romanised"] == {"city": "Lodz"}
    assert (full["items"][0]["tax"], full["items"][0]["variant_id"]) == ("1.50", "7")


@pytest.mark.parametrize("options", [ShopOptions(search_lag=timedelta(hours=1))])
def test_a_known_id_is_seen_at_once(hand: Hand) -> None:
    shop_id = hand.draft()
    assert hand.seen() == []
    assert hand.seen(shop_id) == [(shop_id, ShopState.DRAFT, False)]


def test_several_come_oldest_first(hand: Hand) -> None:
    ids = [hand.draft() for _ in range(3)]
    hand.do(Effect.PROMOTE, ids[2])
    assert [one for one, _, _ in hand.seen(ids[2], ids[0])] == ids


@pytest.mark.parametrize("options", [ShopOptions(unique_reference=True)])
def test_a_taken_reference_without_the_order_is_unknown(hand: Hand) -> None:
    hand.draft()
    body = b'{"error":{"code":"reference_taken"},"order":{"id":"x","state":"draft","reference":"other"}}'
    for answer in (b'{"error":{"code":"reference_taken"}}', body):
        hand.bench.fake.instead = Response(409, answer)
        assert isinstance(hand.do(Effect.DRAFT), Unknown)


def test_a_shop_that_ignores_the_filter(hand: Hand) -> None:
    shop_id = hand.draft()
    app = hand.bench.fake.app

    def careless(request: Request) -> Response:
        answer = app(request)
        if request.path == "/orders" and request.method == "GET":
            document = json.loads(answer.body)
            for number, reference in enumerate(("glopal:acme:310678-93614", REFERENCE + "0", REFERENCE.upper(), None)):
                document["orders"].insert(
                    0, {"id": f"o{number}", "number": "1", "state": "order", "reference": reference}
                )
            return Response(200, json.dumps(document).encode())
        return answer

    hand.bench.fake.app = careless
    assert hand.seen() == [(shop_id, ShopState.DRAFT, False)]


ROWS = [{"id": "", "state": "draft"}, {"id": "a", "state": "new"}, {"state": "draft"}, {"id": "..", "state": "draft"}]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_ours_that_cannot_be_read_is_no_absence(hand: Hand, row: dict[str, Any]) -> None:
    body = json.dumps({"orders": [row | {"reference": REFERENCE}]}).encode()
    hand.bench.fake.instead = Response(200, body)
    assert isinstance(hand.find(), Retry)


def test_a_part_that_fails_fails_the_look_up(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.bench.faults.script("error_500", path=f"/orders/{shop_id}$")
    assert isinstance(hand.find(shop_id), Retry)
    hand.bench.faults.script("cut_before", path="/orders$")
    assert isinstance(hand.find(shop_id), Retry)
    assert hand.seen(shop_id)


WRONG = Response(404, b"<html>no such page</html>")


@pytest.mark.parametrize(
    ("effect", "seen"),
    [
        (Effect.DRAFT, None),
        (Effect.PROMOTE, None),
        (Effect.WITHDRAW, ShopState.DRAFT),
        (Effect.WITHDRAW, ShopState.ORDER),
    ],
)
def test_404_of_a_wrong_address_is_not_taken_for_gone(hand: Hand, effect: Effect, seen: ShopState | None) -> None:
    hand.bench.fake.instead = WRONG
    result = hand.do(effect, "ord_1", seen)
    assert isinstance(result, Retry)
    assert result.closed
    sight = hand.find("ord_1")
    assert isinstance(sight, Retry)
    assert sight.closed


def answered(change: Callable[[dict[str, Any]], dict[str, Any]], app: App) -> App:
    def handle(request: Request) -> Response:
        answer = app(request)
        return Response(answer.status, json.dumps(change(json.loads(answer.body or b"{}"))).encode())

    return handle


@pytest.mark.parametrize("member", ["id", "reference"])
def test_answers_about_another_order_are_unknown(hand: Hand, member: str) -> None:
    shop_id = hand.draft()
    hand.bench.fake.app = answered(lambda order: order | {member: "other"}, hand.bench.fake.app)
    assert isinstance(hand.do(Effect.PROMOTE, shop_id), Unknown)
    if member == "reference":
        assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER), Unknown)


def test_a_promotion_that_shows_a_draft_is_unknown(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.bench.fake.app = answered(lambda order: order | {"state": "draft"}, hand.bench.fake.app)
    assert isinstance(hand.do(Effect.PROMOTE, shop_id), Unknown)


@pytest.mark.parametrize(
    "task",
    [
        Task(Effect.DRAFT, STORE, ORDER, REFERENCE),
        Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=b"{}"),
        Task(Effect.DRAFT, STORE, "1-1", REFERENCE, details=details()),
        Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details(), total=Decimal("0.01")),
        Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details().replace(b'"sku"', b'"code"')),
        Task(Effect.PROMOTE, STORE, ORDER, REFERENCE),
        Task(Effect.PROMOTE, STORE, ORDER, REFERENCE, ".."),
        Task(Effect.WITHDRAW, STORE, ORDER, REFERENCE, "x"),
        Task(Effect.WITHDRAW, STORE, ORDER, REFERENCE, "x", ShopState.GONE),
        Task(Effect.ACCEPT, STORE, ORDER, REFERENCE, "x"),
        Task(Effect.REAP, STORE, ORDER, REFERENCE, "x"),
    ],
    ids=range(11),
)
def test_what_cannot_be_frozen(hand: Hand, task: Task) -> None:
    with pytest.raises(FreezeError) as caught:
        hand.connector.freeze(task)
    assert "@example.com" not in str(caught.value)


def test_odd_ids_travel_whole() -> None:
    paths: list[str] = []

    def app(request: Request) -> Response:
        paths.append(request.path)
        return Response(
            200, b'{"id":"a/b ?\\u00fc","number":"1","state":"order","reference":"' + REFERENCE.encode() + b'"}'
        )

    for over in ("process", "http"):
        with bench(app, over) as made:
            connector = Shop(made.base_url, "k", transport=made.transport, capabilities=Capabilities(drafts=True))
            frozen = connector.freeze(Task(Effect.PROMOTE, STORE, ORDER, REFERENCE, "a/b ?ü"))
            assert isinstance(connector.send(frozen, key="k" * 500, in_time=lambda: True), Delivered)
            connector.close()
    assert paths == ["/orders/a%2Fb%20%3F%C3%BC/promote"] * 2


# --- view -----------------------------------------------------------------------------------------------------------


def shows(hand: Hand, text: str) -> None:
    """The shop answers so, whatever it is asked."""
    hand.bench.fake.instead = Response(200, text.encode())


def test_an_order_is_viewed_whole(hand: Hand) -> None:
    """What was sent is what is shown: reference, currency, total, and each line with its price."""
    shop_id = hand.draft()
    sent, shown = hand.shop.created_from(shop_id), hand.connector.view(shop_id)
    assert isinstance(shown, View), shown
    assert (shown.sighting.shop_id, shown.sighting.state, shown.reference) == (shop_id, ShopState.DRAFT, REFERENCE)
    assert (shown.currency, shown.total) == (sent["currency"], Decimal(sent["total"]))
    assert shown.lines == tuple(
        ViewedLine(item["sku"], item["quantity"], Decimal(item["unit_price"])) for item in sent["items"]
    )
    hand.shop.delete_by_hand(shop_id)
    assert isinstance(hand.connector.view(shop_id), Missing)
    assert isinstance(hand.connector.view(".."), Unreadable)


def test_what_a_shop_does_not_show_is_none(hand: Hand) -> None:
    shows(hand, '{"id": "1", "number": "1", "state": "order"}')
    shown = hand.connector.view("1")
    assert isinstance(shown, View), shown
    assert (shown.reference, shown.currency, shown.total, shown.lines) == (None, None, None, None)
    shows(hand, '{"id": "1", "number": "1", "state": "order", "items": [{"quantity": 2}, {"sku": "", "quantity": 1}]}')
    shown = hand.connector.view("1")
    assert isinstance(shown, View), shown
    assert shown.lines == (ViewedLine(None, 2), ViewedLine(None, 1))


@pytest.mark.parametrize(
    "odd",
    [
        '"total": "much"',
        '"total": {}',
        '"items": {}',
        '"items": [7]',
        '"items": [{"sku": "A"}]',
        '"items": [{"sku": "A", "quantity": 1.5}]',
        '"items": [{"sku": "A", "quantity": "2"}]',
        '"items": [{"sku": "A", "quantity": true}]',
        '"items": [{"sku": "A", "quantity": 1e999999}]',
        '"items": [{"sku": "A", "quantity": 1, "unit_price": "dear"}]',
    ],
)
def test_what_is_not_of_the_contract_is_unreadable(hand: Hand, odd: str) -> None:
    """Half an answer compares to nothing."""
    shows(hand, f'{{"id": "1", "number": "1", "state": "order", {odd}}}')
    assert isinstance(hand.connector.view("1"), Unreadable)


@pytest.mark.parametrize("kind", ["error_503", "throttled", "refused", "lost"])
def test_no_answer_is_no_view(hand: Hand, kind: str) -> None:
    """Nor is it a missing order."""
    shop_id = hand.draft()
    hand.bench.script(kind)
    assert isinstance(hand.connector.view(shop_id), Retry)


def test_another_404_is_no_missing_order(hand: Hand) -> None:
    """A wrong address, a proxy: only the contract's own word says that an order is gone."""
    hand.bench.fake.instead = Response(404, b"not here")
    shown = hand.connector.view("1")
    assert isinstance(shown, Retry)
    assert shown.closed
