"""A mapping file reaches everything, takes nothing it does not know, and every field says what became of it."""

import json
import tomllib
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from orderflow.glopal.coverage import coverage
from orderflow.glopal.details import read_order
from orderflow.glopal.mapping import TABLES, Mapping, mapping_from
from orderflow.glopal.places import Members, Place, at, place
from orderflow.glopal.reading import MOST_LINES
from orderflow.glopal.shop_order import Line, ShopOrder

DETAILS: dict[str, Any] = {
    "id": "310678-936140",
    "status": "READY",
    "currency": "EUR",
    "language": {"0": "fr", "1": "fr-FR"},
    "customer_note": "ring twice",
    "internal_note": "checked",
    "buyer": {"mail": "ada@example.com", "names": ["Ada", "Lovelace"], "vat": None},
    "addresses": [
        {"type": "billing", "street": "1 Rue A", "town": "Paris"},
        {"type": "shipping", "street": "2 Rue B", "town": "Łódź"},
    ],
    "latin": {"street": "2 Rue B", "town": "Lodz"},
    "cart": {"lines": [{"code": 42, "count": "2", "price": {"gross": "10.00"}, "tax": 1, "variant": "v-1"}]},
    "sums": [{"kind": "tax", "amount": "1.50"}, {"kind": "total", "amount": "21.50"}],
    "payment": {"method": "card"},
}
MAPPING = """
items = "cart.lines"
total = ["grand_total", "sums.kind=total.amount"]
tax = "sums.kind=tax.amount"
discount = ""
shipping_method = { value = "courier" }
internal_note = "internal_note"
payment = "payment"
shipping_address_romanised = "latin"

[line]
sku = "code"
quantity = "count"
unit_price = ["price.net", "price.gross"]
tax = "tax"
variant_id = "variant"

[customer]
email = "buyer.mail"
first_name = "buyer.names.0"
last_name = "buyer.names.1"
phone = "buyer.phone"

[shipping_address]
line1 = "addresses.type=shipping.street"
city = ["latin.town", "addresses.type=shipping.town"]
"""


def raw(**members: Any) -> bytes:
    return json.dumps({name: value for name, value in (DETAILS | members).items() if value is not ...}).encode()


def mapped(text: str = MAPPING) -> Mapping:
    return mapping_from(tomllib.loads(text))


def test_it_reaches_everything() -> None:
    order = read_order(raw(), mapped())
    assert isinstance(order, ShopOrder), order
    assert order.lines == (Line("42", None, 2, Decimal("10.00"), tax=Decimal(1), variant_id="v-1"),)
    assert (order.total, order.tax, order.discount, order.duty) == (Decimal("21.50"), Decimal("1.50"), None, None)
    assert order.customer == {"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"}
    assert order.shipping_address == {"line1": "2 Rue B", "city": "Lodz"}
    assert order.shipping_address_romanised == DETAILS["latin"]
    assert (order.shipping_method, order.language) == ("courier", "fr")
    assert (order.note, order.internal_note) == ("ring twice", "checked")
    assert (order.payment, order.cart) == ({"method": "card"}, None)


@pytest.mark.parametrize(
    ("language", "read"),
    [("fr", "fr"), (["fr", "de"], "fr"), ({"0": "fr"}, "fr"), (5, None), ([], None), ({}, None)],
)
def test_languages(language: Any, read: str | None) -> None:
    order = read_order(raw(language=language), mapped())
    assert isinstance(order, ShopOrder)
    assert order.language == read


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [1, {"k": "x", "v": 2}, {"k": "y", "v": 3}]}),
        ("a.b.0", 1),
        ("a.b.k=y.v", 3),
        ("a.b.1.v", 2),
        ("a.b.9", None),
        ("a.b.-1", None),
        ("a.b.k=z", None),
        ("a.b.n=1", None),
        ("a.b.k", None),
        ("a.b.0.c", None),
        ("b", None),
        ("twice.k=x", None),
    ],
)
def test_paths(path: str, found: Any) -> None:
    document = {"a": {"b": [1, {"k": "x", "v": 2}, {"k": "y", "v": 3}]}, "twice": [{"k": "x"}, {"k": "x"}]}
    assert at(document, path) == found


