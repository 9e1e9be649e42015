"""Which order is meant: Glopal's id alone will do, or STORE/ORDER; to look, also what the shop calls it.

It never guesses: what fits several orders, or none, is said with the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated

import sqlalchemy as sa
import typer

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.orders import UnknownOrderError
from orderflow.store.tables import orders, streams

Order = Annotated[
    str,
    typer.Argument(help="Glopal's order id; STORE/ORDER where stores share one.", metavar="ORDER", show_default=False),
]
"""For commands that decide: nothing but Glopal's own id will do."""
AnyOrder = Annotated[
    str,
    typer.Argument(
        help="Glopal's order id or STORE/ORDER; also the shop's id or number, or the ids it was accepted with.",
        metavar="ORDER",
        show_default=False,
    ),
]
"""For commands that look."""


@dataclass(frozen=True, slots=True)
class Place:
    """One order of one store."""

    store: str
    order_id: str

    def __str__(self) -> str:
        return f"{self.store}/{self.order_id}"


def find(app: App, conn: sa.Connection, wanted: str, *, by_shop: bool = False) -> Place:
    """The order that `wanted` names. Raises `UnknownOrderError`, or `Failure` if there are several."""
    names, text = _split(app, wanted)
    if not text.isprintable() or not text.strip():
        raise Failure(f"ORDER: {text!r} is no order id")
    found = _by_id(conn, names, text)
    in_shop = [] if found else _by_shop(conn, names, text)
    if not found and by_shop:
        found = in_shop
    if len(found) > 1:
        raise Failure(f"{text} fits several orders: {', '.join(map(str, found))}; name one of them so")
    if not found:
        raise UnknownOrderError(_unknown(names, text, in_shop or _like(conn, names, text)))
    return found[0]


def _split(app: App, wanted: str) -> tuple[list[str], str]:
    """The stores to look in, and the id. No store's name holds a slash; an order id might."""
    store, slash, rest = wanted.partition("/")
    if slash and (store in app.tenants or "/" not in rest):
        return [means.known_store(app, store)], rest
    return sorted(app.tenants), wanted


def _by_id(conn: sa.Connection, names: Sequence[str], text: str) -> list[Place]:
    query = sa.select(streams.c.store, streams.c.order_id).where(streams.c.store.in_(names), streams.c.order_id == text)
    return [Place(*row) for row in conn.execute(query.order_by(streams.c.store))]


def _by_shop(conn: sa.Connection, names: Sequence[str], text: str) -> list[Place]:
    """By what the shop calls it, and by the ids that Glopal shows; as far as the read model has come."""
    called = (orders.c.shop_order_id, orders.c.shop_number, orders.c.external_order_id, orders.c.external_number)
    query = sa.select(orders.c.store, orders.c.order_id).where(
        orders.c.store.in_(names), sa.or_(*(name == text for name in called))
    )
    return [Place(*row) for row in conn.execute(query.order_by(orders.c.store, orders.c.order_id).limit(10))]


def _like(conn: sa.Connection, names: Sequence[str], text: str) -> list[Place]:
    """Orders whose ids are like it, among the newest ones."""
    query = sa.select(orders.c.store, orders.c.order_id).where(orders.c.store.in_(names))
    newest = {row[1]: Place(*row) for row in conn.execute(query.order_by(orders.c.last_recorded_at.desc()).limit(5000))}
    parts = [place for order_id, place in newest.items() if len(text) > 3 and text in order_id]
    return (parts or [newest[order_id] for order_id in get_close_matches(text, newest, cutoff=0.75)])[:3]


def _unknown(names: Sequence[str], text: str, like: Sequence[Place]) -> str:
    where = f"store {names[0]} has" if len(names) == 1 else f"none of the stores {', '.join(names)} has"
    hint = f"; did you mean {' or '.join(map(str, like))}?" if like else ""
    return f"{where} no order {text}{hint}"
