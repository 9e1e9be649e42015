"""Details are read exactly, or the trouble is named without a personal word."""

import json
from decimal import Decimal
from typing import Any

import pytest

from orderflow.domain.events import Ids
from orderflow.domain.machine import Status
from orderflow.glopal.details import Details, read_details, read_order
from orderflow.glopal.mapping import Mapping, mapping_from
from orderflow.glopal.money import money_problem
from orderflow.glopal.shop_order import ShopOrder

ORDER: dict[str, Any] = {
    "id": "310678-936140",
    "status": "READY",
    "external": None,
    "currency": "EUR",
    "language": "fr",
    "environment": "live",
    "created_at": "2025-07-02T07:37:45.854Z",
    "customer": {"email": "ada@example.com", "first_name": "Ada"},
    "customer_note": "ring twice",
    "items": [{"sku": "WALKER-42", "name": "Boots", "quantity": 2, "unit_price": "74.99"}],
    "shipping": {"method": "express", "price": "12.50"},
    "totals": {"total": "162.48"},
}


def raw(**members: Any) -> bytes:
    return json.dumps({name: value for name, value in (ORDER | members).items() if value is not ...}).encode()


def read(mapping: Mapping | None = None, **members: Any) -> Details:
    details = read_details(raw(**members), mapping or Mapping())
    assert isinstance(details, Details), details
    return details


def problem(**members: Any) -> str:
    result = read_details(raw(**members), Mapping())
    assert isinstance(result, str), result
    return result


def test_the_good_case() -> None:
    details = read()
    assert (details.status, details.said, details.external) == (Status.READY, "READY", None)
    assert (details.total, details.currency, details.environment) == (Decimal("162.48"), "EUR", "live")
    assert (details.unmapped, details.money) == ((), None)
    assert "ada@" not in repr(details)


@pytest.mark.parametrize(
    ("external", "ids"),
    [
        (None, None),
        (..., None),
        ({}, None),
        ({"order_id": None, "order_number": None}, None),
        ({"order_id": "", "order_number": "00092"}, None),
        ({"order_id": None, "order_number": "00092"}, None),
        ({"order_id": "92", "order_number": "00092"}, Ids("92", "00092")),
        ({"order_id": "92"}, Ids("92", "92")),
        ({"order_id": "92", "order_number": ""}, Ids("92", "92")),
    ],
)
def test_external(external: Any, ids: Ids | None) -> None:
    assert read(external=external).external == ids


@pytest.mark.parametrize("external", [5, [], "92", {"order_id": 92}, {"order_id": ["92"]}, {"order_id": "a\0"}])
def test_an_external_that_is_not_understood_is_not_taken_for_none(external: Any) -> None:
    assert problem(external=external).startswith("external")


@pytest.mark.parametrize("said", ["ON_HOLD", "ready", "NEW", "Cancelled"])
def test_statuses_that_nobody_named(said: str) -> None:
    details = read(status=said)
    assert (details.said, details.status) == (said, None)


@pytest.mark.parametrize("member", ["id", "status"])
@pytest.mark.parametrize("value", [None, ..., "", 5, [], "x" * 300, "a\nb"])
def test_what_must_be_there(member: str, value: Any) -> None:
    assert problem(**{member: value}).startswith(member)


@pytest.mark.parametrize("member", ["environment", "created_at", "currency", "language", "customer_note", "customer"])
def test_what_may_be_absent(member: str) -> None:
    for value in (None, ...):
        details = read(**{member: value})
        assert details.unmapped == (("currency",) if member == "currency" else ())


@pytest.mark.parametrize("language", ["fr", {"0": "fr", "1": "fr-FR"}, ["fr"], [], 5])
def test_language_may_be_anything(language: Any) -> None:
    assert read(language=language).unmapped == ()


@pytest.mark.parametrize("currency", ["eur", "EURO", "E R", 978])
def test_currencies(currency: Any) -> None:
    assert problem(currency=currency).startswith("currency")


def test_another_orders_details() -> None:
    assert read_details(raw(), Mapping(), "310678-936141") == "id is another order's"


def test_no_digit_is_lost() -> None:
    text = raw().replace(b'"74.99"', b"74.990000000000000001").replace(b'"162.48"', b"162.480000000000000002")
    order = read_order(text, Mapping())
    assert isinstance(order, ShopOrder)
    assert str(order.lines[0].unit_price) == "74.990000000000000001"
    assert str(order.total) == "162.480000000000000002"
    assert b'"162.480000000000000002"' in order.basis()


