"""Twenty thousand odd inputs for every parser: none raises, none is slow, and what is accepted is sound."""

import contextlib
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import msgspec
from tests.badinput.corpus import EVENTS, PAGES
from tests.badinput.fuzz import FEW, NUMBERS, WORDS, changed, document, fuzz, mangled

from orderflow import codec as stored
from orderflow.connectors import Delivered, Found, Missing, Refused, Retry, Subject, Unknown, Unreadable
from orderflow.connectors.glopal import Glopal
from orderflow.connectors.shop import Shop
from orderflow.connectors.shop_answers import done, is_id, oldest_first, sighting, taken
from orderflow.domain.events import Recorded, ShopState
from orderflow.domain.evolve import fold
from orderflow.domain.order import Order
from orderflow.glopal import codec
from orderflow.glopal.client import Client, Endpoint, RawPage
from orderflow.glopal.codec import Bad, Good, Page, Unparsable, read_page
from orderflow.glopal.details import Details, read_details, read_order
from orderflow.glopal.jsontext import NotJson, amount, canonical, instant, parse
from orderflow.glopal.mapping import Mapping, mapping_from
from orderflow.glopal.replies import LONGEST_WAIT, Reply
from orderflow.glopal.route_settings import routes
from orderflow.glopal.routes import NoValue, RouteError
from orderflow.glopal.shop_order import ShopOrder
from orderflow.store.log import Record

EVENT = {
    "event_id": "e-1",
    "event_name": "order.ready",
    "event_at": "2026-01-01T00:00:00.000Z",
    "order_id": "7-7",
    "external": {"order_id": "ord_1", "order_number": "1001"},
    "entity_id": None,
}
PAGE = {"links": {"next": "/v2/events/acme?limit=20", "previous": None}, "events": [EVENT, EVENT | {"event_id": "e-2"}]}
DETAILS = {
    "id": "7-7",
    "status": "READY",
    "external": {"order_id": "ord_1", "order_number": "1001"},
    "currency": "EUR",
    "environment": "live",
    "language": {"0": "de-DE"},
    "created_at": "2026-01-01T00:00:00.000Z",
    "customer_note": "ring twice",
    "customer": {"email": "ada@example.com", "first_name": "Ada"},
    "shipping_address": {"line1": "Hauptstr. 1", "city": "Berlin"},
    "items": [{"sku": "MUG-01", "name": "Mug", "quantity": 2, "unit_price": 12.5}],
    "shipping": {"method": "standard", "price": 4.9},
    "totals": {"discount": 0, "tax": 4.75, "duty": "1.00", "fees": None, "total": 35.65},
}
SHOP_ORDER = {
    "id": "ord_1",
    "number": "1001",
    "reference": "glopal:acme:7-7",
    "state": "draft",
    "created_at": "2026-01-01T00:00:00Z",
}
SMALL_EVENTS = [entry.raw for entry in EVENTS if len(entry.raw) < 3000]
SMALL_PAGES = [entry.raw for entry in PAGES if len(entry.raw) < 3000]

OURS = frozenset(
    re.findall(
        r"\S+",
        "a after ambiguous an and another any are as at be begins characters code created_at currency deeply details "
        "empty entity_id environment event event_at event_id event_name events external has have id in is it list many "
        "may missing more must name nested no not number object of order order_id order_number page path s stands "
        "status text than that the too twice with JSON ISO UTF 10000 200 4217 8 ~",
    )
)
"""All the words of problems: none comes from a document."""


def spoken(problem: str) -> None:
    """A problem is made of our own words, and of names in quotes that are short."""
    assert problem
    assert problem.isprintable()
    bare = re.sub(r"`[A-Za-z0-9_.-]{1,64}`", "", problem)
    assert set(re.findall(r"[^\s,;:.'-]+", bare)) <= OURS, bare


# ---- what Glopal sends ---------------------------------------------------------------------------------------------


def test_pages() -> None:
    def check(raw: bytes) -> None:
        page = read_page(raw)
        if isinstance(page, Unparsable):
            return spoken(page.problem)
        assert isinstance(page, Page)
        at = 0
        for element in page.elements:
            at = raw.index(element.raw, at) + len(element.raw)
            sound(element)
        ids = [element.event_id for element in page.elements if element.event_id is not None]
        assert page.last_id == (ids[-1] if ids else None)
        return None

    fuzz("pages", lambda rng: document(rng, [PAGE, PAGE, *SMALL_PAGES]), check)


