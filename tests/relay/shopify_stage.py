"""The stage with a Shopify in the shop's place: a search that lags, points, jobs, and a draft that gets another id.

It never looks into the connector: only Glopal's ledger, Shopify's ledger and the log are judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.relay.stage import Stage, Wire

from orderflow.connectors.shopify import Shopify as ShopifyConnector
from orderflow.domain.events import Destination, ShopState
from orderflow.sandbox import Difference, Request, Row, compare
from orderflow.sandbox.shopify import Shopify, ShopifyOptions


def asks(mutation: str) -> Any:
    """For `Faults.script`: is it this mutation?"""
    return lambda request: f"{mutation}(".encode() in request.body


@dataclass
class ShopifyStage(Stage):
    """One store between a Glopal and a Shopify."""

    shopify: ShopifyOptions = field(default_factory=ShopifyOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shop = shop = Shopify(clock=self.clock, rng=Random(self.store), options=self.shopify)  # type: ignore[assignment]
        self.world = shop.world
        self.bucket = shop.bucket
        self.to_shop = Wire(shop.handle)
        connector = ShopifyConnector("http://shop.test", shop.key, transport=self.to_shop)
        self.connectors[Destination.SHOP] = connector
        self.relay = self.worker("a")

    def mutations(self, name: str = "mutation") -> list[Request]:
        """What was sent to be written."""
        return [one for one in self.to_shop.seen if name in json.loads(one.body)["query"]]

    def open(self, order_id: str) -> list[str]:
        """The writes that are still under way."""
        return [row.effect for row in self.rows(order_id) if row.effect not in {"fetch", "reap"}]

    def differences(self) -> list[Difference]:
        """Between what the world knows and what orderflow says."""
        entries = self.glopal.ledger(self.store)
        return compare(entries, self.world.ledger(), [self._row(entry.order_id) for entry in entries])

    def _row(self, order_id: str) -> Row:
        order = self.order(order_id)
        own, ids = order.shop.own, order.accept_ids
        known = own is not None and (own.state is not ShopState.GONE or own.promoted)
        return Row(
            store=self.store,
            order_id=order_id,
            status=order.status,
            shop_order_id=own.ids.order_id if own is not None and known else None,
            shop_state=own.state if own is not None and known else None,
            accept_ids=(ids.order_id, ids.number) if ids and order.accepted else None,
            held=bool(order.holds),
        )
