"""`orderflow orders list`: orders by what they are, as the read model has them.

It never changes anything, and says if the read model lags or the feed is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow.cli import means
from orderflow.cli.freshness import warn
from orderflow.cli.headline import clock
from orderflow.cli.means import Failure, InStore, one_of
from orderflow.domain.machine import Status
from orderflow.store.tables import orders

_LISTED: Final = (
    *("store", "order_id", "status", "status_since", "held", "attention", "confirmed"),
    *("shop_order_id", "shop_number", "shop_state", "external_order_id", "external_number"),
    *(
        "currency",
        "total",
        "refunded",
        "open_returns",
        "cancelled_by",
        "cancelled_why",
        "environment",
        "born_at",
        "first_recorded_at",
        "last_recorded_at",
    ),
)


class Sort(StrEnum):
    """What comes first."""

    NEWS = "news"
    OLDEST = "oldest"
    TOTAL = "total"


_ORDER: Final[dict[Sort, Callable[[Any], sa.ColumnElement[Any]]]] = {
    Sort.NEWS: lambda columns: columns.last_recorded_at.desc(),
    Sort.OLDEST: lambda columns: columns.status_since.asc().nulls_first(),
    Sort.TOTAL: lambda columns: columns.total.desc().nulls_last(),
}


def list_(  # noqa: PLR0913  an option each
    ctx: typer.Context,
    *,
    store: InStore = None,
    status: Annotated[str | None, typer.Option(help="Only this status, for example READY.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Only held orders.")] = False,
    attention: Annotated[bool, typer.Option("--attention", help="Only orders that wait for a person.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="Only with this kind of attention or hold, for example parked_draft or money.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only those so long in their status: 90s, 15m, 2h or 3d.", metavar="SPAN")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Only with this in the order id, or in the shop's id or number.", metavar="TEXT")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Only in this currency.")] = None,
    sort: Annotated[
        Sort, typer.Option(help="Newest news, longest in their status, or greatest total first.")
    ] = Sort.NEWS,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    as_json: means.AsJson = False,
) -> None:
    """List orders as the read model has them."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        names = means.stores(app, store)
        now = means.wall_clock(conn)
        among = [*Status] if status is None else [Status(one_of("status", status.upper(), [*Status]))]
        wanted: list[sa.ColumnElement[bool]] = []
        if held:
            wanted.append(sa.func.cardinality(orders.c.held) > 0)
        if attention:
            wanted.append(sa.func.cardinality(orders.c.attention) > 0)
        if kind is not None:
            wanted.append(sa.or_(orders.c.attention.contains([kind]), orders.c.held.contains([kind])))
        if older_than is not None:
            wanted.append(orders.c.status_since < now - length("--older-than", older_than))
        if text is not None:
            within = (orders.c.order_id, orders.c.shop_order_id, orders.c.shop_number, orders.c.external_number)
            wanted.append(sa.or_(*(column.contains(text, autoescape=True) for column in within)))
        if currency is not None:
            wanted.append(orders.c.currency == currency.upper())
        found = conn.execute(first(names, among, wanted, sort, limit)).all()
        count = len(found)
        if count == limit:
            here = (orders.c.store.in_(names), orders.c.status.in_(among))
            count = conn.scalar(sa.select(sa.func.count()).select_from(orders).where(*here, *wanted)) or 0
        warn(conn, app, names, means.means(ctx).command)
    if as_json:
        means.print_json([dict(row._mapping) for row in found])  # noqa: SLF001  SQLAlchemy's public name
        return
    if found:
        means.show(_table(found, now, several=len(names) > 1))
    more = f"; the first {len(found)} are shown, --limit shows more" if count > len(found) else ""
    means.say(f"{count} order{'' if count == 1 else 's'}{more}")


def first(
    names: Sequence[str], among: Sequence[Status], wanted: Sequence[sa.ColumnElement[bool]], sort: Sort, limit: int
) -> sa.Select[tuple[Any, ...]]:
    """The first `limit` orders of these stores and statuses that are `wanted`: out of the first of each of both.

    By store and status the newest stand together in the index, so fifty of millions cost a few hundred rows.
    """

    def ordered(columns: Any) -> tuple[Any, ...]:
        return _ORDER[sort](columns), columns.store, columns.order_id

    query = sa.select(*(orders.c[name] for name in _LISTED)).where(*wanted).order_by(*ordered(orders.c)).limit(limit)
    pieces = [query.where(orders.c.store == name, orders.c.status == status) for name in names for status in among]
    rows = sa.union_all(*(sa.select(piece.subquery()) for piece in pieces)).subquery()
    return sa.select(rows).order_by(*ordered(rows.c)).limit(limit)


_CENTURY: Final = timedelta(days=36525)


_LONGEST: Final = 3650 * 86400
"""Seconds: no order is older."""


def length(name: str, text: str) -> timedelta:
    """`90s`, `15m`, `2h` or `3d` as a length of time. Raises `Failure`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in units and len(number) < 10):
        raise Failure(f"{name}: {text!r} is no length of time; write it as in 90s, 15m, 2h or 3d")
    seconds = int(number) * units[unit]
    if seconds > _LONGEST:
        raise Failure(f"{name}: {text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def _table(rows: Any, now: datetime, *, several: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    names = ("order", "status", "since (UTC)", "attention", "shop order", "number", "total")
    for name in names:
        table.add_column(name, justify="right" if name == "total" else "left", overflow="fold")
    for row in rows:
        shop = f"{row.shop_order_id} ({row.shop_state})" if row.shop_order_id else ""
        total = f"{row.total} {row.currency}" if row.total is not None else ""
        named = f"{row.store}/{row.order_id}" if several else row.order_id
        style = "red" if row.attention else None
        since = clock(row.status_since, now) if row.status_since else ""
        flags = ", ".join(row.attention)  # every hold is among them
        table.add_row(named, row.status, since, flags, shop, row.shop_number or "", total, style=style)
    return table
