"""Shopify's traps: errors inside 200, two ids, another total, points that run out, a search that lags, late jobs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from orderflow import shops
from orderflow.config import Secret, ShopifySettings, ShopKind, ShopSettings
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
    View,
    ViewedLine,
)
from orderflow.connectors.shopify import Shopify
from orderflow.connectors.shopify.order import tag
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.mapping import Mapping, mapping_from
from orderflow.glopal.money import Base
from orderflow.sandbox import Request, Response
from orderflow.sandbox.shopify import Shopify as FakeShopify
from orderflow.sandbox.shopify import ShopifyOptions
from orderflow.sandbox.shopify.options import SCOPES

from .benches import Bench, bench
from .test_conformance import ORDER, REFERENCE, STORE, details

DRAFT, PROMOTE, WITHDRAW = Effect.DRAFT, Effect.PROMOTE, Effect.WITHDRAW
MINUTE = timedelta(minutes=1)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def wait(self, span: timedelta) -> None:
        self.now += span


class Hand:
    """A store, its connector, and short ways to use them."""

    def __init__(self, clock: Clock, shop: FakeShopify, made: Bench) -> None:
        self.clock, self.shop, self.bench, self.world = clock, shop, made, shop.world
        self.connector = Shopify(made.base_url, shop.key, transport=made.transport)

    def do(self, effect: Effect, target: str = "", seen: ShopState | None = None, real_id: str = "") -> Result:
        task = Task(effect, STORE, ORDER, REFERENCE, target, seen, real_id, details=details(), reason="withdrawn")
        return self.connector.send(self.connector.freeze(task), key="k", in_time=lambda: True)

    def sight(self, result: Result) -> Sighting:
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        return result.sighting

    def draft(self) -> str:
        return self.sight(self.do(DRAFT)).shop_id

    def order(self) -> Sighting:
        return self.sight(self.do(PROMOTE, self.draft()))

    def cancel(self, order: Sighting) -> Result:
        return self.do(WITHDRAW, order.shop_id, ShopState.ORDER, order.real_id)

    def find(self, *known: str) -> Any:
        return self.connector.find(Subject(STORE, ORDER, REFERENCE, known))

    def seen(self, *known: str) -> list[tuple[str, ShopState]]:
        sight = self.find(*known)
        assert isinstance(sight, Found), sight
        return [(one.shop_id, one.state) for one in sight.sightings]

    def sent(self) -> list[str]:
        """The root fields of all that was sent."""
        found = []
        for request in self.bench.fake.requests:
            query = json.loads(request.body)["query"]
            names = (
                "draftOrderCreate",
                "draftOrderComplete",
                "draftOrderDelete",
                "orderCancel",
                "nodes",
                "draftOrder(",
            )
            found.append(next((name for name in names if name in query), "other").rstrip("("))
        return found

    def meanwhile(self, field_: str, happens: Callable[[], object]) -> None:
        """Right before the next request with this field is executed, something happens in the shop."""
        app, waiting = self.bench.fake.app, [True]

        def handle(request: Request) -> Response:
            if waiting and f"{field_}(" in json.loads(request.body)["query"]:
                waiting.clear()
                happens()
            return app(request)

        self.bench.fake.app = handle


@pytest.fixture
def options() -> ShopifyOptions:
    return ShopifyOptions()


@pytest.fixture
def hand(options: ShopifyOptions) -> Iterator[Hand]:
    clock = Clock()
    shop = FakeShopify(clock=clock, rng=Random(3), options=options)
    with bench(shop.handle, "process") as made:
        yield Hand(clock, shop, made)


# --- two ids --------------------------------------------------------------------------------------------------------


def test_a_whole_life(hand: Hand) -> None:
    draft_id = hand.draft()
    assert hand.seen() == [(draft_id, ShopState.DRAFT)]
    order = hand.sight(hand.do(PROMOTE, draft_id))
    [entry] = hand.shop.ledger()
    assert order == Sighting(draft_id, "#1001", ShopState.ORDER, promoted=True, real_id=entry.id)
    assert (order.ids.order_id, order.ids.number) == (entry.id, entry.number)
    assert entry.id != draft_id
    assert hand.find(draft_id).sightings == hand.find().sightings == (order,)
    assert isinstance(hand.cancel(order), Unknown)  # a job is under way: only the order itself can tell
    [gone] = hand.find(draft_id).sightings
    assert gone == Sighting(draft_id, "#1001", ShopState.GONE, promoted=True, real_id=entry.id)
    assert hand.sight(hand.cancel(order)) == gone


def test_a_repeated_promotion_finds_the_same_order(hand: Hand) -> None:
    order = hand.order()
    assert hand.sight(hand.do(PROMOTE, order.shop_id)) == order
    assert hand.sent().count("draftOrderComplete") == 1


def test_a_promotion_that_comes_second_is_told_of_the_first(hand: Hand) -> None:
    """Completed between our reading and our writing: Shopify complains, and shows the order."""
    draft_id = hand.draft()
    hand.meanwhile("draftOrderComplete", lambda: hand.world.complete_by_hand(draft_id))
    assert hand.sight(hand.do(PROMOTE, draft_id)).real_id == hand.shop.ledger()[0].id
    assert len(hand.shop.ledger()) == 1


def test_what_glopal_inserted_is_withdrawn_by_its_own_id(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.world.change_by_hand(draft_id, tags=[], customAttributes=[])
    hand.world.complete_by_hand(draft_id)
    real_id = hand.shop.ledger()[0].id
    for known in (real_id, f"gid://shopify/Order/{real_id}"):
        [seen] = hand.find(known).sightings
        assert (seen.shop_id, seen.state, seen.ids.order_id) == (known, ShopState.ORDER, real_id)
    assert isinstance(hand.do(WITHDRAW, real_id, ShopState.ORDER), Unknown)
    assert hand.seen(real_id) == [(real_id, ShopState.GONE)]


@pytest.mark.parametrize("options", [ShopifyOptions(scopes=SCOPES - {"read_orders"})])
def test_a_promotion_whose_order_we_may_not_read_is_unknown(hand: Hand) -> None:
    """Executed, and ACCESS_DENIED all the same; then the look-up pauses the connection until the scope is there."""
    result = hand.do(PROMOTE, hand.draft())
    assert isinstance(result, Unknown)
    assert hand.shop.ledger()[0].state == "order"
    sight = hand.find()
    assert isinstance(sight, Retry)
    assert sight.closed


def test_a_completed_draft_without_its_order_says_nothing(hand: Hand) -> None:
    draft_id = hand.order().shop_id
    app = hand.bench.fake.app

    def without(request: Request) -> Response:
        document = json.loads(app(request).body)
        for row in document["data"].get("nodes", []):
            row["order"] = None
        return Response(200, json.dumps(document).encode())

    hand.bench.fake.app = without
    assert isinstance(hand.find(draft_id), Retry)


# --- the total ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ShopifyOptions(surcharge=Decimal("0.01"))])
def test_a_draft_that_comes_to_another_total_is_taken_away_and_refused(hand: Hand) -> None:
    result = hand.do(DRAFT)
    assert isinstance(result, Refused)
    total = Decimal(json.loads(details(), parse_float=str)["totals"]["total"])
    assert result.reason == f"200 the draft comes to {total + Decimal('0.01')} EUR, not {total} EUR"
    assert [entry.state for entry in hand.shop.ledger()] == ["deleted"]


@pytest.mark.parametrize("options", [ShopifyOptions(surcharge=Decimal("0.01"))])
@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "refused"])
def test_one_that_could_not_be_taken_away_has_not_been_made(hand: Hand, fault: Any) -> None:
    hand.bench.faults.script(fault, where=lambda request: b"draftOrderDelete" in request.body)
    assert isinstance(hand.do(DRAFT), Unknown)
    left = [(entry.id, ShopState.BEGUN) for entry in hand.shop.ledger() if entry.state == "draft"]
    assert hand.seen() == left
    for shop_id, state in left:
        assert hand.sight(hand.do(WITHDRAW, shop_id, state)).state is ShopState.GONE


def test_a_draft_that_a_person_changed_is_not_promoted(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.world.change_by_hand(draft_id, shippingLine=None)
    result = hand.do(PROMOTE, draft_id)
    assert isinstance(result, Refused)
    assert "the draft comes to" in result.reason
    assert hand.seen(draft_id) == [(draft_id, ShopState.BEGUN)]
    assert "draftOrderComplete" not in hand.sent()


@pytest.mark.parametrize("options", [ShopifyOptions(ready_lag=MINUTE)])
def test_a_draft_is_promoted_only_once_it_is_ready(hand: Hand) -> None:
    """While Shopify calculates, its total says nothing."""
    draft_id = hand.draft()
    assert hand.seen() == [(draft_id, ShopState.DRAFT)]
    result = hand.do(PROMOTE, draft_id)
    assert isinstance(result, Retry)
    assert result.reason == "the draft is not ready"
    hand.clock.wait(MINUTE)
    assert hand.sight(hand.do(PROMOTE, draft_id)).state is ShopState.ORDER


@pytest.mark.parametrize("options", [ShopifyOptions(tax_rate=Decimal("0.19"), variants={7: Decimal("1.00")})])
@pytest.mark.parametrize("base", [None, Base("USD", Decimal("0.9102"))])
@pytest.mark.parametrize("variant", [None, "7", "gid://shopify/ProductVariant/7"])
def test_the_order_stands_there_at_its_own_prices(hand: Hand, base: Base | None, variant: str | None) -> None:
    """Whatever the shop's own price and tax: to the cent, also with duty, a discount and what rounding misses."""
    order = json.loads(details(), parse_float=Decimal)
    totals = {name: Decimal(value) for name, value in order["totals"].items()}
    order["totals"] |= {"discount": "3.33", "fees": "1.07", "duty": str(totals["duty"] + Decimal("2.20"))}
    order["totals"]["total"] = str(totals["total"] - Decimal("3.33") + Decimal("1.07") + Decimal("2.20"))
    for item in order["items"]:
        item["variant"] = variant
    mapping = mapping_from({"line": {"variant_id": "variant"}} if variant else {})
    connector = Shopify(hand.bench.base_url, hand.shop.key, mapping, transport=hand.bench.transport)
    task = Task(DRAFT, STORE, ORDER, REFERENCE, details=json.dumps(order, default=str).encode(), base=base)
    sighting = hand.sight(connector.send(connector.freeze(task), key="k", in_time=lambda: True))
    shown = connector.view(sighting.shop_id)
    assert isinstance(shown, View)
    total = Decimal(order["totals"]["total"])
    wanted = total if base is None else round(total / base.rate, 2)
    assert (shown.total, shown.currency) == (wanted, "EUR" if base is None else "USD")
    prices = [Decimal(item["unit_price"]) for item in order["items"]]
    if base is None:
        assert [line.unit_price for line in shown.lines or ()] == prices
    hand.sight(hand.do(PROMOTE, sighting.shop_id))
    assert hand.world.sold(7) == (sum(item["quantity"] for item in order["items"]) if variant else 0)


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_the_request_holds_the_order(hand: Hand) -> None:
    made = hand.world.created_from(hand.draft())
    order = json.loads(details(), parse_float=str)
    total = f"{order['totals']['total']} {order['currency']}"
    assert made["customAttributes"] == [
        {"key": "glopal_reference", "value": REFERENCE},
        {"key": "glopal_total", "value": total},
    ]
    assert made["tags"] == [tag(REFERENCE)]
    assert made["presentmentCurrencyCode"] == order["currency"]
    assert made["email"] == order["customer"]["email"]
    address = made["shippingAddress"]
    assert (address["address1"], address["countryCode"], address["zip"]) == (
        order["shipping_address"]["line1"],
        order["shipping_address"]["country"],
        order["shipping_address"]["postal_code"],
    )
    assert made["taxExempt"] is True
    assert made["acceptAutomaticDiscounts"] is False


