"""orderflow as it is called from here: the one place that knows its functions by name.

It must never do less than the product does for the same thing.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from msgspec import structs

from bench.ground import plain
from bench.measure import together
from orderflow import app as composition
from orderflow import history, intake, projections, relay, work
from orderflow import replay as replaying
from orderflow.app import App
from orderflow.cli.card import card
from orderflow.cli.finding import find
from orderflow.config import GlopalSettings, Secret, Settings, ShopSettings, StoreSettings
from orderflow.connectors import Connector
from orderflow.domain.events import Destination
from orderflow.domain.policy import StorePolicy
from orderflow.glopal.codec import Element, Page, read_page
from orderflow.projections import beside
from orderflow.projections.orders import Orders
from orderflow.relay import Tenant
from orderflow.sandbox import Glopal, serve
from orderflow.store import log, reading
from orderflow.store import verify as verification
from orderflow.store.connect import connect, transact
from orderflow.store.entry import Entry
from orderflow.store.log import Conflict, Result, Unit
from orderflow.store.vault import Key, keys_of, open_vault, seal
from orderflow.store.writer import Writer

STORE: Final = "acme"
MASTER: Final = bytes(range(32))
VAULT: Final = open_vault(MASTER)
POLICY: Final = StorePolicy()
META: Final = '{"machine":2}'
READS_BY: Final = reading.PAGE
"""Events of a page when a whole log is read."""


# ---- append ----------------------------------------------------------------------------------------------------------


@contextmanager
def appender(url: str, producers: int) -> Iterator[Callable[[str, Unit], Result]]:
    """How a unit is appended by any thread of a process; what it returns is durable."""
    engine = connect(url, pool_size=producers)
    try:
        with Writer(engine) as writer:
            yield writer.append
    finally:
        engine.dispose()


def key_of(url: str, order_ids: Sequence[str]) -> dict[str, Key]:
    """The vault keys of these orders."""
    engine = connect(url)
    try:
        return transact(engine, lambda conn: keys_of(conn, VAULT, STORE, order_ids))
    finally:
        engine.dispose()


def sealed(key: Key, order_id: str, source_id: str, body: bytes, clear: str) -> Entry:
    """A report with its body sealed, as intake makes it."""
    entry = Entry(order_id, "OrderReceived", "glopal", source_id, clear, None, None, META)
    return structs.replace(entry, body=seal(VAULT, key, body, entry.event_id, "body"))


def refused(result: Result) -> bool:
    """Has the log refused this unit because of its version?"""
    return isinstance(result, Conflict)


# ---- intake and import -----------------------------------------------------------------------------------------------


def page(raw: bytes) -> Sequence[Element]:
    """The elements of a page as the feed sends it."""
    read = read_page(raw)
    assert isinstance(read, Page), read
    return read.elements


def record(engine: sa.Engine, elements: Sequence[Element]) -> int:
    """Record a page: keys, sealing, leaves, duplicates, chain; how many were new."""
    return transact(engine, lambda conn: intake.record(conn, VAULT, STORE, elements))


def append_all(engine: sa.Engine, entries: Iterable[Entry]) -> list[Result]:
    """Append facts that stand alone, in one call and one commit."""
    return transact(engine, lambda conn: log.append(conn, STORE, log.one_each(entries)))


def import_file(url: str, path: Path) -> int:
    """Bring a history of feed events, one a line, into the log as `orderflow import` does; how many."""
    engine, count = connect(url), 0
    try:
        with path.open("rb") as file:
            for progress in history.record(engine, VAULT, STORE, file):
                count = progress.new
    finally:
        engine.dispose()
    return count


# ---- reading ---------------------------------------------------------------------------------------------------------


@contextmanager
def reader(url: str) -> Iterator[sa.Connection]:
    """A connection as the product's readers have it."""
    engine = connect(url)
    try:
        with engine.begin() as conn:
            yield conn
    finally:
        engine.dispose()


def replay(conn: sa.Connection) -> tuple[int, int]:
    """Read, decode and fold the whole log; how many events and orders."""
    position = orders = 0
    for reached in replaying.replay(conn, STORE, log.head(conn, STORE)):
        position, orders = reached.position, orders + len(reached.folded)
    return position, orders


def verify(url: str) -> int:
    """Verify contiguity, leaves, chain and streams; the last position."""
    engine, last = connect(url), 0
    try:
        with engine.begin() as conn:
            for position in verification.verify(conn, STORE):
                last = position
    finally:
        engine.dispose()
    return last


def read_page_at(engine: sa.Engine, after: int, limit: int = 100) -> int:
    """One page of the log behind a position."""
    with engine.begin() as conn:
        return len(log.read(conn, STORE, after, limit))


