"""Commands that recompute: rebuild the read models, verify the log.

They never change the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orderflow.app import PROJECTIONS, App
from orderflow.cli import means
from orderflow.projections import Projection, catch_up
from orderflow.projections import rebuild as rebuild_one
from orderflow.store import log, progress
from orderflow.store.connect import transact
from orderflow.store.log import LogDamagedError
from orderflow.store.verify import verify as verify_log


def rebuild(
    ctx: typer.Context,
    projections: Annotated[
        list[str] | None,
        typer.Argument(help=f"{', '.join(p.name for p in PROJECTIONS)}; all without it.", metavar="[PROJECTION]..."),
    ] = None,
    *,
    as_json: means.AsJson = False,
) -> None:
    """Fill read models anew from the first event of every store. No side effect can come of it.

    Every batch is whole by itself: after an interruption lists are short, and say so, until a worker or another rebuild
    has gone on from there.
    """
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in projections or ():
        means.one_of("projection", name, [*known])
    done: list[dict[str, object]] = []
    with means.opened(ctx) as app, bar() as shown:
        for name in projections or known:
            for store in sorted(app.tenants):
                done.append({"projection": name, "store": store, "position": _rebuilt(app, store, known[name], shown)})
                if not as_json:
                    means.say(f"{name} of {store}: rebuilt up to position {done[-1]['position']}")
    if as_json:
        means.print_json(done)


def _rebuilt(app: App, store: str, projection: Projection, shown: Progress) -> int:
    """Rebuild one read model up to where the log stands now; a running worker may do a part of it. The place."""
    with app.engine.connect() as conn:
        head = log.head(conn, store)
    task = shown.add_task(f"{projection.name} of {store}", total=head)
    for done in rebuild_one(app.engine, store, projection, app.policy(store)):
        shown.update(task, completed=done)
    while True:
        with app.engine.connect() as conn:
            place = progress.positions(conn, [projection.name], store)[projection.name]
        shown.update(task, completed=place)
        if place >= head:
            return place
        if not transact(app.engine, lambda conn: catch_up(conn, store, [projection], app.policy(store))):
            time.sleep(0.05)  # a worker reads right now


def verify(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    as_json: means.AsJson = False,
) -> None:
    """Recompute contiguity, contents and hash chain of the log. Exit code 1 names the first bad row."""
    found: list[dict[str, object]] = []
    with means.opened(ctx) as app, bar() as shown:
        for name in means.stores(app, store):
            with app.engine.connect() as conn:
                task = shown.add_task(f"log of {name}", total=log.head(conn, name))
                found.append(_verified(conn, name, shown, task))
    if as_json:
        means.print_json(found)
    for one in found:
        if one["damage"]:
            means.complain(str(one["damage"]))
        elif not as_json:
            means.say(f"the log of {one['store']} is whole: {one['events']} events")
    if any(one["damage"] for one in found):
        raise typer.Exit(means.REFUSED)


def _verified(conn: sa.Connection, store: str, shown: Progress, task: TaskID) -> dict[str, object]:
    reached = 0
    try:
        for reached in verify_log(conn, store):
            shown.update(task, completed=reached)
    except LogDamagedError as error:
        return {"store": store, "events": reached, "damage": str(error), "position": error.position}
    return {"store": store, "events": reached, "damage": None, "position": None}


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on stderr, if somebody looks at it."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        yield shown
