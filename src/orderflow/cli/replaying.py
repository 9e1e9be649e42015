"""`orderflow replay`: fold every order anew from the log, and compare the read model `orders` with that.

It never writes anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.cli.looking import time_of
from orderflow.cli.means import Failure
from orderflow.domain.machine import Status
from orderflow.projections.orders import Orders
from orderflow.replay import Difference, Reached, compare, replay, without_history
from orderflow.store import log, progress, reading

NAMED: Final = 10
"""Differing orders that are named to people; programs get all."""

Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="A position, or a time as in 2026-11-21T14:00 (UTC unless it says otherwise): what was known then.",
        metavar="TIME|POSITION",
        show_default="where the read model orders stands, and compare the two",
    ),
]


@dataclass(slots=True)
class _Found:
    """What the replay of one store has found so far."""

    store: str
    position: int
    compared: bool
    by_status: Counter[str] = field(default_factory=Counter)
    judged_before: Counter[int] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def orders(self) -> int:
        return self.by_status.total()


def replayed(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    until: Until = None,
    as_json: means.AsJson = False,
) -> None:
    """Fold every order anew from the first event of the log. Exit code 1 if the read model orders says otherwise.

    Nothing is written, and no snapshot is believed. With --until the orders are counted as they were known then, and
    nothing is compared.
    """
    found: list[_Found] = []
    with means.opened(ctx) as app:
        for name in means.stores(app, store):
            found.append(_replayed(app, name, until))
            if not as_json:
                _say(found[-1])
    if as_json:
        means.print_json([_data(one) for one in found])
    if any(one.differences for one in found):
        raise typer.Exit(means.REFUSED)


def _replayed(app: App, store: str, until: str | None) -> _Found:
    with app.engine.connect() as conn, bar() as shown:
        found = _Found(store, _place(conn, store, until), compared=until is None)
        task = shown.add_task(store, total=found.position)
        for reached in replay(conn, store, found.position):
            _take(app, conn, found, reached)
            shown.update(task, completed=reached.position, description=f"{store}: {_counts(found)}")
        if found.compared:
            found.differences += without_history(conn, store)
            if progress.positions(conn, [Orders.name], store)[Orders.name] < found.position:
                raise Failure(f"the read model orders of {store} is being rebuilt; replay again when that is done")
    return found


def _place(conn: sa.Connection, store: str, until: str | None) -> int:
    """Up to where: the read model's place, or what was asked for."""
    if until is None:
        return progress.positions(conn, [Orders.name], store)[Orders.name]
    if not until.isdecimal():
        return reading.position_at(conn, store, time_of("--until", until))
    end = log.head(conn, store)
    if int(until) > end:
        raise Failure(f"--until: the log of {store} ends at position {end}")
    return int(until)


def _take(app: App, conn: sa.Connection, found: _Found, reached: Reached) -> None:
    found.by_status.update(one.order.status.value for one in reached.folded)
    for one in reached.folded:
        found.judged_before.update(one.other_machines)
    if found.compared:
        found.differences += compare(conn, found.store, reached.folded, app.policy(found.store))


def _counts(found: _Found) -> str:
    return ", ".join(f"{found.by_status[status.value]} {status}" for status in Status if found.by_status[status.value])


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count} orders"


def _say(found: _Found) -> None:
    means.say(f"{found.store}: {_orders(found.orders)} up to position {found.position}: {_counts(found) or 'none'}")
    for version, count in sorted(found.judged_before.items()):
        means.say(f"  {_orders(count)} with events that version {version} of the machine judged in their day")
    if not found.compared:
        return
    if not found.differences:
        means.say("  the read model orders says the same of each")
        return
    named = [f"{one.order_id} ({', '.join(one.what)})" for one in found.differences[:NAMED]]
    more = [f"and {len(found.differences) - NAMED} more"] if len(found.differences) > NAMED else []
    means.complain(
        f"{len(found.differences)} of {_orders(found.orders)} of {found.store} differ: {', '.join([*named, *more])}"
    )


def _data(found: _Found) -> dict[str, Any]:
    return {
        "store": found.store,
        "position": found.position,
        "orders": found.orders,
        "by_status": dict(found.by_status),
        "judged_by_other_machines": {str(version): count for version, count in sorted(found.judged_before.items())},
        "compared": found.compared,
        "differences": [{"order_id": one.order_id, "what": one.what} for one in found.differences],
    }
