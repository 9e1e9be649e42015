"""A clock that stands until it is moved, and short ways to ask the fakes."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from orderflow.sandbox import Glopal, GlopalOptions, Request, Response, Shop, ShopOptions

STORE = "acme"
GLOPAL_KEY = {"authorization": "Bearer GL.sandbox"}
SHOP_KEY = {"authorization": "Bearer shop-sandbox"}


class Clock:
    """Virtual time; `clock()` reads it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """One Glopal with the store `acme`, one shop, one clock."""

    def __init__(self, options: GlopalOptions | None = None, shop: ShopOptions | None = None, seed: int = 1) -> None:
        self.clock = Clock()
        self.glopal = Glopal(clock=self.clock, rng=Random(seed), options=options)
        self.glopal.open(STORE)
        self.shop = Shop(clock=self.clock, rng=Random(seed), options=shop)

    # Glopal

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        return self.glopal.handle(Request(method, path, tuple(query.items()), GLOPAL_KEY, content))

    def request(self, method: str, path: str, body: bytes = b"") -> Request:
        return Request(method, path, (), GLOPAL_KEY, body)

    def ask_raw(self, method: str, path: str, body: bytes) -> Response:
        return self.glopal.handle(self.request(method, path, body))

    def accept(self, order_id: str, external: str = "7", number: str = "00007") -> int:
        body = {"external": {"order_id": external, "order_number": number}}
        return self.ask("POST", f"/v2/orders/{STORE}/{order_id}/accept", body).status

    def cancel(self, order_id: str, reason: str = "out_of_stock") -> int:
        return self.ask("POST", f"/v2/orders/{STORE}/{order_id}/cancel", {"reason": reason}).status

    def order(self, order_id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/v2/orders/{STORE}/{order_id}")
        assert answer.status == 200
        return json.loads(answer.body)  # type: ignore[no-any-return]

    def page(self, after: str | None = None, **query: str) -> list[dict[str, Any]]:
        cursor = {} if after is None else {"after_event_id": after}
        answer = self.ask("GET", f"/v2/events/{STORE}", **cursor, **query)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)["events"]  # type: ignore[no-any-return]

    def names(self, after: str | None = None, **query: str) -> list[str]:
        return [event["event_name"] for event in self.page(after, **query)]

    # the shop

    def at_shop(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.shop.handle(Request(method, path, tuple(query.items()), SHOP_KEY, content))
        return answer.status, json.loads(answer.body) if answer.body else None

    def draft(self, reference: str = "glopal:acme:1-1", sku: str = "MUG-01") -> dict[str, Any]:
        status, order = self.at_shop("POST", "/orders", new_order(reference, sku))
        assert status == 201, order
        return order  # type: ignore[no-any-return]


def new_order(reference: str = "glopal:acme:1-1", sku: str = "MUG-01") -> dict[str, Any]:
    """The body of a create."""
    return {
        "reference": reference,
        "currency": "EUR",
        "items": [{"sku": sku, "name": "Mug", "quantity": 2, "unit_price": "12.50"}],
        "shipping": {"method": "express", "price": "3.00"},
        "total": "28.00",
    }
