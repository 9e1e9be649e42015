"""The composition root: the only place that names concrete connectors and projections.

It never decides anything about an order.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Dict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa
from msgspec.structs import asdict

from orderflow import config, erasure, recovery, shops
from orderflow.audit import note, sealer, seals
from orderflow.audit.exporters import Address, Command, Exporter, Folder
from orderflow.audit.note import NoteError, PublicKey
from orderflow.audit.sealer import Sealing
from orderflow.config import AlertSettings, ConfigError, SealSettings, Settings, StoreSettings
from orderflow.connectors import Capabilities, Connector
from orderflow.connectors.glopal import Glopal
from orderflow.desk.alerts import Alerting, Program, Receiver, Webhook
from orderflow.domain.events import Destination
from orderflow.domain.policy import StorePolicy
from orderflow.erasure import Receipt, receipts
from orderflow.erasure.receipts import RegisterError
from orderflow.glopal.client import Client, Endpoint
from orderflow.glopal.description import Described, described, openapi
from orderflow.glopal.mapping import Mapping, mapping_from
from orderflow.glopal.route_settings import routes
from orderflow.intake import Feed
from orderflow.projections import Projection
from orderflow.projections.anomalies import Anomalies
from orderflow.projections.effects import Effects
from orderflow.projections.exceptions import Exceptions
from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.projections.timeline import Timeline
from orderflow.recovery import Seals, no_seals
from orderflow.relay import Breaker, Pace, Relay, Tenant, Windows
from orderflow.store import embedded, epochs
from orderflow.store.connect import connect
from orderflow.store.durability import refuse
from orderflow.store.epochs import Recovery
from orderflow.store.signing import SigningKey
from orderflow.store.vault import Vault, VaultError, in_database, master_key, of_text, open_vault

PROJECTIONS: Final[tuple[Projection, ...]] = (Orders(), Timeline(), Anomalies(), Effects(), Exceptions())
READERS: Final = (*(projection.name for projection in PROJECTIONS), Planner.name)
"""Everybody who follows the log."""


@dataclass(frozen=True, slots=True)
class Erasures:
    """The register of erasures, what signs its receipts, and whose signatures count."""

    path: Path
    signer: SigningKey
    trusted: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class App:
    """Everything wired, ready to work."""

    engine: sa.Engine
    vault: Vault
    feeds: Dict[str, Feed]
    tenants: Dict[str, Tenant]
    windows: Windows
    workers: int
    poll_seconds: Dict[str, float]
    breaker: Breaker = field(default_factory=Breaker)
    sealing: Sealing | None = None
    erasures: Erasures | None = None
    unsafe_server: tuple[str, ...] = ()
    seals: Seals = no_seals
    alerting: Alerting | None = None
    reconcile_every: Dict[str, timedelta] = field(default_factory=dict)

    def policy(self, store: str) -> StorePolicy:
        """How `store` wants its orders handled."""
        return self.tenants[store].policy

    def longest_silence(self, store: str) -> timedelta:
        """A feed that was not read for longer is read by nobody."""
        return _silence(self.poll_seconds[store])

    def relay(self, number: int = 0) -> Relay:
        """A relay worker of this process. The clock goes on while the machine sleeps."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{number}"
        return Relay(self.engine, self.vault, self.tenants, owner, boottime, windows=self.windows, breaker=self.breaker)


def _silence(poll_seconds: float) -> timedelta:
    return max(timedelta(minutes=1), timedelta(seconds=10 * poll_seconds))


def returned(app: App) -> list[Receipt]:
    """Receipts of the register whose keys are alive: nobody may work before they are destroyed once more.

    Raises `RegisterError`.
    """
    if app.erasures is None:
        return []
    if not app.erasures.path.exists():
        if erasure.begun(app.engine, app.vault):
            raise RegisterError(f"the register {app.erasures.path} is missing, and keys were erased: put it back")
        return []
    return erasure.returned(app.engine, app.vault, list(receipts.read(app.erasures.path, app.erasures.trusted)))


def boottime() -> float:
    """Seconds on a clock that counts suspension too, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the database: yours, or that of an embedded Postgres which runs as long as this context."""
    with ExitStack() as stack:
        url = config.database_url(settings)
        if url is None:
            url = stack.enter_context(embedded.start(config.data_dir(settings) / "postgres")).url
        yield url


