"""The command that records history from a file.

It never lets old orders reach the shop by surprise: without a line drawn by `effects_from`, or shadow, it refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from orderflow import history
from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.store.bell import Topic
from orderflow.store.link import hint

_STDIN = "-"


def import_(
    ctx: typer.Context,
    store: means.Store,
    file: Annotated[str, typer.Argument(help="Events, one a line as in Glopal's pages; - for stdin.", metavar="FILE")],
    *,
    effects: Annotated[
        bool, typer.Option("--effects", help="Go on although old orders that are still open would enter the shop.")
    ] = False,
    as_json: means.AsJson = False,
) -> None:
    """Record a store's history from a file, as if it had been pulled: an event known already is a duplicate.

    Nothing is sent by this command. But a worker plans for imported orders as for all others: those born before the
    store's `effects_from` are recorded only, those born later, or at a time that no event tells, get their effects. A
    store that has no `effects_from` and is not in shadow is refused.

    A line that is no event is kept, as a bad element of the feed is. The pull's cursor stays where it is. After an
    interruption the same command goes on where it was; what comes from stdin is read again from its beginning.
    """
    with means.acting(ctx) as app, _opened(file) as source:
        means.known_store(app, store)
        if not effects:
            _refuse_surprises(app, store)
        done = _record(app, store, source, None if file == _STDIN else Path(file).stat().st_size)
        hint(app.engine, Topic.FACTS)
    if as_json:
        means.print_json({"store": store, **asdict(done)})
    else:
        means.say(_told(store, done))
    if done.bad:
        means.complain(f"{store}: {done.bad} of the lines are no events; they are kept as Malformed")


def _told(store: str, done: history.Progress) -> str:
    text = f"{store}: {done.lines} lines read, {done.new} events new, {done.known} known"
    if done.skipped:
        text += f"; {done.skipped} lines were recorded by an earlier import of this file"
    if done.evidence:
        text += f"; {done.evidence} said something else than the log does and are kept as evidence"
    return text


def _refuse_surprises(app: App, store: str) -> None:
    policy = app.policy(store)
    if policy.effects_from is None and not policy.shadow:
        raise Failure(
            f"{store} has no effects_from: orders of the file that are still open would enter the shop; set it in the "
            "settings (older orders are then recorded only), or say --effects"
        )


def _record(app: App, store: str, source: BinaryIO, size: int | None) -> history.Progress:
    done = history.Progress()
    with _bar() as shown:
        task = shown.add_task(f"history of {store}", total=size)
        try:
            for done in history.record(app.engine, app.vault, store, source):
                shown.update(task, completed=done.bytes)
        except history.NoHistoryError as error:
            raise Failure(str(error)) from None
    return done


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """The file, or stdin. Raises `Failure`."""
    if file == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115  it is closed below
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from None
    with source:
        yield source


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar on stderr, if somebody looks at it."""
    err = Console(stderr=True)
    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        yield shown
