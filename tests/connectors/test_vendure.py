"""Vendure's traps: a draft of several calls, errors inside 200, drafts that nobody can find, two steps to an order."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

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
    View,
    ViewedLine,
)
from orderflow.connectors.vendure import Vendure
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.jsontext import NotJson, canonical, parse

from .benches import Bench, bench
from .conformance import Closable, Conformance, Rig
from .fake_vendure import KEY, FakeVendure
from .test_conformance import ORDER, PERSONAL, REFERENCE, STORE, details

DRAFT, ORDERED, GONE, BEGUN = ShopState.DRAFT, ShopState.ORDER, ShopState.GONE, ShopState.BEGUN
SKUS = {"WALKER-42": ["1"], "WALKER-43": ["2"], "SCARF-RED": ["3"], "MUG-01": ["4"], "TENT-2P": ["5"], "FEES": ["6"]}


def other(reference: str = "glopal:acme:310678-93614") -> dict[str, Any]:
    """Somebody else's order, as a look-up shows it."""
    fake = FakeVendure()
    fake._create()["customFields"]["glopalReference"] = reference
    return fake._shown("1")


class TestVendure(Conformance):
    @pytest.fixture
    def rig(self) -> Rig:
        fake = FakeVendure(skus=dict(SKUS))

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Vendure(base_url, KEY, charges_sku="FEES", transport=transport, total_seconds=total_seconds)

        def seen(sight: Found, result: Delivered) -> bool:
            return sight.sightings == ((result.sighting,) if result.sighting else ()) and bool(sight.sightings)

        return Rig(
            app=fake.handle,
            connect=connect,
            key=KEY,
            task=Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details()),
            executed=lambda: fake.made,
            seen=seen,
            repeatable=True,
            elsewhere=json.dumps({"data": {"ours": {"items": [other()]}}}).encode(),
            personal=PERSONAL,
            writes=lambda request: b"createDraftOrder" in request.body,
        )


class Hand:
    """A shop, its connector, and short ways to use them."""

    def __init__(self, shop: FakeVendure, made: Bench) -> None:
        self.shop, self.bench = shop, made
        self.connector = Vendure(made.base_url, KEY, charges_sku="FEES", transport=made.transport)

    def do(self, effect: Effect, target: str = "", seen: ShopState | None = None, body: bytes | None = None) -> Result:
        given = details() if body is None else body
        task = Task(effect, STORE, ORDER, REFERENCE, target, seen, details=given, reason="withdrawn")
        return self.connector.send(self.connector.freeze(task), key="k", in_time=lambda: True)

    def draft(self) -> str:
        result = self.do(Effect.DRAFT)
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        return result.sighting.shop_id

    def order(self) -> str:
        shop_id = self.draft()
        assert isinstance(self.do(Effect.PROMOTE, shop_id, DRAFT), Delivered)
        return shop_id

    def found(self, *known: str) -> tuple[Sighting, ...]:
        sight = self.connector.find(Subject(STORE, ORDER, REFERENCE, known))
        assert isinstance(sight, Found), sight
        return sight.sightings

    def states(self, *known: str) -> list[ShopState]:
        return [sighting.state for sighting in self.found(*known)]


@pytest.fixture
def hand() -> Iterator[Hand]:
    shop = FakeVendure(skus=dict(SKUS))
    with bench(shop.handle, "process") as made:
        yield Hand(shop, made)


def changed(**members: Any) -> bytes:
    """The details with other members; amounts are texts."""
    found = parse(details())
    assert isinstance(found, dict)
    assert not isinstance(found, NotJson)
    return canonical({**found, **members})


def totals(total: str, **more: str) -> dict[str, str]:
    return {"tax": "0", "duty": "0", "fees": "0", "discount": "0", "total": total, **more}


def line(sku: str = "MUG-01", price: str = "10.00", quantity: int = 1) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "unit_price": price}


# ---- the request ---------------------------------------------------------------------------------------------------


def frozen(hand: Hand, body: bytes) -> Any:
    task = Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=body)
    return json.loads(hand.connector.freeze(task))


