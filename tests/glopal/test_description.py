"""Routes out of API descriptions, in several styles; what they do not say stays a guess, what is odd is named."""

import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow.glopal.description import Described, described
from orderflow.glopal.description.openapi import LARGEST, DescriptionError, document, load
from orderflow.glopal.route_settings import routes
from orderflow.glopal.routes import ANY, ROUTES, NoValue, Reasons, RouteError, Source

DESCRIPTIONS = Path(__file__).parent / "descriptions"
TEXT = {"type": "string"}
NAMES = [
    "type",
    "properties",
    "required",
    "enum",
    "const",
    "allOf",
    "oneOf",
    "anyOf",
    "items",
    "$ref",
    "order_id",
    "external",
    "content",
    "schema",
    "name",
    "in",
    "application/json",
    "default",
    "readOnly",
]
ORDER = "/v2/orders/{store_id}/{order_id}"
HERE = ORDER.replace("/", "~1")
OK = {"description": "ok", "content": {"application/json": {"schema": {"properties": {"status": {"const": "ok"}}}}}}


def accept(schema: Any = None, *, path: str = f"{ORDER}/accept", method: str = "post", **more: Any) -> dict[str, Any]:
    """A description of one operation."""
    body = {"content": {"application/json": {"schema": schema or IDS}}}
    return {"paths": {path: {method: {"requestBody": body, "responses": {"200": OK}, **more}}}}


IDS = {"properties": {"order_id": TEXT, "order_number": TEXT}}


def read(given_: dict[str, Any], overrides: dict[str, Any] | None = None, base_url: str = "") -> Described:
    raw = json.dumps({"openapi": "3.1.0", "info": {}, **given_}).encode()
    return described(document(raw), overrides or {}, base_url)


