"""`orderflow demo`: some hundred orders live their lives against a fake Glopal and a fake shop, and are then judged.

It needs no settings, leaves nothing behind, and succeeds only if nothing was broken.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from orderflow import work
from orderflow.cli import means
from orderflow.cli.demo.judge import Check, at_rest, judge
from orderflow.cli.demo.report import NEXT, figures, report
from orderflow.cli.demo.screen import Screen
from orderflow.cli.demo.world import World, staged

_PATIENCE: Final = 90.0
"""Seconds that the lives may take at most, and as many again until all is at rest."""
_QUIET: Final = 2.5
"""Seconds without news after which nothing late is on its way any more: longer than any life delays an event."""
_SHOWN: Final = 10
"""Differences of one promise that are printed."""


def run(
    orders: Annotated[int, typer.Option(help="How many orders.", min=1, max=5000)] = 200,
    seed: Annotated[int, typer.Option(help="The same seed scripts the same lives.")] = 1,
    *,
    as_json: means.AsJson = False,
) -> None:
    """Walk orders through everything, against a fake Glopal and a fake shop with faults, and judge the outcome.

    Needs no settings and leaves nothing behind. The exit code is 0 only if every promise was kept.
    """
    out = means.console(stderr=as_json)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orderflow-demo-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o711)  # as root, the database runs as somebody else, who has to pass through
        out.print("Starting Postgres, a fake Glopal and a fake shop ...")
        with noted() as complaints, staged(home, orders, seed) as world:
            perform(world, out)
            checks = judge(world)
            report(world, out)
            told = figures(world)
    code = conclude(checks, complaints, out)
    seconds = time.monotonic() - began
    out.print(f"\n{'All promises kept' if code == 0 else 'Promises broken'}, after {seconds:.0f} s.")
    if as_json:
        promises = [{"promise": c.promise, "kept": c.kept, "differences": c.differences} for c in checks]
        means.print_json({**told, "promises": promises, "complaints": complaints, "seconds": round(seconds, 1)})
    elif code == 0:
        out.print(NEXT, highlight=False)
    raise typer.Exit(code)


def perform(world: World, out: Console) -> None:
    """Let the orders live while faults happen, then drive everything to rest."""
    stop = threading.Event()
    worker = threading.Thread(target=work.work, args=(world.app, stop), name="work")
    with Screen(world, out) as screen:
        world.start()
        worker.start()
        try:
            screen.until(lambda: world.player.done, "orders live, faults happen", _PATIENCE)
            world.calm()
            screen.until(
                lambda: screen.quiet >= _QUIET and not at_rest(world.app),
                "faults are over, all comes to rest",
                _PATIENCE,
            )
        finally:
            world.player.stop()
            world.calm()
            stop.set()
            worker.join()


def conclude(checks: Sequence[Check], complaints: Sequence[str], out: Console) -> int:
    """Say which promises hold and which do not; the exit code."""
    out.print()
    for check in checks:
        sign = ("✓", "green") if check.kept else ("✗", "bold red")
        out.print(Text.assemble(sign, f" {check.promise}"))
        for line in check.differences[:_SHOWN]:
            out.print(f"    {line}", markup=False)
        if len(check.differences) > _SHOWN:
            out.print(f"    ... and {len(check.differences) - _SHOWN} more")
    for line in complaints:
        out.print(Text.assemble(("!", "yellow"), f" orderflow said: {line}"))
    return 0 if all(check.kept for check in checks) else means.REFUSED


class _Notebook(logging.Handler):
    """Keeps what orderflow complains about, each once, out of the display's way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < _SHOWN:
            self.lines[record.getMessage()] = None


@contextmanager
def noted() -> Iterator[list[str]]:
    """Log lines go into a list that is filled at the end, instead of through the display."""
    logger, notebook, lines = logging.getLogger("orderflow"), _Notebook(), list[str]()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(notebook)
    try:
        yield lines
    finally:
        logger.removeHandler(notebook)
        logger.propagate = propagate
        lines += notebook.lines