def test_what_vendure_has_no_place_for_becomes_lines(hand: Hand) -> None:
    body = changed(
        items=[line(price="74.99", quantity=2)],
        shipping={"price": "12.50"},
        totals=totals("165.67", tax="4.55", duty="1.00", discount="2.35"),
    )
    made = frozen(hand, body)
    charges = {
        one["item"]["customFields"]["glopalCharge"]: one["item"]["customFields"]["glopalPrice"]
        for one in made["lines"]
        if one["sku"] == "FEES"
    }
    # 149.98 + 12.50 + 4.55 + 1.00 - 2.35 = 165.68: the cent that is missed is a line, too.
    assert charges == {"tax": 455, "duty": 100, "discount": -235, "rounding": -1}
    assert made["marks"] == {
        "glopalReference": REFERENCE,
        "glopalTotal": 16567,
        "glopalQuantity": 6,
        "glopalShipping": 1250,
    }


def test_yen_have_no_smaller_unit(hand: Hand) -> None:
    body = changed(currency="JPY", items=[line(price="1980")], shipping={"price": "500"}, totals=totals("2480"))
    made = frozen(hand, body)
    assert made["marks"]["glopalTotal"] == 2480
    assert made["lines"][0]["item"]["customFields"]["glopalPrice"] == 1980


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"items": [line(price="9.995")], "totals": totals("23.645")}, "items[0].unit_price is 9.995"),
        ({"items": [line(price="99999999.00")], "totals": totals("100000012.65")}, "more than Vendure can hold"),
        ({"customer": {"first_name": "Ada"}, "billing_address": None}, "customer.email is missing"),
        ({"shipping_address": {"city": "Berlin"}}, "shipping_address.line1 is missing"),
        ({"shipping_address": None}, "shipping_address.line1 is missing"),
    ],
)
def test_what_cannot_be_built(hand: Hand, members: dict[str, Any], problem: str) -> None:
    with pytest.raises(FreezeError) as caught:
        frozen(hand, changed(**members))
    assert problem in str(caught.value)


def test_charges_need_a_variant(hand: Hand) -> None:
    bare = Vendure("http://vendure.test", KEY)
    body = changed(items=[line()], shipping={"price": "0"}, totals=totals("11.00", duty="1.00"))
    with pytest.raises(FreezeError, match=r"^duty: .* name a variant in vendure\.charges_sku$"):
        bare.freeze(Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=body))


# ---- a draft -------------------------------------------------------------------------------------------------------


def test_the_reference_comes_first_and_the_currency_always(hand: Hand) -> None:
    hand.draft()
    assert hand.shop.fields[:3] == ["createDraftOrder", "setDraftOrderCustomFields", "setCustomerForDraftOrder"]
    assert hand.shop.fields[-1] == "setDraftOrderShippingMethod"
    assert {currency for _, _, currency in hand.shop.asked} == {"EUR"}
    assert hand.states() == [DRAFT]


def test_many_lines_go_in_several_calls(hand: Hand) -> None:
    body = changed(
        items=[line(price=f"{n}.00") for n in range(1, 46)], shipping={"price": "0"}, totals=totals("1035.00")
    )
    assert isinstance(hand.do(Effect.DRAFT, body=body), Delivered)
    assert len(hand.shop.asked) == 6  # look, create, mark, and three to fill
    assert hand.states() == [DRAFT]


def test_a_buyer_with_an_account_keeps_it(hand: Hand) -> None:
    body = changed(customer={"email": "Ada@Example.com", "first_name": "Ada"})
    hand.shop.buyers["ada@example.com"] = "77"
    assert isinstance(hand.do(Effect.DRAFT, body=body), Delivered)
    assert hand.shop.orders["1"]["customer"] == {"id": "77"}


@pytest.mark.parametrize(
    ("skus", "reason"),
    [
        ({}, "200 no variant for line 0"),
        ({"MUG-01": ["4", "44"], "FEES": ["6"]}, "200 more than one variant for line 0"),
    ],
)
def test_a_sku_that_means_nothing_or_two_things(hand: Hand, skus: dict[str, list[str]], reason: str) -> None:
    hand.shop.skus = skus
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == reason
    assert hand.shop.fields == []