def problem(given_: dict[str, Any], overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        read(given_, overrides)
    assert isinstance(caught.value, DescriptionError | RouteError)
    return str(caught.value)


def test_a_description_like_the_public_pages() -> None:
    found = described(load(DESCRIPTIONS / "plain.yaml"), {})
    assert {route.source for route in found.routes.values()} == {Source.DESCRIPTION}
    for name in ("events", "order", "cancel", "refund"):
        assert (found.routes[name].method, found.routes[name].path) == (ROUTES[name].method, ROUTES[name].path)
    assert found.routes["accept"].method == "PUT"
    assert found.routes["accept"].body == ROUTES["accept"].body
    assert found.routes["accept"].success.holds == {"status": "ok"}
    assert found.routes["accept"].success.source is Source.DESCRIPTION
    assert found.routes["quote"].path == f"{ORDER}/quote_refund"
    assert found.routes["quote"].body == {"amount": "{amount_text}"}
    assert found.routes["cancel"].reasons == Reasons(("out_of_stock", "customer_request", "other"))
    assert found.notes["events"] == found.notes["order"] == ()


def test_a_description_in_other_words() -> None:
    found = described(load(DESCRIPTIONS / "other-words.json"), {})
    table = found.routes
    assert {route.source for route in table.values()} == {Source.DESCRIPTION}
    order = "/glopal/v3/merchants/{store_id}/orders/{order_id}"
    assert {name: f"{route.method} {route.path}" for name, route in table.items()} == {
        "events": "GET /glopal/v3/merchants/{store_id}/event-stream",
        "order": f"GET {order}",
        "accept": f"PUT {order}/acceptance",
        "cancel": f"POST {order}/cancellations",
        "refund": f"POST {order}/refunds",
        "quote": f"POST {order}/refunds/estimate",
    }
    assert table["events"].query == {"event": "eventTypes", "after": "cursor", "limit": "pageSize"}
    assert table["accept"].body == {"merchantOrderId": "{ids.order_id}", "merchantOrderNumber": "{ids.number}"}
    assert table["refund"].body == {
        "kind": "monetary",
        "amount": {"value": "{amount_text}", "currency": "{currency}"},
        "reason": "{reason}",
    }
    assert (table["accept"].success.statuses, table["accept"].success.holds) == ((200, 202), {"success": True})
    assert (table["cancel"].success.statuses, table["cancel"].success.holds) == ((204,), None)
    assert (table["refund"].success.statuses, table["refund"].success.holds) == ((201,), {"refundId": ANY})
    assert table["quote"].success.holds == {}
    assert [note for note in found.notes["order"] if note.startswith("differs: no member status")]


def test_settings_win() -> None:
    overrides = {"accept": {"path": "/x/{order_id}", "success": {"status": [200, 201], "holds": {"done": True}}}}
    table = routes(overrides, described(load(DESCRIPTIONS / "plain.yaml"), overrides).routes)
    assert (table["accept"].method, table["accept"].path) == ("PUT", "/x/{order_id}")
    assert (table["accept"].source, table["accept"].success.source) == (Source.SETTINGS, Source.SETTINGS)
    assert table["cancel"].source is Source.DESCRIPTION


def test_what_is_not_found_stays_a_marked_guess() -> None:
    found = read({"paths": {"/health": {"get": {}}}})
    assert found.routes == ROUTES
    assert found.notes["accept"] == ("not found in the description; name it by routes.accept.operation",)


def test_several_are_named_and_none_is_picked() -> None:
    two = accept(operationId="acceptOrder")["paths"] | accept(path=f"{ORDER}/accept_later", operationId="b")["paths"]
    found = read({"paths": two})
    assert found.routes["accept"] is ROUTES["accept"]
    (note,) = found.notes["accept"]
    assert note.startswith(f"several could be it: POST {ORDER}/accept (acceptOrder), POST {ORDER}/accept_later (b);")
    assert read({"paths": two}, {"accept": {"operation": "b"}}).routes["accept"].path == f"{ORDER}/accept_later"
    two[f"{ORDER}/accept"]["post"]["deprecated"] = True
    assert read({"paths": two}).routes["accept"].path == f"{ORDER}/accept_later"


def test_an_operation_that_is_not_there() -> None:
    assert problem(accept(operationId="a"), {"accept": {"operation": "b"}}) == (
        "routes.accept.operation: the description has no operation 'b'; it has a"
    )


def test_a_summary_tells_where_the_address_does_not() -> None:
    found = read(accept(path=f"{ORDER}/external-ids", method="put", summary="Accept an order"))
    assert (found.routes["accept"].method, found.routes["accept"].path) == ("PUT", f"{ORDER}/external-ids")


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/o/{storeId}/{orderId}/accept", "/o/{store_id}/{order_id}/accept"),
        ("/o/{store}/{id}/accept", "/o/{store_id}/{order_id}/accept"),
        ("/o/{Store-ID}/{reference}/accept", "/o/{store_id}/{order_id}/accept"),
        ("/o/{order_id}/accept", "/o/{order_id}/accept"),
        ("/o/{order_id}/lines/{line}/accept", None),
        ("/o/{order}/{order_id}/accept", None),
        ("/o/accept", None),
    ],
)
def test_places_in_paths(path: str, ours: str | None) -> None:
    found = read(accept(path=path)).routes["accept"]
    assert found.path == (ours or ROUTES["accept"].path)
    assert found.assumed is (ours is None)


def test_a_place_with_one_value_is_that_value() -> None:
    given_ = accept(path=f"/{{version}}{ORDER}/accept")
    given_["paths"][f"/{{version}}{ORDER}/accept"]["parameters"] = [
        {"name": "version", "in": "path", "required": True, "schema": {"enum": ["v2"]}}
    ]
    assert read(given_).routes["accept"].path == f"/v2{ORDER}/accept"


@pytest.mark.parametrize(
    ("servers", "base_url", "prefix"),
    [
        ([{"url": "https://x.example/api/"}], "https://glopal.example.com", "/api"),
        ([{"url": "https://x.example/api"}], "https://glopal.example.com/api/", ""),
        ([{"url": "/api"}], "https://glopal.example.com", "/api"),
        ([{"url": "https://{host}/{base}", "variables": {"base": {"default": "v9"}}}], "", "/v9"),
        ([{"url": "https://x.example"}], "", ""),
        ([], "", ""),
        (None, "", ""),
        ("odd", "", ""),
    ],
)
def test_servers_give_the_path_alone(servers: Any, base_url: str, prefix: str) -> None:
    found = read({**accept(), "servers": servers}, base_url=base_url)
    assert found.routes["accept"].path == f"{prefix}{ORDER}/accept"


