"""The command that makes read models anew, beside the live ones, and that judges anew what the planner should plan.

It never changes the log, and what it plans waits for a person: no side effect can come of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import Progress, TaskID

from orderflow.app import PROJECTIONS, App
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.projections import Projection, beside, catch_up, replanning
from orderflow.projections.beside import NothingKeptError
from orderflow.projections.differences import Differences, Example
from orderflow.projections.planner import Planner
from orderflow.projections.replanning import StillMissingError
from orderflow.store import log, progress
from orderflow.store.connect import transact
from orderflow.store.log import LogDamagedError

_LONGEST: Final = 48
"""Characters of a value that are shown around the place where it differs."""


class _Wish(Enum):
    REBUILD = "rebuild"
    COMPARE = "compare"
    BACK = "back"
    RELEASE = "release"


def rebuild(
    ctx: typer.Context,
    projections: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"{', '.join(p.name for p in PROJECTIONS)}; all of them without it. Or {Planner.name}.",
            metavar="[PROJECTION]...",
        ),
    ] = None,
    *,
    compare: Annotated[bool, typer.Option("--compare", help="Only compare; exit code 1 if anything differs.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Swap the former read model in again.")] = False,
    release: Annotated[bool, typer.Option("--release", help="Give up the former read model.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Make read models anew beside the live ones, compare row by row, and swap. No side effect can come of it.

    Workers and readers go on with the live rows until one transaction swaps those that differ. The former read model
    is kept until it is released, or until the next rebuild that changes something. Interrupted, nothing has changed.

    The planner keeps no read model: what it should have planned is judged anew from the log, and what is missing in the
    outbox is planned parked.
    """
    wish = _wish(compare=compare, back=back, release=release)
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in projections or ():
        means.one_of("projection", name, [*known, Planner.name])
    if Planner.name in (projections or ()) and wish in (_Wish.BACK, _Wish.RELEASE):
        raise means.Failure(f"{Planner.name}: there is no former one, so --{wish.value} is for read models only")
    done: list[_Done] = []
    with means.opened(ctx) as app, bar() as shown:
        for name in projections or known:
            for store in sorted(app.tenants):
                if name == Planner.name:
                    done.append(_judged(app, store, wish, shown))
                else:
                    done.append(_carried_out(app, store, known[name], wish, shown))
                if not as_json:
                    _tell(done[-1], wish, means.means(ctx).command)
    if as_json:
        means.print_json([_plain(one) for one in done])
    if compare and any(one.found is not None and one.found.count for one in done):
        raise typer.Exit(means.REFUSED)


def _wish(*, compare: bool, back: bool, release: bool) -> _Wish:
    wishes = [wish for wish, said in ((_Wish.COMPARE, compare), (_Wish.BACK, back), (_Wish.RELEASE, release)) if said]
    if len(wishes) > 1:
        raise means.Failure("--compare, --back and --release exclude each other")
    return wishes[0] if wishes else _Wish.REBUILD


@dataclass(frozen=True, slots=True)
class _Done:
    """What was done with one read model: where it stands now, what differed, how many former rows were released."""

    projection: str
    store: str
    position: int = 0
    found: Differences | None = None
    released: int = 0


def _carried_out(app: App, store: str, projection: Projection, wish: _Wish, shown: Progress) -> _Done:
    if wish is _Wish.RELEASE:
        released = transact(app.engine, lambda conn: beside.release(conn, store, projection))
        return _Done(projection.name, store, released=released)
    with app.engine.connect() as conn:
        head = log.head(conn, store)
    told = partial(_move, shown, shown.add_task(f"{projection.name} of {store}", total=head))
    work: Callable[..., Differences] = {
        _Wish.COMPARE: beside.compare,
        _Wish.BACK: beside.back,
        _Wish.REBUILD: beside.rebuild,
    }[wish]
    try:
        found = work(app.engine, store, projection, app.policy(store), told)
    except NothingKeptError as error:
        raise means.Failure(str(error), means.REFUSED) from None
    place = found.position if wish is _Wish.COMPARE else _caught_up(app, store, projection, head)
    return _Done(projection.name, store, place, found)


