"""How commands end: the exit codes, and the one line on stderr.

It imports next to nothing of orderflow, so that it is there whatever goes wrong.
"""

from __future__ import annotations

import sys
from typing import Final

from orderflow.cli.plain import plain

REFUSED: Final = 1
BAD_INPUT: Final = 2
OUT_OF_REACH: Final = 3
MISTAKE: Final = 70
INTERRUPTED: Final = 130
CODES: Final = {
    0: "done",
    REFUSED: "refused, damaged, or a check that failed",
    BAD_INPUT: "bad input or settings",
    OUT_OF_REACH: "the database or Glopal is out of reach",
    MISTAKE: "a mistake of orderflow's own",
    INTERRUPTED: "interrupted, nothing is half-done",
}


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"orderflow: {plain(text)}", file=sys.stderr)  # noqa: T201  this is where it is said
