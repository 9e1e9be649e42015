"""The command that recomputes the log, and what its readers say they applied of it.

It never changes either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orderflow.app import READERS
from orderflow.cli import means
from orderflow.store import log, progress
from orderflow.store.applied import flaws
from orderflow.store.log import LogDamagedError
from orderflow.store.verify import verify as verify_log


def verify(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    as_json: means.AsJson = False,
) -> None:
    """Recompute contiguity, contents and hash chain of the log, and what its readers have applied of it.

    Exit code 1 names the first bad row, and every reader that missed or doubled an event.
    """
    found: list[dict[str, Any]] = []
    with means.opened(ctx) as app, bar() as shown:
        for name in means.stores(app, store):
            with app.engine.connect() as conn:
                task = shown.add_task(f"log of {name}", total=log.head(conn, name))
                found.append(_verified(conn, name, shown, task) | {"readers": _readers(conn, name)})
    if as_json:
        means.print_json(found)
    for one in found:
        if one["damage"]:
            means.complain(str(one["damage"]))
        elif not as_json:
            means.say(f"the log of {one['store']} is whole: {one['events']} events")
        _tell(one, as_json=as_json)
    if any(one["damage"] or _flawed(one) for one in found):
        raise typer.Exit(means.REFUSED)


def _readers(conn: sa.Connection, store: str) -> list[dict[str, object]]:
    """What each reader has applied, and what is wrong with that."""
    applied = progress.applied(conn, READERS, store)
    wrong = flaws(conn, store, applied)
    return [
        {"reader": name, "position": one.position, "applied": one.count, "flaw": wrong.get(name)}
        for name, one in applied.items()
    ]


def _flawed(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [reader for reader in one["readers"] if reader["flaw"]]


def _tell(one: dict[str, Any], *, as_json: bool) -> None:
    flawed = _flawed(one)
    for reader in flawed:
        means.complain(f"{reader['reader']} of {one['store']} {reader['flaw']}")
    if not flawed and not as_json:
        told = ", ".join(f"{reader['reader']} {reader['applied']}" for reader in one["readers"])
        means.say(f"the readers of {one['store']} have missed nothing: {told}")


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
