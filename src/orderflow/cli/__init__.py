"""The command line: `orderflow`. Each group of commands has a file of its own.

It never decides anything; it reads settings, calls the layers below, and prints what they say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import orderflow
from orderflow.cli import (
    checking,
    commanding,
    configuring,
    demo,
    doctor,
    listing,
    looking,
    mapping,
    means,
    routes,
    running,
    sandbox,
    why,
)

program = typer.Typer(
    name="orderflow",
    help="The hub between Glopal and everything a merchant runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@program.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The settings file; else $ORDERFLOW_CONFIG, else ./orderflow.toml.")
    ] = None,
) -> None:
    """The hub between Glopal and everything a merchant runs."""
    ctx.obj = means.Means(config)


def version() -> None:
    """Print the version."""
    means.say(orderflow.__version__)


_COMMANDS: dict[str, Callable[..., None]] = {
    "why": why.why,
    "migrate": running.migrate,
    "work": running.work,
    "pull": running.pull,
    "pause": running.pause,
    "resume": running.resume,
    "accept": commanding.accept,
    "cancel": commanding.cancel,
    "release": commanding.release,
    "retry": commanding.retry,
    "map": mapping.map_,
    "routes": routes.routes,
    "rebuild": checking.rebuild,
    "verify": checking.verify,
    "doctor": doctor.doctor,
    "demo": demo.run,
    "sandbox": sandbox.run,
    "version": version,
}
_ORDERS: dict[str, Callable[..., None]] = {
    "list": listing.list_,
    "show": looking.show,
    "timeline": looking.timeline,
    "as-of": looking.as_of,
}
_CONFIG: dict[str, Callable[..., None]] = {
    "check": configuring.check,
    "show": configuring.show,
    "example": configuring.example,
}
for name, command in _COMMANDS.items():
    program.command(name)(command)
orders = typer.Typer(help="Look at orders.", no_args_is_help=True, rich_markup_mode=None)
for name, command in _ORDERS.items():
    orders.command(name)(command)
program.add_typer(orders, name="orders")
settings = typer.Typer(help="Look at the settings.", no_args_is_help=True, rich_markup_mode=None)
for name, command in _CONFIG.items():
    settings.command(name)(command)
program.add_typer(settings, name="config")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 refused or damaged, 2 bad input or settings."""
    try:
        program()
    except Exception as error:
        known = means.explain(error)
        if known is None:
            raise
        means.complain(known[0])
        sys.exit(known[1])