def sound(element: Good | Bad) -> None:
    for text in (element.event_id, element.order_id):
        assert text is None or (0 < len(text) <= 200 and text.isprintable() and " " not in text)
        assert text is None or text.encode("utf-8")
    assert element.order_id is None or not ({"/", "\\"} & set(element.order_id) or element.order_id[0] == "~")
    if isinstance(element, Bad):
        spoken(element.problem)


def test_events() -> None:
    def check(raw: bytes) -> None:
        element = codec.read_element(raw)
        assert element.raw == raw
        sound(element)
        stored_text = json.dumps(codec.clear_of(element), ensure_ascii=False)
        assert "\0" not in stored_text
        assert stored_text.encode()
        if isinstance(element, Good):
            text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
            pairs = json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=list)
            for name in ("event_id", "event_name", "order_id"):
                known = element.name if name == "event_name" else getattr(element, name)
                assert [found for called, found in pairs if called == name] == [known]

    fuzz("events", lambda rng: document(rng, [EVENT, EVENT, *SMALL_EVENTS]), check)


def a_mapping(rng: Random) -> Mapping:
    """A mapping that leads to any place of the details, right or wrong."""
    paths = (
        "items",
        "totals.total",
        "items.0.sku",
        "customer",
        "totals",
        "shipping.price",
        "x.y",
        "items.sku=MUG-01",
        "",
    )
    given: dict[str, object] = {}
    for name in rng.sample(
        ("items", "total", "discount", "tax", "customer", "note", "language", "cart"), rng.randrange(4)
    ):
        given[name] = rng.choice((rng.choice(paths), list(rng.sample(paths[:-1], 2))))
    if rng.random() < 0.2:
        given["line"] = {"sku": rng.choice(paths[:-1]), "quantity": "quantity"}
    return mapping_from(given)


def test_details() -> None:
    mappings = [Mapping(), *(a_mapping(Random(number)) for number in range(200))]

    def make(rng: Random) -> tuple[bytes, Mapping]:
        return document(rng, [DETAILS]), rng.choice(mappings)

    def check(example: tuple[bytes, Mapping]) -> None:
        raw, mapping = example
        details = read_details(raw, mapping, "7-7")
        if isinstance(details, str):
            return spoken(details)
        assert isinstance(details, Details)
        assert details.body == raw
        for text in (details.said, details.environment, details.currency, details.money, *details.unmapped):
            assert text is None or (text.isprintable() and text.encode())
        assert details.created_at is None or 1 < details.created_at.year < 9999
        order = read_order(raw, mapping, "7-7")
        if not isinstance(order, ShopOrder):
            assert details.unmapped
            assert details.total is None
            return None
        assert details.unmapped == ()
        assert order.basis() == details.basis
        numbers = {Decimal(text) for text in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,9})?", raw.decode("latin-1"))}
        for found in (
            order.total,
            order.shipping,
            order.tax,
            order.discount,
            *(line.unit_price for line in order.lines),
        ):
            assert found is None or found in numbers
        assert details.money or (order.total >= 0 and all(line.unit_price >= 0 for line in order.lines))
        return None

    fuzz("details", make, check)


# ---- texts ---------------------------------------------------------------------------------------------------------


def test_json() -> None:
    def check(raw: bytes) -> None:
        found = parse(raw)
        if isinstance(found, NotJson):
            return spoken(found.problem)
        again = canonical(found)
        assert parse(again) == found
        return None

    fuzz("json", lambda rng: document(rng, [DETAILS, PAGE, [], 1, "x"]), check)


def test_amounts() -> None:
    def make(rng: Random) -> Any:
        if rng.random() < 0.5:
            return rng.choice(
                (*WORDS, *NUMBERS, Decimal("NaN"), Decimal("Infinity"), Decimal("1e-400"), Decimal("1e400"))
            )
        return mangled(rng, b"-12345.6700").decode("utf-8", "surrogateescape")

    def check(given: Any) -> None:
        found = amount(given)
        if found is None:
            return
        assert found.is_finite()
        assert found == Decimal(given)
        assert not isinstance(given, str) or re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", given)
        assert len(format(found, "f")) < 70

    fuzz("amounts", make, check)


def test_times() -> None:
    seeds = (
        b"2026-01-01T00:00:00.000Z",
        b"2026-01-01T00:00:00+14:00",
        b"20260101T000000",
        b"9999-12-31T23:59:60-23:59",
    )

    def check(text: str) -> None:
        found = instant(text)
        assert found is None or (found.utcoffset() == UTC.utcoffset(None) and 1 < found.year < 9999)

    fuzz("times", lambda rng: mangled(rng, rng.choice(seeds)).decode("utf-8", "surrogateescape"), check)


# ---- what the integrator writes ------------------------------------------------------------------------------------


