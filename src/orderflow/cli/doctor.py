"""`orderflow doctor`: what is wrong with this installation, and how to mend it.

It never changes anything, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderflow import config
from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.doctor import Finding, Level, examined

_SIGNS: Final = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.FAILURE: ("✗", "red"),
}
_CHECK_WIDTH: Final = 20


def doctor(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Argument(help="One store; all without it.", metavar="[STORE]")] = None,
    *,
    go_live: Annotated[
        bool, typer.Option("--go-live", help="Ask Glopal and the shop, too: is everything ready for real orders?")
    ] = False,
    as_json: means.AsJson = False,
) -> None:
    """Examine settings, database and flow, and say how to mend what is wrong. Nothing is changed anywhere.

    With --go-live also credentials, clocks, routes, the newest orders and the shop: reading only. Exit code 1 if
    there is something to mend.
    """
    reading = config.examine(means.means(ctx).config)
    if store is not None and reading.settings is not None and store not in reading.settings.stores:
        raise Failure(f"there is no store {store} in the settings; they name {', '.join(reading.settings.stores)}")
    findings: list[Finding] = []
    console = means.console()
    chosen = [store] if store else []
    for finding in examined(reading, chosen, go_live=go_live, command=means.means(ctx).command):
        if not as_json:
            _print(console, finding, new=not findings or findings[-1].about != finding.about)
        findings.append(finding)
    verdict = _verdict(findings, go_live=go_live)
    if as_json:
        means.print_json({"verdict": verdict, "findings": findings})
    else:
        console.print(f"\n{verdict}")
    if _count(findings, Level.FAILURE):
        raise typer.Exit(means.REFUSED)


def _print(console: Console, finding: Finding, *, new: bool) -> None:
    """One finding as soon as it is there; a headline before the first one about another store."""
    if new and finding.about:
        console.print(Text(f"\n{finding.about}", style="bold"))
    sign, colour = _SIGNS[finding.level]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=_CHECK_WIDTH)
    line.add_column(overflow="fold")
    line.add_row(Text(sign, style=colour), finding.check, Text(finding.found))
    if finding.mend:
        line.add_row("", "", Text(f"→ {finding.mend}", style="cyan"))
    means.show(line, console)


def _verdict(findings: Sequence[Finding], *, go_live: bool) -> str:
    wrong, doubtful = _count(findings, Level.FAILURE), _count(findings, Level.WARNING)
    weigh = f"{doubtful} to weigh" if doubtful else ""
    if wrong:
        things = "1 thing" if wrong == 1 else f"{wrong} things"
        return f"{things} to mend{' before going live' if go_live else ''}" + (f", {weigh}" if weigh else "")
    return ("ready to go live" if go_live else "all is well") + (f", with {weigh}" if weigh else "")


def _count(findings: Sequence[Finding], level: Level) -> int:
    return sum(finding.level is level for finding in findings)
