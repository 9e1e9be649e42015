"""Commands that recompute: rebuild the read models, verify the log.

They never change the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orderflow.app import PROJECTIONS, App
from orderflow.audit import note, whole
from orderflow.audit.note import NoteError, PublicKey
from orderflow.audit.whole import Report, Standing
from orderflow.cli import means
from orderflow.projections import Projection, catch_up
from orderflow.projections import rebuild as rebuild_one
from orderflow.store import log, progress
from orderflow.store.connect import transact


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

    Exit code 1 names the first bad row, and tells damaged, forked, behind, lost (by a restore) and doubtful apart.
    """
    found: list[Report] = []
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
                found.append(whole.check(conn, name, given, restored or (), tell))
    if as_json:
        means.print_json([_as_json(one) for one in found])
    for one in found:
        _tell(one, as_json=as_json, sealed=bool(keys))
    if any(one.standing is not Standing.WHOLE for one in found):
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
