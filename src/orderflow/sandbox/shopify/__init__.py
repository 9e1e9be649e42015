"""A fake Shopify: draft orders and orders by its Admin GraphQL API, with the parts that are hard about it.

It knows nothing of Glopal, and never answers more than was asked for. `handle` is the wire; in `world` stand the drafts
and orders, the people who work on them by hand, and the ledger for judging afterwards.

Hard parts kept: a search that lags behind, reads by id that do not; user errors inside HTTP 200, without codes; points
that run out; drafts that are not ready at once; a draft and its order with two ids; cancellations that run later, as
jobs; amounts as texts; no way to make a write conditional, and no idempotency key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Any, Final

from orderflow.sandbox.shopify import schema
from orderflow.sandbox.shopify.bucket import Bucket
from orderflow.sandbox.shopify.graphql import Field, Invalid, Selection, cut, parse
from orderflow.sandbox.shopify.options import ShopifyOptions
from orderflow.sandbox.shopify.world import World
from orderflow.sandbox.wire import Json, Request, Response, json_object, json_response

__all__ = ["Shopify", "ShopifyOptions"]

_PATH: Final = re.compile(r"/admin/api/\d{4}-\d{2}/graphql\.json")


class Shopify:
    """One store and one app in it. Thread-safe; the same seed and the same calls give the same ids."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: Random,
        key: str = "shpat_sandbox",
        options: ShopifyOptions | None = None,
    ) -> None:
        self.key = key
        self.options = options or ShopifyOptions()
        self.world = World(clock, rng, self.options)
        self.bucket = Bucket(clock, self.options.points, self.options.restore)
        self.ledger = self.world.ledger

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if not _PATH.fullmatch(request.path):
            return json_response(404, {"errors": "Not Found"})
        if request.headers.get("x-shopify-access-token") != self.key:
            return json_response(401, {"errors": "[API] Invalid API key or access token"})
        if request.method != "POST":
            return json_response(405, {"errors": "Method Not Allowed"})
        asked = json_object(request.body) or {}
        with self.world.lock:
            try:
                return json_response(200, self._executed(str(asked.get("query") or ""), asked.get("variables") or {}))
            except Invalid as error:
                return json_response(200, {"errors": [_error(error.code, str(error))]})

    def _executed(self, document: str, variables: Mapping[str, Any]) -> dict[str, Json]:
        operation = parse(document)
        schema.check(operation, variables)
        points = schema.cost(operation)
        if not self.bucket.spend(points):
            return {"errors": [_error("THROTTLED", "Throttled")], "extensions": self._cost(points, None)}
        self.world.run_jobs()
        errors: list[Json] = []
        data = dict(self._answered(one, variables, errors) for one in operation.selections)
        answer: dict[str, Json] = {"data": data, "extensions": self._cost(points, points)}
        return answer | ({"errors": errors} if errors else {})

    def _cost(self, asked: int, actual: int | None) -> dict[str, Json]:
        return {
            "cost": {"requestedQueryCost": asked, "actualQueryCost": actual, "throttleStatus": self.bucket.status()}
        }

    def _answered(self, field: Selection, variables: Mapping[str, Any], errors: list[Json]) -> tuple[str, Any]:
        if not isinstance(field, Field):
            raise Invalid("PARSE_ERROR", "no fragment is taken here")
        if not self._may(field.name):
            errors.append(_error("ACCESS_DENIED", f"Access denied for {field.name} field."))
            return field.key, None

        def seen(value: Any) -> Any:
            """Orders are not for everybody, and old ones for fewer."""
            if not isinstance(value, Mapping) or value.get("__typename") != "Order":
                return value
            if not self._may("order"):
                errors.append(_error("ACCESS_DENIED", "Access denied for order field."))
                return None
            return value if self.world.shows(value["id"]) else None

        found = _FIELDS[field.name](self.world, schema.arguments(field, variables))
        return field.key, cut(found, field.selections, seen)

    def _may(self, field: str) -> bool:
        needed = _SCOPES.get(field)
        return needed is None or needed in self.options.scopes


def _error(code: str, message: str) -> dict[str, Json]:
    return {"message": message, "extensions": {"code": code}}


_SCOPES: Final = {
    "draftOrder": "read_draft_orders",
    "draftOrders": "read_draft_orders",
    "draftOrderComplete": "write_draft_orders",
    "draftOrderCreate": "write_draft_orders",
    "draftOrderDelete": "write_draft_orders",
    "order": "read_orders",
    "orderCancel": "write_orders",
    "orders": "read_orders",
}

_FIELDS: Final[Mapping[str, Callable[[World, Mapping[str, Any]], Any]]] = {
    "draftOrder": lambda world, given: world.draft(given["id"]),
    "draftOrderComplete": lambda world, given: world.complete(given["id"], pending=bool(given.get("paymentPending"))),
    "draftOrderCreate": lambda world, given: world.create(given["input"]),
    "draftOrderDelete": lambda world, given: world.delete(given["input"]["id"]),
    "draftOrders": lambda world, given: world.drafts(given.get("query") or "", given.get("first") or 50),
    "job": lambda world, given: world.job(given["id"]),
    "node": lambda world, given: world.node(given["id"]),
    "nodes": lambda world, given: [world.node(one) for one in given["ids"]],
    "order": lambda world, given: world.order(given["id"]),
    "orderCancel": lambda world, given: world.cancel(
        given["orderId"], restock=given["restock"], note=given.get("staffNote") or ""
    ),
    "orders": lambda world, given: world.orders(given.get("query") or "", given.get("first") or 50),
}
