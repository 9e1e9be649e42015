"""Examines an installation: settings, database, and how the river flows; before going live also Glopal and the shop.

It never writes anything anywhere: not into the log, not at Glopal, not in the shop.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from orderflow import app as composition
from orderflow import config
from orderflow.app import App
from orderflow.config import Reading, Settings, data_dir
from orderflow.doctor import at_glopal, at_shop, database, flow, newest, plausible
from orderflow.doctor.finding import Finding, Level, failure, ok, warning
from orderflow.erasure.receipts import RegisterError
from orderflow.store import log
from orderflow.store.embedded import EmbeddedError
from orderflow.store.migrate import VAULT

__all__ = ["Finding", "Level", "examined"]

_LEAST_SPACE: Final = 2 * 1024**3


def examined(
    reading: Reading, stores: Sequence[str] = (), *, go_live: bool = False, command: str = "orderflow"
) -> Iterator[Finding]:
    """Every finding, in the order of looking; `stores`: only these. `command` is how to call orderflow in advice."""
    settings = reading.settings
    mistakes = list(reading.mistakes if settings is None else composition.mistakes(settings))
    yield from (failure("settings", *_halves(mistake)) for mistake in mistakes)
    yield from (warning("settings", *_halves(doubt)) for doubt in reading.warnings)
    if settings is None or mistakes:
        return
    yield ok("settings", f"good, for {', '.join(sorted(settings.stores))}")
    yield from _with_database(settings, stores or sorted(settings.stores), go_live=go_live, command=command)


def _halves(told: str) -> tuple[str, str]:
    """What was found, and how to mend it: what is told of settings names the key and what would be right."""
    key = told.partition(": ")[0]
    return told, f"mend {key.split()[0]}; docs/reference/settings.md explains it"


def _with_database(settings: Settings, stores: Sequence[str], *, go_live: bool, command: str) -> Iterator[Finding]:
    try:
        with composition.database(settings) as url:
            if settings.database_url is None:
                yield _space(settings)
            keys_at = config.vault_url(settings)
            shared = keys_at is not None and _server(keys_at) == _server(url)
            yield from database.checked(url, settings, command, shared=shared)
            fit = database.is_fit(url)
            if keys_at is not None:
                found = database.checked(keys_at, settings, command, VAULT, shared=shared)
                yield from (replace(one, check=f"keys: {one.check}") for one in found)
                fit = fit and database.is_fit(keys_at, VAULT)
            if not fit:
                return
            app = composition.build(settings, url)
            try:
                yield from _erasures(app, command)
                for store in stores:
                    yield from _store(app, settings, store, go_live=go_live, command=command)
            finally:
                composition.close(app)
    except EmbeddedError as error:
        yield failure(
            "database", f"orderflow's own Postgres does not start: {error}", "mend data_dir, or set database_url"
        )


def _server(url: str) -> tuple[object, ...]:
    """Where a URL leads to, whatever the database there."""
    address = sa.make_url(url)
    return address.host, address.port or 5432, address.query.get("host"), address.query.get("port")


def _erasures(app: App, command: str) -> Iterator[Finding]:
    """Whether what was erased stays erased."""
    if app.erasures is None:
        return
    again = f"`{command} erase --reapply {app.erasures.path} --yes`"
    try:
        back = len(composition.returned(app))
    except RegisterError as error:
        yield failure("erasures", str(error), "put the true register back; seal.former_keys names former keys")
        return
    if back:
        yield failure("erasures", f"{back} are undone, as after a restore of the database", again)
    else:
        yield ok("erasures", f"all that {app.erasures.path} names are done")


def _space(settings: Settings) -> Finding:
    home = data_dir(settings).absolute()
    folder = next(one for one in (home, *home.parents) if one.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GB are free for orderflow's own Postgres"
    return ok("disk", found) if free >= _LEAST_SPACE else warning("disk", found, "make room, or move data_dir")


def _store(app: App, settings: Settings, name: str, *, go_live: bool, command: str) -> Iterator[Finding]:
    store, client = settings.stores[name], app.feeds[name].client
    with app.engine.connect() as conn:
        yield from flow.checked(conn, app, name, command)
        recorded = log.head(conn, name) > 0
        order_ids = newest.recorded(conn, name)
    if go_live:  # no transaction stands open while the world is asked
        yield from at_glopal.checked(name, store, client, command, recorded=recorded)
        yield from newest.checked(name, store, client, order_ids, command)
        yield from at_shop.checked(name, store)
        yield from plausible.checked(name, store, settings)