def test_a_server_with_a_hole_is_an_error() -> None:
    assert "routes.accept.path" in problem({**accept(), "servers": [{"url": "https://x.example/{base}"}]})


# ---- bodies --------------------------------------------------------------------------------------------------------


def body(schema: Any, operation: str = "accept") -> Any:
    path = {"accept": "accept", "cancel": "cancel", "refund": "refund", "quote": "refund/quote"}[operation]
    return read(accept(schema, path=f"{ORDER}/{path}")).routes[operation]


@pytest.mark.parametrize(
    ("schema", "template"),
    [
        (IDS, {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}),
        (
            {"properties": {"externalOrderId": TEXT, "reference": TEXT, "note": TEXT}},
            {"externalOrderId": "{ids.order_id}", "reference": "{ids.number}"},
        ),
        (
            {"allOf": [{"properties": {"order_id": TEXT}}, {"properties": {"number": {"type": ["string", "null"]}}}]},
            {"order_id": "{ids.order_id}", "number": "{ids.number}"},
        ),
        (
            {"properties": {"external": IDS, "meta": {"required": ["x"], "properties": {"x": TEXT}}}},
            {"external": {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}},
        ),
        (
            {"properties": {**IDS["properties"], "glopal_order_id": TEXT, "store_id": TEXT, "id_": {"readOnly": True}}},
            {
                "order_id": "{ids.order_id}",
                "order_number": "{ids.number}",
                "glopal_order_id": "{order_id}",
                "store_id": "{store_id}",
            },
        ),
        (
            {**IDS, "required": ["kind"], "properties": {**IDS["properties"], "kind": {"enum": ["merchant"]}}},
            {"order_id": "{ids.order_id}", "order_number": "{ids.number}", "kind": "merchant"},
        ),
        (
            {"properties": {"external": {"anyOf": [{"type": "null"}, IDS]}}},
            {"external": {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}},
        ),
    ],
    ids=range(7),
)
def test_bodies(schema: Any, template: Any) -> None:
    assert body(schema).body == template


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (
            {"required": ["order_id", "till"], "properties": {**IDS["properties"], "till": TEXT}},
            "routes.accept.body: the description asks for till, and nothing that orderflow knows goes by that name",
        ),
        (
            {"required": ["till"], "properties": {**IDS["properties"], "till": TEXT}},
            "give the body yourself, as in routes.accept.body = "  # noqa: ISC004 - one text
            '{ order_id = "{ids.order_id}", order_number = "{ids.number}", till = "..." }',
        ),
        ({"properties": {"number": TEXT}}, "no member that the description shows takes {ids.order_id}"),
        ({"properties": {"order_id": {"type": "integer"}}}, "order_id is no text, but {ids.order_id} is one"),
        ({"properties": {"order_id": TEXT, "external_id": TEXT}}, "both order_id and external_id could take"),
        ({"$ref": "#/components/nowhere"}, "'#/components/nowhere' leads nowhere"),
        ({"$ref": "other.yaml#/X"}, "a reference to other.yaml: only references within the file are followed"),
        ({"$ref": "http://evil.example/x"}, "a reference to another place"),
        (
            {"$ref": f"#/paths/{ORDER.replace('/', '~1')}~1accept/post/requestBody/content/application~1json/schema"},
            "circle",
        ),
        ({"properties": {str(n): TEXT for n in range(501)}}, "more than 500 members"),
    ],
    ids=range(10),
)
def test_bodies_that_cannot_be_made(schema: Any, says: str) -> None:
    assert says in problem(accept(schema))
    mended = {"accept": {"body": {"id": "{ids.order_id}"}}}
    if "$ref" not in schema:
        assert routes(mended, read(accept(schema), mended).routes)["accept"].body == mended["accept"]["body"]


