"""Commands that decide about one order: accept, cancel, release, retry.

They record decisions; `orderflow work` carries them out. A command is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import uuid4

import typer

from orderflow.cli import means
from orderflow.cli.finding import Order, find
from orderflow.cli.means import Failure, one_of
from orderflow.domain.decisions import Accept, Cancel, Command, Release, Retry
from orderflow.domain.events import Effect, HoldReason, Ids, Position
from orderflow.domain.order import Order as Folded
from orderflow.orders import handle, load
from orderflow.store.bell import Topic
from orderflow.store.link import hint

CommandId = Annotated[
    str, typer.Option("--command-id", help="Repeating a command under its id writes nothing more.", show_default="new")
]
Why = Annotated[str, typer.Option(help="The reason; it stands in the history, so name no person.")]


def accept(
    ctx: typer.Context,
    order: Order,
    *,
    shop_id: Annotated[str, typer.Option("--id", help="The merchant's own order id.")],
    number: Annotated[str, typer.Option(help="The merchant's own order number.")],
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Accept an order at Glopal with the merchant's own ids."""
    ids = Ids(plain_text("--id", shop_id), plain_text("--number", number))
    record(ctx, order, Accept(ids, by_whom(by)), command_id, as_json=as_json)


def cancel(
    ctx: typer.Context,
    order: Order,
    *,
    reason: Annotated[str, typer.Option(help="Goes to the shop and to Glopal, for example out_of_stock.")],
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Cancel an order in the shop, then at Glopal."""
    record(ctx, order, Cancel(plain_text("--reason", reason), by_whom(by)), command_id, as_json=as_json)


def release(
    ctx: typer.Context,
    order: Order,
    reason: Annotated[str, typer.Argument(help="The hold's reason, as `why` names it.", metavar="REASON")],
    position: Annotated[int, typer.Argument(help="The position that caused it.", metavar="POSITION")],
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Lift one hold of an order; a later one stays."""
    held_by = HoldReason(one_of("hold reason", reason, [*HoldReason]))
    if position < 1:
        raise Failure(f"POSITION: positions count from 1, not {position}")
    command = Release(held_by, Position(position), by_whom(by), plain_text("--why", why))
    record(ctx, order, command, command_id, as_json=as_json)


def retry(
    ctx: typer.Context,
    order: Order,
    effect: Annotated[str, typer.Argument(help="The effect, as `why` names it.", metavar="EFFECT")],
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Try a refused or given up effect again; `fetch` asks Glopal now."""
    command = Retry(Effect(one_of("effect", effect, [*Effect])), by_whom(by), plain_text("--why", why))
    record(ctx, order, command, command_id, as_json=as_json)


def by_whom(name: str) -> str:
    """Who decides: as they were named, else the user of this system."""
    return plain_text("--by", name) if name else means.user()


def plain_text(name: str, text: str) -> str:
    """What was given as `name`, if it is plain text. Raises `Failure`."""
    plain = text.strip()
    if not plain or not plain.isprintable():
        raise Failure(f"{name} must be plain text, and not empty")
    return plain


def record(
    ctx: typer.Context,
    wanted: str,
    command: Command | Callable[[Folded], Command],
    command_id: str,
    *,
    as_json: bool,
) -> None:
    """Decide and record `command`, or the one that is made for the order as it stands; say what was written."""
    with means.acting(ctx) as app:
        with app.engine.connect() as conn:
            place = find(app, conn, wanted)
            chosen = command(load(conn, place.store, place.order_id)) if callable(command) else command
        handled = handle(app.engine, app.vault, place.store, place.order_id, chosen, command_id or str(uuid4()))
        if handled.written:
            hint(app.engine, Topic.FACTS)
    name, at = type(chosen).__name__, handled.order.position
    if as_json:
        told = {"store": place.store, "order_id": place.order_id, "command": name, "written": handled.written}
        means.print_json(told | {"position": at if handled.written else None})
    elif handled.written:
        work = f"{means.means(ctx).command} work"
        means.say(f"{name} of order {place.order_id} is recorded at position {at}; `{work}` carries it out")
    else:
        means.say(
            f"nothing written: {name} of order {place.order_id} was decided before, or there is nothing to decide"
        )
