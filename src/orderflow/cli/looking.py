"""Commands that look at orders: `orderflow orders list`, `show` and `timeline`.

They never change anything. `show` and `timeline` fold the log itself; `list` reads the read model and says if it lags.
"""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow import codec
from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.card import card, printed
from orderflow.cli.means import Failure
from orderflow.domain.evolve import evolve
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.orders import UnknownOrderError
from orderflow.projections import Step
from orderflow.projections.anomalies import found_in
from orderflow.projections.timeline import summary
from orderflow.store import log, progress
from orderflow.store.tables import orders

group = typer.Typer(help="Look at orders.", no_args_is_help=True, rich_markup_mode=None)
_LISTED = (
    "store",
    "order_id",
    "status",
    "status_since",
    "held",
    "attention",
    "shop_order_id",
    "shop_number",
    "shop_state",
    "currency",
    "total",
)


@group.command("list")
def list_(
    ctx: typer.Context,
    *,
    store: Annotated[str | None, typer.Option(help="Only this store.")] = None,
    status: Annotated[str | None, typer.Option(help="Only this status, for example READY.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Only held orders.")] = False,
    attention: Annotated[bool, typer.Option("--attention", help="Only orders that wait for a person.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, those with the newest events first.", min=1)] = 50,
    as_json: means.AsJson = False,
) -> None:
    """List orders as the read model has them."""
    if status is not None and status.upper() not in set(Status):
        raise Failure(f"there is no status {status}; there are {', '.join(Status)}")
    with means.opened(ctx) as app, app.engine.connect() as conn:
        names = means.stores(app, store)
        wanted: list[sa.ColumnElement[bool]] = [orders.c.store.in_(names)]
        wanted += [orders.c.status == status.upper()] if status else []
        wanted += [sa.func.cardinality(orders.c.held) > 0] if held else []
        wanted += [sa.func.cardinality(orders.c.attention) > 0] if attention else []
        query = sa.select(*(orders.c[name] for name in _LISTED)).where(*wanted)
        found = list(conn.execute(query.order_by(orders.c.last_recorded_at.desc(), orders.c.order_id).limit(limit + 1)))
        _say_lag(conn, ctx, names)
    if as_json:
        means.print_json([dict(row._mapping) for row in found[:limit]])  # noqa: SLF001  SQLAlchemy's public name
        return
    means.console().print(_table(found[:limit]))
    if len(found) > limit:
        means.say(f"... and more; --limit shows more than {limit}")


def _table(rows: list[sa.Row[Any]]) -> Table:
    table = Table(box=None)
    for name in ("store", "order", "status", "since", "held", "attention", "shop order", "number", "total"):
        table.add_column(name, justify="right" if name == "total" else "left", overflow="fold")
    for row in rows:
        shop = f"{row.shop_order_id} ({row.shop_state})" if row.shop_order_id else ""
        total = f"{row.total} {row.currency}" if row.total is not None else ""
        since = means.moment(row.status_since)
        flags = (", ".join(row.held), ", ".join(row.attention))
        table.add_row(row.store, row.order_id, row.status, since, *flags, shop, row.shop_number or "", total)
    return table


def _say_lag(conn: sa.Connection, ctx: typer.Context, stores: list[str]) -> None:
    for store in stores:
        behind = log.head(conn, store) - progress.positions(conn, ["orders"], store)["orders"]
        if behind > 0:
            hint = f"`{means.means(ctx).command} work` or `pull` brings it up to date"
            means.complain(f"{store}: this list is {behind} events behind the log; {hint}")


@group.command()
def show(ctx: typer.Context, store: means.Store, order_id: means.Order, *, as_json: means.AsJson = False) -> None:
    """Show one order as its history tells it: holds, what is due and when, and what to type."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        means.known_store(app, store)
        found = card(conn, store, order_id, app.policy(store), means.means(ctx).command)
        now = means.wall_clock(conn)
    if as_json:
        means.print_json(found)
        return
    for line in printed(found, now):
        means.say(line)


@group.command()
def timeline(ctx: typer.Context, store: means.Store, order_id: means.Order, *, as_json: means.AsJson = False) -> None:
    """Show everything that happened to one order, in the order we learnt it, with what did not go by the book."""
    with means.opened(ctx) as app:
        lines = _lines(app, means.known_store(app, store), order_id)
    if as_json:
        means.print_json(lines)
        return
    table = Table(box=None)
    for name in ("recorded (UTC)", "position", "event", "what", "status"):
        table.add_column(name, justify="right" if name == "position" else "left", overflow="fold")
    for line in lines:
        at = f"{line['recorded_at']:%m-%d %H:%M:%S.%f}"[:-3]
        table.add_row(at, str(line["position"]), line["type"], line["what"], line["status"])
        for text in line["anomalies"]:
            table.add_row("", "", "", f"! {text}", "")
    means.console().print(table)


def _lines(app: App, store: str, order_id: str) -> list[dict[str, Any]]:
    with app.engine.connect() as conn:
        records = log.read_stream(conn, store, order_id)
    if not records:
        raise UnknownOrderError(f"store {store} has no order {order_id}")
    lines, before = [], Order()
    for record in records:
        recorded = codec.decode(record)
        after = evolve(before, recorded)
        step = Step(record, recorded.event, before, after)
        lines.append(
            {
                "position": record.position,
                "version": record.version,
                "recorded_at": record.recorded_at,
                "occurred_at": record.occurred_at,
                "type": record.type,
                "what": summary(recorded.event),
                "status": after.status.value,
                "anomalies": [f"{kind}: {detail}" for kind, detail in found_in(step)],
            }
        )
        before = after
    return lines