def test_the_tag_is_what_a_tag_may_be() -> None:
    for reference in (REFERENCE, "glopal:Ünï, cöde:" + "9" * 180):
        made = tag(reference)
        assert len(made) <= 40
        assert made == made.lower()
        assert made.isascii()
        assert made.isalnum()
    assert tag(REFERENCE) != tag(REFERENCE.upper())


def test_no_buyer_comes_back(hand: Hand) -> None:
    result = hand.do(DRAFT)
    assert isinstance(result, Delivered)
    for personal in (b"Muster", b"Lef", b"Berg", b"@example.com"):
        assert personal not in result.reply


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda order: order["items"][0].update(unit_price="1.005"),
            "the price of line 0 has more digits than EUR has",
        ),
        (lambda order: order["totals"].update(duty="-1"), "duty is negative"),
        (lambda order: order.update(shipping_address={"who": "Ada"}), "shipping_address: the mapping must name its"),
        (lambda order: order.update(shipping_address="Ada, Berlin"), "shipping_address: the mapping must name its"),
        (lambda order: order["billing_address"].update(country="Germany"), "billing_address.country is no code"),
        (lambda order: order["items"][0].update(variant="Ada"), "the variant_id of line 0 is no id"),
    ],
)
def test_what_shopify_could_not_hold_is_not_sent(
    hand: Hand, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    order = json.loads(details(), parse_float=str)
    change(order)
    connector = Shopify(hand.bench.base_url, "k", mapping_from({"line": {"variant_id": "variant"}}))
    with pytest.raises(FreezeError) as caught:
        connector.freeze(Task(DRAFT, STORE, ORDER, REFERENCE, details=json.dumps(order).encode()))
    assert str(caught.value).startswith(problem)
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize(
    "task",
    [
        Task(DRAFT, STORE, ORDER, REFERENCE),
        Task(DRAFT, STORE, "1-1", REFERENCE, details=details()),
        Task(DRAFT, STORE, ORDER, REFERENCE, details=details(), total=Decimal("0.01")),
        Task(PROMOTE, STORE, ORDER, REFERENCE, "9001"),
        Task(WITHDRAW, STORE, ORDER, REFERENCE, "9001", ShopState.DRAFT),
        Task(WITHDRAW, STORE, ORDER, REFERENCE, "gid://shopify/DraftOrder/7", ShopState.ORDER),
        Task(WITHDRAW, STORE, ORDER, REFERENCE, "gid://shopify/DraftOrder/7", ShopState.GONE),
        Task(Effect.ACCEPT, STORE, ORDER, REFERENCE, "9001"),
    ],
    ids=range(8),
)
def test_what_cannot_be_frozen(hand: Hand, task: Task) -> None:
    with pytest.raises(FreezeError):
        hand.connector.freeze(task)


def test_where_payment_is_still_to_come(hand: Hand) -> None:
    draft_id = hand.draft()
    connector = Shopify(hand.bench.base_url, hand.shop.key, transport=hand.bench.transport, pending=True)
    frozen = connector.freeze(Task(PROMOTE, STORE, ORDER, REFERENCE, draft_id))
    real_id = hand.sight(connector.send(frozen, key="k", in_time=lambda: True)).real_id
    order = hand.world.order(f"gid://shopify/Order/{real_id}")
    assert order is not None
    assert order["displayFinancialStatus"] == "PENDING"


# --- refusals, inside 200 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ShopifyOptions(refuse=lambda _given: "email")])
def test_user_errors_are_refusals_told_by_their_fields(hand: Hand) -> None:
    result = hand.do(DRAFT)
    assert isinstance(result, Refused)
    assert (result.reason, result.status) == ("200 email", 200)
    assert hand.shop.ledger() == []


def answered(hand: Hand, document: dict[str, Any], status: int = 200) -> None:
    hand.bench.fake.instead = Response(status, json.dumps(document).encode())


def test_an_error_of_no_known_kind_is_unknown(hand: Hand) -> None:
    for errors in ([{"message": "boom"}], [{"extensions": {"code": "INTERNAL_SERVER_ERROR"}}]):
        answered(hand, {"errors": errors, "data": {"draftOrderCreate": None}})
        assert isinstance(hand.do(DRAFT), Unknown)


def test_a_draft_with_complaints_beside_it_is_unknown(hand: Hand) -> None:
    row = hand.world.draft(hand.draft())
    answered(hand, {"data": {"draftOrderCreate": {"draftOrder": row, "userErrors": [{"field": ["email"]}]}}})
    assert isinstance(hand.do(DRAFT), Unknown)


@pytest.mark.parametrize("code", ["undefinedField", "INVALID_VARIABLE", "MAX_INPUT_SIZE_EXCEEDED", "MAX_COST_EXCEEDED"])
def test_a_request_that_shopify_does_not_understand_is_refused(hand: Hand, code: str) -> None:
    answered(hand, {"errors": [{"message": "Ada", "extensions": {"code": code}}]})
    result = hand.do(DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == f"200 {code}"


@pytest.mark.parametrize("code", ["ACCESS_DENIED", "SHOP_INACTIVE"])
def test_doors_that_close_inside_200(hand: Hand, code: str) -> None:
    answered(hand, {"errors": [{"extensions": {"code": code}}], "data": {"draftOrderCreate": None}})
    for result in (hand.do(DRAFT), hand.find()):
        assert isinstance(result, Retry)
        assert result.closed
        assert not result.burnt


def test_a_wrong_address_is_a_closed_door(hand: Hand) -> None:
    """Another store, or an API version that is no more. At the right address nothing answers 404."""
    answered(hand, {"errors": "Not Found"}, 404)
    for result in (hand.do(DRAFT), hand.find()):
        assert isinstance(result, Retry)
        assert result.closed
        assert not result.burnt


# --- points ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ShopifyOptions(points=1000, restore=50)])
def test_out_of_points(hand: Hand) -> None:
    hand.shop.bucket.drain()
    result = hand.do(DRAFT)
    assert isinstance(result, Retry)
    assert (result.reason, result.burnt, result.closed) == ("200 THROTTLED", False, False)
    assert result.after == result.rest == pytest.approx(200 / 50)
    assert hand.shop.ledger() == []
    sight = hand.find()
    assert isinstance(sight, Retry)
    assert not sight.burnt
    hand.clock.wait(timedelta(seconds=result.after))
    draft = hand.do(DRAFT)
    assert isinstance(draft, Delivered)
    assert draft.rest == pytest.approx(10 / 50)  # a mutation costs 10 points
    hand.clock.wait(MINUTE)
    assert hand.find().rest == 0


def test_a_promotion_throttled_at_its_second_call_did_nothing(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.meanwhile("draftOrderComplete", hand.shop.bucket.drain)
    result = hand.do(PROMOTE, draft_id)
    assert isinstance(result, Retry)
    assert not result.burnt
    assert hand.shop.ledger()[0].state == "draft"


@pytest.mark.parametrize("status", [423, 430])
def test_a_shop_that_locks_us_out_is_left_alone(hand: Hand, status: int) -> None:
    answered(hand, {"errors": "Locked"}, status)
    for result in (hand.do(DRAFT), hand.find()):
        assert isinstance(result, Retry)
        assert (result.after, result.burnt, result.closed) == (60, False, False)


# --- looking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ShopifyOptions(search_lag=MINUTE)])
def test_a_search_that_lags(hand: Hand) -> None:
    draft_id = hand.draft()
    assert hand.seen() == []
    assert hand.seen(draft_id) == [(draft_id, ShopState.DRAFT)]
    hand.clock.wait(MINUTE)
    assert hand.seen() == [(draft_id, ShopState.DRAFT)]


def test_a_search_that_filters_nothing(hand: Hand) -> None:
    """Filters that it does not know it ignores. What carries another reference is not ours; a page may not be all."""
    other = "glopal:acme:310678-936141"
    order = details().replace(ORDER.encode(), other.rpartition(":")[2].encode())
    for number in range(11):
        task = Task(DRAFT, STORE, "310678-936141", other if number else REFERENCE + "0", details=order)
        hand.sight(hand.connector.send(hand.connector.freeze(task), key="k", in_time=lambda: True))
        app = hand.bench.fake.app

    def careless(request: Request) -> Response:
        return app(Request("POST", request.path, (), request.headers, request.body.replace(b"tag:'", b"tags is '")))

    hand.bench.fake.app = careless
    assert isinstance(hand.find(), Retry)
    for entry in hand.shop.ledger()[:5]:
        hand.world.delete_by_hand(entry.id)
    assert hand.seen() == []


def test_several_come_oldest_first_and_a_duplicate_is_one_of_them(hand: Hand) -> None:
    ids = [hand.draft(), hand.draft()]
    ids.append(hand.world.duplicate_by_hand(ids[0]))
    hand.do(PROMOTE, ids[1])
    assert [shop_id for shop_id, _ in hand.seen(ids[1])] == ids


def test_a_deleted_draft_is_gone(hand: Hand) -> None:
    draft_id = hand.draft()
    for _ in range(2):
        assert hand.sight(hand.do(WITHDRAW, draft_id, ShopState.DRAFT)) == Sighting(draft_id, "", ShopState.GONE)
    assert hand.seen(draft_id) == [(draft_id, ShopState.GONE)]
    assert hand.sent().count("draftOrderDelete") == 1


def test_an_order_whose_draft_was_purged_is_not_gone(hand: Hand) -> None:
    """A year later: the order lives under its own id, and of the draft nothing is said."""
    order = hand.order()
    hand.world.purge(order.shop_id)
    assert hand.seen(order.shop_id) == [(order.real_id, ShopState.ORDER)]
    assert isinstance(hand.cancel(order), Unknown)  # its own id is known, so it can still be withdrawn
    assert hand.seen(order.shop_id) == [(order.real_id, ShopState.GONE), (order.shop_id, ShopState.GONE)]


@pytest.mark.parametrize("options", [ShopifyOptions(scopes=SCOPES - {"read_all_orders"})])
def test_an_order_that_is_too_old_to_be_shown_is_not_gone(hand: Hand) -> None:
    order = hand.order()
    hand.clock.wait(timedelta(days=61))
    assert isinstance(hand.find(order.shop_id), Retry)
    assert isinstance(hand.find(order.real_id), Retry)
    result = hand.cancel(order)
    assert isinstance(result, Retry)
    assert result.reason == "the order cannot be read"


@pytest.mark.parametrize("options", [ShopifyOptions(deletes_completed=True)])
def test_a_draft_that_was_completed_meanwhile_is_not_deleted(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.world.complete_by_hand(draft_id)
    result = hand.do(WITHDRAW, draft_id, ShopState.DRAFT)
    assert isinstance(result, Refused)
    assert hand.shop.ledger()[0].state == "order"
    assert hand.seen(draft_id) == [(draft_id, ShopState.ORDER)]


@pytest.mark.parametrize("options", [ShopifyOptions(deletes_completed=True)])
def test_one_completed_in_the_very_moment_is_found_as_an_order(hand: Hand) -> None:
    """If Shopify deletes completed drafts (UNKNOWN), the order stays, and a look-up shows it."""
    draft_id = hand.draft()
    hand.meanwhile("draftOrderDelete", lambda: hand.world.complete_by_hand(draft_id))
    assert hand.sight(hand.do(WITHDRAW, draft_id, ShopState.DRAFT)).state is ShopState.GONE
    [entry] = hand.shop.ledger()
    assert hand.seen(draft_id) == [(entry.id, ShopState.ORDER)]


def test_another_reference_is_neither_promoted_nor_deleted(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.world.change_by_hand(draft_id, customAttributes=[{"key": "glopal_reference", "value": REFERENCE + "0"}])
    for result in (hand.do(PROMOTE, draft_id), hand.do(WITHDRAW, draft_id, ShopState.DRAFT)):
        assert isinstance(result, Refused)
        assert result.reason == "200 the draft carries another reference"
    assert hand.shop.ledger()[0].state == "draft"


# --- cancelling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ShopifyOptions(job_lag=MINUTE, variants={7: Decimal(1)}, stock={7: 100})])
def test_gone_only_when_the_order_says_so(hand: Hand) -> None:
    order = hand.order()
    assert isinstance(hand.cancel(order), Unknown)
    assert hand.seen(order.shop_id) == [(order.shop_id, ShopState.ORDER)]
    assert isinstance(hand.cancel(order), Refused)  # one is under way: Shopify takes no second one
    hand.clock.wait(MINUTE)
    assert hand.seen(order.shop_id) == [(order.shop_id, ShopState.GONE)]


@pytest.mark.parametrize("options", [ShopifyOptions(job_lag=MINUTE)])
def test_a_job_that_did_nothing_leaves_the_order(hand: Hand) -> None:
    order = hand.order()
    assert isinstance(hand.cancel(order), Unknown)
    hand.world.fulfil(order.real_id)
    hand.clock.wait(MINUTE)
    assert hand.seen(order.shop_id) == [(order.shop_id, ShopState.ORDER)]
    result = hand.cancel(order)
    assert isinstance(result, Refused)
    assert result.reason == "200 the order is fulfilled"


# --- viewing --------------------------------------------------------------------------------------------------------


def test_the_view_of_a_draft_and_of_its_order(hand: Hand) -> None:
    draft_id = hand.draft()
    order = json.loads(details(), parse_float=Decimal)
    lines = tuple(ViewedLine(one["sku"], one["quantity"], Decimal(one["unit_price"])) for one in order["items"])
    shown = hand.connector.view(draft_id)
    assert isinstance(shown, View)
    assert (shown.reference, shown.currency) == (REFERENCE, "EUR")
    assert (shown.total, shown.lines) == (Decimal(order["totals"]["total"]), lines)
    assert shown.sighting.state is ShopState.DRAFT
    promoted = hand.sight(hand.do(PROMOTE, draft_id))
    for shop_id in (draft_id, promoted.real_id):
        later = hand.connector.view(shop_id)
        assert isinstance(later, View)
        assert (later.total, later.lines, later.reference) == (shown.total, lines, REFERENCE)
        assert later.sighting.ids == promoted.ids


def test_what_cannot_be_viewed(hand: Hand) -> None:
    draft_id = hand.draft()
    hand.world.delete_by_hand(draft_id)
    assert isinstance(hand.connector.view(draft_id), Missing)
    assert isinstance(hand.connector.view("ord_1"), Missing)
    assert isinstance(hand.connector.view("9001"), Retry)  # deleted, or too old to be shown


def test_it_is_made_from_settings() -> None:
    made = shops.connector(_SETTINGS, "k", Mapping(), 7.0)
    assert made.capabilities == Capabilities(settle_window=90)
    frozen = json.loads(made.freeze(Task(PROMOTE, STORE, ORDER, REFERENCE, "gid://shopify/DraftOrder/7")))
    assert frozen["target"] == "/admin/api/2026-07/graphql.json"
    assert json.loads(frozen["body"])["variables"]["paymentPending"] is True
    plain = shops.connector(ShopSettings("https://acme.test", Secret("K"), ShopKind.SHOPIFY), "k", Mapping(), 7.0)
    assert plain.capabilities.settle_window == 60


_SETTINGS = ShopSettings(
    "https://acme.myshopify.com",
    Secret("K"),
    ShopKind.SHOPIFY,
    shopify=ShopifySettings("2026-07", 90.0, payment_pending=True),
)
