"""`orderflow alerts`: the rules, how each store stands against them and what was said, and a trial of who is told.

It never says anything outside by itself but for that trial; `orderflow work` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.table import Table

from orderflow import app as composition
from orderflow.cli import means
from orderflow.cli.freshness import warn
from orderflow.cli.headline import when
from orderflow.cli.means import InStore
from orderflow.desk import alerts, signals
from orderflow.desk.measuring import Measured
from orderflow.desk.rules import Rule
from orderflow.desk.signals import Standing
from orderflow.domain.attention import told as length
from orderflow.projections.exceptions import Exceptions

_NOBODY: Final = "nobody is told: set alerts.url and alerts.url_key, or alerts.command"


def list_(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """List the alert rules: the built-in ones, and those of the settings."""
    alerting = composition.alerting(means.settings(ctx))
    if as_json:
        means.print_json({"receivers": [one.name for one in alerting.receivers], "rules": alerting.rules})
        return
    if not alerting.rules:
        means.say("there are no alert rules: alerts.defaults is false, and alerts.rules names none")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "counts", "from", "within", "stores"):
        table.add_column(name, overflow="fold")
    for rule in alerting.rules:
        table.add_row(rule.name, _counts(rule), _limits(rule), length(rule.window), ", ".join(rule.only) or "each")
    means.show(table)
    means.say(_told(alerting.receivers))


def _counts(rule: Rule) -> str:
    if rule.outcomes:
        which = f" for {', '.join(rule.effects)}" if rule.effects else ""
        return f"calls{which} that came to {', '.join(rule.outcomes)}"
    return "exceptions" + (f" of {', '.join(rule.classes)}" if rule.classes else " of any class")


def _limits(rule: Rule) -> str:
    orders = f", of {rule.orders} orders" if rule.orders > 1 else ""
    of = "calls" if rule.outcomes else "orders with news"
    return f"{rule.at_least}{orders}" + (f", more than {rule.percent:g} % of the {of}" if rule.percent else "")


def _told(receivers: Any) -> str:
    return f"told by {' and '.join(one.name for one in receivers)}" if receivers else _NOBODY


# --- how it stands ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One rule in one store: what counts now, whether that passes its limits, and what was said last."""

    store: str
    rule: str
    fires: bool
    count: int
    orders: int
    percent: float
    affected: tuple[str, ...]
    said: Standing | None


def status(ctx: typer.Context, *, store: InStore = None, as_json: means.AsJson = False) -> None:
    """Show how each store stands against each rule now, what was said last, and whether that was taken."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        names, now = means.stores(app, store), means.wall_clock(conn)
        assert app.alerting is not None
        lines = [
            _line(found, signals.standing(conn, found.store, found.rule.name))
            for found in alerts.measure(conn, app.alerting)
            if found.store in names
        ]
        receivers = app.alerting.receivers
        warn(conn, app, names, means.means(ctx).command, reader=Exceptions.name)
    if as_json:
        means.print_json(lines)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("store", "rule", "now", "counted", "said last"):
        table.add_column(name, overflow="fold")
    for line in lines:
        orders = f" of {line.orders} orders" if line.orders else ""
        state = "fires" if line.fires else "quiet"
        style = "red" if line.fires else None
        table.add_row(line.store, line.rule, state, f"{line.count}{orders}", _said(line.said, now), style=style)
    means.show(table)
    means.say(_told(receivers))


def _line(found: Measured, said: Standing | None) -> Line:
    percent = round(found.percent, 1)
    return Line(found.store, found.rule.name, found.fires, found.count, found.spread, percent, found.orders, said)


def _said(said: Standing | None, now: datetime) -> str:
    if said is None:
        return "nothing"
    at = f"{said.state}, {when(said.at, now)}"
    if said.delivered_at is not None:
        return f"{at}; taken"
    return f"{at}; not taken after {said.tries} tries: {said.problem}" if said.problem else f"{at}; on its way"


# --- a trial ----------------------------------------------------------------------------------------------------------


def trial(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Send everybody who is to be told a signal that says it is a trial. Exit code 1 if one of them did not take it."""
    alerting = composition.alerting(means.settings(ctx))
    told = alerts.trial(alerting, datetime.now(UTC))
    if as_json:
        means.print_json(told)
    elif not told:
        means.say(_NOBODY)
    else:
        for name, problem in told.items():
            means.say(f"{name}: {problem or 'taken'}")
    if not told or any(told.values()):
        raise typer.Exit(means.REFUSED)
