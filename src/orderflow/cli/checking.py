"""The command that recomputes the log, compares it with its seals, and asks what its readers applied of it.

It never changes any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orderflow.app import App
from orderflow.audit import note, whole
from orderflow.audit.note import NoteError, PublicKey
from orderflow.audit.whole import Report, Standing
from orderflow.cli import means, readers
from orderflow.store import log


def verify(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    seals: Annotated[
        list[Path] | None, typer.Option(help="A seal, or a folder of seals, that was kept elsewhere.", metavar="PATH")
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(help="Only seals signed with this key count; else that of seal.key.", metavar="KEY"),
    ] = None,
    restored: Annotated[
        list[int] | None,
        typer.Option(help="You know of the restore that began this epoch: what it lost is fine.", metavar="EPOCH"),
    ] = None,
    as_json: means.AsJson = False,
) -> None:
    """Recompute contiguity, contents, hash chain and Merkle roots of the log, and compare it with every seal.

    Exit code 1 names the first bad row, and tells damaged, forked, behind, lost (by a restore) and doubtful apart; it
    also names every reader that missed or doubled an event.
    """
    found: list[tuple[Report, list[readers.Reading]]] = []
    with means.opened(ctx) as app, bar() as shown:
        keys = pinned(app, public_key or ())
        if seals and not keys:
            raise means.Failure("no key is set, so no seal can be believed: give --public-key")
        missing = next((path for path in seals or () if not path.exists()), None)
        if missing is not None:
            raise means.Failure(f"--seals: there is no {missing}")
        folder = app.sealing.folder if app.sealing else None
        for name in means.stores(app, store):
            with app.engine.connect() as conn:
                given = whole.gathered(conn, name, keys, folder, seals or ())
                task = shown.add_task(f"log of {name}", total=log.head(conn, name))
                tell = partial(_advance, shown, task)
                report = whole.check(conn, name, given, restored or (), tell)
                found.append((report, readers.readings(conn, name)))
    if as_json:
        means.print_json([_as_json(report) | {"readers": read} for report, read in found])
    for report, read in found:
        _tell(report, as_json=as_json, sealed=bool(keys))
        readers.tell(report.store, read, as_json=as_json)
    if any(report.standing is not Standing.WHOLE or readers.flawed(read) for report, read in found):
        raise typer.Exit(means.REFUSED)


def _advance(shown: Progress, task: TaskID, reached: int) -> None:
    shown.update(task, completed=reached)


def pinned(app: App, texts: Sequence[str]) -> tuple[PublicKey, ...]:
    """The keys whose seals count: those that are named, else those of the settings."""
    if texts:
        try:
            return tuple(note.public_key(text) for text in texts)
        except NoteError as error:
            raise means.Failure(f"--public-key: {error}") from None
    return app.sealing.signer.trusted if app.sealing else ()


_SHOWN: Final = 3


def _tell(report: Report, *, as_json: bool, sealed: bool) -> None:
    for standing in Standing:
        problems = [one for one in report.problems if one.standing is standing]
        for one in problems[:_SHOWN]:
            means.complain(one.text)
        if len(problems) > _SHOWN:
            means.complain(f"{len(problems) - _SHOWN} more of the kind ({standing}); --json shows all")
    if report.standing is Standing.WHOLE and not as_json:
        agreed = f"; {report.agreeing} seals agree, up to position {report.sealed}"
        seals = agreed if report.agreeing else "; there is no seal to compare it with" if sealed else ""
        means.say(f"the log of {report.store} is whole: {report.events} events{seals}")
        for text in report.known_losses[-1:]:
            means.say(f"as you know, {text}")


def _as_json(report: Report) -> dict[str, object]:
    damage = next((one for one in report.problems if one.standing is Standing.DAMAGED), None)
    return {
        "store": report.store,
        "events": report.events,
        "damage": damage.text if damage else None,
        "position": damage.position if damage else None,
        "standing": report.standing,
        "root": report.root.hex(),
        "seals": {"agreeing": report.agreeing, "sealed": report.sealed},
        "problems": report.problems,
        "known_losses": report.known_losses,
    }


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on stderr, if somebody looks at it."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        yield shown
