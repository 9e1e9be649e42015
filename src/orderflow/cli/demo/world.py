"""The stage of the demo: a fake Glopal and a fake shop on loopback HTTP with faults, and orderflow wired to them.

It never uses anything outside its own directory, and every wait is short: seconds stand for hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from orderflow import app as composition
from orderflow.app import App
from orderflow.config import GlopalSettings, Secret, Settings, ShopSettings, StoreSettings, WindowSettings
from orderflow.domain.policy import StorePolicy
from orderflow.sandbox import Faults, Glopal, GlopalOptions, Player, Shop, lives, serve
from orderflow.sandbox.faults import Kind
from orderflow.store import embedded, migrate
from orderflow.store.vault import new_master_key

STORES: Final = ("acme", "globex")
WINDOWS: Final = WindowSettings(send=1.5, call=1.5, get_settle=3.0, look_up=0.3, retry=0.3, longest=2.0)
SETTLES: Final = 0.5
_RATES: Final[dict[Kind, float]] = {
    "cut_before": 0.010,
    "cut_after": 0.015,
    "late": 0.005,
    "throttled": 0.010,
    "error_500": 0.005,
    "error_503": 0.010,
    "error_after": 0.005,
}
"""Probability of each fault for each request; what the script of the lives asks for comes on top."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything on stage. The player and its faults run until told to stop."""

    app: App
    glopal: Glopal
    shop: Shop
    player: Player
    faults: tuple[Faults, Faults]
    url: str

    def start(self) -> None:
        """Let the orders live."""
        self.player.start(_now)

    def calm(self) -> None:
        """No more faults."""
        for faults in self.faults:
            faults.stop()

    @property
    def fault_count(self) -> int:
        """Faults so far."""
        return sum(faults.counts.total() - faults.counts["none"] for faults in self.faults)


@contextmanager
def staged(home: Path, orders: int, seed: int) -> Iterator[World]:
    """A database, the fakes and orderflow, all under `home`; gone at the end."""
    rng = Random(seed)  # noqa: S311  a play, not a secret
    glopal = Glopal(clock=_now, rng=Random(seed + 1), options=_options())  # noqa: S311  as above
    glopal.open(*STORES)
    shop = Shop(clock=_now, rng=Random(seed + 2))  # noqa: S311  as above
    at_glopal, at_shop = _faults(seed + 3), _faults(seed + 4)
    with (
        embedded.start(home / "postgres", durable=False) as server,
        serve(glopal.handle, at_glopal) as glopal_server,
        serve(shop.handle, at_shop) as shop_server,
    ):
        migrate.upgrade(server.url)
        app = wired(_settings(home, glopal_server.url, shop_server.url), server.url)
        spread = timedelta(seconds=max(2.0, orders / 8))
        script = lives(rng, orders, STORES, spread=spread, pace=2.0)
        player = Player(script, glopal, glopal_faults=at_glopal, shop_faults=at_shop, begin=_now())
        try:
            yield World(app, glopal, shop, player, (at_glopal, at_shop), server.url)
        finally:
            player.stop()
            composition.close(app)


def wired(settings: Settings, url: str) -> App:
    """The application with the demo's patience: what takes hours in earnest takes seconds here."""
    app = composition.build(settings, url)
    tenants = {name: replace(tenant, policy=_hasty(tenant.policy)) for name, tenant in app.tenants.items()}
    return replace(app, tenants=tenants)


def _hasty(policy: StorePolicy) -> StorePolicy:
    return replace(
        policy,
        ask_again=tuple(timedelta(seconds=s) for s in (0, 1, 2, 4, 8, 16)),
        reap_after=(timedelta(seconds=4), timedelta(seconds=6)),
    )


def _settings(home: Path, glopal_url: str, shop_url: str) -> Settings:
    """What an integrator writes into orderflow.toml; see docs/reference/settings.md."""
    new_master_key(home / "master.key")
    for name, secret in (("glopal.key", "GL.sandbox"), ("shop.key", "shop-sandbox")):
        (home / name).write_text(secret)
    glopal = GlopalSettings(glopal_url, Secret(file=home / "glopal.key"), poll_seconds=0.2, settle_seconds=SETTLES)
    shop = ShopSettings(shop_url, Secret(file=home / "shop.key"), settle_seconds=SETTLES)
    return Settings(
        stores={name: StoreSettings(glopal, shop) for name in STORES},
        master_key_file=home / "master.key",
        data_dir=home,
        windows=WINDOWS,
    )


def _options() -> GlopalOptions:
    """Glopal's GET lags a little behind its events, as the real one may."""
    return GlopalOptions(emit_accepted_completed=True, get_lag=timedelta(milliseconds=50))


def _faults(seed: int) -> Faults:
    """Late requests are executed sooner than the look-ups count that would miss them."""
    return Faults(Random(seed), _RATES, delay=lambda: timedelta(seconds=1))  # noqa: S311  as above


def _now() -> datetime:
    return datetime.now(UTC)