@pytest.mark.parametrize("step", ["setCustomerForDraftOrder", "addItemToDraftOrder", "setDraftOrderShippingMethod"])
def test_a_no_half_way_is_a_refusal_of_what_was_begun(hand: Hand, step: str) -> None:
    hand.shop.refused[step] = "SOME_ERROR"
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == "200 SOME_ERROR"
    assert hand.states() == [BEGUN]


@pytest.mark.parametrize("step", ["setDraftOrderShippingAddress", "addItemToDraftOrder", "setDraftOrderShippingMethod"])
@pytest.mark.parametrize("code", ["", "INTERNAL_SERVER_ERROR"])
def test_an_error_half_way_is_unknown(hand: Hand, step: str, code: str) -> None:
    hand.shop.thrown[step] = code
    assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert hand.states() == [BEGUN]


def test_too_little_stock_never_passes_for_whole(hand: Hand) -> None:
    """Vendure puts in what there is, and says no all the same."""
    hand.shop.stock["MUG-01"] = 1
    assert isinstance(hand.do(Effect.DRAFT), Refused)
    assert hand.states() == [BEGUN]


def test_a_missing_line_that_costs_nothing_is_missed(hand: Hand) -> None:
    body = changed(items=[line(), line("SCARF-RED", "0.00")], shipping={"price": "0"}, totals=totals("10.00"))
    assert isinstance(hand.do(Effect.DRAFT, body=body), Delivered)
    hand.shop.orders["1"]["lines"].pop()
    assert hand.states() == [BEGUN]


def test_a_cart_that_bears_our_reference_is_nothing_of_ours(hand: Hand) -> None:
    """Where the custom fields are not locked, a buyer can write them into their own cart."""
    hand.shop.orders[hand.draft()]["state"] = "AddingItems"
    assert hand.states() == [BEGUN]
    assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert isinstance(hand.do(Effect.PROMOTE, "1", DRAFT), Refused)


def test_a_promotion_of_the_shop_is_told(hand: Hand) -> None:
    hand.shop.extra = -100
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Refused)
    assert "another total" in result.reason
    assert hand.states() == [BEGUN]


def test_an_unmarked_draft_is_taken_back(hand: Hand) -> None:
    hand.shop.thrown["setDraftOrderCustomFields"] = "INTERNAL_SERVER_ERROR"
    assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert hand.shop.orders == {}


def test_a_reference_that_was_taken_meanwhile_is_found(hand: Hand) -> None:
    """Between look and mark another one came: the duplicate key is no refusal."""
    whole = Hand(hand.shop, hand.bench)
    before = hand.shop._createDraftOrder

    def racing(alias: str, given: Any) -> Any:
        del hand.shop.__dict__["_createDraftOrder"]
        whole.draft()
        return before(alias, given)

    hand.shop.__dict__["_createDraftOrder"] = racing
    result = hand.do(Effect.DRAFT)
    assert isinstance(result, Delivered), result
    assert result.sighting == hand.found()[0]
    assert list(hand.shop.orders) == ["1"]


def test_what_was_begun_before_is_looked_up(hand: Hand) -> None:
    hand.shop.refused["addItemToDraftOrder"] = "SOME_ERROR"
    hand.do(Effect.DRAFT)
    hand.shop.refused.clear()
    assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert list(hand.shop.orders) == ["1"]


def test_a_cancelled_draft_gives_its_reference_up(hand: Hand) -> None:
    """Somebody cancelled the draft instead of deleting it: Vendure would keep the reference taken for ever."""
    first = hand.draft()
    hand.shop.orders[first]["state"] = "Cancelled"
    second = hand.draft()
    assert hand.found(first) == (Sighting(second, "CODE2", DRAFT), Sighting(first, "CODE1", GONE))


