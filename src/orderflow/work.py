"""The worker: the loops that pull, project, plan, sweep and relay until they are told to stop.

It never decides anything about an order, and no error ends a loop: it is waited out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import sqlalchemy as sa

from orderflow import intake
from orderflow.app import PROJECTIONS, App, notice
from orderflow.audit import sealer
from orderflow.audit.sealer import Sealing
from orderflow.desk import alerts, reconcile
from orderflow.desk.alerts import Alerting
from orderflow.intake import Feed
from orderflow.projections import Projection, Reader, catch_up, planner
from orderflow.projections.planner import Planner
from orderflow.relay import strays
from orderflow.relay.crew import Crew
from orderflow.store.bell import Bell, Topic
from orderflow.store.connect import named, transact
from orderflow.store.link import link

_log = logging.getLogger("orderflow")


def project(app: App, store: str, projections: Sequence[Projection] = PROJECTIONS) -> int:
    """One batch of the read models and of the planner for `store`; how many events were read."""
    readers: list[Reader] = [*projections, Planner()]
    return transact(app.engine, lambda conn: catch_up(conn, store, readers, app.policy(store)))


def work(app: App, stop: threading.Event) -> None:
    """Pull, project, plan and relay until `stop` is set. Returns when every loop has finished what it was at."""
    bell = Bell()
    crew = Crew(app.relay(), bell, app.workers)
    loops: list[tuple[str, Callable[[], object]]] = [
        ("reader", _reader(app, bell, stop)),
        ("sweep", _sweeper(app, bell, stop)),
        ("recovery", _watcher(app, stop)),
        ("strays", _tidier(app, stop)),
        *((f"pull {name}", _puller(app, feed, bell, stop)) for name, feed in app.feeds.items()),
        ("relay", crew.turn),
        *([("reconcile", _reconciler(app, bell, stop))] if app.reconcile_every else []),
        ("bell", partial(link, app.engine, bell, stop)),
        *([("seal", _sealer(app, app.sealing, stop))] if app.sealing else []),
        *([("alerts", _alerter(app, app.alerting, stop))] if app.alerting and app.alerting.receivers else []),
    ]
    threads = [threading.Thread(target=_forever, args=(name, turn, stop), name=name) for name, turn in loops]
    for thread in threads:
        thread.start()
    stop.wait()
    bell.silence()
    for thread in threads:
        thread.join()
    _forever("relay", crew.finish, stop, once=True)  # nothing new is prepared; what is under way is still recorded


def _forever(name: str, turn: Callable[[], object], stop: threading.Event, *, once: bool = False) -> None:
    """Take turns, which wait for their work by themselves. No error ends a loop: it is waited out."""
    failures = 0
    while once or not stop.is_set():
        try:
            turn()
            failures = 0
        except Exception as error:  # noqa: BLE001  a worker outlives its database, its disk and its bugs
            failures += 1
            wait = min(30.0, 0.1 * 2.0**failures)
            _log.error("%s: %s, again in %.1f s", name, named(error), wait)
            stop.wait(wait)
        if once:
            return


_REST: Final = 0.1
"""Seconds at most. The reader rests as long as it has read: under load it reads more at a time, not more often."""


def _reader(app: App, bell: Bell, stop: threading.Event) -> Callable[[], None]:
    def turn() -> None:
        heard, began = bell.heard(Topic.FACTS), time.monotonic()
        if sum(project(app, store) for store in app.tenants):
            bell.ring(Topic.DUE)
            stop.wait(min(time.monotonic() - began, _REST))
        else:
            bell.wait(Topic.FACTS, heard)

    return turn


_WATCH_SECONDS: Final = 5.0


def _watcher(app: App, stop: threading.Event) -> Callable[[], None]:
    """Was the database restored under us? No lease is given from then on; here it is said, and written down."""

    def turn() -> None:
        if stop.wait(_WATCH_SECONDS):
            return
        for one in notice(app):
            _log.error("effects of %s are kept back: %s; see `orderflow recover status`", one.store, one.reason)

    return turn


_SWEEP_SECONDS: Final = 300.0


def _sweeper(app: App, bell: Bell, stop: threading.Event) -> Callable[[], None]:
    """Now and then plan once more for every open order, a page a second."""
    places = dict.fromkeys(app.tenants, "")

    def turn() -> None:
        if stop.wait(1.0 if any(places.values()) else _SWEEP_SECONDS):  # a fresh process has facts to read first
            return
        for store, after in places.items():
            places[store] = transact(app.engine, partial(_sweep, app, store, after)) or ""
        bell.ring(Topic.DUE)

    return turn


def _sweep(app: App, store: str, after: str, conn: sa.Connection) -> str | None:
    return planner.sweep(conn, store, app.policy(store), after)


_TIDY_SECONDS: Final = 900.0


def _tidier(app: App, stop: threading.Event) -> Callable[[], None]:
    """Now and then delete what dead workers left in a shop and nobody would ever find."""

    def turn() -> None:
        if not stop.wait(_TIDY_SECONDS) and (swept := strays.sweep(app.relay())):
            _log.info("%d empty drafts deleted that were created and never filled", swept)

    return turn


def _puller(app: App, feed: Feed, bell: Bell, stop: threading.Event) -> Callable[[], None]:
    """Pull page after page; when there is nothing new, wait, and now and then look for late events."""
    last_reread = time.monotonic()

    def turn() -> None:
        nonlocal last_reread
        pulled = intake.pull(app.engine, app.vault, feed)
        new = pulled.new
        seconds = app.poll_seconds[feed.store]
        if not pulled.more and not pulled.stopped and time.monotonic() - last_reread >= 10 * seconds:
            last_reread = time.monotonic()
            new += intake.reread(app.engine, app.vault, feed).new
        if new:
            bell.ring(Topic.FACTS)
        if not pulled.more:
            stop.wait(max(pulled.wait, seconds))

    return turn


_LOOK_SECONDS: Final = 60.0
"""The longest pause of the reconciler: the process may be about to end, and periods are hours."""


def _reconciler(app: App, bell: Bell, stop: threading.Event) -> Callable[[], None]:
    """One order of each store after the other, at leisure."""
    relay = app.relay()

    def turn() -> None:
        seconds = [reconcile.turn(relay, store, every) for store, every in app.reconcile_every.items()]
        if min(seconds) < _LOOK_SECONDS:
            bell.ring(Topic.FACTS)
        stop.wait(min(_LOOK_SECONDS, *seconds))

    return turn


def _sealer(app: App, sealing: Sealing, stop: threading.Event) -> Callable[[], None]:
    def turn() -> None:
        stop.wait(sealer.turn(app.engine, sealing, list(app.tenants)))

    return turn


def _alerter(app: App, alerting: Alerting, stop: threading.Event) -> Callable[[], None]:
    def turn() -> None:
        alerts.turn(app.engine, alerting)
        stop.wait(alerting.every)

    return turn
