"""One order's card: `orderflow why` says why it stands where it stands and what to type, `orders show` what there is.

They never change anything, and fold the log itself: no read model can be behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import typer

from orderflow.cli import means
from orderflow.cli.card import card
from orderflow.cli.finding import AnyOrder, find
from orderflow.cli.screen import printed

_AFTER: Final = ("refunds", "quotes", "returns")
SECTIONS: Final = (
    *("status", "exceptions", "shop", *_AFTER, "waits for", "held", "parked", "under way", "next"),
    *("attempts", "around it"),
)
_OF_SHOW: Final = ("status", "exceptions", "shop", *_AFTER, "held", "parked", "under way", "due", "next")


def why(ctx: typer.Context, order: AnyOrder, *, as_json: means.AsJson = False) -> None:
    """Say why an order stands where it stands: what it waits for and until when, what holds it, and what helps."""
    _print(ctx, order, SECTIONS, as_json=as_json)


def show(ctx: typer.Context, order: AnyOrder, *, as_json: means.AsJson = False) -> None:
    """Show one order as its history tells it: where it stands, what holds it, what is due and when."""
    _print(ctx, order, _OF_SHOW, as_json=as_json)


def _print(ctx: typer.Context, order: str, sections: Sequence[str], *, as_json: bool) -> None:
    with means.opened(ctx) as app, app.engine.connect() as conn:
        place = find(app, conn, order, by_shop=True)
        found = card(conn, app, place, means.means(ctx).command)
    if as_json:
        means.print_json(found)
    else:
        printed(found, means.console(), sections)