def _judged(app: App, store: str, wish: _Wish, shown: Progress) -> _Done:
    with app.engine.connect() as conn:
        place = progress.positions(conn, [Planner.name], store)[Planner.name]
    told = partial(_move, shown, shown.add_task(f"{Planner.name} of {store}", total=place))
    work = replanning.compare if wish is _Wish.COMPARE else replanning.replan
    try:
        found = work(app.engine, store, app.policy(store), told)
    except (StillMissingError, LogDamagedError) as error:
        raise means.Failure(str(error), means.REFUSED) from None
    return _Done(Planner.name, store, found.position, found)


def _move(shown: Progress, task: TaskID, position: int) -> None:
    shown.update(task, completed=position)


def _caught_up(app: App, store: str, projection: Projection, head: int) -> int:
    """Bring the live read model to where the log stood, beside whatever worker runs; the place."""
    while True:
        with app.engine.connect() as conn:
            place = progress.positions(conn, [projection.name], store)[projection.name]
        if place >= head:
            return place
        if not transact(app.engine, lambda conn: catch_up(conn, store, [projection], app.policy(store))):
            time.sleep(0.05)  # a worker reads right now


# --- what is said -----------------------------------------------------------------------------------------------------


def _tell(one: _Done, wish: _Wish, command: str) -> None:
    name, found = f"{one.projection} of {one.store}", one.found
    if found is None:
        means.say(f"{name}: {one.released} former rows released")
        return
    planner = one.projection == Planner.name
    done = {
        _Wish.REBUILD: f"{'judged anew' if planner else 'rebuilt'} up to position {one.position}, ",
        _Wish.BACK: f"back at the former one, up to position {one.position}, ",
    }.get(wish, "")
    means.say(f"{name}: {done}{found.count} of {found.rows} rows differ{_by_kind(found)}")
    for line in _examples(found):
        means.say(f"  {line}")
    if planner and found.only_new:
        means.say(f"  what is new is parked, except reads: `{command} retry ORDER EFFECT` lets it go")
    elif found.count and not planner and wish is not _Wish.COMPARE:
        again = f"{command} rebuild {one.projection}"
        means.say(f"  the former one is kept: `{again} --back` swaps it in again, `{again} --release` gives it up")


def _by_kind(found: Differences) -> str:
    columns = ", ".join(f"{name} {count}" for name, count in found.columns.items())
    kinds = (
        (found.changed, f"{found.changed} changed ({columns})"),
        (found.only_old, f"{found.only_old} only in the former"),
        (found.only_new, f"{found.only_new} only in the new"),
    )
    told = ", ".join(text for count, text in kinds if count)
    return f" at position {found.position}: {told}" if told else ""


def _examples(found: Differences) -> Iterator[str]:
    for example in found.examples:
        key = ", ".join(f"{name}={value}" for name, value in example.key.items())
        yield f"{key}: {_change(example)}"
    if found.count > len(found.examples):
        yield f"and {found.count - len(found.examples)} more"


def _change(example: Example) -> str:
    if example.old is None or example.new is None:
        return "only in the new" if example.old is None else "only in the former"
    both = ((name, *_cut(old, example.new[name])) for name, old in example.old.items())
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in both)


def _cut(old: str | None, new: str | None) -> tuple[str, str]:
    """Both values from shortly before the place where they differ."""
    if old is None or new is None:
        return _short(old, 0), _short(new, 0)
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    begin = 0 if max(len(old), len(new)) <= _LONGEST else max(0, same - _LONGEST // 2)
    return _short(old, begin), _short(new, begin)


def _short(value: str | None, begin: int) -> str:
    if value is None:
        return "nothing"
    end = begin + _LONGEST
    return f"{'...' if begin else ''}{value[begin:end]}{'...' if len(value) > end else ''}"


def _plain(one: _Done) -> dict[str, object]:
    """For programs."""
    said: dict[str, object] = {"projection": one.projection, "store": one.store}
    if one.found is None:
        return said | {"released": one.released}
    found: dict[str, object] = msgspec.to_builtins(one.found)
    return found | said | {"position": one.position, "compared_at": one.found.position, "differ": one.found.count}
