"""What no single value of the settings shows: keys that only make sense together.

A broken rule is a mistake, a doubt is a warning. It never looks beyond the settings and the rights of their files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from orderflow.config.secret import Secret, exposed
from orderflow.config.shape import SealSettings, Settings, ShopKind, ShopSettings, StoreSettings, WindowSettings
from orderflow.domain.policy import ImportCurrency, Mode
from orderflow.store.durability import RISKS

_LONGEST_NAME: Final = 100
"""It stands in every index, beside an order's id and an event's."""


def broken(place: str, table: Struct) -> Iterator[str]:
    """Every mistake in a table whose values are right one by one."""
    match table:
        case Settings(stores=stores, unsafe_server=unsafe):
            if table.master_key is None and table.master_key_file is None:
                yield "master_key_file: is missing: give it (a path), or master_key (a secret)"
            for name in unsafe:
                if name not in RISKS:
                    yield f"unsafe_server: got {name!r}, expected one of {', '.join(RISKS)}"
            if not stores:
                yield "stores: name at least one store, as in [stores.acme.glopal] and [stores.acme.shop]"
            for name in stores:
                if len(name) > _LONGEST_NAME:
                    yield f"stores.{name[:20]}...: a store's name has at most {_LONGEST_NAME} characters"
                elif not name or name != name.strip() or any(c in name for c in "/:~") or not name.isprintable():
                    yield f"stores.{name}: a store's name is printable, has no blanks at its ends and none of / : ~"
        case WindowSettings(retry=retry, longest=longest):
            if retry > longest:
                yield f"{place}.retry: got {retry:g}, expected at most {place}.longest, {longest:g}"
        case StoreSettings(import_currency=ImportCurrency.BASE, base_currency=base):
            if base is None:
                yield f'{place}.base_currency: is missing: import_currency = "base" needs the store\'s own, such as EUR'
        case ShopSettings(kind=ShopKind.MEDUSA, medusa=medusa):
            for name in ("region_id", "sales_channel_id", "shipping_option_id"):
                if getattr(medusa, name) is None:
                    yield f'{place}.medusa.{name}: is missing: kind = "medusa" needs it'
        case Secret(env, file):
            if (env is None) == (file is None):
                yield f"{place}: give either env (a variable's name) or file (a path)"
        case _:
            pass


def doubtful(settings: Settings) -> Iterator[str]:
    """What is allowed, but probably not meant."""
    if not isinstance(settings.database_url, Secret) and settings.database_url is None:
        yield (
            f"database_url: not set, so orderflow runs its own Postgres below {settings.data_dir}; back up that folder"
        )
    if settings.master_key is not None and settings.master_key_file is not None:
        yield "master_key_file: has no effect beside master_key"
    for key, path in _secret_files(settings):
        problem = exposed(path)
        if problem:
            yield f"{key}: {problem}"
    yield from _doubtful_seals(settings.seal)
    for name, store in settings.stores.items():
        if store.glopal.settle_seconds > settings.windows.get_settle:
            yield (
                f"windows.get_settle: {settings.windows.get_settle:g} s is shorter than "
                f"stores.{name}.glopal.settle_seconds, {store.glopal.settle_seconds:g} s: both say how long Glopal's "
                "GET may lag"
            )
        if store.early_accept and store.mode is not Mode.ORDER_ON_RECEIVED:
            yield (
                f'stores.{name}.early_accept: has no effect without mode = "order_on_received": nothing is promoted '
                "before READY"
            )
        if store.base_currency is not None and store.import_currency is ImportCurrency.ORDER:
            yield f'stores.{name}.base_currency: has no effect without import_currency = "base"'


def _doubtful_seals(seal: SealSettings) -> Iterator[str]:
    takers = [name for name in ("folder", "command", "url") if getattr(seal, name)]
    if seal.key is None:
        yield from (f"seal.{name}: has no effect without seal.key" for name in takers)
    elif not takers:
        yield "seal.key: set, but nobody gets the seals: set seal.folder, seal.command or seal.url"
    if seal.url is not None and seal.url_key is None:
        yield "seal.url: has no effect without seal.url_key: whoever keeps seals must know who sends them"


def _secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    if settings.master_key_file is not None:
        yield "master_key_file", settings.master_key_file
    shared = {
        "master_key": settings.master_key,
        "second_master_key": settings.second_master_key,
        "database_url": settings.database_url,
        "vault_url": settings.vault_url,
        "seal.key": settings.seal.key,
        "seal.url_key": settings.seal.url_key,
    }
    for key, given in shared.items():
        if isinstance(given, Secret) and given.file is not None:
            yield f"{key}.file", given.file
    for name, store in settings.stores.items():
        for part, secret in (("glopal", store.glopal.key), ("shop", store.shop.key)):
            if secret.file is not None:
                yield f"stores.{name}.{part}.key.file", secret.file
