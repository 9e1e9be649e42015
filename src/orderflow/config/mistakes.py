"""Mistakes in settings: all of them at once, a line each.

It never shows the value of a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ConfigError(Exception):
    """Settings are missing or make no sense. Each line names a key, what is wrong and what would be right."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes: Sequence[str] = tuple(one_line(mistake) for mistake in mistakes)
        super().__init__("\n".join(self.mistakes))


def one_line(text: str) -> str:
    """One line that any terminal can show: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not known: the one that was probably meant, else all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
