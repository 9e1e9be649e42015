"""Which connector speaks to a store's shop: one line for each kind.

It never calls anybody.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from orderflow import config
from orderflow.config import ShopKind, ShopSettings
from orderflow.connectors import Capabilities, Connector, Consistency
from orderflow.connectors.medusa import Medusa, Place
from orderflow.connectors.shop import Shop
from orderflow.connectors.shopify import Shopify
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


def _medusa(shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector:
    known = shop.medusa
    place = Place(  # the settings are not read without these three
        known.region_id or "",
        known.sales_channel_id or "",
        known.shipping_option_id or "",
        _variants(known.variants),
    )
    return Medusa(
        shop.base_url,
        key,
        place,
        mapping,
        unique_reference=shop.unique_reference,
        settle_window=shop.settle_seconds,
        look_back=timedelta(days=known.look_back_days),
        total_seconds=call_seconds,
    )


def _shopify(shop: ShopSettings, key: str, mapping: Mapping, call_seconds: float) -> Connector:
    known = shop.shopify
    return Shopify(
        shop.base_url,
        key,
        mapping,
        Capabilities(settle_window=max(shop.settle_seconds, known.search_seconds)),
        api_version=known.api_version,
        pending=known.payment_pending,
        total_seconds=call_seconds,
    )


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


def _variants(path: Path | None) -> Dict[str, str]:
    """The variant of each SKU."""
    known = config.table(path)
    for sku, variant in known.items():
        if not isinstance(variant, str) or not variant:
            raise ValueError(f'medusa.variants: {sku!r} must be the id of a variant, as in "{sku}" = "variant_01J"')
    return {sku: str(variant) for sku, variant in known.items()}


_MAKERS: Final[dict[ShopKind, _Maker]] = {
    ShopKind.CONTRACT: _contract,
    ShopKind.MEDUSA: _medusa,
    ShopKind.VENDURE: _vendure,
    ShopKind.SHOPIFY: _shopify,
}
