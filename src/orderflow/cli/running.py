"""Commands that run orderflow: migrate, work, pull, pause, resume.

They never change an order by themselves; what `work` does, the store's policy decides.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType
from typing import Annotated, Final

import typer

from orderflow import app as composition
from orderflow import intake
from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.store import migrate as migrations
from orderflow.store import progress
from orderflow.store.connect import transact

SCOPES: Final = ("pull", "glopal", "shop")
_KILLED: Final = 130


def migrate(ctx: typer.Context) -> None:
    """Bring the database to the newest schema. Safe to repeat."""
    with composition.database(means.settings(ctx)) as url:
        before = migrations.current(url)
        migrations.upgrade(url)
        after = migrations.current(url)
    done = f"migrated from {before or 'nothing'} to {after}" if before != after else f"at {after} already"
    means.console().print(f"the database is {done}")


def work(ctx: typer.Context) -> None:
    """Pull, project and carry out what is due until stopped (Ctrl-C or SIGTERM; a second one ends it at once).

    Any number of workers may run, on any number of machines.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            os._exit(_KILLED)  # safe at any moment: an intent without outcome is looked up later
        stop.set()

    with means.opened(ctx) as app:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, end)
        names = ", ".join(sorted(app.tenants))
        means.say(f"working for {names} with {app.workers} relay workers; Ctrl-C stops")
        composition.work(app, stop)
    means.say("stopped")


def pull(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    once: Annotated[bool, typer.Option("--once/--all", help="One page, or pages until nothing is new.")] = False,
) -> None:
    """Pull Glopal's events now, and bring the read models up to date. Nothing is sent to anyone."""
    with means.opened(ctx) as app:
        stopped = [_pull(app, name, once=once) for name in means.stores(app, store)]
    if any(stopped):
        raise typer.Exit(means.REFUSED)


def _pull(app: App, store: str, *, once: bool) -> bool:
    """Pull one store and say what came; whether it was stopped."""
    seen = new = 0
    while True:
        pulled = intake.pull(app.engine, app.vault, app.feeds[store])
        seen, new = seen + pulled.seen, new + pulled.new
        if once or not pulled.more:
            break
    while composition.project(app, store):
        pass
    means.say(f"{store}: {seen} events seen, {new} new")
    if pulled.stopped:
        means.complain(f"{store}: the pull is paused: {pulled.stopped}")
    elif pulled.wait:
        means.complain(f"{store}: Glopal wants to be asked again in {pulled.wait:.0f} s")
    return bool(pulled.stopped or pulled.wait)


Scope = Annotated[str, typer.Argument(help="pull, glopal or shop", metavar="SCOPE", show_default=False)]


def pause(
    ctx: typer.Context,
    store: means.Store,
    scope: Scope,
    why: Annotated[str, typer.Option(help="The reason, for others to read.")] = "paused by hand",
    by: means.By = "",
) -> None:
    """Stop pulling, or stop sending to Glopal or to the shop, for one store. What is due waits."""
    with means.opened(ctx) as app:
        means.known_store(app, store)
        transact(app.engine, lambda conn: progress.pause(conn, store, _scope(scope), why, by or means.user()))
    means.say(f"{scope} of {store} is paused; `{means.means(ctx).command} resume {store} {scope}` lifts it")


def resume(ctx: typer.Context, store: means.Store, scope: Scope) -> None:
    """Lift a pause."""
    with means.opened(ctx) as app:
        means.known_store(app, store)
        lifted = transact(app.engine, lambda conn: progress.resume(conn, store, _scope(scope)))
    means.say(f"{scope} of {store} goes on" if lifted else f"{scope} of {store} was not paused")


def _scope(scope: str) -> str:
    if scope not in SCOPES:
        raise Failure(f"there is no scope {scope}; there are {', '.join(SCOPES)}")
    return scope