def test_the_first_that_is_there_counts_even_if_it_is_no_amount() -> None:
    found = coverage(raw(grand_total="much"), mapped())
    assert found.unmapped == ("grand_total or sums.kind=total.amount",)
    assert coverage(raw(grand_total=None), mapped()).unmapped == ()
    assert place("x", ["a", {"value": "0.50"}]).of({"a": None}) == "0.50"
    assert place("x", []).of({"": 1}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('prize = "x"', "prize: there is no such field; known are items, line, total"),
        ("total = 5", "total: give a path"),
        ("total = 5.0", "total: give a path"),
        ("total = true", "total: give a path"),
        ("total = [[]]", "total: give a path"),
        ('total = "a..b"', "total: 'a..b' is no path"),
        ('total = "a."', "total: 'a.' is no path"),
        ("total = {}", "total: give a path"),
        ("total = { value = 1.5 }", "total: give a path"),
        ("total = { value = true }", "total: give a path"),
        ('total = { value = "1", or = "2" }', "total: give a path"),
        ('line = "x"', "line: must be a table"),
        ('line.prize = "x"', "line.prize: there is no such field"),
        ("line.sku = 1", "line.sku: give a path"),
        ('shipping_address.street = "x"', "shipping_address.street: there is no such field; known are first_name"),
        ("shipping_address.line1 = 1", "shipping_address.line1: give a path"),
        ('payment.method = "x"', "payment: give a path"),
    ],
)
def test_a_mapping_that_cannot_be_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        mapped(text)
    assert str(caught.value).startswith(says)


def test_every_field_says_what_became_of_it() -> None:
    found = coverage(raw(tax=..., customer_note=["x"]), mapped())
    state = {one.name: (one.value, one.problem, one.blocks) for one in found.fields}
    assert state["items"] == (1, "", False)
    assert state["total"] == (Decimal("21.50"), "", False)
    assert state["duty"] == (None, "", False)
    assert state["note"] == (None, "is no text", False)
    assert state["items[0].sku"] == ("42", "", False)
    assert "items[0].discount" not in state  # what no place is named for is no news for every line
    assert {"duty", "fees"} <= set(found.absent)
    assert "discount" not in found.absent
    assert "ada" not in repr(found)


def test_what_is_left_over_is_named_without_what_it_says() -> None:
    found = coverage(raw(**{"ada@example.com": 1, "loyalty": {"points": 7}}), mapped())
    assert sorted(found.left_over) == [
        "(an odd name)",
        "addresses[].street",
        "addresses[].town",
        "buyer.vat",
        "loyalty",
    ]


def test_details_that_are_none() -> None:
    assert coverage(b"{", Mapping()).problem == "the details are not JSON"
    assert coverage(raw(), mapped(), "1-1").problem == "id is another order's"


def test_an_order_as_long_as_an_attack_is_not_read() -> None:
    found = coverage(raw(cart={"lines": [5] * (MOST_LINES + 1)}), mapped())
    assert found.unmapped == ("cart.lines",)
    assert [one.problem for one in found.fields if one.name == "items"] == [f"has more than {MOST_LINES} lines"]
    many = coverage(raw(cart={"lines": [5] * MOST_LINES}), mapped())
    assert len(many.unmapped) == 21
    assert many.unmapped[-1] == f"and {MOST_LINES * 3 - 20} more"


def test_every_field_of_the_mapping_reaches_the_shop_order() -> None:
    """A field that nobody reads would be a setting without effect."""
    others = {"items", "shipping_price", "refunds", "returns", *TABLES}
    names = [one.name for one in fields(Mapping) if one.name not in others]
    assert [name for name in names if name not in {one.name for one in fields(ShopOrder)}] == []
    assert all(isinstance(getattr(Mapping(), name), Place | Members) for name in names)


def test_without_the_rate_of_the_base_currency_there_is_no_order() -> None:
    found = coverage(raw(), mapped(), base_currency="USD")
    assert found.order is None
    assert len(found.unmapped) == 1
    rated = coverage(raw(exchange_rates={"USD": {"rate": "0.9102"}}), mapped(), base_currency="USD")
    assert rated.order is not None
    assert rated.order.currency == "EUR"
    assert rated.base is not None
