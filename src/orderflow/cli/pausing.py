"""The kill switch: pause and resume what goes in and out, per store and destination.

It never ends a call under way: what is on the wire comes to its end and is recorded; nothing new is begun.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.headline import clock
from orderflow.cli.means import InStore, one_of
from orderflow.store import gates, progress
from orderflow.store.bell import Topic
from orderflow.store.connect import transact
from orderflow.store.link import hint
from orderflow.store.tables import pauses as pauses_table

_PULL: Final = "pull"
SCOPES: Final = (_PULL, "glopal", "shop")
ALL: Final = "all"
Stores = Annotated[
    str, typer.Argument(help="A store of the settings file, or all.", metavar="STORE", show_default=False)
]
Scope = Annotated[str, typer.Argument(help="pull, glopal, shop, or all.", metavar="SCOPE", show_default=False)]


def pause(
    ctx: typer.Context,
    store: Stores,
    scope: Scope,
    why: Annotated[str, typer.Option(help="The reason, for others to read.")] = "paused by hand",
    by: means.By = "",
    *,
    as_json: means.AsJson = False,
) -> None:
    """Stop reading Glopal's feed (pull), or everything that goes to Glopal or to the shop, questions included.

    It holds for every worker from its next step on, until `resume`. A call that is on the wire comes to its end. What
    is due waits; nothing is lost. `pause all all` stops everything.
    """
    with means.opened(ctx) as app:
        places = _places(app, store, scope)
        for name, what in places:
            transact(app.engine, partial(progress.pause, store=name, scope=what, reason=why, by=by or means.user()))
    if as_json:
        means.print_json([{"store": name, "scope": what, "paused": True} for name, what in places])
        return
    for name, what in places:
        means.say(f"{what} of {name} is paused; `{means.means(ctx).command} resume {name} {what}` lifts it")


def resume(ctx: typer.Context, store: Stores, scope: Scope, *, as_json: means.AsJson = False) -> None:
    """Lift a pause, also one that orderflow made itself: mend its cause first.

    A destination that was resting, or whose breaker was open, is called at once as well.
    """
    with means.opened(ctx) as app:
        places = _places(app, store, scope)
        lifted = [transact(app.engine, partial(_lift, store=name, scope=what)) for name, what in places]
        if any(lifted):
            hint(app.engine, Topic.DUE)
    if as_json:
        told = zip(places, lifted, strict=True)
        means.print_json([{"store": name, "scope": what, "lifted": one} for (name, what), one in told])
        return
    for (name, what), one in zip(places, lifted, strict=True):
        if one:
            means.say(f"{what} of {name} goes on")
        elif ALL not in (store, scope):
            means.say(f"{what} of {name} was not paused")
    if not any(lifted) and ALL in (store, scope):
        means.say("nothing of that was paused")


def _lift(conn: sa.Connection, *, store: str, scope: str) -> bool:
    """Nothing keeps it back any more. False if nothing did."""
    reopened = scope != _PULL and gates.reopen(conn, (store, scope))
    return progress.resume(conn, store, scope) or reopened


def pauses(ctx: typer.Context, *, store: InStore = None, as_json: means.AsJson = False) -> None:
    """List what is paused, since when, by whom and why."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        query = sa.select(pauses_table).where(pauses_table.c.store.in_(means.stores(app, store)))
        found = [dict(row) for row in conn.execute(query.order_by(pauses_table.c.since)).mappings()]
        now = means.wall_clock(conn)
    if as_json:
        means.print_json(found)
    elif not found:
        means.say("nothing is paused")
    else:
        means.show(_table(found, now, f"{means.means(ctx).command} resume"))


def _table(found: list[dict[str, Any]], now: Any, resume_: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("since (UTC)", "by", "why", "lifted by"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(clock(row["since"], now), row["by"], row["reason"], f"{resume_} {row['store']} {row['scope']}")
    return table


def _places(app: App, store: str, scope: str) -> list[tuple[str, str]]:
    """Every store and scope that is meant."""
    everywhere = store == ALL and ALL not in app.tenants
    names = sorted(app.tenants) if everywhere else [means.known_store(app, store)]
    scopes = SCOPES if scope == ALL else (one_of("scope", scope, (*SCOPES, ALL)),)
    return list(product(names, scopes))