@pytest.mark.parametrize("price", [None, ..., "", "free", True, [], {}, "1e3", "NaN", "1,5", "9" * 31])
def test_a_price_that_is_none(price: Any) -> None:
    item = {name: it for name, it in (ORDER["items"][0] | {"unit_price": price}).items() if it is not ...}
    details = read(items=[ORDER["items"][0], item])
    assert details.unmapped == ("items[1].unit_price",)
    assert details.total is None
    assert details.basis == b""


@pytest.mark.parametrize(
    ("members", "unmapped"),
    [
        ({"items": ...}, ("items",)),
        ({"items": []}, ("items",)),
        ({"items": {"0": {}}}, ("items",)),
        ({"items": [5]}, ("items[0].sku", "items[0].quantity", "items[0].unit_price")),
        ({"totals": {}}, ("totals.total",)),
        ({"totals": {"total": "162.48", "tax": "a lot"}}, ("totals.tax",)),
        ({"shipping": {"price": []}}, ("shipping.price",)),
    ],
)
def test_what_is_missing_is_named(members: dict[str, Any], unmapped: tuple[str, ...]) -> None:
    assert read(**members).unmapped == unmapped


@pytest.mark.parametrize(
    ("quantity", "fit"), [(1, True), ("2", True), (2.0, True), (0, False), (-1, False), (1.5, False)]
)
def test_quantities(quantity: Any, fit: bool) -> None:  # noqa: FBT001
    details = read(items=[ORDER["items"][0] | {"quantity": quantity}])
    assert (details.unmapped == ()) is fit


def test_mapped_elsewhere() -> None:
    mapping = mapping_from(
        {"items": "cart.lines", "line": {"unit_price": "prices.0.gross"}, "total": "sum", "shipping_price": ""}
    )
    lines = [{"sku": "A", "quantity": 1, "prices": [{"gross": 5}]}]
    details = read(mapping, items=..., cart={"lines": lines}, sum=5)
    assert (details.unmapped, details.money, details.total) == ((), None, Decimal(5))


@pytest.mark.parametrize(
    ("currency", "total", "holds"),
    [
        ("EUR", "162.47", True),
        ("EUR", "162.49", True),
        ("EUR", "162.50", False),
        ("JPY", "163.48", True),
        ("JPY", "164.00", False),
        ("KWD", "162.481", True),
        ("KWD", "162.482", False),
    ],
)
def test_money_adds_up_within_the_smallest_unit(currency: str, total: str, holds: bool) -> None:  # noqa: FBT001
    details = read(currency=currency, totals={"total": total})
    assert (details.money is None) is holds


def test_every_part_counts() -> None:
    totals = {"tax": 1, "duty": 2, "fees": 3, "discount": 4, "total": "164.48"}
    details = read(totals=totals)
    assert details.money is None
    wrong = read(totals=totals | {"total": "999"}).money
    assert wrong == (
        "lines 149.98, shipping 12.50, tax 1, duty 2, fees 3, discount -4 make 164.48 EUR, but the total is 999"
    )


def test_the_sum_is_not_rounded() -> None:
    price = "1" + "0" * 29 + "." + "0" * 29 + "1"
    order = read_order(raw(items=[ORDER["items"][0] | {"unit_price": price}], totals={"total": price}), Mapping())
    assert isinstance(order, ShopOrder)
    assert money_problem(order) is not None


def test_the_basis_tells_what_a_request_would_hold() -> None:
    plain = read().basis
    assert read(status="ACCEPTED", external={"order_id": "1"}, internal_note="x").basis == plain
    assert read(customer_note="other").basis != plain
    assert read(shipping_address={"city": "Berlin"}).basis != plain


def test_half_an_emoji_in_a_note_is_no_trouble() -> None:
    details = read(customer_note="cut off \ud83d")
    assert details.unmapped == ()
    assert rb"\ud83d" in details.basis


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"<html>Ada</html>",
        b'{"id":"1","id":"2","status":"READY"}',
        b'{"id":"1","status":"READY","x":NaN}',
        b'{"id":"1","status":"READY","x":' + b"9" * 5000 + b"}",
        b'{"id":"1","status":"READY","x":1e99999999999999999999}',
        b'{"id":"1","status":"READY","x":' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"id":"1","status":"READY","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(11),
)
def test_what_is_no_details(body: bytes) -> None:
    result = read_details(body, Mapping())
    assert isinstance(result, str)
    assert "Ada" not in result


def test_huge_exponents_stay_small() -> None:
    body = raw(x=...)[:-1] + b',"customer":{"loyalty":1e999999999}}'
    assert isinstance(read_details(body.replace(b'"customer": {"email"', b'"x": {"email"'), Mapping()), Details)
