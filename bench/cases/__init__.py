"""All cases, one file each. A new one is a file here and a line in `CASES`.

They never share data: what one prepares, another does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from bench.case import Case
from bench.ground import Scale

CASES = (
    "append",
    "single",
    "page",
    "imports",
    "replay",
    "machine",
    "projection",
    "rebuild",
    "verify",
    "wakeup",
    "effects",
    "http",
    "grown",
    "river",
)


def find(name: str) -> Callable[[Scale], list[Case]]:
    """The `cases` function of a case file: what it holds at a scale (often one case a body size)."""
    found: Callable[[Scale], list[Case]] = import_module(f"bench.cases.{name}").cases
    return found
