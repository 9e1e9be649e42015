"""The suite that every connector passes, with a real Medusa behind the bench."""

import json

import httpx
import pytest
from tests.connectors.conformance import Closable, Conformance, Rig
from tests.shops.bring_up import Running
from tests.shops.buying import PERSONAL, STORE, details, fresh_id
from tests.shops.forwarding import forwarding
from tests.shops.medusa import api

from orderflow.connectors import Delivered, Found, Task
from orderflow.connectors.medusa import Medusa, Place
from orderflow.domain.events import Effect

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]

OTHER = {
    "id": "order_1",
    "display_id": 1,
    "status": "draft",
    "is_draft_order": True,
    "metadata": {"reference": "glopal:acme:310678"},
    "summary": {"raw_current_order_total": {"value": "1", "precision": 20}},
}


def place(shop: Running) -> Place:
    ids = (shop.seeded[name] for name in ("region_id", "sales_channel_id", "shipping_option_id"))
    return Place(*ids, variants=shop.seeded["variants"])  # type: ignore[misc]


class TestMedusa(Conformance):
    @pytest.fixture
    def rig(self, medusa: Running) -> Rig:
        order_id = fresh_id()
        reference = f"glopal:{STORE}:{order_id}"

        def connect(base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Closable:
            return Medusa(base_url, medusa.key, place(medusa), transport=transport, total_seconds=total_seconds)

        def executed() -> int:
            found = api(medusa.base_url, medusa.key, "GET", f"/admin/draft-orders?q={reference}&fields=id,metadata")
            return sum(row["metadata"]["reference"] == reference for row in found["draft_orders"])

        def seen(sight: Found, result: Delivered) -> bool:
            return sight.sightings == ((result.sighting,) if result.sighting else ()) and bool(sight.sightings)

        return Rig(
            app=forwarding(medusa.base_url),
            connect=connect,
            key=medusa.key,
            task=Task(Effect.DRAFT, STORE, order_id, reference, details=details(order_id)),
            executed=executed,
            seen=seen,
            repeatable=False,
            elsewhere=json.dumps({"draft_orders": [OTHER], "orders": [OTHER]}).encode(),
            personal=PERSONAL,
        )
