"""Routes are data: every guess can be mended, and a wrong mending is named."""

from decimal import Decimal
from typing import Any

import pytest

from orderflow.glopal.route_settings import routes
from orderflow.glopal.routes import ROUTES, NoValue, RouteError


def test_guesses_are_marked() -> None:
    assert {name for name, route in ROUTES.items() if route.assumed} == {"accept", "cancel", "refund", "quote"}
    mended = routes({"accept": {"method": "put"}})
    assert not mended["accept"].assumed
    assert mended["accept"].method == "PUT"
    assert mended["cancel"].assumed


def test_places_are_escaped() -> None:
    target = ROUTES["accept"].target({"store_id": "a/b", "order_id": "1?2#3%é {store_id}"})
    assert target == "/v2/orders/a%2Fb/1%3F2%233%25%C3%A9%20%7Bstore_id%7D/accept"


def test_queries() -> None:
    query = [("event", "order.ready"), ("event", "order.cancelled"), ("after", "a&b=c"), ("limit", "20")]
    target = ROUTES["events"].target({"store_id": "acme"}, query)
    assert target == "/v2/events/acme?event=order.ready&event=order.cancelled&after_event_id=a%26b%3Dc&limit=20"
    mended = routes({"events": {"query": {"limit": "", "after": "cursor"}}})["events"]
    assert mended.target({"store_id": "acme"}, query) == (
        "/v2/events/acme?event=order.ready&event=order.cancelled&cursor=a%26b%3Dc"
    )


def test_bodies() -> None:
    ids = {"ids.order_id": "92", "ids.number": "00092"}
    assert ROUTES["accept"].content(ids) == b'{"external":{"order_id":"92","order_number":"00092"}}'
    assert ROUTES["refund"].content({"amount": Decimal("12.340"), "reason": "damaged"}) == (
        b'{"amount":12.340,"reason":"damaged"}'
    )
    assert ROUTES["refund"].content({"amount": Decimal("19.990000000000000001"), "reason": None}) == (
        b'{"amount":19.990000000000000001}'
    )
    assert ROUTES["order"].content({}) == b""
    body = {"text": "{amount_text} {currency}: {reason}", "list": ["{amount}", 5, True, None], "n": None}
    route = routes({"refund": {"body": body}})["refund"]
    assert route.content({"amount": Decimal("1E+2"), "currency": "EUR", "reason": '"{amount}"'}) == (
        b'{"list":[100,5,true,null],"n":null,"text":"100 EUR: \\"{amount}\\""}'
    )


def test_values_that_are_not_there() -> None:
    with pytest.raises(NoValue, match=r"ids\.order_id"):
        ROUTES["accept"].content({})


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"acept": {}}, "routes.acept"),
        ({"accept": "POST"}, "routes.accept"),
        ({"accept": {"verb": "POST"}}, "routes.accept.verb"),
        ({"accept": {"method": "FETCH"}}, "routes.accept.method"),
        ({"accept": {"method": 5}}, "routes.accept.method"),
        ({"accept": {"path": "v2/x"}}, "routes.accept.path"),
        ({"accept": {"path": "/v2/{order}"}}, "routes.accept.path"),
        ({"accept": {"path": "/v2/{order_id"}}, "routes.accept.path"),
        ({"accept": {"path": "/v2/x?y"}}, "routes.accept.path"),
        ({"accept": {"path": "/v2/ü"}}, "routes.accept.path"),
        ({"accept": {"path": ["/v2"]}}, "routes.accept.path"),
        ({"accept": {"path": "https://elsewhere.test/"}}, "routes.accept.path"),
        ({"accept": {"body": {"a": ["{nonsense}"]}}}, "routes.accept.body.a.0"),
        ({"accept": {"body": {"a": {"b": 1.5}}}}, "routes.accept.body.a.b"),
        ({"accept": {"body": object()}}, "routes.accept.body"),
        ({"events": {"query": {"before": "x"}}}, "routes.events.query"),
        ({"events": {"query": {"limit": 5}}}, "routes.events.query"),
    ],
)
def test_wrong_settings_are_named(overrides: dict[str, Any], key: str) -> None:
    with pytest.raises(RouteError) as caught:
        routes(overrides)
    assert str(caught.value).startswith(f"{key}: ")
