"""Is the shop there, does it take the key, and does it search as the contract says?

It asks for the orders of a reference that nobody has, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from orderflow.config import StoreSettings
from orderflow.connectors.exchange import json_object
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.glopal.client import Endpoint
from orderflow.glopal.replies import Broken, NotSent, Reply

CONTRACT: Final = "docs/how-to/read-the-shop-contract.md"


def checked(name: str, store: StoreSettings) -> Iterator[Finding]:
    """Everything about the shop of one store."""
    if store.shop.base_url.startswith("http://"):
        mend = f"set stores.{name}.shop.base_url to https://..., unless the shop runs on this machine"
        yield warning("shop's address", "is not encrypted", mend, name)
    endpoint = Endpoint(store.shop.base_url, store.shop.key.read(f"stores.{name}.shop.key"), total_seconds=30.0)
    try:
        reply = endpoint.exchange("GET", f"/orders?reference=glopal%3A{uuid4()}%3Adoctor")
    finally:
        endpoint.close()
    yield _answer(name, store, reply)


def _answer(name: str, store: StoreSettings, reply: Reply | NotSent | Broken) -> Finding:
    place = f"stores.{name}.shop"
    if not isinstance(reply, Reply):
        return failure("shop", f"cannot be reached: {reply.reason}", f"mend {place}.base_url, or start the shop", name)
    if reply.status in {401, 403}:
        return failure(
            "shop", f"turns the key away: {reply.summary}", f"mend {place}.key ({store.shop.key.place})", name
        )
    document = json_object(reply.body)
    rows = document.get("orders") if document else None
    if reply.status != 200 or not isinstance(rows, list):
        mend = f"mend {place}.base_url, or the shop; see {CONTRACT}"
        return failure("shop", f"answers a search with {reply.summary} and no list of orders", mend, name)
    if rows:
        mend = f"mend the shop: it must filter by `reference`, see {CONTRACT}"
        return failure("shop", "finds orders for a reference that nobody has", mend, name)
    return ok("shop", "answers, takes the key, and searches by reference", name)