def build(settings: Settings, url: str) -> App:
    """Wire everything for the database at `url`."""
    pooled = pool_size(settings)
    engine, keys_at = connect(url, pool_size=pooled), config.vault_url(settings)
    keys_engine = None if keys_at is None else connect(keys_at, pool_size=pooled)
    sealed_by = sealing(settings.seal)
    polls = {name: store.glopal.poll_seconds for name, store in settings.stores.items()}
    return App(
        engine=engine,
        vault=in_database(_vault(settings, keys_engine), engine),
        feeds={name: _feed(name, store) for name, store in settings.stores.items()},
        tenants={name: _tenant(name, store, settings) for name, store in settings.stores.items()},
        windows=Windows(**asdict(settings.windows)),
        breaker=Breaker(**asdict(settings.breaker)),
        workers=settings.workers,
        poll_seconds=polls,
        sealing=sealed_by,
        erasures=erasures(settings),
        unsafe_server=settings.unsafe_server,
        seals=no_seals if sealed_by is None else partial(sealer.newest_outside, sealed_by),
        alerting=alerting(settings),
        reconcile_every={
            name: timedelta(hours=store.reconcile_hours)
            for name, store in settings.stores.items()
            if store.reconcile_hours
        },
    )


def pool_size(settings: Settings) -> int:
    """Connections that a process keeps at each of its databases."""
    return settings.workers + len(settings.stores) + 4


def start(app: App) -> list[Recovery]:
    """What comes before anything is written: a server that forgets is refused, one that was restored is noticed.

    Returns the recoveries that keep effects back. Raises `UnsafeServerError`.
    """
    with app.engine.begin() as conn:
        refuse(conn, app.unsafe_server)
    notice(app)
    return kept_back(app)


def notice(app: App) -> list[Recovery]:
    """Compare the database with its server at the last start and with its seals; what was noticed now."""
    return recovery.notice(app.engine, sorted(app.tenants), app.seals)


def kept_back(app: App) -> list[Recovery]:
    """The recoveries that keep effects back."""
    with app.engine.begin() as conn:
        found = (epochs.pending(conn, store) for store in sorted(app.tenants))
        return [one for one in found if one is not None]


def mistakes(settings: Settings) -> Iterator[str]:
    """What only shows when things are put together: keys, routes, mappings, the master key. Nobody is called."""
    parts: list[Callable[[], object]] = [partial(config.database_url, settings), partial(config.vault_url, settings)]
    parts += [partial(_vault, settings), partial(sealing, settings.seal), partial(erasures, settings)]
    parts += [partial(alerting, settings)]
    parts += [partial(config.data_dir, settings)] if settings.database_url is None else []
    for name, store in settings.stores.items():
        parts += [partial(_client, name, store, 1.0), partial(mapping_of, name, store)]
        parts += [partial(_shop, name, store, Mapping(), 1.0)]
    for part in parts:
        try:
            part()
        except ConfigError as error:
            yield from error.mistakes


def close(app: App) -> None:
    """Give up every connection, to the database and to the world."""
    app.engine.dispose()
    if app.vault.engine is not None:
        app.vault.engine.dispose()
    for exporter in app.sealing.exporters if app.sealing else ():
        if isinstance(exporter, Address):
            exporter.endpoint.close()
    for receiver in app.alerting.receivers if app.alerting else ():
        if isinstance(receiver, Webhook):
            receiver.endpoint.close()
    for feed in app.feeds.values():
        feed.client.close()
    for tenant in app.tenants.values():
        for connector in tenant.connectors.values():
            connector.close()


def erasures(settings: Settings) -> Erasures | None:
    """The register, if the settings name one. Raises `ConfigError`."""
    if settings.erasures is None:
        return None
    seals_ = sealing(settings.seal)
    if seals_ is None:
        raise ConfigError("seal.key: is missing: `erasures` names a register, and its receipts are signed")
    return Erasures(settings.erasures, seals_.signer.key, tuple(key.raw for key in seals_.signer.trusted))


def _vault(settings: Settings, engine: sa.Engine | None = None) -> Vault:
    """The vault of the master keys that the settings name; `engine` leads to its own database, where it has one."""
    key, second = "master_key_file", settings.second_master_key
    try:
        if settings.master_key is not None:
            key = "master_key"
            first = of_text(settings.master_key.read(key))
        else:
            first = master_key((settings.master_key_file or Path()).expanduser())
        vault = open_vault(first, engine=engine)
        if second is None:
            return vault
        key = "second_master_key"
        return open_vault(first, of_text(second.read(key)), engine=engine)
    except VaultError as error:
        hint = "one is made with `head -c 32 /dev/urandom | base64 > FILE`, once for ever"
        raise ConfigError(f"{key}: {error}; {hint}") from None


