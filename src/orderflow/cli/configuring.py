"""Commands about the settings: `orderflow config check`, `show` and `example`.

They never connect to anything, and never show a secret.
"""

from __future__ import annotations

import typer
from rich.table import Table

from orderflow import app as composition
from orderflow import config
from orderflow.cli import means
from orderflow.config import ConfigError
from orderflow.config.effective import effective
from orderflow.config.page import example as example_file
from orderflow.config.page import listed


def check(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Name every mistake in the settings, and what is doubtful. Exit code 2 if there is a mistake."""
    found = config.examine(means.means(ctx).config)
    mistakes = list(found.mistakes) if found.settings is None else list(composition.mistakes(found.settings))
    if as_json:
        file = None if found.given.path is None else str(found.given.path)
        means.print_json({"file": file, "mistakes": mistakes, "warnings": found.warnings})
    else:
        for sign, lines in (("✗", mistakes), ("!", found.warnings)):
            for line in lines:
                means.say(f"{sign} {line}")
        if not mistakes and found.settings is not None:
            means.say(f"✓ the settings are good, for {', '.join(sorted(found.settings.stores))}")
    if mistakes:
        raise typer.Exit(means.BAD_INPUT)


def show(ctx: typer.Context, *, as_json: means.AsJson = False) -> None:
    """Show every setting as it is in effect and where it comes from. Secrets are not shown."""
    found = config.examine(means.means(ctx).config)
    if found.settings is None:
        raise ConfigError(*found.mistakes)
    rows = list(effective(found.settings, found.given))
    if as_json:
        means.print_json(rows)
        return
    table = Table(box=None)
    for name in ("key", "value", "source"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.key, row.value, row.source)
    means.show(table)


def example(*, as_json: means.AsJson = False) -> None:
    """Print a settings file to begin with: everything that can be set, with what it is for."""
    if as_json:
        means.print_json(list(listed()))
        return
    means.say(example_file().rstrip())
