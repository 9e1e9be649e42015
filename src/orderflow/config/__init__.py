"""Settings: one TOML file and its environment twins, read once, frozen. Secrets never stand in the file.

It is the only package that reads the environment, and it names every mistake with its key, all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from orderflow.config import addresses, rules
from orderflow.config.checked import checked
from orderflow.config.given import Given, given, toml
from orderflow.config.mistakes import ConfigError, one_line
from orderflow.config.secret import Secret
from orderflow.config.shape import (
    AgeLimitSettings,
    AlertRuleSettings,
    AlertSettings,
    BreakerSettings,
    GlopalSettings,
    MedusaSettings,
    PaceSettings,
    SealSettings,
    Settings,
    ShopifySettings,
    ShopKind,
    ShopSettings,
    StoreSettings,
    VendureSettings,
    WindowSettings,
)
from orderflow.desk.rules import BUILT_IN, Rule
from orderflow.domain.events import Effect
from orderflow.domain.exceptions import Of
from orderflow.domain.policy import LIMITED, ImportCurrency, StorePolicy

__all__ = [
    "AgeLimitSettings",
    "AlertRuleSettings",
    "AlertSettings",
    "BreakerSettings",
    "ConfigError",
    "GlopalSettings",
    "MedusaSettings",
    "PaceSettings",
    "Reading",
    "SealSettings",
    "Secret",
    "Settings",
    "ShopKind",
    "ShopSettings",
    "ShopifySettings",
    "StoreSettings",
    "VendureSettings",
    "WindowSettings",
    "alert_rules",
    "data_dir",
    "database_url",
    "examine",
    "parse",
    "policy",
    "read",
    "table",
    "vault_url",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the settings: `settings` is None exactly if there are mistakes."""

    given: Given
    settings: Settings | None
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def examine(path: Path | None = None) -> Reading:
    """The settings of the file at `path` (else $ORDERFLOW_CONFIG, else ./orderflow.toml) and the environment.

    Never raises: mistakes and doubts are told.
    """
    try:
        found = given(path)
    except ConfigError as error:
        return Reading(Given({}, path), None, tuple(error.mistakes))
    settings, mistakes = checked(found)
    doubts = tuple(one_line(doubt) for doubt in rules.doubtful(settings)) if settings else ()
    return Reading(found, settings, tuple(one_line(mistake) for mistake in mistakes), doubts)


def read(path: Path | None = None) -> Settings:
    """The settings, as `examine` finds them. Raises `ConfigError` with every mistake."""
    found = examine(path)
    if found.settings is None:
        raise ConfigError(*found.mistakes)
    return found.settings


def parse(raw: Mapping[str, Any]) -> Settings:
    """Settings from plain data, as a file would hold them. Raises `ConfigError` with every mistake."""
    settings, mistakes = checked(Given(dict(raw)))
    if settings is None:
        raise ConfigError(*mistakes)
    return settings


def database_url(settings: Settings) -> str | None:
    """The whole address of the database, with the driver that orderflow brings along. Raises `ConfigError`."""
    return _address("database_url", settings.database_url)


def vault_url(settings: Settings) -> str | None:
    """The same of the database of the keys; None if they stand beside the log. Raises `ConfigError`."""
    return _address("vault_url", settings.vault_url)


def _address(key: str, url: str | Secret | None) -> str | None:
    if isinstance(url, Secret):
        url = url.read(key)
    if url is None:
        return None
    problem = addresses.problem_of_database_url(url)
    if problem:
        raise ConfigError(f"{key}: {problem}")
    return addresses.driven(url)


def data_dir(settings: Settings) -> Path:
    """The folder of orderflow's own Postgres. Raises `ConfigError` where nobody knows whose home `~` is."""
    try:
        return settings.data_dir.expanduser()
    except RuntimeError:
        raise ConfigError(
            f"data_dir: {settings.data_dir} begins with a home that is not known; set $HOME, or give a whole path"
        ) from None


def table(path: Path | None) -> dict[str, Any]:
    """What stands in the TOML file at `path`; nothing if there is none. Raises ValueError."""
    if path is None:
        return {}
    try:
        return toml(path.expanduser())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def policy(store: StoreSettings) -> StorePolicy:
    """How a store wants its orders handled."""
    return StorePolicy(
        mode=store.mode,
        effects_from=store.effects_from,
        base_currency=store.base_currency if store.import_currency is ImportCurrency.BASE else None,
        on_refusal=store.on_refusal,
        early_accept=store.early_accept,
        shadow=store.shadow,
        environment=store.environment,
        max_attempts=store.max_attempts,
        age_limits={status: timedelta(hours=getattr(store.age_limits, status.lower())) for status in LIMITED},
        unknown_after=timedelta(minutes=store.unknown_minutes),
    )


def alert_rules(alerts: AlertSettings) -> tuple[Rule, ...]:
    """The built-in rules, those of the settings in the place of those with their names, and none that is off."""
    rules = {rule.name: rule for rule in BUILT_IN if alerts.defaults}
    rules |= {name: _alert_rule(name, given) for name, given in alerts.rules.items()}
    off = {name for name, given in alerts.rules.items() if given.off}
    return tuple(rule for name, rule in rules.items() if name not in off)


def _alert_rule(name: str, given: AlertRuleSettings) -> Rule:
    return Rule(
        name,
        classes=tuple(map(Of, given.classes)),
        outcomes=given.outcomes,
        effects=tuple(map(Effect, given.effects)),
        only=given.only,
        window=timedelta(minutes=given.window_minutes),
        at_least=given.at_least,
        orders=given.orders,
        percent=given.percent,
    )