def show(app: App, order_id: str) -> object:
    """What `orderflow orders show` finds out about an order."""
    with app.engine.begin() as conn:
        return card(conn, app, find(app, conn, f"{STORE}/{order_id}"), "show")


# ---- projections -----------------------------------------------------------------------------------------------------


def catch_up_all(app: App) -> int:
    """Let all readers of `orderflow work` follow the log until there is nothing left; how many events."""
    done = 0
    while count := work.project(app, STORE):
        done += count
    return done


def before_rebuild(url: str) -> None:
    """A rebuild beside the live read model needs a live one."""
    engine, following = connect(url), [Orders()]
    while transact(engine, lambda conn: projections.catch_up(conn, STORE, following, POLICY)):
        pass
    engine.dispose()


def rebuild_orders(url: str) -> int:
    """Rebuild the orders projection from position 1; how many events."""
    engine, done = connect(url), 0

    def reached(position: int) -> None:
        nonlocal done
        done = position

    try:
        beside.rebuild(engine, STORE, Orders(), POLICY, reached)
        return done
    finally:
        engine.dispose()


# ---- the whole -------------------------------------------------------------------------------------------------------


@contextmanager
def wired(
    home: Path, url: str, glopal: str, shop: str, stores: Sequence[str], workers: int, **more: Any
) -> Iterator[App]:
    """Orderflow as an integrator would set it up for these addresses, all files below `home`."""
    key_file = home / "master.key"
    if not key_file.exists():
        key_file.write_text(base64.b64encode(MASTER).decode())
        (home / "glopal.key").write_text("GL.sandbox")
        (home / "shop.key").write_text("shop-sandbox")
    at_glopal = GlopalSettings(glopal, Secret(file=home / "glopal.key"), poll_seconds=more.get("poll_seconds", 0.2))
    at_shop = ShopSettings(shop, Secret(file=home / "shop.key"))
    settings = Settings(
        stores={name: StoreSettings(at_glopal, at_shop) for name in stores},
        master_key_file=key_file,
        data_dir=home,
        workers=workers,
    )
    app = composition.build(settings, url)
    try:
        yield app
    finally:
        composition.close(app)


def with_connectors(app: App, connector: Connector) -> App:
    """The same with one connector for everything, and nothing pulled."""
    both = {Destination.GLOPAL: connector, Destination.SHOP: connector}
    tenants = {name: Tenant(tenant.policy, both) for name, tenant in app.tenants.items()}
    return replace(app, tenants=tenants, feeds={})


def drafts_due(home: Path, url: str, orders: int) -> None:
    """So many received orders with fetched details, whose drafts are planned: all by orderflow itself."""
    glopal = Glopal(clock=lambda: datetime.now(UTC), rng=Random(1))  # noqa: S311  a play, not a secret
    glopal.open(STORE)
    for _ in range(orders):
        glopal.place(STORE)
    with serve(glopal.handle) as at_glopal, wired(home, url, at_glopal.url, at_glopal.url, [STORE], 1) as app:
        while intake.pull(app.engine, app.vault, app.feeds[STORE]).new:
            pass
        catch_up_all(app)
        together(4, lambda number: _until_rest(app.relay(number)))
        catch_up_all(app)
        with app.engine.begin() as conn:
            planned = conn.scalar(sa.text("SELECT count(*) FROM orderflow.outbox WHERE effect = 'draft'"))
    assert planned == orders, planned


def _until_rest(worker: relay.Relay) -> None:
    while relay.step(worker):
        pass


@contextmanager
def watching(url: str, effect: str) -> Iterator[Callable[[], int]]:
    """Ask, by one connection, how many outbox rows of this effect have not ended."""
    with psycopg.connect(plain(url), autocommit=True) as conn:

        def open_rows() -> int:
            row = conn.execute("SELECT count(*) FROM orderflow.outbox WHERE effect = %s", [effect]).fetchone()
            return int(row[0]) if row else 0

        yield open_rows


@contextmanager
def running(app: App) -> Iterator[None]:
    """All the loops of `orderflow work` in threads of this process."""
    stop = threading.Event()
    thread = threading.Thread(target=work.work, args=(app, stop), name="work")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def prompt(app: App) -> App:
    """The same, asking Glopal soon whether an accept took effect: nothing else of that shows in a throughput."""
    soon = tuple(timedelta(seconds=s) for s in (0, 1, 2, 4, 8, 16))
    tenants = {name: replace(one, policy=replace(one.policy, ask_again=soon)) for name, one in app.tenants.items()}
    return replace(app, tenants=tenants)


def quiet() -> None:
    """Nothing of the caller's environment changes what is measured."""
    for name in [name for name in os.environ if name.startswith(("PG", "ORDERFLOW_"))]:
        del os.environ[name]
