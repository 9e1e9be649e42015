"""A real Medusa: how it is brought up, and every order in it by its own API."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.shops.bring_up import Recipe, Row

from orderflow.domain.events import ShopState

_CLI: Final = "node_modules/@medusajs/cli/cli.js"
_PAGE: Final = 200
_FIELDS: Final = "id,display_id,status,is_draft_order,currency_code,metadata,created_at,deleted_at,*summary"


def _settings(seeded: Mapping[str, Any]) -> dict[str, Any]:
    ids = {name: seeded[name] for name in ("region_id", "sales_channel_id", "shipping_option_id")}
    more = ids | {"variants": seeded["variants_file"]}
    return {"kind": "medusa", "unique_reference": True, "medusa": more}


def api(base_url: str, key: str, method: str, path: str, body: Any = None) -> Any:
    """One call of the admin API; raises `urllib.error.HTTPError`. Numbers are decimals."""
    request = urllib.request.Request(f"{base_url}{path}", method=method)
    request.add_header("authorization", f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}")
    if body is not None:
        request.add_header("content-type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read(), parse_float=Decimal)


def _ledger(base_url: str, seeded: Mapping[str, Any]) -> list[Row]:
    """Every draft and order that was not deleted, oldest first."""
    found = [_row(one) for name in ("draft-orders", "orders") for one in _listed(base_url, seeded["key"], name)]
    return sorted(found, key=lambda row: row.created_at)


def _listed(base_url: str, key: str, name: str) -> Iterator[Mapping[str, Any]]:
    offset, count = 0, 1
    while offset < count:
        path = f"/admin/{name}?limit={_PAGE}&offset={offset}&fields={_FIELDS}&order=created_at"
        page = api(base_url, key, "GET", path)
        yield from page[name.replace("-", "_")]
        offset, count = offset + _PAGE, page["count"]


def _row(shown: Mapping[str, Any]) -> Row:
    state = ShopState.DRAFT if shown["is_draft_order"] else ShopState.ORDER
    return Row(
        shown["id"],
        str(shown["display_id"]),
        ShopState.GONE if shown["status"] == "canceled" else state,
        (shown["metadata"] or {}).get("reference"),
        shown["currency_code"].upper(),
        Decimal(shown["summary"]["raw_current_order_total"]["value"]),
        datetime.fromisoformat(shown["created_at"]),
    )


MEDUSA: Final = Recipe(
    "medusa",
    Path(__file__).parent,
    seed=((_CLI, "db:migrate"), (_CLI, "exec", "./seed.js")),
    serve=(_CLI, "start", "-H", "127.0.0.1", "-p", "{port}"),
    settings=_settings,
    ledger=_ledger,
)
"""Medusa 2.21.2. `SHOP_PLAIN="1"` in its environment: one that cannot search by our reference."""
