"""Settings: one TOML file, read once, frozen. Secrets stand in the environment or in files, never in it.

It is the only module that reads the environment, and every mistake is named with its key.
"""

from __future__ import annotations

import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from orderflow.domain.policy import ImportCurrency, Mode, OnRefusal, StorePolicy

ENVIRONMENT_VARIABLE = "ORDERFLOW_CONFIG"


class ConfigError(Exception):
    """A setting is missing or makes no sense. The message names its key and what would."""


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret stands: in the environment variable `env`, or in the file `file`."""

    env: str | None = None
    file: Path | None = None

    def read(self, key: str) -> str:
        """The secret itself. Raises `ConfigError` naming `key` if it is not there."""
        if (self.env is None) == (self.file is None):
            raise ConfigError(f"{key}: give either env (a variable's name) or file (a path)")
        if self.env is not None:
            value = os.environ.get(self.env, "")
        else:
            assert self.file is not None
            try:
                value = self.file.expanduser().read_text()
            except OSError as error:
                raise ConfigError(f"{key}.file: {self.file} cannot be read ({error.strerror})") from None
        if not value.strip():
            raise ConfigError(f"{key}: {self.env or self.file} is empty or not set")
        return value.strip()


class GlopalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Glopal's API for one store. `store_id` is Glopal's name of it.

    `openapi` names Glopal's own API description, which the routes are read from; `routes` overrides single entries of
    either. `mapping` names the file that says where things stand in order details.
    `settle_seconds`: how long after a call its GET may still not show what was done (ASSUMED, nothing is documented).
    """

    base_url: str
    key: Secret
    store_id: str | None = None
    events: tuple[str, ...] = (
        "order.received",
        "order.ready",
        "order.accepted",
        "order.completed",
        "order.cancelled",
        "return.requested",
        "return.authorized",
        "return.cancelled",
    )
    page_size: int = 100
    poll_seconds: float = 5.0
    trailing_minutes: float = 15.0
    settle_seconds: float = 60.0
    openapi: Path | None = None
    routes: dict[str, Any] = {}
    mapping: Path | None = None


class ShopSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shop that speaks the generic contract (docs/how-to/read-the-shop-contract.md)."""

    base_url: str
    key: Secret
    unique_reference: bool = False
    settle_seconds: float = 15.0


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Glopal store and the shop that its orders go to."""

    glopal: GlopalSettings
    shop: ShopSettings
    mode: Mode = Mode.DRAFT_ON_RECEIVED
    environment: str = "live"
    effects_from: datetime | None = None
    on_refusal: OnRefusal = OnRefusal.EXCEPTION
    early_accept: bool = False
    shadow: bool = False
    max_attempts: int = 8
    import_currency: ImportCurrency = ImportCurrency.ORDER
    base_currency: str | None = None


class WindowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds; see `orderflow.relay.Windows`."""

    send: float = 10.0
    call: float = 30.0
    get_settle: float = 60.0
    look_up: float = 2.0
    retry: float = 5.0
    longest: float = 3600.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything. Without `database_url` orderflow runs its own Postgres under `data_dir`."""

    stores: dict[str, StoreSettings]
    master_key_file: Path
    database_url: str | None = None
    data_dir: Path = Path("~/.local/share/orderflow")
    workers: int = 4
    windows: WindowSettings = WindowSettings()


def read(path: Path | None = None) -> Settings:
    """The settings in the file at `path`, else in the one that $ORDERFLOW_CONFIG names, else in ./orderflow.toml."""
    path = path or Path(os.environ.get(ENVIRONMENT_VARIABLE, "orderflow.toml"))
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name the settings file with --config or ${ENVIRONMENT_VARIABLE}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return parse(raw)


def table(path: Path | None) -> dict[str, Any]:
    """What stands in the TOML file at `path`; nothing if there is none. Raises ValueError."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.expanduser().read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def parse(raw: dict[str, Any]) -> Settings:
    """Settings from plain data. Raises `ConfigError` naming the key."""
    try:
        settings = msgspec.convert(raw, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from None
    for name, store in settings.stores.items():
        _check(name, store)
    return msgspec.structs.replace(settings, database_url=_driven(settings.database_url))


def _driven(url: str | None) -> str | None:
    """The database's URL with the driver that orderflow brings along."""
    if url is None or url.startswith("postgresql+psycopg://"):
        return url
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    raise ConfigError("database_url: must begin with postgresql://")


def _path(kind: type, value: object) -> object:
    """Paths, which msgspec does not know; nothing else comes here."""
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"expected a path as text, got {type(value).__name__}")
    return Path(value)


def _check(name: str, store: StoreSettings) -> None:
    key = f"stores.{name}"
    if not name or name != name.strip() or any(c in name for c in "/:~\0"):
        raise ConfigError(f"{key}: a store's name has no blanks at its ends and none of / : ~")
    if store.effects_from is not None and store.effects_from.tzinfo is None:
        raise ConfigError(f"{key}.effects_from: give a time zone, as in 2026-01-01T00:00:00Z")
    if store.import_currency is ImportCurrency.BASE:
        raise ConfigError(
            f"{key}.import_currency: 'base' is not offered yet; orders are imported in their own currency"
        )
    for part, url in (("glopal", store.glopal.base_url), ("shop", store.shop.base_url)):
        if not url.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
            raise ConfigError(f"{key}.{part}.base_url: {url!r} must begin with https:// (http:// only on this machine)")


def policy(store: StoreSettings) -> StorePolicy:
    """How a store wants its orders handled."""
    return StorePolicy(
        mode=store.mode,
        effects_from=store.effects_from,
        import_currency=store.import_currency,
        on_refusal=store.on_refusal,
        early_accept=store.early_accept,
        shadow=store.shadow,
        environment=store.environment,
        max_attempts=store.max_attempts,
    )