def test_a_body_in_a_circle_ends() -> None:
    given_ = accept({"$ref": "#/components/schemas/Node"})
    given_["components"] = {
        "schemas": {"Node": {"required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Node"}}}}
    }
    assert "nested too deeply, or in a circle" in problem(given_)


def test_other_contents_than_json() -> None:
    given_ = accept()
    given_["paths"][f"{ORDER}/accept"]["post"]["requestBody"]["content"] = {"application/xml": {"schema": IDS}}
    assert "only JSON is supported, not application/xml" in problem(given_)


def test_a_body_that_is_not_described_stays_a_guess() -> None:
    found = read(accept({"type": "object"}))
    assert found.routes["accept"].assumed
    assert found.routes["accept"].body == ROUTES["accept"].body
    assert found.notes["accept"] == ("the members of its body are not described: the default is sent",)


@pytest.mark.parametrize(
    ("amount", "template"),
    [
        ({"type": "number"}, "{amount}"),
        (TEXT, "{amount_text}"),
        ({"type": ["number", "string"]}, "{amount}"),
        ({}, "{amount}"),
    ],
)
def test_amounts(amount: Any, template: str) -> None:
    assert body({"required": ["amount"], "properties": {"amount": amount}}, "refund").body == {"amount": template}


def test_an_amount_in_an_unknown_unit_is_an_error() -> None:
    schema = {"properties": {"amount": {"type": "integer"}}}
    assert "in a unit nobody names" in problem(accept(schema, path=f"{ORDER}/refund"))


def test_reasons() -> None:
    words = {"enum": ["out_of_stock", "other"]}
    route = body({"properties": {"reason": words}}, "cancel")
    assert route.content({"reason": "other"}) == b'{"reason":"other"}'
    assert route.content({"reason": "it broke"}) == b"{}"
    assert route.content({"reason": None}) == b"{}"
    strict = body({"required": ["reason"], "properties": {"reason": words}}, "cancel")
    for reason in ("it broke", None):
        with pytest.raises(NoValue, match="must be one of out_of_stock, other"):
            strict.content({"reason": reason})
    mended = routes({"cancel": {"otherwise": "other"}}, {**ROUTES, "cancel": strict})["cancel"]
    assert mended.content({"reason": "it broke"}) == mended.content({"reason": None}) == b'{"reason":"other"}'
    assert mended.content({"reason": "out_of_stock"}) == b'{"reason":"out_of_stock"}'


# ---- replies -------------------------------------------------------------------------------------------------------


