"""The pages of docs/ that show the benchmark: figures as run, plots, and what one machine carries.

They never show a figure that was not measured, and say which goals were missed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import plots, tables
from bench.capacity import capacity
from bench.results import PUBLISHED, Results

_HEAD: Final = """\
# Benchmarks

<!-- Written by `python -m bench --write-docs`; edit bench/pages.py instead. -->

orderflow, what a user would pick instead, and the bare database, side by side in one run on one machine. Ratios within
a round are what to go by: absolute figures are those of the machine below, and move when it is busy. A figure is the
median of the rounds, with the lowest and the highest; rounds go through the contestants forwards and backwards by
turns, each sample in a fresh database (or a copy of the one that is read), after a CHECKPOINT and a warm-up, with
fsync, synchronous_commit and full_page_writes on.

```sh
make bench            # everything that fits into minutes
make bench-full       # 10 M events, an old snapshot, more rounds: hours
make bench ARGS="--only append,page --rounds 5"
make bench ARGS="--profile append"   # where orderflow's time goes
```

Results go to `build/bench/`. What is compared: the packages `eventsourcing` with its database functions and
`procrastinate`, and *bare*: psycopg into the very same table with the same indexes, without checks, hashes or sealing.

## Goals

"""
_MISSED: Final = """
Where a goal is missed, [the profile says why](../explanation/where-the-time-goes.md);
[what one machine carries](../explanation/capacity.md) says what that means.

"""


def write(results: Results, docs: Path) -> Iterator[Path]:
    """Write pages, plots and the results themselves below `docs`; yields each file."""
    published = docs.parent / PUBLISHED
    published.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    yield published
    for name, entry in results["cases"].items():
        if svg := plots.bars(entry):
            path = docs / "images" / f"bench-{name}.svg"
            path.write_text(svg)
            yield path
    for path, text in (
        (docs / "reference/benchmarks.md", benchmarks(results)),
        (docs / "explanation/capacity.md", capacity(results)),
    ):
        path.write_text(text)
        yield path


def benchmarks(results: Results) -> str:
    """The page with all figures."""
    parts = [_HEAD, tables.goals(results), _MISSED, "## Measured on\n\n"]
    parts += [f"- {run}\n" for run in tables.runs(results)]
    for name, entry in results["cases"].items():
        parts.append(f"\n## {entry['title']}\n\n{entry['note']}\n\n")
        if plots.bars(entry):
            parts.append(f"![{entry['title']}](../images/bench-{name}.svg)\n\n")
        parts.append(f"{entry['rounds']} rounds.\n\n{tables.case(entry)}")
    return "".join(parts)
