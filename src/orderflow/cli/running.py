"""Commands that run orderflow: migrate, work, pull.

They never change an order by themselves; what `work` does, the store's policy decides.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from orderflow import app as composition
from orderflow import config, intake
from orderflow import work as worker
from orderflow.app import App
from orderflow.cli import exits, means
from orderflow.cli.checking import bar
from orderflow.cli.means import Failure
from orderflow.store import migrate as migrations
from orderflow.store.bell import Topic
from orderflow.store.link import hint
from orderflow.store.migrate import LOG, VAULT, Part


def migrate(
    ctx: typer.Context,
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be run on an empty database, for those whose DBA runs it.")
    ] = False,
    as_json: means.AsJson = False,
) -> None:
    """Bring the database to the newest schema. Safe to repeat; all of it is done, or nothing.

    Where `vault_url` is set, that database, too; with --sql its part follows the line that names it.
    """
    if sql:
        means.say(migrations.sql())
        reading = config.examine(means.means(ctx).config)  # there may be no settings yet
        if reading.settings is not None and reading.settings.vault_url is not None:
            means.say("-- in the database of vault_url:")
            means.say(migrations.sql(part=VAULT))
        return
    chosen = means.settings(ctx)
    keys_at = config.vault_url(chosen)
    with composition.database(chosen) as url:
        told = [_migrated("the database", url, LOG)]
    if keys_at is not None:
        told.append(_migrated("the database of the keys", keys_at, VAULT))
    if as_json:
        log, *keys = [{"from": before, "to": after} for _, before, after in told]
        means.print_json(log | ({"keys": keys[0]} if keys else {}))
        return
    for name, before, after in told:
        done = f"migrated from {before or 'nothing'} to {after}" if before != after else f"at {after} already"
        means.say(f"{name} is {done}")


def _migrated(name: str, url: str, part: Part) -> tuple[str, str | None, str | None]:
    """Bring one database to the newest schema: its name, and from where to where."""
    before = migrations.current(url, part)
    migrations.upgrade(url, part=part)
    return name, before, migrations.current(url, part)


def work(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Pull, project and carry out what is due until stopped (Ctrl-C or SIGTERM; a second one ends it at once).

    Any number of workers may run, on any number of machines. With --json each line on stdout and stderr is an object.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    if as_json:
        logging.getLogger().handlers[0].setFormatter(_JsonLines())
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            os._exit(exits.INTERRUPTED)  # safe at any moment: an intent without outcome is looked up later
        stop.set()

    with means.acting(ctx) as app:
        back = len(composition.returned(app))
        if back and app.erasures is not None:
            again = f"{means.means(ctx).command} erase --reapply {app.erasures.path} --yes"
            raise Failure(f"{back} erasures are undone, as after a restore: `{again}`", means.REFUSED)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, end)
        names = sorted(app.tenants)
        told = f"working for {', '.join(names)} with {app.workers} relay workers; Ctrl-C stops"
        means.say(_line(state="working", stores=names, workers=app.workers) if as_json else told)
        worker.work(app, stop)
    means.say(_line(state="stopped") if as_json else "stopped")


def _line(**said: object) -> str:
    return msgspec.json.encode(said).decode()


class _JsonLines(logging.Formatter):
    """A log line as one JSON object, for those who collect them."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return _line(at=at, logger=record.name, level=record.levelname, text=record.getMessage())


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
    hint(app.engine, Topic.DUE)  # the planner has been at work
    return {"store": store, "seen": seen, "new": new, "stopped": pulled.stopped, "ask_again_in": pulled.wait}
