"""`python -m bench`: run the benchmark, or write the documents from its results."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import ours, pages, plots, results, runner, server, tables
from bench.cases import CASES, find
from bench.ground import FULL, Scale, shrunk
from bench.profiling import profile


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 0 if all could be run, whatever the figures say."""
    asked = _asked(arguments)
    if asked.write_docs:
        for path in pages.write(results.read(asked.out), Path("docs")):
            _say(f"wrote {path}")
        return 0
    ours.quiet()
    scale = FULL if asked.full else Scale()
    if asked.seconds:
        scale = replace(scale, seconds=asked.seconds)
    if asked.shrink:
        scale = shrunk(scale, asked.shrink)
    names = asked.profile or asked.only or ",".join(CASES)
    began = time.monotonic()
    with server.server(asked.url) as url:
        cases = [case for name in names.split(",") for case in find(name)(scale)]
        if asked.profile:
            for case in cases:
                profile(case, url, scale)
            return 0
        run, facts = datetime.now(UTC).isoformat(timespec="seconds"), server.facts(url)
        rounds, failed = asked.rounds or (5 if asked.full else 3), 0
        for case in cases:
            try:
                entry = runner.run(case, url, scale, rounds, _say, peers=not asked.no_peers)
            except Exception:  # noqa: BLE001  the other cases can do without this one
                _say(f"  failed:\n{traceback.format_exc()}")
                failed += 1
                continue
            results.add(asked.out, run, facts, {case.name: entry})
            if svg := plots.bars(entry):
                (asked.out.parent / f"{case.name}.svg").write_text(svg)
    table = tables.goals(results.read(asked.out))
    (asked.out.parent / "goals.md").write_text(table)
    _say(f"\n{table}\n{asked.out}, after {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help=f"cases, with commas between: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, help="rounds (3; 5 with --full)")
    parser.add_argument("--seconds", type=float, help="of each timed sample")
    parser.add_argument("--shrink", type=int, help="do everything with so many times less, for a slow machine")
    parser.add_argument("--full", action="store_true", help="the sizes that the goals are said for: 10 M events, hours")
    parser.add_argument("--no-peers", action="store_true", help="orderflow and the bare database only")
    parser.add_argument("--url", help="a superuser's URL of a server (default: one of our own)")
    parser.add_argument("--out", type=Path, default=results.DEFAULT, help="where the results are kept")
    parser.add_argument("--profile", metavar="CASE", help="print where orderflow's time goes, instead of measuring")
    parser.add_argument("--write-docs", action="store_true", help="write the pages and plots of docs/ from the results")
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  it is what the program is for


if __name__ == "__main__":
    sys.exit(main())
