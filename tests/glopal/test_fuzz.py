"""Whatever the bytes: no reader raises, and what is accepted is sound."""

import json
from dataclasses import fields
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow.glopal.codec import Bad, Good, Page, Unparsable, clear_of, read_page
from orderflow.glopal.coverage import coverage
from orderflow.glopal.details import Details, read_details, read_order
from orderflow.glopal.jsontext import NotJson, canonical, parse
from orderflow.glopal.mapping import TABLES, Mapping, mapping_from
from orderflow.glopal.shop_order import ShopOrder

TEXTS = st.text(st.characters(codec=None, categories=None), max_size=12)  # lone surrogates, too
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["events", "event_id", "event_name", "event_at", "order_id", "external", "entity_id", "order_number", "links"]
)
EVENTS = st.dictionaries(NAMES, VALUES | st.sampled_from(["a", "order.ready", "2025-07-02T07:37:45.854Z"]), max_size=7)
DETAILS = st.fixed_dictionaries(
    {"id": st.just("1-1") | VALUES, "status": st.sampled_from(["READY", "X"]) | VALUES},
    optional={
        "external": st.dictionaries(st.sampled_from(["order_id", "order_number"]), VALUES) | VALUES,
        "currency": st.sampled_from(["EUR", "JPY"]) | VALUES,
        "created_at": VALUES,
        "environment": VALUES,
        "customer": VALUES,
        "customer_note": VALUES,
        "shipping": st.dictionaries(st.sampled_from(["method", "price"]), VALUES) | VALUES,
        "totals": st.dictionaries(st.sampled_from(["total", "tax", "discount"]), VALUES | st.integers()) | VALUES,
        "items": st.lists(
            st.fixed_dictionaries(
                {"sku": TEXTS, "quantity": st.integers(1, 9) | VALUES, "unit_price": st.integers() | VALUES}
            )
            | VALUES,
            max_size=3,
        )
        | VALUES,
    },
)


@st.composite
def mangled(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """JSON as it should be, mostly; with bytes changed, doubled or cut out now and then."""
    raw = json.dumps(draw(values), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | mangled(st.fixed_dictionaries({"events": st.lists(EVENTS | VALUES, max_size=4)})))
def test_pages(raw: bytes) -> None:
    page = read_page(raw)
    assert isinstance(page, Page | Unparsable)
    if isinstance(page, Unparsable):
        return
    for element in page.elements:
        assert element.raw in raw
        assert repr(element).isprintable()
        json.dumps(clear_of(element)).encode()
        for text in (element.event_id, element.order_id):
            assert text is None or (0 < len(text) <= 200 and text.isprintable() and " " not in text)
        assert element.order_id is None or not ({"/", "\\"} & set(element.order_id) or element.order_id[0] == "~")
        if isinstance(element, Good):
            assert json.loads(element.raw.decode("utf-8", "surrogateescape"))["order_id"] == element.order_id
            assert element.event_at is None or element.event_at.utcoffset() is not None
        else:
            assert isinstance(element, Bad)
            assert element.problem


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | mangled(DETAILS))
def test_details(raw: bytes) -> None:
    details = read_details(raw, Mapping())
    assert isinstance(details, Details | str)
    if isinstance(details, str):
        assert details.isprintable()
        return
    assert details.body == raw
    assert details.said.isprintable()
    order = read_order(raw, Mapping())
    if isinstance(order, ShopOrder):
        assert order.basis() == details.basis
        assert details.total is not None
        assert details.unmapped == ()
    else:
        assert details.unmapped
        assert all(name.isprintable() for name in details.unmapped)


PATHS = st.sampled_from(["items", "totals.total", "items.0.sku", "customer", "a=b.c", "shipping", "0", "id"])
PLACES = PATHS | st.lists(PATHS | st.builds(lambda value: {"value": value}, st.integers() | TEXTS), max_size=3)
MAPPINGS = st.dictionaries(st.sampled_from([one.name for one in fields(Mapping) if one.name not in TABLES]), PLACES)
AFTER = {"refunds", "returns"}


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(mangled(DETAILS), MAPPINGS)
def test_mappings(raw: bytes, given_: dict[str, Any]) -> None:
    mapping = mapping_from(given_)
    found = coverage(raw, mapping)
    details = read_details(raw, mapping)
    if isinstance(details, str):
        assert found.problem == details
        return
    assert found.unmapped == details.unmapped
    assert (found.order is None) is bool(details.unmapped)
    assert all(name.isprintable() for name in found.left_over)
    of_the_sale = {one.name for one in fields(Mapping)} - TABLES.keys() - AFTER
    assert {one.name for one in found.fields} >= of_the_sale


@given(VALUES)
def test_canonical_bytes_read_back_the_same(value: Any) -> None:
    parsed = parse(json.dumps(value).encode())
    if not isinstance(parsed, NotJson):
        assert parse(canonical(parsed)) == parsed
        assert canonical(parse(canonical(parsed))) == canonical(parsed)  # type: ignore[arg-type]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20))
def test_decimals_keep_their_digits(value: Decimal) -> None:
    parsed = parse(canonical({"amount": value}))
    assert isinstance(parsed, dict)
    assert str(parsed["amount"]) == str(value) or parsed["amount"] == value
