"""`orderflow redrive`: plan what is to be tried again, read the plan, apply exactly that, see what came of it.

Planning changes nothing. Applying records decisions, as `orderflow retry` does for one order; the worker acts on them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.cli.finding import find
from orderflow.cli.freshness import warn
from orderflow.cli.headline import clock
from orderflow.cli.looking import time_of
from orderflow.cli.means import Failure, one_of
from orderflow.cli.rates import seconds_of
from orderflow.desk import redrive
from orderflow.desk.redrive import Choice, Counts, Item, Outcome, Plan, Result, Waiting
from orderflow.domain.events import Destination, Effect
from orderflow.store import epochs, log
from orderflow.store.bell import Topic
from orderflow.store.link import hint

SHOWN: Final = 20
Effects = Annotated[list[str] | None, typer.Option("--effect", help="Only this effect, for example draft.")]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        help=f"Only what waits for this reason: {', '.join(Waiting)}. Without it: {', '.join(redrive.USUAL)}.",
    ),
]
To = Annotated[str | None, typer.Option("--destination", help="Only what goes to glopal, or to shop.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Only what waits since then, as in 2026-11-21T14:00.", metavar="TIME")
]
Until = Annotated[str | None, typer.Option("--until", help="Only what began to wait before then.", metavar="TIME")]
Orders = Annotated[list[str] | None, typer.Option("--order", help="Only this order.", metavar="ORDER")]
Out = Annotated[
    Path | None, typer.Option("--out", help="The plan's file.", metavar="FILE", show_default="redrive-STORE-PLAN.json")
]
File = Annotated[Path, typer.Argument(help="The plan's file.", metavar="FILE", show_default=False)]
Why = Annotated[str, typer.Option("--why", help="The reason; it stands in each history, so name no person.")]
Rate = Annotated[str, typer.Option("--rate", help="So many orders at most, as in 5/s or 100/min.", metavar="N/s")]
_RATE: Final = "20/s"


def plan(  # noqa: PLR0913  an option each
    ctx: typer.Context,
    store: means.Store,
    *,
    effect: Effects = None,
    waiting: Classes = None,
    destination: To = None,
    since: Since = None,
    until: Until = None,
    order: Orders = None,
    why: Annotated[str, typer.Option("--why", help="What it is for; it stands in the plan only.")] = "",
    out: Out = None,
    as_json: means.AsJson = False,
) -> None:
    """Find what waits, say what a retry of each would do, and write that down. Nothing is done.

    refused: the other side said no. given_up: the last attempt failed. parked: due only since a version, a setting or
    a mapping changed. shadow: planned in shadow. later: tried again by itself, but not yet.
    """
    choice = Choice(
        waiting=tuple(Waiting(one_of("class", name, [*Waiting])) for name in waiting or ()) or redrive.USUAL,
        effects=tuple(Effect(one_of("effect", name, [*Effect])) for name in effect or ()),
        destination=Destination(one_of("destination", destination, [*Destination])) if destination else None,
        since=time_of("--since", since) if since else None,
        until=time_of("--until", until) if until else None,
        orders=tuple(order or ()),
    )
    with means.opened(ctx) as app:
        made, left_out, now = _made(app, ctx, store, choice, why)
    path = _written(made, out)
    if as_json:
        means.print_json(_plain(made, path) | {"left_out": left_out})
        return
    _show(made, left_out, now)
    if path is not None:
        command = means.means(ctx).command
        means.say(f"plan {made.name} is written to {path}; nothing is done until you say")
        means.say(f'  {command} redrive apply {path} --why "..."')


def apply(
    ctx: typer.Context,
    file: File,
    *,
    why: Why,
    rate: Rate = _RATE,
    by: means.By = "",
    force: Annotated[bool, typer.Option("--force", help="Also a plan that is older than a day.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Do exactly what the plan says: record a retry for each item whose order is still as it was planned.

    Interrupted or said twice, it goes on where it was: an item is written once. Exit code 1 if an item was refused.
    """
    seconds, reason = seconds_of(rate), _given(why)
    made = _read(file)
    with means.acting(ctx) as app:
        results = _applied(app, made, reason, by or means.user(), seconds, force=force)
    _tell(ctx, made, file, results, as_json=as_json)


