"""Write docs/reference/dialects.md: every setting of every switch, and what came of it. `python -m tests.dialects`."""
# ruff: noqa: T201 - a command answers

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.dialects.play import Play, combination
from tests.simulation.simulate import Database

from orderflow.sandbox.glopal.switches import SWITCHES, word
from orderflow.store import embedded, migrate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "dialects.md"
HEAD = """\
# Dialects of Glopal

What Glopal's public pages leave open is a switch of the [sandbox](../how-to/use-the-sandbox.md). For each setting five
orders live their lives against the real engine and a real Postgres, in virtual time; then the ledgers of the fake
Glopal and of the fake shop are compared with what orderflow says. "Agrees" means that the comparison found nothing.
The default stands first and is part of every other line. orderflow is told what its settings are for: addresses, the
accept's body, the limit's name, the events to ask for, and the environment.

`python -m tests.dialects` writes this page.

| switch | setting | orders | pages asked for | result |
| --- | --- | --- | --- | --- |
"""


def main() -> int:
    lines, broken = [], 0
    scratch = tempfile.TemporaryDirectory(prefix="orderflow-dialects-", ignore_cleanup_errors=True)
    with scratch as home, embedded.start(Path(home), durable=False) as server:
        migrate.upgrade(server.url)
        database = Database(server.url)
        for name, settings in SWITCHES.items():
            for place, setting in enumerate(settings):
                play = Play(database, f"{name}-{place}", {name: setting}, 5)
                found = play.run()
                broken += bool(found)
                said = "agrees" if not found else "; ".join(f"{d.kind} {d.detail}" for d in found)
                lines.append(f"| `{name}` | {word(setting)} | 5 | {play.pulls} | {said} |")
                print(lines[-1], flush=True)
        combined = 0
        for seed in range(200):
            combined += Play(database, f"c{seed}", combination(seed), 3, faulty=True).run() == []
        database.dispose()
    told = f"\n{combined} of 200 seeded combinations of all switches, with faults on every wire, agree.\n"
    print(told)
    PAGE.write_text(HEAD + "\n".join(lines) + "\n" + told)
    return 1 if broken or combined < 200 else 0


sys.exit(main())
