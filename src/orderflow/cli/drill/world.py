"""The stage of the drill: a fake Glopal and a fake shop that live through the disaster, and a worker to be stopped.

It never uses anything outside its own directory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import sqlalchemy as sa

from orderflow import app as composition
from orderflow import work
from orderflow.app import App
from orderflow.cli.demo.world import wired
from orderflow.config import GlopalSettings, Secret, Settings, ShopSettings, StoreSettings, WindowSettings
from orderflow.sandbox import App as Handler
from orderflow.sandbox import Faults, Glopal, GlopalOptions, Request, Response, Shop, serve
from orderflow.store import epochs
from orderflow.store.tables import events
from orderflow.store.vault import new_master_key

STORE: Final = "acme"
_WINDOWS: Final = WindowSettings(send=1.0, call=1.5, get_settle=1.0, look_up=0.3, retry=0.3, longest=2.0)
_SETTLES: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sealed:
    """What somebody noted of the log outside the database."""

    size: int
    epoch: int
    chain: bytes


@dataclass
class World:
    """What a restore does not set back: Glopal, the shop, the count of what was asked of them, a seal."""

    home: Path
    glopal: Glopal
    shop: Shop
    shop_faults: Faults
    urls: tuple[str, str]
    calls: dict[str, int]
    seal: Sealed | None = None
    orders: list[str] = field(default_factory=list)

    def place(self, *, ready: bool = False) -> str:
        """A buyer orders; `ready`: and pays."""
        order_id = self.glopal.place(STORE)
        if ready:
            self.glopal.ready(STORE, order_id)
        self.orders.append(order_id)
        return order_id

    def app(self, url: str) -> App:
        """The application on the database at `url`, with the seal that is known outside."""
        return replace(wired(self._settings(), url), seals=lambda _store: self.seal)

    def note_seal(self, app: App) -> None:
        """Note the end of the log outside the database."""
        query = sa.select(events.c.position, events.c.hash).where(events.c.store == STORE)
        with app.engine.begin() as conn:
            size, chain = conn.execute(query.order_by(events.c.position.desc()).limit(1)).one()
            self.seal = Sealed(size, epochs.current(conn, STORE), bytes(chain))

    def made(self) -> int:
        """How many shop orders there ever were, drafts included."""
        return len(self.shop.ledger())

    def withdrawn(self) -> int:
        """How many of them are gone."""
        return sum(entry.state in {"cancelled", "deleted"} for entry in self.shop.ledger())

    def accepted(self) -> int:
        """How many orders were accepted at Glopal."""
        return sum(bool(entry.applied_accepts) for entry in self.glopal.ledger(STORE))

    def _settings(self) -> Settings:
        at_glopal, at_shop = self.urls
        key = self.home / "key"
        glopal = GlopalSettings(at_glopal, Secret(file=key), poll_seconds=0.2, settle_seconds=_SETTLES)
        shop = ShopSettings(at_shop, Secret(file=key), settle_seconds=_SETTLES)
        return Settings(
            stores={STORE: StoreSettings(glopal, shop)},
            master_key_file=self.home / "master.key",
            data_dir=self.home,
            windows=_WINDOWS,
        )


@contextmanager
def staged(home: Path, seed: int) -> Iterator[World]:
    """Glopal and the shop on real HTTP."""
    key = "GL.drill"
    options = GlopalOptions(emit_accepted_completed=True, get_lag=timedelta(milliseconds=50))
    glopal = Glopal(clock=_now, rng=Random(seed), key=key, options=options)  # noqa: S311  a play, not a secret
    glopal.open(STORE)
    shop = Shop(clock=_now, rng=Random(seed + 1), key=key)  # noqa: S311  as above
    (home / "key").write_text(key)
    new_master_key(home / "master.key")
    calls = {"reads": 0, "writes": 0}
    faults = Faults()
    with (
        serve(_counted(glopal.handle, calls)) as at_glopal,
        serve(_counted(shop.handle, calls), faults) as at_shop,
    ):
        yield World(home, glopal, shop, faults, (at_glopal.url, at_shop.url), calls)


def _counted(handle: Handler, calls: dict[str, int]) -> Handler:
    lock = threading.Lock()

    def counting(request: Request) -> Response:
        with lock:
            calls["reads" if request.method == "GET" else "writes"] += 1
        return handle(request)

    return counting


@contextmanager
def working(app: App) -> Iterator[None]:
    """A worker, until the context is left."""
    stop = threading.Event()
    worker = threading.Thread(target=work.work, args=(app, stop), name="work")
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


@contextmanager
def running(world: World, url: str) -> Iterator[App]:
    """The application, closed again at the end."""
    app = world.app(url)
    try:
        yield app
    finally:
        composition.close(app)


def _now() -> datetime:
    return datetime.now(UTC)