def sealing(seal: SealSettings) -> Sealing | None:
    """Who seals the logs, and who gets the seals; None without a key."""
    if seal.key is None:
        return None
    secret = seal.key.read("seal.key")
    with _blaming("seal.key"):
        signer = seals.signer(secret, tuple(_former(text) for text in seal.former_keys))
    return Sealing(signer, seal.every, tuple(_exporters(seal)), seal.folder)


def _former(text: str) -> PublicKey:
    try:
        return note.public_key(text)
    except NoteError as error:
        raise ConfigError(f"seal.former_keys: {error}") from None


def _exporters(seal: SealSettings) -> Iterator[Exporter]:
    if seal.folder is not None:
        yield Folder(seal.folder)
    if seal.command:
        yield Command(seal.command)
    if seal.url is not None and seal.url_key is not None:
        key = seal.url_key.read("seal.url_key")
        with _blaming("seal.url"):
            yield Address(Endpoint(seal.url, key))


def alerting(settings: Settings) -> Alerting:
    """The alert rules, and who is told: nobody, without an address or a command. Raises `ConfigError`."""
    silences = {name: _silence(store.glopal.poll_seconds) for name, store in settings.stores.items()}
    given = settings.alerts
    return Alerting(config.alert_rules(given), tuple(_receivers(given)), given.every, silences)


def _receivers(given: AlertSettings) -> Iterator[Receiver]:
    if given.command:
        yield Program(given.command)
    if given.url is not None and given.url_key is not None:
        key = given.url_key.read("alerts.url_key")
        with _blaming("alerts.url"):
            yield Webhook(Endpoint(given.url, key))


def _client(name: str, store: StoreSettings, call_seconds: float) -> Client:
    glopal = store.glopal
    key = glopal.key.read(f"stores.{name}.glopal.key")
    table = route_table(name, store).routes
    with _blaming(f"stores.{name}.glopal"):
        return Client(glopal.base_url, glopal.store_id or name, key, routes=table, total_seconds=call_seconds)


def route_table(name: str, store: StoreSettings) -> Described:
    """The routes of a store out of defaults, Glopal's own description and settings, and what is to be said of them."""
    glopal, key = store.glopal, f"stores.{name}.glopal"
    if glopal.openapi is None:
        with _blaming(key):
            return Described(routes(glopal.routes), {})
    with _blaming(f"{key}.openapi"):
        document = openapi.load(glopal.openapi)
    with _blaming(key):
        found = described(document, glopal.routes, glopal.base_url)
        return Described(routes(glopal.routes, found.routes), found.notes)


def _feed(name: str, store: StoreSettings) -> Feed:
    glopal = store.glopal
    trailing, patience = timedelta(minutes=glopal.trailing_minutes), timedelta(seconds=glopal.patience_seconds)
    return Feed(name, _client(name, store, 30.0), glopal.events, glopal.page_size, trailing, patience)


def _tenant(name: str, store: StoreSettings, settings: Settings) -> Tenant:
    mapping = mapping_of(name, store)
    at_glopal = Capabilities(drafts=False, settle_window=store.glopal.settle_seconds)
    policy = config.policy(store)
    glopal = Glopal(_client(name, store, settings.windows.call), mapping, at_glopal, policy.base_currency)
    connectors: dict[Destination, Connector] = {
        Destination.GLOPAL: glopal,
        Destination.SHOP: _shop(name, store, mapping, settings.windows.call),
    }
    paces = {Destination.GLOPAL: store.glopal.pace, Destination.SHOP: store.shop.pace}
    return Tenant(policy, connectors, {place: Pace(**asdict(pace)) for place, pace in paces.items()})


def mapping_of(name: str, store: StoreSettings) -> Mapping:
    """Where things stand in the order details of a store."""
    with _blaming(f"stores.{name}.glopal.mapping"):
        return mapping_from(config.table(store.glopal.mapping))


def rehearsal(name: str, store: StoreSettings, mapping: Mapping) -> Connector:
    """A shop connector that freezes what the real one would, and can send nothing: it has neither address nor key."""
    nowhere = msgspec.structs.replace(store.shop, base_url="https://rehearsal.invalid")
    with _blaming(f"stores.{name}.shop"):
        return shops.connector(nowhere, "none", mapping, 1.0)


def _shop(name: str, store: StoreSettings, mapping: Mapping, call_seconds: float) -> Connector:
    key = store.shop.key.read(f"stores.{name}.shop.key")
    with _blaming(f"stores.{name}.shop"):
        return shops.connector(store.shop, key, mapping, call_seconds)


@contextmanager
def _blaming(key: str) -> Iterator[None]:
    """An address, key, route or path that cannot be is a mistake in the settings."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None