def test_a_cancelled_order_keeps_it(hand: Hand) -> None:
    first = hand.order()
    hand.shop.orders[first]["state"] = "Cancelled"
    assert isinstance(hand.do(Effect.DRAFT), Refused)
    assert list(hand.shop.orders) == [first]


def test_a_sender_that_slept_does_not_wake_up_and_write(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was suspended after `create`, longer than a call may take: neither mark nor deletion leaves."""
    now = [1000.0]
    monkeypatch.setattr("orderflow.connectors.calls.time.clock_gettime", lambda _clock: now[0])
    before = hand.shop._createDraftOrder

    def sleeping(alias: str, given: Any) -> Any:
        now[0] += 31.0
        return before(alias, given)

    hand.shop.__dict__["_createDraftOrder"] = sleeping
    assert isinstance(hand.do(Effect.DRAFT), Unknown)
    assert hand.shop.fields == ["createDraftOrder"]


# ---- what Vendure says with 200 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["FORBIDDEN", "GRAPHQL_VALIDATION_FAILED"])
def test_a_closed_door_inside_200(hand: Hand, code: str) -> None:
    hand.shop.thrown["query"] = code
    sight, result = hand.connector.find(Subject(STORE, ORDER, REFERENCE)), hand.do(Effect.DRAFT)
    for said in (sight, result, hand.do(Effect.PROMOTE, "1"), hand.connector.view("1")):
        assert isinstance(said, Retry)
        assert said.closed
        assert not said.burnt
        assert code in said.reason
    assert hand.shop.fields == []


def test_rights_that_end_half_way_leave_it_unknown(hand: Hand) -> None:
    """A `Retry` would say that nothing was done."""
    hand.shop.thrown["addItemToDraftOrder"] = "FORBIDDEN"
    assert isinstance(hand.do(Effect.DRAFT), Unknown)


def test_null_beside_an_error_is_not_gone(hand: Hand) -> None:
    hand.shop.thrown["query"] = "INTERNAL_SERVER_ERROR"
    sight = hand.connector.find(Subject(STORE, ORDER, REFERENCE, ("1",)))
    assert isinstance(sight, Retry)
    assert not sight.closed
    assert isinstance(hand.connector.view("1"), Retry)


# ---- promote and withdraw ------------------------------------------------------------------------------------------


def test_a_promotion_goes_on_where_it_stands(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.shop.thrown["addManualPaymentToOrder"] = "INTERNAL_SERVER_ERROR"
    assert isinstance(hand.do(Effect.PROMOTE, shop_id, DRAFT), Unknown)
    assert hand.shop.orders[shop_id]["state"] == "ArrangingPayment"
    assert hand.states() == [DRAFT]
    hand.shop.thrown.clear()
    for _ in range(2):
        result = hand.do(Effect.PROMOTE, shop_id, DRAFT)
        assert isinstance(result, Delivered)
        assert result.sighting == Sighting(shop_id, "CODE1", ORDERED, promoted=True)
    assert hand.shop.fields.count("transitionOrderToState") == 1
    assert hand.shop.orders[shop_id]["payments"] == 1


def test_a_draft_that_somebody_changed_is_not_promoted(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.shop.orders[shop_id]["lines"][0]["quantity"] += 1
    result = hand.do(Effect.PROMOTE, shop_id, DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == "200 order_changed"
    assert "transitionOrderToState" not in hand.shop.fields


@pytest.mark.parametrize(("state", "reason"), [("Cancelled", "200 order_cancelled"), (None, "200 order_not_found")])
def test_what_is_gone_is_not_promoted(hand: Hand, state: str | None, reason: str) -> None:
    shop_id = hand.draft()
    if state is None:
        del hand.shop.orders[shop_id]
    else:
        hand.shop.orders[shop_id]["state"] = state
    result = hand.do(Effect.PROMOTE, shop_id, DRAFT)
    assert isinstance(result, Refused)
    assert result.reason == reason


def test_somebody_elses_order_is_not_promoted(hand: Hand) -> None:
    shop_id = hand.draft()
    hand.shop.orders[shop_id]["customFields"]["glopalReference"] = "glopal:acme:1"
    assert isinstance(hand.do(Effect.PROMOTE, shop_id, DRAFT), Refused)


@pytest.mark.parametrize(
    ("stands", "seen", "way"),
    [
        ("Draft", DRAFT, "deleteDraftOrder"),
        ("ArrangingPayment", DRAFT, "cancelOrder"),
        ("PaymentSettled", ORDERED, "cancelOrder"),
    ],
)
def test_a_withdrawal_by_what_stands_there(hand: Hand, stands: str, seen: ShopState, way: str) -> None:
    shop_id = hand.order() if seen is ORDERED else hand.draft()
    hand.shop.orders[shop_id]["state"] = stands
    for _ in range(2):
        result = hand.do(Effect.WITHDRAW, shop_id, seen)
        assert isinstance(result, Delivered)
        assert result.sighting is not None
        assert (result.sighting.state, result.sighting.promoted) == (GONE, seen is ORDERED)
    assert hand.shop.fields[-1] == way
    assert hand.states(shop_id) == [GONE]


def test_a_cancellation_keeps_the_amounts_from_before(hand: Hand) -> None:
    shop_id = hand.order()
    total = hand.connector.view(shop_id)
    result = hand.do(Effect.WITHDRAW, shop_id, ORDERED)
    assert isinstance(total, View)
    assert total.total == Decimal("40.96")
    assert isinstance(result, Delivered)
    assert b'"totalWithTax": 4096' in result.reply


@pytest.mark.parametrize(
    ("state", "seen", "reason"),
    [("PaymentSettled", DRAFT, "200 order_placed"), ("PartiallyShipped", ORDERED, "200 order_fulfilled")],
)
def test_what_is_not_withdrawn(hand: Hand, state: str, seen: ShopState, reason: str) -> None:
    shop_id = hand.order()
    hand.shop.orders[shop_id]["state"] = state
    result = hand.do(Effect.WITHDRAW, shop_id, seen)
    assert isinstance(result, Refused)
    assert result.reason == reason
    assert "cancelOrder" not in hand.shop.fields


def test_a_cancellation_that_somebody_else_won(hand: Hand) -> None:
    shop_id = hand.order()
    before = hand.shop._cancelOrder

    def racing(alias: str, given: Any) -> Any:
        before(alias, given)
        return before(alias, given)

    hand.shop.__dict__["_cancelOrder"] = racing
    assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ORDERED), Delivered)


# ---- look-ups ------------------------------------------------------------------------------------------------------


def test_a_view(hand: Hand) -> None:
    shop_id = hand.order()
    goods = (ViewedLine("MUG-01", 2, Decimal("11.38")),)
    seen = Sighting(shop_id, "CODE1", ORDERED, promoted=True)
    assert hand.connector.view(shop_id) == View(seen, REFERENCE, "EUR", Decimal("40.96"), goods, 200)
    hand.do(Effect.WITHDRAW, shop_id, ORDERED)
    gone = Sighting(shop_id, "CODE1", GONE, promoted=True)
    assert hand.connector.view(shop_id) == View(gone, REFERENCE, "EUR", None, goods, 200)
    assert hand.connector.view("999") == Missing("200 order_not_found", 200)


def test_only_forgotten_empty_drafts_are_swept(hand: Hand) -> None:
    """The fake ignores the filter, so everything is asked of the row itself."""
    hand.draft()
    kept: dict[str, dict[str, Any]] = {
        "bought": {"customer": {"id": "1"}},
        "filled": {
            "lines": [{"sku": "MUG-01", "quantity": 1, "customFields": {"glopalPrice": 1, "glopalCharge": None}}]
        },
        "placed": {"state": "ArrangingPayment"},
        "empty": {},
    }
    for members in kept.values():
        hand.shop._create().update(members)
    assert hand.connector.sweep(timedelta(hours=1)) == 0
    assert hand.connector.sweep(timedelta(0)) == 1
    assert list(hand.shop.orders) == ["1", "2", "3", "4"]
    hand.shop.thrown["query"] = "FORBIDDEN"
    assert hand.connector.sweep(timedelta(0)) == 0
