"""What the demo prints at its end: what happened, one order's story, one held order and the command that frees it.

It reads the log and the read models, and nothing personal stands in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from orderflow.cli.advice import command_lines
from orderflow.cli.demo.world import World
from orderflow.domain.attention import attention
from orderflow.orders import load
from orderflow.store.tables import anomalies, effects, events, orders, timeline

NEXT: Final = """
What to try next:
  orderflow sandbox       the fake Glopal and the fake shop by themselves, for your own settings and code
  orderflow --help        every command
  docs/tutorial.md        one order in ten minutes, step by step"""


def report(world: World, out: Console) -> None:
    """Everything that is worth a look."""
    with world.app.engine.connect() as conn:
        out.rule("What happened")
        out.print(
            f"{world.player.placed} orders of {len(world.app.tenants)} stores; "
            f"{world.fault_count} faults: {_faults(world)}"
        )
        out.print(
            Columns(
                [
                    counts("events by type", _rows(conn, events.c.type)),
                    counts("orders by status", _rows(conn, orders.c.status)),
                    counts("anomalies by kind", _rows(conn, _anomaly())),
                ],
                padding=(0, 4),
            )
        )
        out.print(_effects(conn))
        _one_story(conn, out)
        _one_held(conn, world, out)


def figures(world: World) -> dict[str, Any]:
    """The same counts for programs."""
    with world.app.engine.connect() as conn:
        return {
            "orders": world.player.placed,
            "stores": len(world.app.tenants),
            "faults": {kind: count for kind, count in _fault_counts(world) if kind != "none"},
            "events": dict(_rows(conn, events.c.type)),
            "statuses": dict(_rows(conn, orders.c.status)),
            "anomalies": dict(_rows(conn, _anomaly())),
            "effects": [dict(row._mapping) for row in _effect_rows(conn)],  # noqa: SLF001  SQLAlchemy's public name
        }


def counts(title: str, rows: Sequence[tuple[str, int]]) -> Table:
    """Names and how many of each."""
    table = Table(title=title, box=None, show_header=False, title_justify="left", title_style="bold")
    table.add_column(min_width=len(title))  # or the title would be broken
    table.add_column(justify="right")
    for name, count in rows:
        table.add_row(name, str(count))
    if not rows:
        table.add_row("none", "")
    return table


def _rows(conn: sa.Connection, column: sa.ColumnElement[str]) -> list[tuple[str, int]]:
    number = sa.func.count()
    query = sa.select(column, number).group_by(column).order_by(number.desc(), column)
    return [(name, count) for name, count in conn.execute(query)]


def _anomaly() -> sa.ColumnElement[str]:
    """The kind without the id that some carry."""
    return sa.func.split_part(anomalies.c.kind, " ", 1)


def _faults(world: World) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in _fault_counts(world) if kind != "none")


def _fault_counts(world: World) -> Sequence[tuple[str, int]]:
    return (world.faults[0].counts + world.faults[1].counts).most_common()


def _effects(conn: sa.Connection) -> Table:
    table = Table(title="effects by kind and outcome", box=None, title_justify="left", title_style="bold")
    for name in ("effect", "outcome"):
        table.add_column(name)
    for name in ("how many", "attempts", "look-ups"):
        table.add_column(name, justify="right")
    for row in _effect_rows(conn):
        table.add_row(*map(str, row))
    return table


def _effect_rows(conn: sa.Connection) -> Sequence[sa.Row[Any]]:
    count = sa.func.count()
    sums = (sa.func.sum(effects.c.attempts).label("attempts"), sa.func.sum(effects.c.look_ups).label("look_ups"))
    query = sa.select(effects.c.effect, effects.c.state.label("outcome"), count.label("count"), *sums)
    return conn.execute(
        query.group_by(effects.c.effect, effects.c.state).order_by(effects.c.effect, count.desc())
    ).all()


def _one_story(conn: sa.Connection, out: Console) -> None:
    """An order with a lost reply that was looked up in the shop, else one with any lost reply; the shortest of them."""
    looked_up = timeline.c.summary.op("~")("^looked up for (draft|promote): ord_")
    for lost in (looked_up, timeline.c.type == "EffectUnknown", sa.true()):
        with_it = sa.select(timeline.c.store, timeline.c.order_id).where(lost)
        ended = sa.and_(orders.c.status == "COMPLETED", sa.tuple_(orders.c.store, orders.c.order_id).in_(with_it))
        query = sa.select(orders.c.store, orders.c.order_id, orders.c.status).where(ended)
        row = conn.execute(query.order_by(orders.c.version).limit(1)).one_or_none()
        if row is not None:
            out.rule("One order, whose outcome was once unknown")
            out.print(f"order {row.order_id} of {row.store}, now {row.status}")
            out.print(story(conn, row.store, row.order_id))
            return


def story(conn: sa.Connection, store: str, order_id: str) -> Table:
    """The timeline of one order, with seconds since its first event."""
    table = Table(box=None)
    table.add_column("at", justify="right")
    table.add_column("position", justify="right")
    table.add_column("event")
    table.add_column("what", overflow="fold")
    table.add_column("status")
    mine = sa.and_(timeline.c.store == store, timeline.c.order_id == order_id)
    first: Any = None
    for row in conn.execute(sa.select(timeline).where(mine).order_by(timeline.c.version)):
        first = first or row.recorded_at
        passed = f"{(row.recorded_at - first).total_seconds():.2f} s"
        table.add_row(passed, str(row.position), row.type, row.summary, row.status)
    return table


def _one_held(conn: sa.Connection, world: World, out: Console) -> None:
    query = sa.select(orders.c.store, orders.c.order_id).where(sa.func.cardinality(orders.c.held) > 0)
    row = conn.execute(query.limit(1)).one_or_none()
    if row is None:
        return
    out.rule("One held order, and what frees it")
    order = load(conn, row.store, row.order_id)
    out.print(f"order {row.order_id} of {row.store} is {order.status}")
    for one in attention(order, world.app.policy(row.store)):
        out.print(f"  {one.kind}, since position {one.position}: {one.text}", markup=False)
        for line in command_lines(one, row.store, row.order_id):
            out.print(f"      {line}", markup=False)
