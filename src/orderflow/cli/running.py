"""Commands that run orderflow: migrate, work, pull.

They never change an order by themselves; what `work` does, the store's policy decides.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType
from typing import Annotated, Any

import typer
from rich.progress import Progress

from orderflow import app as composition
from orderflow import intake
from orderflow import work as worker
from orderflow.app import App
from orderflow.cli import exits, means
from orderflow.cli.checking import bar
from orderflow.store import migrate as migrations


def migrate(
    ctx: typer.Context,
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be run on an empty database, for those whose DBA runs it.")
    ] = False,
    as_json: means.AsJson = False,
) -> None:
    """Bring the database to the newest schema. Safe to repeat; all of it is done, or nothing."""
    if sql:
        means.say(migrations.sql())
        return
    with composition.database(means.settings(ctx)) as url:
        before = migrations.current(url)
        migrations.upgrade(url)
        after = migrations.current(url)
    if as_json:
        means.print_json({"from": before, "to": after})
        return
    done = f"migrated from {before or 'nothing'} to {after}" if before != after else f"at {after} already"
    means.say(f"the database is {done}")


def work(ctx: typer.Context) -> None:
    """Pull, project and carry out what is due until stopped (Ctrl-C or SIGTERM; a second one ends it at once).

    Any number of workers may run, on any number of machines.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            os._exit(exits.INTERRUPTED)  # safe at any moment: an intent without outcome is looked up later
        stop.set()

    with means.acting(ctx) as app:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, end)
        names = ", ".join(sorted(app.tenants))
        means.say(f"working for {names} with {app.workers} relay workers; Ctrl-C stops")
        worker.work(app, stop)
    means.say("stopped")


def pull(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    once: Annotated[bool, typer.Option("--once/--all", help="One page, or pages until nothing is new.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Pull Glopal's events now, and bring the read models up to date. Nothing is sent to anyone.

    Every page is recorded with the place behind it, so that after an interruption the next pull goes on from there.
    """
    with means.acting(ctx) as app, bar() as shown:
        done = [_pull(app, name, shown, once=once) for name in means.stores(app, store)]
    if as_json:
        means.print_json(done)
    for one in done:
        if not as_json:
            means.say(f"{one['store']}: {one['seen']} events seen, {one['new']} new")
        if one["stopped"]:
            means.complain(f"{one['store']}: the pull is paused: {one['stopped']}")
        elif one["ask_again_in"]:
            means.complain(f"{one['store']}: Glopal gave no answer; ask again in {one['ask_again_in']:.0f} s")
    if any(one["stopped"] for one in done):
        raise typer.Exit(means.REFUSED)
    if any(one["ask_again_in"] for one in done):
        raise typer.Exit(means.OUT_OF_REACH)


def _pull(app: App, store: str, shown: Progress, *, once: bool) -> dict[str, Any]:
    """Pull one store, and what came of it."""
    seen = new = 0
    task = shown.add_task(f"events of {store}", total=None)
    while True:
        pulled = intake.pull(app.engine, app.vault, app.feeds[store])
        seen, new = seen + pulled.seen, new + pulled.new
        shown.update(task, completed=seen)
        if once or not pulled.more:
            break
    while worker.project(app, store):
        pass
    return {"store": store, "seen": seen, "new": new, "stopped": pulled.stopped, "ask_again_in": pulled.wait}
