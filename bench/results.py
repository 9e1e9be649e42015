"""The results as a file: one entry a case, each with the run that it comes from.

A case that is run again takes its old entry's place; the others stay, and keep the facts of their own run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from bench.cases import CASES

DEFAULT: Final = Path("build/bench/results.json")
PUBLISHED: Final = Path("docs/reference/benchmarks.json")

Results = dict[str, Any]


def read(path: Path) -> Results:
    """What stands there; empty where nothing does."""
    if not path.exists():
        return {"runs": {}, "cases": {}}
    found: Results = json.loads(path.read_text())
    return found | {"cases": dict(sorted(found["cases"].items(), key=_place))}


def _place(case: tuple[str, object]) -> tuple[int, int]:
    """As the list of cases has it, small bodies first."""
    name, _, size = case[0].partition("-")
    names = ["import" if one == "imports" else one for one in CASES]
    return (names.index(name) if name in names else len(names), int(size or 0))


def add(path: Path, run: str, facts: dict[str, Any], cases: dict[str, Any]) -> Results:
    """Put these cases of one run down, and forget runs of which nothing is left."""
    results = read(path)
    results["runs"][run] = facts
    results["cases"] |= {name: {**case, "run": run} for name, case in cases.items()}
    used = {case["run"] for case in results["cases"].values()}
    results["runs"] = {name: found for name, found in results["runs"].items() if name in used}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return results
