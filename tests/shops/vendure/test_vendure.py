"""What must hold before a real Vendure: every trap that it has was run into here."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.relay.stage import Stage
from tests.shops.bring_up import Running
from tests.shops.buying import BOOTS, STORE, details, fresh_id, members
from tests.shops.vendure import as_admin, ask, orders
from tests.shops.vendure.conftest import Connect

from orderflow.connectors import Delivered, Found, Refused, Result, Retry, Subject, Task, View, ViewedLine
from orderflow.connectors.vendure import Vendure
from orderflow.domain.events import Destination, Effect, ShopState
from orderflow.store import progress

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]

ADD = """mutation ($o: ID!) {
  addItemToDraftOrder(orderId: $o, input: {productVariantId: 1, quantity: 1}) { __typename }
}"""
FULFIL = """mutation ($line: ID!) {
  done: addFulfillmentToOrder(input: {
    lines: [{orderLineId: $line, quantity: 2}]
    handler: {
      code: "manual-fulfillment"
      arguments: [{name: "method", value: "x"}, {name: "trackingCode", value: ""}]
    }
  }) { ... on Fulfillment { id } ... on ErrorResult { errorCode } }
}"""
NEW_KEY = """mutation ($r: [ID!]!) {
  createApiKey(input: {roleIds: $r, translations: [{languageCode: en, name: "x"}]}) { apiKey entityId }
}"""
DRAFT, ORDERED, GONE, BEGUN = ShopState.DRAFT, ShopState.ORDER, ShopState.GONE, ShopState.BEGUN


class Hand:
    """One order of ours at the shop, and short ways to act on it."""

    def __init__(self, shop: Running, connector: Vendure, given: dict[str, Any] | None = None) -> None:
        self.shop, self.connector = shop, connector
        self.order_id = fresh_id()
        self.reference = f"glopal:{STORE}:{self.order_id}"
        self.details = details(self.order_id, given or BOOTS)

    def do(self, effect: Effect, target: str = "", seen: ShopState | None = None) -> Result:
        task = Task(effect, STORE, self.order_id, self.reference, target, seen, details=self.details, reason="over")
        return self.connector.send(self.connector.freeze(task), key="k", in_time=lambda: True)

    def draft(self) -> str:
        return self.id(self.do(Effect.DRAFT))

    def order(self) -> str:
        return self.id(self.do(Effect.PROMOTE, self.draft(), DRAFT))

    @staticmethod
    def id(result: Result) -> str:
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        return result.sighting.shop_id

    def states(self, *known: str) -> list[ShopState]:
        sight = self.connector.find(Subject(STORE, self.order_id, self.reference, known))
        assert isinstance(sight, Found), sight
        return [sighting.state for sighting in sight.sightings]

    def row(self, shop_id: str) -> Any:
        [row] = [row for row in orders(self.shop.base_url, self.shop.key) if row["id"] == shop_id]
        return row

    def at_once(self, times: int, effect: Effect, target: str = "", seen: ShopState | None = None) -> list[Result]:
        """The same send from so many threads."""
        results: list[Result] = []
        start = threading.Barrier(times)

        def run() -> None:
            start.wait()
            results.append(self.do(effect, target, seen))

        threads = [threading.Thread(target=run) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.fixture
def hand(shop: Running, connect: Connect) -> Hand:
    return Hand(shop, connect())


# ---- drafts --------------------------------------------------------------------------------------------------------


def test_what_the_buyer_paid_stands_there_exactly(hand: Hand) -> None:
    """74.99 × 2 + 12.50 = 162.48 EUR, whatever the catalogue says."""
    shop_id = hand.draft()
    assert hand.row(shop_id)["totalWithTax"] == 16248
    view = hand.connector.view(shop_id)
    assert isinstance(view, View)
    assert (view.total, view.currency) == (Decimal("162.48"), "EUR")
    assert view.lines == (ViewedLine("WALKER-42", 2, Decimal("74.99")),)
    assert (view.reference, view.sighting.state) == (hand.reference, DRAFT)


def test_what_vendure_has_no_place_for_stands_there_too(shop: Running, connect: Connect) -> None:
    given = members(
        ("MUG-01", "12.50", 1), ("MUG-01", "11.00", 2), shipping="0", tax="3.21", duty="1.00", fees="0.50", discount="5"
    )
    hand = Hand(shop, connect(), given)
    row = hand.row(hand.draft())
    assert row["totalWithTax"] == 3421
    found = {
        line["customFields"]["glopalCharge"]: line["unitPriceWithTax"]
        for line in row["lines"]
        if line["customFields"]["glopalCharge"]
    }
    assert found == {"tax": 321, "duty": 100, "fees": 50, "discount": -500}


def test_a_second_delivery_makes_no_second_draft(hand: Hand) -> None:
    first = hand.draft()
    assert hand.draft() == first
    assert hand.states() == [DRAFT]


def test_several_at_once_make_one(hand: Hand) -> None:
    """The others look, meet the duplicate key, and take their own empty drafts back."""
    before = sum(row["customFields"]["glopalReference"] is None for row in orders(hand.shop.base_url, hand.shop.key))
    results = hand.at_once(4, Effect.DRAFT)
    assert hand.states() == [DRAFT]
    assert sum(isinstance(result, Delivered) for result in results) >= 1
    assert not any(isinstance(result, Refused | Retry) for result in results), results
    after = sum(row["customFields"]["glopalReference"] is None for row in orders(hand.shop.base_url, hand.shop.key))
    assert after == before


def test_a_buyer_with_an_account_is_taken_as_they_are(shop: Running, connect: Connect) -> None:
    buyer = '{emailAddress: "known@example.com", password: "a-password"}'
    register = f"mutation {{ registerCustomerAccount(input: {buyer}) {{ __typename }} }}"
    ask(shop.base_url, "", register, path="shop-api")
    given = {**BOOTS, "customer": {"email": "Known@Example.com", "first_name": "Ada", "last_name": "Muster"}}
    hand = Hand(shop, connect(), given)
    shop_id = hand.draft()
    found = as_admin(
        shop.base_url,
        shop.seeded,
        "query ($o: ID!) { order(id: $o) { customer { emailAddress user { id } } } }",
        o=shop_id,
    )
    assert found["order"]["customer"]["emailAddress"] == "known@example.com"
    assert found["order"]["customer"]["user"] is not None


def test_a_draft_cancelled_by_hand_gives_its_reference_up(hand: Hand) -> None:
    first = hand.draft()
    cancel = "mutation ($o: ID!) { cancelOrder(input: {orderId: $o}) { __typename } }"
    as_admin(hand.shop.base_url, hand.shop.seeded, cancel, o=first)
    assert hand.states(first) == [GONE]
    second = hand.draft()
    assert second != first
    assert hand.states(first) == [DRAFT, GONE]


@pytest.mark.parametrize(
    ("line", "reason", "left"),
    [
        (("NO-SUCH-THING", "1.00", 1), "200 no variant for line 0", []),
        (("SCARCE", "1.00", 9), "200 INSUFFICIENT_STOCK_ERROR", [BEGUN]),
        (("MUG-01", "0.01", 1000), "200 ORDER_LIMIT_ERROR", [BEGUN]),
    ],
)
def test_refusals(
    shop: Running, connect: Connect, line: tuple[str, str, int], reason: str, left: list[ShopState]
) -> None:
    hand = Hand(shop, connect(), members(line))
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Refused), result
    assert result.reason == reason
    assert hand.states() == left
    for one in left and hand.connector.find(Subject(STORE, hand.order_id, hand.reference)).sightings:  # type: ignore[union-attr]
        assert isinstance(hand.do(Effect.WITHDRAW, one.shop_id, BEGUN), Delivered)
    assert hand.states() == []


@pytest.mark.parametrize(("currency", "country"), [("SEK", "DE"), ("EUR", "XX")])
def test_a_currency_or_a_country_that_the_shop_lacks(
    shop: Running, connect: Connect, currency: str, country: str
) -> None:
    given = {**BOOTS, "currency": currency, "shipping_address": {**BOOTS["shipping_address"], "country": country}}
    hand = Hand(shop, connect(), given)
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == "200 USER_INPUT_ERROR"


def test_buyers_cannot_set_their_own_price(shop: Running) -> None:
    """The custom fields are for the admin API only, and nobody else is offered our way to ship."""
    own = "addItemToOrder(productVariantId: 1, quantity: 1, customFields: {glopalPrice: 1}) { __typename }"
    marks = 'setOrderCustomFields(input: {customFields: {glopalReference: "x", glopalShipping: 0}}) { __typename }'
    adding = "addItemToOrder(productVariantId: 1, quantity: 1) { __typename }"
    for mutation, code in ((own, "GRAPHQL_VALIDATION_FAILED"), (f"{adding} {marks}", "USER_INPUT_ERROR")):
        answer = ask(shop.base_url, "", f"mutation {{ {mutation} }}", path="shop-api")
        assert answer["errors"][0]["extensions"]["code"] == code
    offered = ask(shop.base_url, "", "{ eligibleShippingMethods { code } }", path="shop-api")
    assert offered == {"data": {"eligibleShippingMethods": []}}


# ---- orders --------------------------------------------------------------------------------------------------------


def test_a_promotion_keeps_id_and_number(hand: Hand) -> None:
    shop_id = hand.draft()
    number = hand.row(shop_id)["code"]
    for _ in range(2):
        result = hand.do(Effect.PROMOTE, shop_id, DRAFT)
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        assert (result.sighting.shop_id, result.sighting.number, result.sighting.state) == (shop_id, number, ORDERED)
    row = hand.row(shop_id)
    assert (row["state"], row["totalWithTax"]) == ("PaymentSettled", 16248)
    assert [(payment["state"], payment["amount"]) for payment in row["payments"]] == [("Settled", 16248)]


def test_a_draft_that_somebody_changed_is_not_promoted(hand: Hand) -> None:
    shop_id = hand.draft()
    as_admin(hand.shop.base_url, hand.shop.seeded, ADD, o=shop_id)
    result = hand.do(Effect.PROMOTE, shop_id, DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == "200 order_changed"
    assert hand.row(shop_id)["state"] == "Draft"


def test_cancelled_between_look_up_and_promotion(hand: Hand) -> None:
    shop_id = hand.draft()
    cancel = "mutation ($o: ID!) { cancelOrder(input: {orderId: $o}) { __typename } }"
    as_admin(hand.shop.base_url, hand.shop.seeded, cancel, o=shop_id)
    assert isinstance(hand.do(Effect.PROMOTE, shop_id, DRAFT), Refused)
    assert hand.states(shop_id) == [GONE]


def test_a_deleted_draft_is_gone(hand: Hand) -> None:
    shop_id = hand.draft()
    for _ in range(2):
        assert isinstance(hand.do(Effect.WITHDRAW, shop_id, DRAFT), Delivered)
    assert hand.states(shop_id) == [GONE]
    assert isinstance(hand.do(Effect.PROMOTE, shop_id, DRAFT), Refused)


def test_cancellations_at_once_cancel_once(hand: Hand) -> None:
    shop_id = hand.order()
    results = hand.at_once(4, Effect.WITHDRAW, shop_id, ORDERED)
    assert all(isinstance(result, Delivered) for result in results), results
    assert hand.states(shop_id) == [GONE]
    view = hand.connector.view(shop_id)
    assert isinstance(view, View)
    assert view.total is None
    assert view.lines == (ViewedLine("WALKER-42", 2, Decimal("74.99")),)


def test_promotion_and_withdrawal_at_once_leave_no_half(hand: Hand) -> None:
    """One call in flight for an order is the engine's duty. Should it fail, what is seen afterwards is the truth."""
    shop_id = hand.draft()
    results: list[Result] = []
    threads = [
        threading.Thread(target=lambda effect=effect: results.append(hand.do(effect, shop_id, DRAFT)))
        for effect in (Effect.PROMOTE, Effect.WITHDRAW)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [state] = hand.states(shop_id)
    assert state in (ORDERED, GONE)


def test_what_was_sent_is_not_cancelled(hand: Hand) -> None:
    shop_id = hand.order()
    line = as_admin(
        hand.shop.base_url, hand.shop.seeded, "query ($o: ID!) { order(id: $o) { lines { id } } }", o=shop_id
    )
    made = as_admin(hand.shop.base_url, hand.shop.seeded, FULFIL, line=line["order"]["lines"][0]["id"])
    ship = 'mutation ($f: ID!) { transitionFulfillmentToState(id: $f, state: "Shipped") { __typename } }'
    as_admin(hand.shop.base_url, hand.shop.seeded, ship, f=made["done"]["id"])
    assert hand.row(shop_id)["state"] == "Shipped"
    result = hand.do(Effect.WITHDRAW, shop_id, ORDERED)
    assert isinstance(result, Refused)
    assert result.reason == "200 order_fulfilled"
    assert hand.states(shop_id) == [ORDERED]


# ---- with the engine -----------------------------------------------------------------------------------------------


class Cutting(httpx.HTTPTransport):
    """The answer to the call number `nth` is lost; the shop has executed it."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.left = nth

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        content = answer.read()
        self.left -= 1
        if not self.left:
            raise httpx.ReadError("cut", request=request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def ours(it: Stage, shop: Running, order_id: str) -> list[Any]:
    own = f"glopal:{it.store}:{order_id}"
    return [row for row in orders(shop.base_url, shop.key) if row["customFields"]["glopalReference"] == own]


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_lost_reply(shop: Running, before_vendure: Callable[..., Stage], connect: Connect, nth: int) -> None:
    it = before_vendure()
    whole = it.connectors[Destination.SHOP]
    it.connectors[Destination.SHOP] = connect(Cutting(nth))
    order_id = it.place(**BOOTS)
    it.rest()
    it.connectors[Destination.SHOP] = whole
    it.live(3600)
    [row] = ours(it, shop, order_id)
    assert (row["state"], row["totalWithTax"]) == ("Draft", 16248)
    assert it.exceptions(order_id) == {}


def test_a_key_that_was_withdrawn_pauses(shop: Running, before_vendure: Callable[..., Stage], connect: Connect) -> None:
    roles = as_admin(shop.base_url, shop.seeded, "{ roles { items { id code } } }")["roles"]["items"]
    role = next(one["id"] for one in roles if one["code"] == "orderflow")
    made = as_admin(shop.base_url, shop.seeded, NEW_KEY, r=[role])["createApiKey"]
    it = before_vendure()
    it.connectors[Destination.SHOP] = connect(key=made["apiKey"])
    order_id = it.place(**BOOTS)
    it.rest()
    assert [row["state"] for row in ours(it, shop, order_id)] == ["Draft"]
    as_admin(
        shop.base_url, shop.seeded, "mutation ($i: [ID!]!) { deleteApiKeys(ids: $i) { result } }", i=[made["entityId"]]
    )
    it.ready(order_id)
    it.live(3600)
    with it.engine.begin() as conn:
        assert "FORBIDDEN" in progress.paused(conn, it.store)["shop"][0]
    assert it.exceptions(order_id) == {}
    it.connectors[Destination.SHOP] = connect()
    with it.engine.begin() as conn:
        progress.resume(conn, it.store, "shop")
    it.live(3600)
    assert [row["state"] for row in ours(it, shop, order_id)] == ["PaymentSettled"]


def test_a_refusal_goes_to_a_person_and_leaves_nothing(shop: Running, before_vendure: Callable[..., Stage]) -> None:
    it = before_vendure()
    order_id = it.place(**members(("SCARCE", "1.00", 9)))
    it.live(3600)
    assert ours(it, shop, order_id) == []
    assert "INSUFFICIENT_STOCK_ERROR" in " ".join(it.exceptions(order_id).values())


def test_sweeping_takes_only_what_is_empty(hand: Hand) -> None:
    kept = hand.draft()
    forgotten = ask(hand.shop.base_url, hand.shop.key, "mutation { createDraftOrder { id } }")["data"][
        "createDraftOrder"
    ]["id"]
    bought = ask(hand.shop.base_url, hand.shop.key, "mutation { createDraftOrder { id } }")["data"]["createDraftOrder"][
        "id"
    ]
    ask(hand.shop.base_url, hand.shop.key, ADD, o=bought)
    assert hand.connector.sweep(timedelta(hours=1)) == 0
    assert hand.connector.sweep(timedelta(0)) >= 1
    there = {row["id"] for row in orders(hand.shop.base_url, hand.shop.key)}
    assert {kept, bought} <= there
    assert forgotten not in there
