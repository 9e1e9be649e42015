"""The command line: `orderflow`. Each group of commands has a file of its own.

It never decides anything; it reads settings, calls the layers below, and prints what they say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import orderflow
from orderflow.cli import demo, means

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
    """Remember what stands before the command."""
    ctx.obj = means.Means(config)



@program.command()
def version() -> None:
    """Print the version."""
    means.console().print(orderflow.__version__)


program.command("demo")(demo.run)


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
