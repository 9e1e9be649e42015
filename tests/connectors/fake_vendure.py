"""A thin Vendure for fast tests: the few fields that the connector asks for, and the traps that the real one has.

tests/shops/vendure has the real one, and the same suite runs against it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orderflow.sandbox import Request, Response

FIELD = re.compile(r"(\w+): (\w+)\(")
KEY = "lookup:very-secret"


class Thrown(Exception):
    """An error that ends the document: `data` is null, and what came before it stays."""


@dataclass
class FakeVendure:
    """`says`: by the name of a field, what it answers in its place: a code thrown, or one in its result union.

    `extra` is added to every total, as a promotion of the shop does.
    """

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    skus: dict[str, list[str]] = field(default_factory=dict)
    buyers: dict[str, str] = field(default_factory=dict)
    thrown: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    stock: dict[str, int] = field(default_factory=dict)
    extra: int = 0
    made: int = 0
    asked: list[tuple[str, Mapping[str, Any], str | None]] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        if request.headers.get("vendure-api-key") != KEY:
            return self._errors("FORBIDDEN")
        body = json.loads(request.body)
        self.asked.append((body["query"], body["variables"], dict(request.query).get("currencyCode")))
        try:
            data = self._answers(body["query"], body["variables"])
        except Thrown as error:
            return self._errors(str(error))
        return Response(200, json.dumps({"data": data}).encode())

    @property
    def fields(self) -> list[str]:
        """The names of all mutations so far, in their order."""
        written = (document for document, _, _ in self.asked if document.strip().startswith("mutation"))
        return [name for document in written for name in _named(document)]

    @staticmethod
    def _errors(code: str) -> Response:
        error: dict[str, Any] = {"message": "Ada Muster is not allowed"}
        if code:
            error["extensions"] = {"code": code}
        status = 400 if code == "GRAPHQL_VALIDATION_FAILED" else 200
        return Response(status, json.dumps({"errors": [error], "data": None}).encode())

    def _answers(self, document: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if not document.strip().startswith("mutation"):
            return self._read(document, given)
        data = {}
        for alias, name in FIELD.findall(document.replace("createDraftOrder {", "createDraftOrder( {")):
            if name in self.thrown:
                raise Thrown(self.thrown[name])
            data[alias] = (
                {"__typename": "Error", "errorCode": self.refused[name]}
                if name in self.refused
                else getattr(self, f"_{name}")(alias, given)
            )
        return data

    def _read(self, document: str, given: Mapping[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if "query" in self.thrown:
            raise Thrown(self.thrown["query"])
        for alias, name in FIELD.findall(document.replace("{ order(", "{ order: order(")):
            match alias, name:
                case "taken" | "ours", _:
                    found = [self._shown(i) for i in self.orders if self._reference(i) == given["reference"]]
                    data[alias] = {"items": found}
                case "drafts", _:
                    data[alias] = {"items": [self._shown(i) for i in self.orders]}  # a filter may be ignored
                case "variants", _:
                    data[alias] = {"items": [{"id": i, "sku": s} for s, ids in self.skus.items() for i in ids]}
                case "methods", _:
                    data[alias] = {"items": [{"id": "9", "code": "glopal"}]}
                case "customers", _:
                    rows = [{"id": i, "emailAddress": mail} for mail, i in self.buyers.items()]
                    data[alias] = {"items": [row for row in rows if row["emailAddress"] == given["email"]]}
                case _, "order":
                    shop_id = given.get(alias, given.get("order"))
                    data[alias] = self._shown(shop_id) if shop_id in self.orders else None
        return data

    # ---- mutations -------------------------------------------------------------------------------------------------

    def _create(self) -> dict[str, Any]:
        self.made += 1
        order = {
            "id": str(self.made),
            "code": f"CODE{self.made}",
            "state": "Draft",
            "createdAt": datetime.now(UTC).isoformat(),
            "orderPlacedAt": None,
            "currencyCode": "EUR",
            "customer": None,
            "shippingAddress": {"countryCode": None},
            "shippingLines": [],
            "lines": [],
            "customFields": {"glopalReference": None, "glopalTotal": None, "glopalQuantity": None},
            "payments": 0,
        }
        self.orders[str(self.made)] = order
        return order

    def _createDraftOrder(self, _alias: str, _given: Mapping[str, Any]) -> Any:  # noqa: N802
        return {"id": self._create()["id"]}

    def _setDraftOrderCustomFields(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        order, fields = self._order(given["input"]["id"]), given["input"]["customFields"]
        others = [self._reference(i) for i in self.orders if i != order["id"]]
        if fields.get("glopalReference") in others:
            raise Thrown("")  # "duplicate key value violates unique constraint", without a code
        order["customFields"] |= fields
        return {"id": order["id"]}

    _setOrderCustomFields = _setDraftOrderCustomFields  # noqa: N815

    def _setCustomerForDraftOrder(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        buyer = given["customer"]
        email = "" if isinstance(buyer, str) else buyer["emailAddress"].lower()
        if email in self.buyers:
            return {"errorCode": "EMAIL_ADDRESS_CONFLICT_ERROR"}
        self._order(given["order"])["customer"] = {"id": buyer if isinstance(buyer, str) else "c1"}
        return {"__typename": "Order"}

    def _setDraftOrderShippingAddress(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        self._order(given["order"])["shippingAddress"] = {"countryCode": given["shipping"]["countryCode"]}
        return {"id": given["order"]}

    def _setDraftOrderBillingAddress(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        return {"id": given["order"]}

    def _addItemToDraftOrder(self, alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        item, order = given[alias], self._order(given["order"])
        known = {variant: sku for sku, ids in self.skus.items() for variant in ids}
        sku = known[item["productVariantId"]]
        there = min(item["quantity"], self.stock.get(sku, 999))
        fields = {"glopalCharge": None, **item["customFields"]}
        order["lines"].append({"sku": sku, "quantity": there, "customFields": fields})
        short = there < item["quantity"]  # as much as there is goes in all the same
        return {"errorCode": "INSUFFICIENT_STOCK_ERROR"} if short else {"__typename": "Order"}

    def _setDraftOrderShippingMethod(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        self._order(given["order"])["shippingLines"] = [{"id": "s1"}]
        return self._shown(given["order"])

    def _deleteDraftOrder(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        if self.orders.get(given["order"], {}).get("state") != "Draft":
            return {"result": "NOT_DELETED"}
        del self.orders[given["order"]]
        return {"result": "DELETED"}

    def _transitionOrderToState(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        order = self._order(given["order"])
        if order["state"] != "Draft":
            return {"errorCode": "ORDER_STATE_TRANSITION_ERROR"}
        order["state"] = "ArrangingPayment"
        return self._shown(given["order"])

    def _addManualPaymentToOrder(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        order = self._order(given["input"]["orderId"])
        if order["state"] != "ArrangingPayment":
            return {"errorCode": "MANUAL_PAYMENT_STATE_ERROR"}
        order |= {"state": "PaymentSettled", "orderPlacedAt": "2026-01-01T00:00:00Z", "payments": order["payments"] + 1}
        return self._shown(order["id"])

    def _cancelOrder(self, _alias: str, given: Mapping[str, Any]) -> Any:  # noqa: N802
        order = self._order(given["input"]["orderId"])
        if order["state"] == "Cancelled":
            return {"errorCode": "EMPTY_ORDER_LINE_SELECTION_ERROR"}
        order["state"] = "Cancelled"
        return self._shown(order["id"])

    # ---- what stands there -----------------------------------------------------------------------------------------

    def _order(self, shop_id: str) -> dict[str, Any]:
        if shop_id not in self.orders:
            raise Thrown("ENTITY_NOT_FOUND")
        return self.orders[shop_id]

    def _reference(self, shop_id: str) -> str | None:
        return self.orders[shop_id]["customFields"]["glopalReference"]

    def _shown(self, shop_id: str) -> dict[str, Any]:
        order = self.orders[shop_id]
        gone = order["state"] == "Cancelled"
        total = sum(line["quantity"] * line["customFields"]["glopalPrice"] for line in order["lines"])
        shipping = order["customFields"].get("glopalShipping", 0) if order["shippingLines"] else 0
        lines = [
            {
                "id": str(number),
                "quantity": 0 if gone else line["quantity"],
                "orderPlacedQuantity": line["quantity"],
                "unitPriceWithTax": line["customFields"]["glopalPrice"],
                "productVariant": {"sku": line["sku"]},
                "customFields": {"glopalCharge": line["customFields"]["glopalCharge"]},
            }
            for number, line in enumerate(order["lines"])
        ]
        sums = {
            "totalWithTax": 0 if gone else total + shipping + self.extra,
            "totalQuantity": 0 if gone else sum(line["quantity"] for line in order["lines"]),
        }
        return {"__typename": "Order", **order, **sums, "lines": lines}


def _named(document: str) -> list[str]:
    return [name for _, name in FIELD.findall(document.replace("createDraftOrder {", "createDraftOrder( {"))]
