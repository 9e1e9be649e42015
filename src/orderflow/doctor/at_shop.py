"""Is the shop there, does it take the key, and does it search as it should?

It asks for the orders of a reference that nobody has, and nothing else. A shop of the generic contract is asked by
hand, to tell exactly what of the contract it breaks; any other through its connector, as a look-up asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from orderflow import shops
from orderflow.config import ShopKind, StoreSettings
from orderflow.connectors import Found, Subject, Unreadable
from orderflow.connectors.exchange import json_object
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.glopal.client import Endpoint
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.replies import Broken, NotSent, Reply

_SECONDS: Final = 30.0
CONTRACT: Final = "docs/how-to/read-the-shop-contract.md"


def checked(name: str, store: StoreSettings) -> Iterator[Finding]:
    """Everything about the shop of one store."""
    if store.shop.base_url.startswith("http://"):
        mend = f"set stores.{name}.shop.base_url to https://..., unless the shop runs on this machine"
        yield warning("shop's address", "is not encrypted", mend, name)
    key = store.shop.key.read(f"stores.{name}.shop.key")
    if store.shop.kind is not ShopKind.CONTRACT:
        yield _looked_up(name, store, key)
        return
    endpoint = Endpoint(store.shop.base_url, key, total_seconds=_SECONDS)
    try:
        reply = endpoint.exchange("GET", f"/orders?reference=glopal%3A{uuid4()}%3Adoctor")
    finally:
        endpoint.close()
    yield _answer(name, store, reply)


def _looked_up(name: str, store: StoreSettings, key: str) -> Finding:
    """What a look-up of a reference that nobody has comes to."""
    connector = shops.connector(store.shop, key, Mapping(), _SECONDS)
    try:
        sight = connector.find(Subject(name, "doctor", f"glopal:{uuid4()}:doctor"))
    finally:
        connector.close()
    place, kind = f"stores.{name}.shop", store.shop.kind.value
    if isinstance(sight, Found):
        if sight.sightings:
            return failure("shop", "finds orders for a reference that nobody has", f"mend the shop ({kind})", name)
        return ok("shop", "answers, takes the key, and searches by reference", name)
    found = sight.problem if isinstance(sight, Unreadable) else sight.reason
    mend = f"mend {place}.base_url or {place}.key ({store.shop.key.place}); see docs/how-to/connect-{kind}.md"
    return failure("shop", f"does not answer a look-up: {found}", mend, name)


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
