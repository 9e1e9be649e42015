"""What every command needs: the settings, the application on its database, and one way to fail.

It never shows a traceback for what was to be expected, and nothing personal.
"""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import msgspec
import sqlalchemy as sa
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from sqlalchemy.exc import DBAPIError

from orderflow import app as composition
from orderflow import config
from orderflow.app import App
from orderflow.cli import exits
from orderflow.cli.plain import plain
from orderflow.config import ConfigError, Settings
from orderflow.desk.exceptions import ExceptionClosedError, UnknownExceptionError
from orderflow.domain.decisions import IllegalTransition
from orderflow.erasure import OpenIntentError
from orderflow.erasure.receipts import RegisterError
from orderflow.orders import UnknownOrderError
from orderflow.recovery import FeedError, NotReadyError
from orderflow.store import migrate
from orderflow.store.durability import UnsafeServerError
from orderflow.store.embedded import EmbeddedError
from orderflow.store.log import LogDamagedError
from orderflow.store.vault import VaultError

REFUSED: Final = exits.REFUSED
BAD_INPUT: Final = exits.BAD_INPUT
OUT_OF_REACH: Final = exits.OUT_OF_REACH
complain = exits.complain
_WIDTH: Final = 120
"""Columns where nobody says how many there are: in a pipe or a file."""


class Failure(Exception):
    """Ends a command with one line on stderr and one of `exits.CODES`."""

    def __init__(self, text: str, code: int = BAD_INPUT) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Means:
    """What was said before the command's name."""

    config: Path | None = None

    @property
    def command(self) -> str:
        """How to call orderflow again with the same settings."""
        return "orderflow" + (f" --config {shlex.quote(str(self.config))}" if self.config else "")


Store = Annotated[str, typer.Argument(help="A store of the settings file.", metavar="STORE", show_default=False)]
InStore = Annotated[str | None, typer.Option("--store", help="Only this store.", metavar="STORE")]
By = Annotated[str, typer.Option("--by", help="Who decides this.", show_default="the user of this system")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def console(*, stderr: bool = False) -> Console:
    """Where answers go; `stderr`: where a program that reads the answer lets people watch."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _WIDTH
    return _Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)


class _Console(Console):
    """Takes no text for a command: neither rich's own markup nor what terminals obey."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The pieces of text to be written."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(plain(piece.text), piece.style)


def show(answer: RenderableType, where: Console | None = None) -> None:
    """A table or the like: in colours on a terminal, without trailing blanks in a pipe."""
    where = where or console()
    if where.is_terminal:
        where.print(answer)
        return
    with where.capture() as captured:
        where.print(answer)
    print(*(line.rstrip() for line in captured.get().splitlines()), sep="\n", file=where.file)


def say(text: str) -> None:
    """One plain line on stdout."""
    print(plain(text), flush=True)  # noqa: T201  this is where it is said


def settings(ctx: typer.Context) -> Settings:
    """The settings that the command line names."""
    return config.read(means(ctx).config)


def means(ctx: typer.Context) -> Means:
    """What was said before the command's name."""
    return Means(ctx.find_root().obj)


@contextmanager
def opened(ctx: typer.Context) -> Iterator[App]:
    """The whole application on its migrated database."""
    chosen = settings(ctx)
    with composition.database(chosen) as url:
        keys_at, command = config.vault_url(chosen), means(ctx).command
        unfit = migrate.unfit(url, command)
        if unfit is None and keys_at is not None:
            unfit = migrate.unfit(keys_at, command, migrate.VAULT)
        if unfit:
            raise Failure(unfit)
        app = composition.build(chosen, url)
        try:
            yield app
        finally:
            composition.close(app)


@contextmanager
def acting(ctx: typer.Context) -> Iterator[App]:
    """The same for commands that write: a server that forgets is refused, a restore is noticed and said."""
    with opened(ctx) as app:
        for one in composition.start(app):
            complain(f"effects of {one.store} are kept back: {one.reason}; see `{means(ctx).command} recover status`")
        yield app


def known_store(app: App, store: str) -> str:
    """`store`, if the settings name it. Raises `Failure`."""
    return one_of("store", store, sorted(app.tenants))


def one_of(what: str, name: str, names: Sequence[str]) -> str:
    """`name`, if it is one of `names`. Raises `Failure` with the nearest ones."""
    if name in names:
        return name
    near = get_close_matches(name.lower(), names, n=2) or get_close_matches(name.upper(), names, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}"
    raise Failure(f"there is no {what} {name!r}; {hint}")


def stores(app: App, store: str | None) -> list[str]:
    """The store that was named, else all of the settings."""
    return sorted(app.tenants) if store is None else [known_store(app, store)]


def user() -> str:
    """Who sits at this terminal, as the system names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no name
        return f"uid {os.getuid()}"


def print_json(value: object) -> None:
    """`value` as indented JSON: money as texts, times as ISO 8601."""
    raw = msgspec.json.encode(value)
    print(plain(msgspec.json.format(raw, indent=2).decode()))  # noqa: T201  the answer itself


def moment(time: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def span(length: timedelta) -> str:
    """How long, in two words: `0 s`, `12 s`, `3 min`, `23 h`, `6 d`."""
    seconds = max(0, round(length.total_seconds()))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def wall_clock(conn: sa.Connection) -> datetime:
    """The database's clock, by which everything is timed."""
    return conn.execute(sa.select(sa.cast(sa.func.orderflow.wall_clock(), sa.DateTime(timezone=True)))).scalar_one()


_UNMIGRATED: Final = frozenset({"42P01", "3F000", "42883"})
"""SQL states of a missing table, schema or function."""


_AWAY: Final = frozenset({"08", "53", "57"})
"""Classes of SQL states: no connection, no room, shut down by its operator."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit code for an error that was to be expected; None for a bug."""
    match error:
        case Failure():
            return str(error), error.code
        case ConfigError() | VaultError() | UnknownOrderError() | UnknownExceptionError():
            return str(error), BAD_INPUT
        case ExceptionClosedError():
            return str(error), REFUSED
        case IllegalTransition() | LogDamagedError() | OpenIntentError() | RegisterError():
            return str(error), REFUSED
        case UnsafeServerError() | NotReadyError() | FeedError():
            return str(error), REFUSED
        case EmbeddedError():
            return str(error), OUT_OF_REACH
        case DBAPIError():
            return _of_database(error)
        case _:
            return None


def _of_database(error: DBAPIError) -> tuple[str, int]:
    state = getattr(error.orig, "sqlstate", None)
    if state in _UNMIGRATED:
        return "the database does not fit this version: run `orderflow migrate`", BAD_INPUT
    if state is None or state[:2] in _AWAY:
        reason = str(error.orig).strip().splitlines() or ["no reason given"]
        return f"the database cannot be reached: {reason[0]}", OUT_OF_REACH
    return f"the database refused ({type(error.orig).__name__}, SQL state {state})", REFUSED
