"""`orderflow routes`: the calls that a store makes to Glopal, who says so, and what is still a guess.

It connects to nothing: everything comes from the settings and the description they name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from orderflow import app as composition
from orderflow.cli import means
from orderflow.config import StoreSettings
from orderflow.glopal.jsontext import canonical
from orderflow.glopal.routes import READS, Route, Source


def routes(ctx: typer.Context, *, store: means.InStore = None, as_json: means.AsJson = False) -> None:
    """Show each call to Glopal: method, path, body, what proves success, and who says so. Nothing is called."""
    settings = means.settings(ctx)
    names = sorted(settings.stores) if store is None else [means.one_of("store", store, sorted(settings.stores))]
    told = {name: list(_told(name, settings.stores[name])) for name in names}
    if as_json:
        means.print_json(told)
        return
    for name, rows in told.items():
        means.say(f"{name}: {settings.stores[name].glopal.base_url}")
        for row in rows:
            for line in _lines(row):
                means.say(line)
        guesses = [row["operation"] for row in rows if row["source"] == Source.ASSUMED]
        if guesses:
            means.say(f"! a guess until compared with Glopal's API description: {', '.join(guesses)}")


def _told(name: str, store: StoreSettings) -> list[dict[str, Any]]:
    table = composition.route_table(name, store)
    return [_row(operation, route, table.notes.get(operation, ())) for operation, route in table.routes.items()]


def _row(operation: str, route: Route, notes: tuple[str, ...]) -> dict[str, Any]:
    reads, reasons = operation in READS, route.reasons
    return {
        "operation": operation,
        "method": route.method,
        "path": route.path,
        "source": route.source.value,
        "query": dict(route.query),
        "body": None if route.body is None else canonical(route.body).decode("ascii"),
        "reasons": None if reasons is None else list(reasons.words),
        "otherwise": None if reasons is None else reasons.otherwise,
        "another": None if reasons is None else "refused here: set `otherwise`" if reasons.required else "left out",
        "success": None if reads else _success(route),
        "success_source": None if reads else route.success.source.value,
        "notes": list(notes),
    }


def _success(route: Route) -> str:
    statuses = " or ".join(map(str, route.success.statuses))
    holds = route.success.holds
    if holds is None:
        return statuses
    return f"{statuses} with {canonical(holds).decode('ascii') if holds else 'any object'}"


def _lines(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['operation']:<8}{row['method']} {row['path']}   ({row['source']})"
    if row["query"]:
        query = [f"{ours} as {name}" if name else f"no {ours}" for ours, name in row["query"].items()]
        yield f"{'':8}query    {', '.join(query)}"
    if row["body"]:
        yield f"{'':8}body     {row['body']}"
    if row["reasons"] or row["otherwise"]:
        another = f"sent as {row['otherwise']}" if row["otherwise"] else row["another"]
        yield f"{'':8}reasons  {', '.join(row['reasons']) or 'none'}; another is {another}"
    if row["success"]:
        yield f"{'':8}success  {row['success']}   ({row['success_source']})"
    for note in row["notes"]:
        yield f"{'':8}! {note}"
