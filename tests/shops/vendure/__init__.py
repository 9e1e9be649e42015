"""A real Vendure: how it is brought up, and every order in it by its own API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.shops.bring_up import Recipe, Row

from orderflow.domain.events import ShopState
from orderflow.glopal.money import smallest_unit

_PAGE: Final = 100
_ORDERS: Final = """
query ($skip: Int!, $take: Int!) {
  orders(options: {skip: $skip, take: $take, sort: {createdAt: ASC}}) {
    totalItems
    items {
      id code state createdAt orderPlacedAt currencyCode totalWithTax
      customFields { glopalReference }
      customer { id }
      lines { quantity unitPriceWithTax productVariant { sku } customFields { glopalCharge } }
      payments { state amount }
    }
  }
}"""


def ask(base_url: str, key: str, document: str, path: str = "admin-api?currencyCode=EUR", **variables: Any) -> Any:
    """One question, as the connector's key, or as nobody with an empty one; the answer as it is, errors and all."""
    headers = {"content-type": "application/json"} | ({"vendure-api-key": key} if key else {})
    return _asked(f"{base_url}/{path}", headers, document, variables)


def as_admin(base_url: str, seeded: Mapping[str, Any], document: str, **variables: Any) -> Any:
    """The data that somebody sees who may do everything."""
    login = "mutation ($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }"
    body = json.dumps({"query": login, "variables": {"u": seeded["admin"], "p": seeded["password"]}}).encode()
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{base_url}/admin-api", body, headers), timeout=60) as answer:
        headers["authorization"] = f"Bearer {answer.headers['vendure-auth-token']}"
    answer = _asked(f"{base_url}/admin-api?currencyCode=EUR", headers, document, variables)
    assert "errors" not in answer, answer
    return answer["data"]


def _asked(url: str, headers: Mapping[str, str], document: str, variables: Mapping[str, Any]) -> Any:
    body = json.dumps({"query": document, "variables": variables}).encode()
    request = urllib.request.Request(url, body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


def orders(base_url: str, key: str) -> Iterator[Mapping[str, Any]]:
    """Every order that was not deleted, oldest first, as Vendure shows it."""
    skip, count = 0, 1
    while skip < count:
        page = ask(base_url, key, _ORDERS, skip=skip, take=_PAGE)["data"]["orders"]
        yield from page["items"]
        skip, count = skip + _PAGE, page["totalItems"]


def _ledger(base_url: str, seeded: Mapping[str, Any]) -> list[Row]:
    return [_row(one) for one in orders(base_url, seeded["key"])]


def _row(shown: Mapping[str, Any]) -> Row:
    state = ShopState.ORDER if shown["orderPlacedAt"] else ShopState.DRAFT
    return Row(
        shown["id"],
        shown["code"],
        ShopState.GONE if shown["state"] == "Cancelled" else state,
        shown["customFields"]["glopalReference"],
        shown["currencyCode"],
        shown["totalWithTax"] * smallest_unit(shown["currencyCode"]),
        datetime.fromisoformat(shown["createdAt"]),
    )


def _settings(seeded: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "vendure", "vendure": {"charges_sku": "GLOPAL-CHARGES"}}


VENDURE: Final = Recipe(
    "vendure", Path(__file__).parent, seed=(("seed.js",),), serve=("server.js",), settings=_settings, ledger=_ledger
)
"""Vendure 3.7.3. `SLOW_KEYS="1"` in its environment: API keys are hashed as Vendure does by itself."""
