"""The fake Glopal as `tests/glopal/descriptions/other-words.json` describes it, down to its replies and details."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from orderflow.glopal.jsontext import canonical
from orderflow.sandbox import App, Request, Response

PATHS = [
    (r"GET /glopal/v3/merchants/([^/]+)/event-stream", "GET /v2/events/{}"),
    (r"GET /glopal/v3/merchants/([^/]+)/orders/([^/]+)", "GET /v2/orders/{}/{}"),
    (r"PUT /glopal/v3/merchants/([^/]+)/orders/([^/]+)/acceptance", "POST /v2/orders/{}/{}/accept"),
    (r"POST /glopal/v3/merchants/([^/]+)/orders/([^/]+)/cancellations", "POST /v2/orders/{}/{}/cancel"),
]
QUERY = {"eventTypes": "event", "cursor": "after_event_id", "pageSize": "limit"}
BODY = {"merchantOrderId": "order_id", "merchantOrderNumber": "order_number", "reasonCode": "reason"}


def in_other_words(glopal: App) -> App:
    """`glopal`, behind an interpreter. What it is not asked in its own words, it does not understand."""

    def handle(request: Request) -> Response:
        for theirs, ours in PATHS:
            if found := re.fullmatch(theirs, f"{request.method} {request.path}"):
                method, path = ours.format(*found.groups()).split()
                query = tuple((QUERY[name], value) for name, value in request.query)
                answer = glopal(replace(request, method=method, path=path, query=query, body=body(request.body)))
                return translated(method, path, answer)
        return Response(404, b"{}")

    return handle


def body(raw: bytes) -> bytes:
    return canonical({BODY[name]: value for name, value in json.loads(raw).items()}) if raw else b""


def translated(method: str, path: str, answer: Response) -> Response:
    if answer.status != 200:
        return answer
    if path.endswith("/cancel"):
        return Response(204)
    if method == "POST":
        return Response(202, b'{"success":true,"requestId":"r-1"}')
    if "/orders/" in path:
        return replace(answer, body=canonical(renamed(json.loads(answer.body, parse_float=Decimal))))
    return answer


def renamed(order: dict[str, Any]) -> dict[str, Any]:
    """The details with nothing where the defaults would look for it."""
    totals, ship = order.pop("totals"), order.pop("shipping_address")
    shipping, customer = order.pop("shipping"), order.pop("customer")
    order |= {
        "cart": {
            "lines": [
                {
                    "article": {"code": item["sku"], "title": item["name"]},
                    "count": item["quantity"],
                    "price": {"gross": item["unit_price"]},
                }
                for item in order.pop("items")
            ]
        },
        "sums": [{"kind": kind, "amount": totals[kind]} for kind in ("tax", "duty")],
        "grand_total": totals["total"],
        "carrier": {"fee": shipping["price"]},
        "ship_to": {"street": ship["line1"], "town": ship["city"], "land": ship["country"]},
        "buyer": {"mail": customer["email"], "names": [customer["first_name"], customer["last_name"]]},
        "loyalty": {"points": 7},
    }
    return order
