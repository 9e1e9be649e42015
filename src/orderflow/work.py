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

from orderflow import intake, relay
from orderflow.app import PROJECTIONS, App, notice
from orderflow.intake import Feed
from orderflow.projections import Projection, Reader, catch_up, planner
from orderflow.projections.planner import Planner
from orderflow.relay import Relay
from orderflow.store.connect import transact

_log = logging.getLogger("orderflow")


def project(app: App, store: str, projections: Sequence[Projection] = PROJECTIONS) -> int:
    """One batch of the read models and of the planner for `store`; how many events were read."""
    readers: list[Reader] = [*projections, Planner()]
    return transact(app.engine, lambda conn: catch_up(conn, store, readers, app.policy(store)))


def work(app: App, stop: threading.Event) -> None:
    """Pull, project, plan and relay until `stop` is set. Returns when every loop has finished what it was at."""
    loops: list[tuple[str, Callable[[], float]]] = [("reader", lambda: _read_all(app))]
    loops += [("sweep", _sweeper(app)), ("recovery", lambda: _watch(app))]
    loops += [(f"pull {name}", _puller(app, feed)) for name, feed in app.feeds.items()]
    loops += [(f"relay {n}", _relayer(app.relay(n))) for n in range(app.workers)]
    threads = [threading.Thread(target=_forever, args=(name, turn, stop), name=name) for name, turn in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_SHORTEST: Final = 0.01
_LONGEST: Final = 0.5


def _forever(name: str, turn: Callable[[], float], stop: threading.Event) -> None:
    """Take turns, each of which says how many seconds to wait at least. No error ends a loop: it is waited out."""
    idle, failures = _SHORTEST, 0
    while not stop.is_set():
        try:
            wait = turn()
            failures = 0
        except Exception as error:  # noqa: BLE001  a worker outlives its database, its disk and its bugs
            failures += 1
            wait = min(30.0, 0.1 * 2.0**failures)
            _log.error("%s: %s, again in %.1f s", name, _named(error), wait)
        idle = _SHORTEST if wait == 0.0 else min(_LONGEST, idle * 2)
        stop.wait(0.0 if wait == 0.0 else max(wait, idle))


def _named(error: BaseException) -> str:
    """An error without its text: that may hold what a buyer wrote."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return type(error).__name__ + (f" {state}" if state else "")


_IDLE: Final = 0.001


def _read_all(app: App) -> float:
    return 0.0 if sum(project(app, store) for store in app.tenants) else _IDLE


_WATCH_SECONDS: Final = 5.0


def _watch(app: App) -> float:
    """Was the database restored under us? No lease is given from then on; here it is said, and written down."""
    for one in notice(app):
        _log.error("effects of %s are kept back: %s; see `orderflow recover status`", one.store, one.reason)
    return _WATCH_SECONDS


def _relayer(worker: Relay) -> Callable[[], float]:
    return lambda: 0.0 if relay.step(worker) else _IDLE


_SWEEP_SECONDS: Final = 300.0


def _sweeper(app: App) -> Callable[[], float]:
    """Now and then plan once more for every open order, a page a second."""
    places = dict.fromkeys(app.tenants, "")
    began = False

    def turn() -> float:
        nonlocal began
        if not began:  # a fresh process has facts to read first
            began = True
            return _SWEEP_SECONDS
        for store, after in places.items():
            places[store] = transact(app.engine, partial(_sweep, app, store, after)) or ""
        return 1.0 if any(places.values()) else _SWEEP_SECONDS

    return turn


def _sweep(app: App, store: str, after: str, conn: sa.Connection) -> str | None:
    return planner.sweep(conn, store, app.policy(store), after)


def _puller(app: App, feed: Feed) -> Callable[[], float]:
    """Pull page after page; when there is nothing new, wait, and now and then look for late events."""
    last_reread = time.monotonic()

    def turn() -> float:
        nonlocal last_reread
        pulled = intake.pull(app.engine, app.vault, feed)
        if pulled.more:
            return 0.0
        seconds = app.poll_seconds[feed.store]
        if time.monotonic() - last_reread >= 10 * seconds and not pulled.stopped:
            last_reread = time.monotonic()
            intake.reread(app.engine, app.vault, feed)
        return max(pulled.wait, seconds)

    return turn
