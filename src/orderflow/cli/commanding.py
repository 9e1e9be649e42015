"""Commands that decide about one order: accept, cancel, release, retry.

They record decisions; `orderflow work` carries them out. A command is refused before anything is written.
"""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.domain.decisions import Accept, Cancel, Command, Release, Retry
from orderflow.domain.events import Effect, HoldReason, Ids, Position
from orderflow.orders import handle

CommandId = Annotated[
    str, typer.Option("--command-id", help="Repeating a command under its id writes nothing more.", show_default="new")
]
Why = Annotated[str, typer.Option(help="The reason; it stands in the history, so name no person.")]


def accept(
    ctx: typer.Context,
    store: means.Store,
    order_id: means.Order,
    *,
    shop_id: Annotated[str, typer.Option("--id", help="The merchant's own order id.")],
    number: Annotated[str, typer.Option(help="The merchant's own order number.")],
    by: means.By = "",
    command_id: CommandId = "",
) -> None:
    """Accept an order at Glopal with the merchant's own ids."""
    ids = Ids(_given("--id", shop_id), _given("--number", number))
    _handle(ctx, store, order_id, Accept(ids, by or means.user()), command_id)


def cancel(
    ctx: typer.Context,
    store: means.Store,
    order_id: means.Order,
    *,
    reason: Annotated[str, typer.Option(help="Goes to the shop and to Glopal, for example out_of_stock.")],
    by: means.By = "",
    command_id: CommandId = "",
) -> None:
    """Cancel an order in the shop, then at Glopal."""
    _handle(ctx, store, order_id, Cancel(_given("--reason", reason), by or means.user()), command_id)


def release(
    ctx: typer.Context,
    store: means.Store,
    order_id: means.Order,
    reason: Annotated[str, typer.Argument(help="The hold's reason, as `orders show` names it.", metavar="REASON")],
    position: Annotated[int, typer.Argument(help="The position that caused it.", metavar="POSITION")],
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
) -> None:
    """Lift one hold of an order; a later one stays."""
    if reason not in set(HoldReason):
        raise Failure(f"there is no hold reason {reason}; there are {', '.join(HoldReason)}")
    command = Release(HoldReason(reason), Position(position), by or means.user(), _given("--why", why))
    _handle(ctx, store, order_id, command, command_id)


def retry(
    ctx: typer.Context,
    store: means.Store,
    order_id: means.Order,
    effect: Annotated[str, typer.Argument(help="The effect, as `orders show` names it.", metavar="EFFECT")],
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
) -> None:
    """Try a refused or given up effect again; `fetch` asks Glopal now."""
    if effect not in set(Effect):
        raise Failure(f"there is no effect {effect}; there are {', '.join(Effect)}")
    command = Retry(Effect(effect), by or means.user(), _given("--why", why))
    _handle(ctx, store, order_id, command, command_id)


def _given(name: str, text: str) -> str:
    if not text.strip():
        raise Failure(f"{name} must not be empty")
    return text.strip()


def _handle(ctx: typer.Context, store: str, order_id: str, command: Command, command_id: str) -> None:
    """Decide and record; say what was written."""
    with means.opened(ctx) as app:
        means.known_store(app, store)
        handled = handle(app.engine, app.vault, store, order_id, command, command_id or str(uuid4()))
    name = type(command).__name__
    if handled.written:
        work = f"{means.means(ctx).command} work"
        means.say(
            f"{name} of order {order_id} is recorded at position {handled.order.position}; `{work}` carries it out"
        )
    else:
        means.say(f"nothing written: {name} of order {order_id} was decided before, or there is nothing to decide")
