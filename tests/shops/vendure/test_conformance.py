"""The suite that every connector passes, with a real Vendure behind the bench."""

import json

import httpx
import pytest
from tests.connectors.conformance import Closable, Conformance, Rig
from tests.connectors.test_vendure import other
from tests.shops.bring_up import Running
from tests.shops.buying import PERSONAL, STORE, details, fresh_id
from tests.shops.forwarding import forwarding
from tests.shops.vendure import ask

from orderflow.connectors import Delivered, Found, Task
from orderflow.connectors.vendure import Vendure
from orderflow.domain.events import Effect

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]


class TestVendure(Conformance):
    @pytest.fixture
    def rig(self, shop: Running) -> Rig:
        order_id = fresh_id()
        reference = f"glopal:{STORE}:{order_id}"

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Vendure(base_url, shop.key, transport=transport, total_seconds=total_seconds)

        def executed() -> int:
            found = ask(shop.base_url, shop.key, "{ orders(options: {take: 1}) { totalItems } }")
            return int(found["data"]["orders"]["totalItems"])

        def seen(sight: Found, result: Delivered) -> bool:
            return sight.sightings == ((result.sighting,) if result.sighting else ()) and bool(sight.sightings)

        return Rig(
            app=forwarding(shop.base_url),
            connect=connect,
            key=shop.key,
            task=Task(Effect.DRAFT, STORE, order_id, reference, details=details(order_id)),
            executed=executed,
            seen=seen,
            repeatable=True,
            elsewhere=json.dumps({"data": {"ours": {"items": [other("glopal:acme:310678")]}}}).encode(),
            personal=PERSONAL,
            writes=lambda request: b"createDraftOrder" in request.body,
        )
