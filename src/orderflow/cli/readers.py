"""What each reader says it applied of the log, and what is wrong with that, for `verify` to tell.

It never changes either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from orderflow.app import READERS
from orderflow.cli import means
from orderflow.store import progress
from orderflow.store.applied import flaws


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's place, how many events it applied on the way there, and its flaw, if it has one."""

    reader: str
    position: int
    applied: int
    flaw: str | None


def readings(conn: sa.Connection, store: str) -> list[Reading]:
    """Every reader of `store`, recomputed from the log."""
    applied = progress.applied(conn, READERS, store)
    wrong = flaws(conn, store, applied)
    return [Reading(name, one.position, one.count, wrong.get(name)) for name, one in applied.items()]


def flawed(read: Sequence[Reading]) -> list[Reading]:
    """Those that missed or doubled an event."""
    return [one for one in read if one.flaw]


def tell(store: str, read: Sequence[Reading], *, as_json: bool) -> None:
    """Name the flawed ones on stderr; or say that there are none."""
    wrong = flawed(read)
    for one in wrong:
        means.complain(f"{one.reader} of {store} {one.flaw}")
    if not wrong and not as_json:
        told = ", ".join(f"{one.reader} {one.applied}" for one in read)
        means.say(f"the readers of {store} have missed nothing: {told}")
