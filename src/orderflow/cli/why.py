"""`orderflow why ORDER`: why an order stands where it stands, what it waits for, and what to type.

It never changes anything, and folds the log itself: no read model can be behind it.
"""

from __future__ import annotations

from typing import Final

import typer

from orderflow.cli import means
from orderflow.cli.card import card
from orderflow.cli.finding import AnyOrder, find
from orderflow.cli.screen import printed

SECTIONS: Final = ("status", "shop", "waits for", "held", "parked", "under way", "next", "attempts", "around it")


def why(ctx: typer.Context, order: AnyOrder, *, as_json: means.AsJson = False) -> None:
    """Say why an order stands where it stands: what it waits for and until when, what holds it, and what helps."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        place = find(app, conn, order, by_shop=True)
        found = card(conn, app, place, means.means(ctx).command)
    if as_json:
        means.print_json(found)
    else:
        printed(found, means.console(), SECTIONS)
