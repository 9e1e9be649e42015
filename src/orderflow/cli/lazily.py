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

    def __init__(self, names: Mapping[str, str | tuple[str, Names] | tuple[str, Names, str]]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Any:
        where = self._names[name]
        if isinstance(where, tuple):
            text, names, *usual = where
            return group(name, text, names, *usual)
        module, _, function = where.partition(":")
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name)(getattr(import_module(f"orderflow.cli.{module}"), function))
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Usual(TyperGroup):
    """A group with a command that is meant where none is named."""

    usual = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Nothing, or options other than the group's own, are for the usual command."""
        if self.usual and (not args or (args[0].startswith("-") and args[0] != "--help")):
            args = [self.usual, *args]
        return super().parse_args(ctx, args)


def group(name: str, text: str, names: Names, usual: str = "") -> TyperGroup:
    """A group of commands below the program; `usual` is the one that is meant where none is named."""
    made = _Usual(name=name, help=text, no_args_is_help=not usual, rich_markup_mode=None)
    made.usual = usual
    made.commands = Commands(names)  # type: ignore[assignment]  # it is only read
    return made
