"""Commands for after a restore: what is known, look orders up, let effects leave again.

They never send anything: the look-ups only read.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final

import typer

from orderflow import app as composition
from orderflow import recovery
from orderflow import work as worker
from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.cli.means import InStore
from orderflow.projections.planner import Planner
from orderflow.store import epochs, log, progress
from orderflow.store.epochs import Recovery

Why = Annotated[str, typer.Option("--why", help="The reason, for others to read.", show_default=False)]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without", help="Leave this order out: nothing is sent for it until it was looked up.", metavar="ID"
    ),
]


def status(ctx: typer.Context, *, store: InStore = None, as_json: means.AsJson = False) -> None:
    """Say whether effects are open, and if not: why, and how many orders are still to be looked up.

    Exit code 1 while effects of a store are kept back.
    """
    with means.opened(ctx) as app:
        composition.notice(app)
        found = [_standing(app, name) for name in means.stores(app, store)]
    if as_json:
        means.print_json(found)
    else:
        for one in found:
            for line in _lines(one, means.means(ctx).command):
                means.say(line)
    if any(one["kept_back"] for one in found):
        raise typer.Exit(means.REFUSED)


def _standing(app: App, store: str) -> dict[str, Any]:
    with app.engine.begin() as conn:
        newest, epoch = epochs.newest(conn, store), epochs.current(conn, store)
        left_out = epochs.orders_left_out(conn, store)
        kept_back = newest is not None and newest.opened_at is None
        orders = recovery.progress_of(conn, newest) if newest is not None and kept_back else None
    return {
        "store": store,
        "epoch": epoch,
        "kept_back": kept_back,
        "recovery": newest,
        "orders": orders,
        "left_out": left_out,
    }


def _lines(one: dict[str, Any], command: str) -> list[str]:
    store, newest, orders, left_out = one["store"], one["recovery"], one["orders"], one["left_out"]
    lines = []
    if not one["kept_back"]:
        lines.append(f"{store}: effects are open, in epoch {one['epoch']}")
        if newest is not None:
            opened = f"opened {means.moment(newest.opened_at)} by {newest.opened_by}: {newest.why}"
            lines.append(f"    behind position {newest.fork}, {opened}")
    else:
        read = "was read to its end" if newest.read_to is not None else "is still to be read to its end"
        lines += [
            f"{store}: effects are kept back since {means.moment(newest.noticed_at)}: {newest.reason}",
            f"    epoch {newest.epoch} begins behind position {newest.fork}; Glopal's feed {read}",
            f"    {orders.concerned} orders may have lost something, {orders.looked_up} of them are looked up",
        ]
        if newest.read_to is None or orders.remaining:
            lines.append(f"    next: {command} recover reconcile --store {store}")
        else:
            lines.append(f'    next: {command} recover open {store} --why "..."')
    if left_out:
        lines.append(f"    left out, nothing is sent for them: {', '.join(left_out)}")
    return lines


def reconcile(ctx: typer.Context, *, store: InStore = None, as_json: means.AsJson = False) -> None:
    """Read Glopal's feed again, and look every order up that may have lost something, at the shop and at Glopal.

    Nothing is sent. Waits until answers show what was still on its way when the log was lost. Safe to repeat; workers
    may run meanwhile. Exit code 1 while orders remain.
    """
    with means.acting(ctx) as app:
        done = [reconciled(app, name, quiet=as_json) for name in means.stores(app, store)]
    told = [one for one in done if one is not None]
    if as_json:
        means.print_json(told)
    elif not told:
        means.say("effects are open; there is nothing to recover from")
    for one in told:
        if not as_json:
            means.say(f"{one['store']}: {one['new_events']} new events; {one['looked_up']} orders looked up")
        for order_id, problem in one["problems"].items():
            means.complain(f"{one['store']}/{order_id} could not be looked up: {problem}")
        if not as_json and one["kept_back"] and not one["problems"]:
            means.say(f'    next: {means.means(ctx).command} recover open {one["store"]} --why "..."')
    if any(one["problems"] for one in told):
        raise typer.Exit(means.REFUSED)


def reconciled(app: App, store: str, *, quiet: bool) -> dict[str, Any] | None:
    """What was done for one store; None if nothing was to be done."""
    with app.engine.begin() as conn:
        pending, newest = epochs.pending(conn, store), epochs.newest(conn, store)
        left = epochs.orders_left_out(conn, store)
    if newest is None or (pending is None and not left):
        return None
    new = 0
    if pending is not None:
        new = recovery.read_feed(app.engine, app.vault, app.feeds[store], pending)
        _project(app, store)
        with app.engine.begin() as conn:
            newest = epochs.newest(conn, store) or newest
            left += [order_id for order_id in recovery.remaining(conn, newest) if order_id not in left]
    _wait(app, newest, quiet=quiet)
    problems = _look_up_all(app, newest, left)
    _project(app, store)
    looked_up = len(left) - len(problems)
    kept_back = pending is not None
    return {"store": store, "new_events": new, "looked_up": looked_up, "problems": problems, "kept_back": kept_back}


def _project(app: App, store: str) -> None:
    """Bring the read models and the planner to where the log stands now; a running worker may do a part of it."""
    with app.engine.begin() as conn:
        head = log.head(conn, store)
    while True:
        if worker.project(app, store):
            continue
        with app.engine.begin() as conn:
            places = progress.positions(conn, [*(one.name for one in composition.PROJECTIONS), Planner.name], store)
        if min(places.values()) >= head:
            return
        time.sleep(_PAUSE)  # a worker reads right now


_PAUSE: Final = 0.05


def _wait(app: App, newest: Recovery, *, quiet: bool) -> None:
    """Until answers count."""
    at = recovery.counts_from(app.relay(), newest)
    with app.engine.begin() as conn:
        seconds = (at - means.wall_clock(conn)).total_seconds()
    if seconds > 0:
        if not quiet:
            left = means.span(timedelta(seconds=seconds))
            means.say(f"{newest.store}: what was on its way may still arrive; waiting {left}")
        time.sleep(seconds + 0.01)


def _look_up_all(app: App, newest: Recovery, order_ids: list[str]) -> dict[str, str]:
    """Look orders up, some at a time; those that could not be, and why."""
    relay = app.relay()
    problems: dict[str, str] = {}
    with bar() as shown, ThreadPoolExecutor(app.workers) as pool:
        task = shown.add_task(f"orders of {newest.store}", total=len(order_ids))
        for order_id, problem in zip(
            order_ids, pool.map(partial(recovery.look_up, relay, newest), order_ids), strict=True
        ):
            shown.advance(task)
            if problem is not None:
                problems[order_id] = problem
    return problems


def open_(
    ctx: typer.Context,
    store: means.Store,
    why: Why,
    without: Without = None,
    by: means.By = "",
    *,
    as_json: means.AsJson = False,
) -> None:
    """Let effects of a store leave again. Refused while orders remain that were not looked up.

    Orders left out by name are kept back until `recover reconcile` has looked them up.
    """
    with means.acting(ctx) as app:
        name = means.known_store(app, store)
        opened = recovery.reopen(app.engine, name, by=by or means.user(), why=why, without=without or ())
    if as_json:
        means.print_json(opened)
        return
    means.say(f"{store}: effects are open, in epoch {opened.epoch}, which begins behind position {opened.fork}")
    for order_id in without or ():
        means.say(f"    nothing is sent for {order_id} until it was looked up")