def failed(
    ctx: typer.Context,
    store: means.Store,
    *,
    why: Why,
    effect: Effects = None,
    rate: Rate = _RATE,
    by: means.By = "",
    out: Out = None,
    as_json: means.AsJson = False,
) -> None:
    """Try all again that was refused or given up: plan and apply in one."""
    effects = tuple(Effect(one_of("effect", name, [*Effect])) for name in effect or ())
    choice = Choice(waiting=(Waiting.REFUSED, Waiting.GIVEN_UP), effects=effects)
    _at_once(ctx, store, choice, (why, rate, by), out, as_json=as_json)


def now_(
    ctx: typer.Context,
    store: means.Store,
    *,
    why: Why,
    effect: Effects = None,
    rate: Rate = _RATE,
    by: means.By = "",
    out: Out = None,
    as_json: means.AsJson = False,
) -> None:
    """Try all now that would be tried again later by itself: plan and apply in one."""
    effects = tuple(Effect(one_of("effect", name, [*Effect])) for name in effect or ())
    choice = Choice(waiting=(Waiting.LATER,), effects=effects)
    _at_once(ctx, store, choice, (why, rate, by), out, as_json=as_json)


def _at_once(
    ctx: typer.Context,
    store: str,
    choice: Choice,
    said: tuple[str, str, str],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    why, rate, by = said
    seconds, reason = seconds_of(rate), _given(why)
    with means.acting(ctx) as app:
        made, _, _ = _made(app, ctx, store, choice, reason)
        path = _written(made, out)
        results = _applied(app, made, reason, by or means.user(), seconds, force=False) if path else []
    _tell(ctx, made, path, results, as_json=as_json)


def status(ctx: typer.Context, file: File, *, as_json: means.AsJson = False) -> None:
    """Say what became of each item of a plan since it was applied."""
    made = _read(file)
    with means.opened(ctx) as app, app.engine.connect() as conn:
        policy = app.policy(means.known_store(app, made.store))
        found = list(redrive.fates(conn, made, policy))
    if as_json:
        items = [msgspec.to_builtins(one) for one in found]
        means.print_json({"plan": made.name, "store": made.store, "items": items})
        return
    counts = Counter(one.standing for one in found)
    means.say(f"plan {made.name} of {made.store}: {_listed(counts)}")
    table = _table("order", "effect", "stands", "position", "what was said")
    for one in found[:SHOWN]:
        place = "" if one.position is None else str(one.position)
        table.add_row(one.item.order_id, one.item.effect, one.standing, place, one.detail)
    if found:
        means.show(table)
    if len(found) > SHOWN:
        means.say(f"and {len(found) - SHOWN} more; --json shows all")


# --- planning ---------------------------------------------------------------------------------------------------------


def _made(app: App, ctx: typer.Context, store: str, choice: Choice, why: str) -> tuple[Plan, dict[str, int], datetime]:
    """The plan, how many were left out for why they wait, and the time."""
    name, counts = means.known_store(app, store), Counts()
    with app.engine.connect() as conn:
        now = means.wall_clock(conn)
        choice = replace(choice, orders=tuple(_order(app, conn, name, one) for one in choice.orders))
        position, epoch = log.head(conn, name), epochs.current(conn, name)
        items = tuple(redrive.find(conn, app.relay(), name, choice, now, counts))
        warn(conn, app, [name], means.means(ctx).command, reader="effects")
    made = Plan(name, epoch, position, now, means.user(), why, choice.told(), items)
    return made, {one.value: count for one, count in sorted(counts.left_out.items())}, now


def _order(app: App, conn: sa.Connection, store: str, wanted: str) -> str:
    place = find(app, conn, wanted if "/" in wanted else f"{store}/{wanted}")
    if place.store != store:
        raise Failure(f"--order: {place} is not of {store}; a plan is for one store")
    return place.order_id


def _written(made: Plan, out: Path | None) -> Path | None:
    """Where the plan was written; nowhere if it is empty."""
    if not made.items:
        return None
    path = out or Path(f"redrive-{made.store}-{made.name}.json")
    try:
        redrive.write(path, made)
    except redrive.PlanError as error:
        raise Failure(str(error)) from None
    return path


def _read(path: Path) -> Plan:
    try:
        return redrive.read(path)
    except redrive.PlanError as error:
        raise Failure(str(error), means.REFUSED) from None


def _show(made: Plan, left_out: dict[str, int], now: datetime) -> None:
    orders = len({item.order_id for item in made.items})
    means.say(f"{made.store}: {_plural(len(made.items), 'effect')} of {_plural(orders, 'order')} to be retried")
    counts = Counter((item.waiting, item.effect) for item in made.items)
    if counts:
        table = _table("class", "effect", "count")
        for (waiting, effect), count in sorted(counts.items()):
            table.add_row(waiting, effect, str(count))
        means.show(table)
        means.say("" if len(made.items) <= SHOWN else f"the first {SHOWN}:")
        means.show(_examples(made.items[:SHOWN], now))
    for other, count in left_out.items():
        means.say(f"left out: {count} {other}; --class {other} takes them")


def _examples(items: tuple[Item, ...], now: datetime) -> Table:
    table = _table("order", "effect", "waits since (UTC)", "because", "a retry does", "request")
    for item in items:
        does = item.does if not item.blocked else f"nothing now ({item.blocked})"
        because = f"{item.waiting}: {item.reason}"
        name = f"{item.effect} {item.generation}"
        table.add_row(item.order_id, name, clock(item.since, now), because, does, (item.digest or "")[:12])
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in ("count", "position") else "left", overflow="fold")
    return table


