"""Every connector passes the suite. A new one adds a class with one fixture here."""

from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from orderflow import sandbox
from orderflow.connectors import Capabilities, Delivered, Found, Task
from orderflow.connectors.glopal import Glopal
from orderflow.connectors.shop import Shop
from orderflow.connectors.shopify import Shopify
from orderflow.domain.events import Effect, Ids
from orderflow.glopal.client import Client
from orderflow.sandbox import Request, ShopOptions
from orderflow.sandbox.shopify import Shopify as FakeShopify

from .conformance import Closable, Conformance, Rig

STORE, ORDER = "acme", "310678-936140"
REFERENCE = f"glopal:{STORE}:{ORDER}"
PERSONAL = ("Muster", "Lefèvre", "O'Neill", "山田", "Berg", "@example.com", "Hauptstr")


def now() -> datetime:
    return datetime.now(UTC)


def fake_glopal() -> sandbox.Glopal:
    glopal = sandbox.Glopal(clock=now, rng=Random(1), key="GL.very-secret")
    glopal.place(STORE, id=ORDER)
    glopal.ready(STORE, ORDER)
    return glopal


def details() -> bytes:
    """The order as Glopal's GET shows it."""
    path = f"/v2/orders/{STORE}/{ORDER}"
    return fake_glopal().handle(Request("GET", path, (), {"authorization": "Bearer GL.very-secret"})).body


class ShopConformance(Conformance):
    options = ShopOptions()

    @pytest.fixture
    def rig(self) -> Rig:
        shop = sandbox.Shop(clock=now, rng=Random(2), key="shop-very-secret", options=self.options)
        capabilities = Capabilities(unique_reference=self.options.unique_reference)

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Shop(
                base_url,
                "shop-very-secret",
                capabilities=capabilities,
                transport=transport,
                total_seconds=total_seconds,
            )

        def seen(sight: Found, result: Delivered) -> bool:
            return sight.sightings == ((result.sighting,) if result.sighting else ()) and bool(sight.sightings)

        return Rig(
            app=shop.handle,
            connect=connect,
            key="shop-very-secret",
            task=Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details()),
            executed=lambda: len(shop.ledger()),
            seen=seen,
            repeatable=self.options.unique_reference,
            elsewhere=b'{"orders":[{"id":"ord_1","number":"1","state":"order","reference":"glopal:acme:310678-93614"}]}',
            personal=PERSONAL,
        )


class TestShop(ShopConformance):
    """A shop that makes a second draft when asked twice."""


class TestShopWithUniqueReferences(ShopConformance):
    """A shop that knows a reference again."""

    options = ShopOptions(unique_reference=True)


class TestGlopal(Conformance):
    """Glopal, by its accept."""

    @pytest.fixture
    def rig(self) -> Rig:
        glopal = fake_glopal()
        ids = Ids("ord_1", "00092")

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Glopal(Client(base_url, STORE, "GL.very-secret", transport=transport, total_seconds=total_seconds))

        return Rig(
            app=glopal.handle,
            connect=connect,
            key="GL.very-secret",
            task=Task(Effect.ACCEPT, STORE, ORDER, REFERENCE, ids=ids),
            executed=lambda: len(glopal.ledger(STORE)[0].applied_accepts),
            seen=lambda sight, _: sight.details is not None and sight.details.external == ids,
            repeatable=True,
            elsewhere=details().replace(ORDER.encode(), b"310678-936141"),
            personal=PERSONAL,
        )


class TestShopify(Conformance):
    """Shopify, by its draft orders."""

    @pytest.fixture
    def rig(self) -> Rig:
        shop = FakeShopify(clock=now, rng=Random(2), key="shpat_very_secret")

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Shopify(base_url, "shpat_very_secret", transport=transport, total_seconds=total_seconds)

        def seen(sight: Found, result: Delivered) -> bool:
            return sight.sightings == ((result.sighting,) if result.sighting else ()) and bool(sight.sightings)

        row = (
            b'{"id":"gid://shopify/DraftOrder/7","name":"#D7","status":"OPEN","ready":true,"order":null,'
            b'"customAttributes":[{"key":"glopal_reference","value":"glopal:acme:310678-93614"}]}'
        )
        page = b'{"nodes":[%s],"pageInfo":{"hasNextPage":false}}'
        return Rig(
            app=shop.handle,
            connect=connect,
            key="shpat_very_secret",
            task=Task(Effect.DRAFT, STORE, ORDER, REFERENCE, details=details()),
            executed=lambda: len(shop.ledger()),
            seen=seen,
            repeatable=False,
            elsewhere=b'{"data":{"draftOrders":%s,"orders":%s,"nodes":[]}}' % (page % row, page % b""),
            personal=PERSONAL,
        )
