"""`orderflow drill`: a database is lost and restored to an earlier moment; nothing may be done twice, nothing be lost.

It needs no settings, leaves nothing behind, and succeeds only if every promise was kept.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import means
from orderflow.cli.demo import conclude, noted
from orderflow.cli.drill.story import Story, perform
from orderflow.cli.drill.world import staged


def run(seed: Annotated[int, typer.Option(help="The same seed makes the same ids.")] = 1) -> None:
    """Lose a database, restore it to an earlier moment, recover, and judge the outcome. Less than a minute.

    Starts a Postgres, a fake Glopal and a fake shop of its own; needs no settings and leaves nothing behind. The exit
    code is 0 only if no order was made twice, none accepted with two sets of ids, and nothing was lost.
    """
    out = means.console()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orderflow-drill-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o711)  # as root, the database runs as somebody else, who has to pass through
        with noted() as complaints, staged(home, seed) as world:
            checks = perform(world, Story(out, began))
    code = conclude(checks, complaints, out)
    verdict = "Nothing was lost and nothing was done twice" if code == 0 else "Promises broken"
    out.print(f"\n{verdict}, after {time.monotonic() - began:.0f} s.")
    raise typer.Exit(code)