def _plain(made: Plan, path: Path | None) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(made)
    return {"plan": made.name, "file": None if path is None else str(path)} | told


# --- applying ---------------------------------------------------------------------------------------------------------


def _applied(app: App, made: Plan, why: str, by: str, seconds: float, *, force: bool) -> list[Result]:
    """Item after item, `seconds` apart. Raises `Failure` if the plan as a whole is refused."""
    store = means.known_store(app, made.store)
    with app.engine.begin() as conn:
        try:
            redrive.check(conn, made, means.wall_clock(conn), force=force)
        except redrive.StalePlanError as error:
            raise Failure(str(error), means.REFUSED) from None
    results = []
    with bar() as shown:
        task = shown.add_task(f"plan {made.name} of {store}", total=len(made.items))
        for item in made.items:
            result = redrive.apply_item(app.engine, app.vault, made, item, app.policy(store), by=by, why=why)
            results.append(result)
            shown.advance(task)
            if result.outcome is Outcome.APPLIED:
                hint(app.engine, Topic.FACTS)
                time.sleep(seconds)
    return results


def _tell(ctx: typer.Context, made: Plan, path: Path | None, results: list[Result], *, as_json: bool) -> None:
    counts = Counter(one.outcome for one in results)
    if as_json:
        items = [{**msgspec.to_builtins(one.item), "outcome": one.outcome, "detail": one.detail} for one in results]
        file = None if path is None else str(path)
        means.print_json({"plan": made.name, "store": made.store, "file": file, "counts": counts, "items": items})
    elif not results:
        means.say(f"nothing of that waits in {made.store}")
    else:
        means.say(f"plan {made.name} of {made.store}: {_listed(counts)}")
        for line in _lines(results):
            means.say(line)
        means.say(f"  {means.means(ctx).command} redrive status {path} says what becomes of them")
    if counts[Outcome.MOVED] or counts[Outcome.ILLEGAL]:
        raise typer.Exit(means.REFUSED)


def _lines(results: list[Result]) -> Iterator[str]:
    """What was not applied, and why."""
    refused = [one for one in results if one.outcome in (Outcome.MOVED, Outcome.ILLEGAL)]
    for one in refused[:SHOWN]:
        yield f"  {one.item.order_id} {one.item.effect}: {one.outcome}: {one.detail}"
    if len(refused) > SHOWN:
        yield f"  and {len(refused) - SHOWN} more; --json shows all"


def _plural(count: int, name: str) -> str:
    return f"{count} {name}" + ("" if count == 1 else "s")


def _listed(counts: Counter[Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no items"


def _given(why: str) -> str:
    text = why.strip()
    if not text:
        raise Failure("--why must say something")
    return text
