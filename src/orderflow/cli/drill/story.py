"""The acts of the drill: before the loss, the loss, the restore, the recovery, and afterwards.

It tells what happens and judges at the end; what it does after the restore are the steps of docs/how-to/restore.md.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from rich.console import Console

from orderflow import app as composition
from orderflow import recovery
from orderflow.app import App
from orderflow.cli.demo.judge import Check, at_rest, by_promise, damage, differences, forgotten
from orderflow.cli.drill import backup
from orderflow.cli.drill.world import STORE, World, running, working
from orderflow.cli.recovering import reconciled
from orderflow.domain.events import EffectDelivered
from orderflow.store import embedded, log, migrate
from orderflow.store.epochs import ForkedError, check_cursor
from orderflow.store.tables import events, outbox

_PATIENCE: Final = 60.0
"""Seconds that anything may take at most."""
_WATCHED_SECONDS: Final = 3.0
"""For so long a worker runs on the restored database while effects are due, and must send nothing."""


class DrillError(Exception):
    """Something that had to happen did not."""


@dataclass(frozen=True, slots=True)
class Story:
    """Tells what happens, each line with the seconds since the beginning."""

    out: Console
    began: float

    def tell(self, text: str) -> None:
        """One line."""
        self.out.print(f"{time.monotonic() - self.began:5.1f} s  {text}", soft_wrap=True)


def perform(world: World, story: Story) -> list[Check]:
    """The whole drill, and what came of it. Raises `DrillError`."""
    before, after = world.home / "before", world.home / "after"
    archive, kept = world.home / "archive", world.home / "backup"
    with embedded.start(before) as server:
        run_as = backup.runs_as(before)
        migrate.upgrade(server.url)
        backup.archiving(server.url, archive, run_as)
    with embedded.start(before) as server, running(world, server.url) as app:
        composition.start(app)
        with working(app):
            _before_the_backup(world, story)
            backup.base_backup(server.url, kept, run_as)
            story.tell("A base backup is taken; everything written from now on goes into an archive, too.")
            until = _after_the_backup(world, story, server.url)
            _time_to_be_lost(world, story, app)
        backup.flush(server.url, archive)
    shutil.rmtree((before / "pgdata").resolve())
    story.tell("DISASTER: the worker is gone, and the database with all its files.")
    backup.restore(kept, archive, after, until, run_as)
    with embedded.start(after) as server, running(world, server.url) as app:
        backup.restored(server.url)
        with app.engine.begin() as conn:
            story.tell(
                f"The backup is restored to that moment: the log ends at position {log.head(conn, STORE)} again."
            )
        checks = [_kept_back(world, story, app)]
        _recovered(world, story, app)
        return [*checks, *_judged(world, app)]


# --- before the loss ------------------------------------------------------------------------------------------------


def _before_the_backup(world: World, story: Story) -> None:
    for number in range(6):
        world.place(ready=number < 3)
    _until(lambda: (world.made(), world.accepted()) == (6, 3), "the first orders")
    story.tell("6 orders come: 3 are promoted in the shop and accepted at Glopal, 3 have a draft.")


def _after_the_backup(world: World, story: Story, url: str) -> datetime:
    for number in range(4):
        world.place(ready=number < 2)
    _until(lambda: (world.made(), world.accepted()) == (10, 5), "more orders")
    until = backup.moment(url)
    story.tell(f"4 more come, 2 are accepted. It is {until:%H:%M:%S.%f} UTC: to this moment we shall go back.")
    time.sleep(0.2)  # so that nothing of what comes now bears the same time
    return until


def _time_to_be_lost(world: World, story: Story, app: App) -> None:
    """Everything that happens from here on is forgotten by the log, and by nobody else."""
    drafted = [order_id for order_id in world.orders if world.glopal.status(STORE, order_id) == "RECEIVED"]
    for order_id in drafted[:3]:
        world.glopal.ready(STORE, order_id)
    world.glopal.cancel(STORE, drafted[3])
    for number in range(6):
        world.place(ready=number < 3)
    _until(lambda: (world.made(), world.accepted(), world.withdrawn()) == (16, 11, 1), "the time to be lost")
    story.tell(
        "3 of the drafts are promoted and accepted, 1 is cancelled and withdrawn; 6 new orders come, 3 are accepted."
    )
    world.note_seal(app)
    assert world.seal is not None
    story.tell(f"A seal of the log is kept outside the database: {world.seal.size} events.")
    world.shop_faults.script("cut_after", method="POST", path="/orders$")
    world.place()
    _until(lambda: world.made() == 17, "one more draft")
    story.tell("One more order: the shop makes its draft, but the answer is lost.")


# --- after the loss -------------------------------------------------------------------------------------------------


def _kept_back(world: World, story: Story, app: App) -> Check:
    """Nothing leaves until somebody says so."""
    found = composition.start(app)
    if len(found) != 1:
        raise DrillError("the restore was not noticed")
    story.tell(f"orderflow starts: {found[0].reason}.")
    story.tell(
        f"Epoch {found[0].epoch} begins behind position {found[0].fork}; effects are kept back, for every worker."
    )
    writes, reads = world.calls["writes"], world.calls["reads"]
    with working(app):
        world.place(ready=True)
        _until(lambda: _due(app) >= 4, "effects that are due")
        time.sleep(_WATCHED_SECONDS)
    sent, asked = world.calls["writes"] - writes, world.calls["reads"] - reads
    story.tell(
        f"A worker goes on, and one more order comes: {asked} questions are asked, and {sent} requests sent that"
    )
    story.tell(f"change anything. {_due(app)} effects are due by what the log knows, and wait.")
    try:
        recovery.reopen(app.engine, STORE, by="drill", why="too early")
    except recovery.NotReadyError as error:
        story.tell(f"recover open: refused. {error}.")
    else:
        raise DrillError("effects could be opened before orders were looked up")
    return Check("nothing left while effects were kept back", [f"{sent} requests that change things"] if sent else ())


def _due(app: App) -> int:
    """How many effects are planned."""
    with app.engine.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(outbox).where(~outbox.c.reads)) or 0


def _recovered(world: World, story: Story, app: App) -> None:
    """What an operator types, while a worker runs."""
    with working(app):
        done = reconciled(app, STORE, quiet=True)
        if done is None or done["problems"]:
            raise DrillError(f"orders could not be looked up: {done}")
        story.tell(
            f"recover reconcile: the feed is read again; {done['looked_up']} orders are looked up at shop and Glopal."
        )
        story.tell(
            f"Found that way, and known again: {_found(app, 'draft')} drafts, {_found(app, 'accept')} acceptances."
        )
        for reason in damage(app, STORE):
            raise DrillError(reason)
        story.tell("verify: the log is whole.")
        opened = recovery.reopen(app.engine, STORE, by="drill", why="all was looked up")
        story.tell(f"recover open: effects are open, in epoch {opened.epoch}, by {opened.opened_by}.")
        for order_id in world.orders:
            if world.glopal.status(STORE, order_id) == "RECEIVED":
                world.glopal.ready(STORE, order_id)
        world.place(ready=True)
        _until(lambda: world.accepted() == len(world.orders) - 1 and not at_rest(app), "the rest")
    made, orders = world.made(), len(world.orders)
    story.tell(f"Every buyer pays, and one more order comes: {made} shop orders were ever made for {orders} orders.")
    story.tell(f"A reader of the lost events is told: {_told(world, app)}.")


def _found(app: App, effect: str) -> int:
    """How many outcomes of an effect the look-ups taught, which the log had lost."""
    query = sa.select(sa.func.count()).where(
        events.c.store == STORE,
        events.c.type == EffectDelivered.__name__,
        events.c.source_id.like("%:recovery:%:lost:%"),
        events.c.clear.contains(f'"effect":"{effect}"'),
    )
    with app.engine.begin() as conn:
        return conn.scalar(query) or 0


def _told(world: World, app: App) -> str:
    assert world.seal is not None
    try:
        with app.engine.begin() as conn:
            check_cursor(conn, STORE, world.seal.epoch, world.seal.size, world.seal.chain)
    except ForkedError as error:
        return str(error)
    raise DrillError("a cursor behind the fork was taken for a good one")


def _judged(world: World, app: App) -> list[Check]:
    return [
        Check("everything came to rest", [*at_rest(app), *forgotten(app)]),
        *by_promise(differences(app, world.glopal, world.shop)),
        Check("the log is whole", damage(app, STORE)),
    ]


def _until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise DrillError(f"{what}: it did not come about in {_PATIENCE:.0f} s")
        time.sleep(0.1)