def answer(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


@pytest.mark.parametrize(
    ("responses", "statuses", "holds"),
    [
        ({"200": answer({"properties": {"status": {"enum": ["ok"]}}})}, (200,), {"status": "ok"}),
        ({"200": answer({"properties": {"status": {"enum": ["OK", "FAILED"]}}})}, (200,), {"status": "OK"}),
        ({"201": answer({"properties": {"ok": {"type": "boolean"}}})}, (201,), {"ok": True}),
        ({"2XX": answer({"required": ["id"], "properties": {"id": TEXT}})}, (200, 201, 202, 204), {"id": ANY}),
        ({"200": answer({"properties": {"status": TEXT}})}, (200,), {"status": "ok"}),
        ({"200": answer({"properties": {"id": TEXT}})}, (200,), {}),
        ({"200": {}}, (200,), {"status": "ok"}),
        ({"204": {}}, (204,), None),
        ({"200": {"content": {"text/html": {}}}}, (200,), {"status": "ok"}),
        ({"400": {}}, (200,), {"status": "ok"}),
        ({"default": {}}, (200,), {"status": "ok"}),
        ("odd", (200,), {"status": "ok"}),
    ],
    ids=range(12),
)
def test_replies(responses: Any, statuses: tuple[int, ...], holds: Any) -> None:
    success = read(accept(responses=responses)).routes["accept"].success
    assert (success.statuses, success.holds) == (statuses, holds)


@pytest.mark.parametrize(
    ("holds", "reply", "proved"),
    [
        ({"status": "ok"}, {"status": "ok", "more": 1}, True),
        ({"status": "ok"}, {"status": "OK"}, False),
        ({"status": "ok"}, None, False),
        ({"done": True}, {"done": 1}, False),
        ({"n": 1}, {"n": True}, False),
        ({"n": 1}, {"n": Decimal(1)}, False),
        ({"id": ANY}, {"id": 0}, True),
        ({"id": ANY}, {"id": None}, False),
        ({"id": ANY}, {}, False),
        ({"a": {"b": "c"}}, {"a": {"b": "c"}}, True),
        ({"a": {"b": "c"}}, {"a": "c"}, False),
        ({}, {}, True),
        ({}, None, False),
        (None, None, True),
    ],
    ids=range(14),
)
def test_what_a_reply_proves(holds: Any, reply: Any, proved: bool) -> None:  # noqa: FBT001
    table: dict[str, Any] = {"status": 200} | ({} if holds is None else {"holds": holds})
    success = routes({"accept": {"success": table}})["accept"].success
    assert success.shown_by(200, reply) is proved
    assert not success.shown_by(201, reply)


# ---- odd descriptions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no OpenAPI description"),
        (b"{}", "no OpenAPI description"),
        (b'{"swagger": "2.0", "paths": {}}', "no OpenAPI description"),
        (b'{"openapi": "3.2.0", "paths": {}}', "no OpenAPI description"),
        (b'{"openapi": 3.1, "paths": {}}', "no OpenAPI description"),
        (b'{"openapi": "3.1.0"}', "paths: must be an object"),
        (b'{"openapi": "3.1.0", "openapi": "3.1.0", "paths": {}}', "`openapi` stands twice"),
        (b"openapi: 3.1.0\npaths: {}\npaths: {}", "a name stands twice (line 3)"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{" * 1000, "not JSON"),
        (b'{"openapi":"3.1.0","paths":' + b"[" * 99_999, "nested too deeply"),
        (b" " * (LARGEST + 1), "larger than 4 MiB"),
        (b'{"openapi": "3.1.0", "paths": {"/x": {"$ref": "#/paths/~1x"}}}', "references lead in a circle"),
    ],
    ids=range(13),
)
def test_what_is_no_description(raw: bytes, says: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        described(document(raw), {})
    assert says in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DescriptionError, match=r"nowhere\.yaml cannot be read \(No such file"):
        load(Path("nowhere.yaml"))


def test_trouble_of_other_operations_is_none_of_ours() -> None:
    given_ = accept()
    given_["paths"]["/upload"] = {
        "post": {
            "parameters": [{"$ref": "#/nowhere"}],
            "requestBody": {"content": {"multipart/form-data": {}}},
        }
    }
    assert read(given_).routes["accept"].source is Source.DESCRIPTION


def test_what_must_be_sent_and_is_not_is_said() -> None:
    parameters = [
        {"name": "X-Version", "in": "header", "required": True, "schema": TEXT},
        {"name": "Authorization", "in": "header", "required": True, "schema": TEXT},
        {"name": "trace", "in": "query", "schema": TEXT},
    ]
    found = read(accept(parameters=parameters))
    assert found.notes["accept"] == ("header X-Version must be sent by the description, and is not",)


def test_a_feed_without_a_known_cursor_is_an_error() -> None:
    feed = {"paths": {"/v2/events/{store_id}": {"get": {"parameters": [{"name": "page", "in": "query"}]}}}}
    assert "no query parameter is known for a cursor" in problem(feed)
    mended = {"events": {"query": {"after": "page"}}}
    assert read(feed, mended).routes["events"].query == {"event": "", "after": "page", "limit": ""}


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["object", "string", "#/paths"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES, VALUES, VALUES, VALUES)
def test_whatever_is_described(schema: Any, responses: Any, parameters: Any, servers: Any) -> None:
    given_ = accept(schema, responses=responses, parameters=parameters)
    with contextlib.suppress(DescriptionError, RouteError):
        assert set(read({**given_, "servers": servers}).routes) == set(ROUTES)