def keyed(problem: str, given: dict[Any, Any] | None = None) -> None:
    """It begins with a key, of those that were given."""
    names = {"routes"} if given is None else {str(name) for name in given}
    assert any(problem.startswith(name) for name in names)
    assert ": " in problem


def test_mappings() -> None:
    seed = {
        "items": "lines",
        "total": ["totals.total", {"value": "0"}],
        "customer": {"first_name": "customer.first", "email": {"value": 1}},
        "line": {"sku": "sku", "unit_price": ["a", "b"]},
        "note": "",
    }

    def check(given: Any) -> None:
        if not isinstance(given, dict):
            return
        try:
            mapping = mapping_from(given)
        except ValueError as error:
            keyed(str(error), given)
            return
        read_details(json.dumps(DETAILS).encode(), mapping)

    fuzz("mappings", lambda rng: changed(rng, seed), check)


def test_routes() -> None:
    seed = {
        "accept": {"method": "PUT", "path": "/v2/{store_id}/{order_id}/ok", "body": {"a": ["{ids.order_id}", 1, None]}},
        "events": {"path": "/e/{store_id}", "query": {"limit": "n", "event": ""}},
        "refund": {"body": {"amount": "{amount}", "text": "for {amount_text} {currency}"}},
    }
    places = {"store_id": "acme/../x", "order_id": "7?#%2f\u202e"}
    values = {
        **places,
        "ids.order_id": "a",
        "ids.number": "b",
        "reason": None,
        "amount": Decimal("1.50"),
        "currency": "EUR",
    }

    def check(given: Any) -> None:
        if not isinstance(given, dict):
            return
        try:
            table = routes(given)
        except RouteError as error:
            keyed(str(error))
            return
        for route in table.values():
            target = route.target(places, [("event", "order.ready"), ("limit", "1")])
            assert target.isascii()
            assert "acme/../x" not in target
            with contextlib.suppress(NoValue):
                route.content(values)

    fuzz("routes", lambda rng: changed(rng, seed, 0.08), check)


# ---- what a shop answers -------------------------------------------------------------------------------------------


