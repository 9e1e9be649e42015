"""What a check found: how bad it is, what was seen, and how to mend it.

It never holds anything personal or secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. A failure stops orders or endangers them; a warning is for a person to weigh."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `about` is its store, "" for what all stores share; `mend` is empty if all is well."""

    check: str
    level: Level
    found: str
    mend: str = ""
    about: str = ""


def ok(check: str, found: str, about: str = "") -> Finding:
    """All is well."""
    return Finding(check, Level.OK, found, "", about)


def warning(check: str, found: str, mend: str, about: str = "") -> Finding:
    """To be weighed by a person."""
    return Finding(check, Level.WARNING, found, mend, about)


def failure(check: str, found: str, mend: str, about: str = "") -> Finding:
    """To be mended."""
    return Finding(check, Level.FAILURE, found, mend, about)
