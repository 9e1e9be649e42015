"""Which connector speaks to a store's shop: one line for each kind.

It never calls anybody.
"""

from __future__ import annotations

from typing import Final, Protocol

from orderflow.config import ShopKind, ShopSettings
from orderflow.connectors import Capabilities, Connector, Consistency
from orderflow.connectors.shop import Shop
from orderflow.connectors.vendure import Vendure
from orderflow.glopal.mapping import Mapping


class _Maker(Protocol):
    """Makes the connector of one kind. Raises `ValueError` where an address or a key cannot be."""

    def __call__(self, shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector: ...


def connector(shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector:
    """The connector for `shop`, whose calls end within `call_seconds`. Raises `ValueError`."""
    return _MAKERS[shop.kind](shop, key, mapping, call_seconds)


def _contract(shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector:
    able = Capabilities(unique_reference=shop.unique_reference, settle_window=shop.settle_seconds)
    return Shop(shop.base_url, key, mapping, able, total_seconds=call_seconds)


def _vendure(shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector:
    able = Capabilities(unique_reference=True, look_up=Consistency.STRONG, settle_window=shop.settle_seconds)
    names = shop.vendure
    return Vendure(
        shop.base_url,
        key,
        mapping,
        able,
        shipping_method=names.shipping_method,
        payment_method=names.payment_method,
        charges_sku=names.charges_sku,
        total_seconds=call_seconds,
    )


_MAKERS: Final[dict[ShopKind, _Maker]] = {
    ShopKind.CONTRACT: _contract,
    ShopKind.VENDURE: _vendure,
}
