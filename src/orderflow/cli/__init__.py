"""The command line: `orderflow`. Each command stands in a file of its own, which is imported when it is called.

It never decides anything; it reads settings, calls the layers below, and prints what they say.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from orderflow.cli import exits
from orderflow.cli.lazily import Commands
from orderflow.cli.plain import problem_of_argument

_COMMANDS: Final[dict[str, str | tuple[str, dict[str, str]] | tuple[str, dict[str, str], str]]] = {
    "why": "why:why",
    "orders": (
        "Look at orders.",
        {
            "list": "listing:list_",
            "show": "why:show",
            "timeline": "looking:timeline",
            "as-of": "looking:as_of",
        },
    ),
    "exceptions": (
        "What waits for people: list it, look at one, give it to somebody, dismiss it. Without a command: list.",
        {
            "list": "exceptions:list_",
            "show": "evidence:show",
            "assign": "exceptions:assign",
            "dismiss": "exceptions:dismiss",
        },
        "list",
    ),
    "effects": (
        "Look at what is done to the world, and try again what was refused or given up.",
        {"list": "effects:list_", "show": "effects:show", "retry": "commanding:retry"},
    ),
    "alerts": (
        "Who is told of exceptions and failing calls, by which rules, and what was said.",
        {"list": "alerting:list_", "status": "alerting:status", "test": "alerting:trial"},
    ),
    "redrive": (
        "Try again what waits, many orders at once: plan, read the plan, apply it.",
        {
            "plan": "redriving:plan",
            "apply": "redriving:apply",
            "status": "redriving:status",
            "failed": "redriving:failed",
            "now": "redriving:now_",
        },
    ),
    "reconcile": "reconciling:reconcile",
    "accept": "commanding:accept",
    "cancel": "commanding:cancel",
    "refund": (
        "Give money back for shipped orders, and see what was given back. Returns are Glopal's: no call acts on one.",
        {"make": "refunding:make", "quote": "refunding:quote", "settle": "refunding:settle", "list": "refunding:list_"},
    ),
    "release": "commanding:release",
    "retry": "commanding:retry",
    "pause": "pausing:pause",
    "resume": "pausing:resume",
    "pauses": "pausing:pauses",
    "work": "running:work",
    "pull": "running:pull",
    "import": "importing:import_",
    "migrate": "running:migrate",
    "rebuild": "rebuilding:rebuild",
    "verify": "checking:verify",
    "replay": "replaying:replayed",
    "seal": "sealing:seal",
    "audit": (
        "Prove an order's history to others.",
        {"export": "sealing:export", "check": "offline:check"},
    ),
    "keys": (
        "Look at the keys that seal personal data, and change the master key.",
        {"status": "keys:status", "rotate": "keys:rotate"},
    ),
    "erase": "erasing:erase",
    "recover": (
        "After a restore: look orders up, then let effects leave again.",
        {"status": "recovering:status", "reconcile": "recovering:reconcile", "open": "recovering:open_"},
    ),
    "drill": "drill:run",
    "doctor": "doctor:doctor",
    "map": "mapping:map_",
    "routes": "routes:routes",
    "config": (
        "Look at the settings.",
        {"check": "configuring:check", "show": "configuring:show", "example": "configuring:example"},
    ),
    "sandbox": "sandbox:run",
    "demo": "demo:run",
    "version": "version:version",
}


class _Program(TyperGroup):
    """The program as a group of commands that are imported when they are called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands(_COMMANDS)  # type: ignore[assignment]  # it is only read


program = typer.Typer(
    name="orderflow",
    cls=_Program,
    help="The hub between Glopal and everything a merchant runs.",
    epilog="Exit codes: " + "; ".join(f"{code} {text}" for code, text in exits.CODES.items()) + ".",
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
    ctx.obj = config


def main() -> None:
    """Run the command line; it ends with one of `exits.CODES`, and one line on stderr unless that is 0."""
    try:
        _check(sys.argv[1:])
        program()
    except SystemExit as end:
        if end.code == exits.INTERRUPTED:
            exits.complain(_INTERRUPTED)
        raise
    except KeyboardInterrupt:
        exits.complain(_INTERRUPTED)
        sys.exit(exits.INTERRUPTED)
    except Exception as error:  # noqa: BLE001  whatever it is, it is told in one way
        sys.exit(_told(error))


_INTERRUPTED: Final = "interrupted; nothing is half-done: the same command goes on from here"


def _check(arguments: list[str]) -> None:
    for number, argument in enumerate(arguments, start=1):
        problem = problem_of_argument(argument)
        if problem is not None:
            exits.complain(f"argument {number} {problem}")
            sys.exit(exits.BAD_INPUT)


def _told(error: Exception) -> int:
    """Say what went wrong; the exit code. A mistake of ours is shown without its text: that may be personal."""
    from orderflow.cli.means import explain  # noqa: PLC0415  no command got so far as to import it

    known = explain(error)
    if known is not None:
        exits.complain(known[0])
        return known[1]
    sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
    exits.complain(f"a mistake of orderflow's own ({type(error).__name__}): please report the lines above")
    return exits.MISTAKE
