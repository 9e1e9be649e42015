"""Commands that are imported when they are called for: `orderflow version` need not wait for SQLAlchemy.

It knows no command; `orderflow.cli` names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

Names = Mapping[str, str]
"""By command: `module:function`, the module below `orderflow.cli`."""


class Commands(Mapping[str, Any]):
    """The commands of a group by name. Asking for one imports its module; asking for the names imports nothing."""

    def __init__(self, names: Mapping[str, str | tuple[str, Names]]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Any:
        where = self._names[name]
        if isinstance(where, tuple):
            text, names = where
            return group(name, text, names)
        module, _, function = where.partition(":")
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name)(getattr(import_module(f"orderflow.cli.{module}"), function))
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def group(name: str, text: str, names: Names) -> TyperGroup:
    """A group of commands below the program."""
    made = TyperGroup(name=name, help=text, no_args_is_help=True, rich_markup_mode=None)
    made.commands = Commands(names)  # type: ignore[assignment]  # it is only read
    return made