class Answer(httpx.BaseTransport):
    """Always this answer, over HTTP or, quicker, in the place of an endpoint's `exchange`."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, stream=httpx.ByteStream(self.body))

    def instead_of(self, endpoint: Endpoint) -> None:
        endpoint.exchange = lambda *_args, **_more: Reply(self.status, {}, self.body)  # type: ignore[method-assign]


STATUSES = (200, 200, 200, 201, 202, 204, 301, 400, 401, 404, 408, 409, 425, 429, 500, 503, 599)


def an_answer(*seeds: Any) -> Any:
    return lambda rng: (rng.choice(STATUSES), document(rng, [*seeds]))


def test_shop_answers() -> None:
    def check(example: tuple[int, bytes, str]) -> None:
        status, raw, step = example
        reply = Reply(status, {}, raw)
        reference = SHOP_ORDER["reference"]
        for result in (
            done(reply, step, "ord_1", reference),
            done(reply, "create", "", reference),
            taken(reply, reference),
        ):
            assert isinstance(result, Delivered | Unknown)
            if isinstance(result, Delivered):
                assert result.sighting is not None
                assert is_id(result.sighting.shop_id)
        if isinstance(done(reply, step, "ord_1", reference), Delivered) and raw:
            shown = json.loads(raw.decode("utf-8-sig"))
            assert shown.get("id", "ord_1") == "ord_1"
            assert step != "promote" or shown["state"] == "order"
        found = parse(raw)
        if isinstance(found, dict):
            seen = sighting(found)
            assert seen is None or seen.state in ShopState
            oldest_first([found, found])

    fuzz(
        "shop answers",
        lambda rng: (*an_answer(SHOP_ORDER, {"order": SHOP_ORDER})(rng), rng.choice(("promote", "delete", "cancel"))),
        check,
    )


def test_shop_look_ups() -> None:
    answer = Answer()
    shop = Shop("https://shop.test", "key", transport=answer)
    answer.instead_of(shop._endpoint)
    subject = Subject("acme", "7-7", SHOP_ORDER["reference"])
    listed = {"orders": [SHOP_ORDER, SHOP_ORDER | {"id": "ord_2", "state": "order"}, SHOP_ORDER | {"reference": "x"}]}

    def check(example: tuple[int, bytes]) -> None:
        answer.status, answer.body = example
        sight = shop.find(subject)
        assert isinstance(sight, Found | Retry)
        if isinstance(sight, Found):
            assert answer.status == 200
            rows = json.loads(answer.body.decode("utf-8-sig"))["orders"]
            ours = {row["id"] for row in rows if row.get("reference") == subject.reference}
            assert {one.shop_id for one in sight.sightings} == ours
            assert all(is_id(one.shop_id) for one in sight.sightings)
        else:
            assert sight.reason.isprintable()

    fuzz("shop look-ups", an_answer(listed), check)


def test_glopal_answers() -> None:
    """Nothing that is not clearly ok counts as delivered."""
    answer = Answer()
    client = Client("https://glopal.test", "acme", "GL.key", transport=answer)
    answer.instead_of(client.endpoint)
    glopal = Glopal(client)
    about = {"operation": "accept", "order_id": "7-7"}
    request = canonical({"method": "POST", "target": "/v2/x", "body": "{}", "expects": about})
    subject = Subject("acme", "7-7", "glopal:acme:7-7")

    def check(example: tuple[int, bytes]) -> None:
        answer.status, answer.body = example
        result = glopal.send(request, key="k", in_time=lambda: True)
        assert isinstance(result, Delivered | Unknown | Refused | Retry)
        if isinstance(result, Delivered):
            assert answer.status == 200
            assert json.loads(answer.body.decode("utf-8-sig"))["status"] == "ok"
        else:
            assert result.reason.isprintable()
        sight = glopal.find(subject)
        assert isinstance(sight, Found | Missing | Unreadable | Retry)
        if isinstance(sight, Found):
            assert json.loads(answer.body.decode("utf-8-sig"))["id"] == "7-7"

    ok = {"status": "ok"}
    fuzz("glopal answers", an_answer(ok, ok, {"status": "error", "code": "x"}, DETAILS), check)


def test_feed_answers() -> None:
    answer = Answer()
    client = Client("https://glopal.test", "acme", "GL.key", transport=answer)

    def check(example: tuple[int, bytes]) -> None:
        answer.status, answer.body = example
        got = client.events("e-1", ("order.ready",), 20)
        assert isinstance(got, RawPage) == (answer.status == 200)
        assert not isinstance(got, RawPage) or got.raw == answer.body

    fuzz("feed answers", an_answer(PAGE), check, examples=FEW)


def test_retry_after() -> None:
    seeds = (
        b"120",
        b"-1",
        b"1e3",
        b"Wed, 21 Oct 2026 07:28:00 GMT",
        b"Wed, 21 Oct 2026 07.28.00.11 +9999",
        b"2026-01-01",
    )

    def check(text: str) -> None:
        assert 0.0 <= Reply(429, {"retry-after": text}, b"").retry_after <= LONGEST_WAIT

    fuzz("retry-after", lambda rng: mangled(rng, rng.choice(seeds)).decode("utf-8", "surrogateescape"), check)


# ---- what stands in the database -----------------------------------------------------------------------------------


def stored_events() -> list[tuple[str, bytes]]:
    """An event of every type as it is stored, with members that make sense."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    at = msgspec.json.encode(now).decode().strip('"')
    found = []
    for name, kind in stored._TYPES.items():
        members = {}
        for one in msgspec.inspect.type_info(kind).fields:  # type: ignore[union-attr]  # they are all dataclasses
            hint = str(one.type)
            members[one.encode_name] = (
                at
                if "DateTime" in hint
                else "1.50"
                if "Decimal" in hint
                else "draft"
                if "Effect" in hint and "ShopState" not in hint
                else None
                if "NoneType" in hint
                else []
                if "Array" in hint
                else 1
                if "Int" in hint
                else True
                if "Bool" in hint
                else 1.5
                if "Float" in hint
                else "x"
            )
        found.append((name, json.dumps(members).encode()))
    return found


def test_stored_events() -> None:
    """Whatever stands in the log, it can be read and folded."""
    seeds = [*stored_events(), ("Unrecognised", b'{"name":"order.ready"}'), ("OrderReady", b"{}"), ("Nothing", b"{}")]
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def make(rng: Random) -> Record:
        name, raw = rng.choice(seeds)
        seed = raw if rng.random() < 0.4 else json.loads(raw)
        clear = document(rng, [seed]).decode("utf-8", "surrogateescape")
        return Record(1, "7-7", 1, name, "effect", "x", None, now, clear, "{}")

    def check(record: Record) -> None:
        recorded = stored.decode(record)
        assert isinstance(recorded, Recorded)

    fuzz("stored events", make, check)


def test_snapshots() -> None:
    seed = json.loads(stored.freeze_order(fold([])))

    def check(raw: bytes) -> None:
        thawed = stored.thaw_order(raw.decode("utf-8", "surrogateescape"))
        assert thawed is None or isinstance(thawed, Order)

    fuzz("snapshots", lambda rng: document(rng, [seed]), check)
