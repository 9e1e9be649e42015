"""Is a log whole? Everything is recomputed once, and held against every seal on the way.

It never changes anything, and believes no seal that a pinned key did not sign.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from orderflow.audit import note, seals, tree
from orderflow.audit.exporters import files
from orderflow.audit.note import NoteError, PublicKey, Seal
from orderflow.audit.seals import Lost
from orderflow.audit.tree import Frontier
from orderflow.store import log, verify
from orderflow.store.log import LogDamagedError
from orderflow.store.tables import seal_nodes


class Standing(StrEnum):
    """What is to be said of a log, the worst first. Only the last is good."""

    DAMAGED = "damaged"
    """A row, a stream or a kept node is not what was written."""
    FORKED = "forked"
    """In itself in order, but not the log that was sealed."""
    BEHIND = "behind"
    """It ends before a seal does."""
    LOST = "lost"
    """It was restored, and lacks what a seal of an earlier epoch holds; nobody has said that this is known."""
    DOUBTFUL = "doubtful"
    """A seal that it should be held against cannot be read, or a pinned key did not sign it."""
    WHOLE = "whole"
    """Every row is what was written, and every seal agrees."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `position`: the first bad row, or the first that may be; `where`: the telling seal."""

    standing: Standing
    text: str
    position: int | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A seal that a pinned key signed, and where it was found. `packed`: the frontier, of the database's own copies."""

    where: str
    seal: Seal
    packed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """The seals of one store, and what is wrong with those that are not to be believed."""

    found: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it. `agreeing` seals hold up to `sealed` events; `known_losses` were named by who asked."""

    store: str
    events: int
    root: bytes
    agreeing: int
    sealed: int
    problems: tuple[Problem, ...] = ()
    known_losses: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """The worst of all problems."""
        found = {problem.standing for problem in self.problems}
        return next((one for one in Standing if one in found), Standing.WHOLE)


OWN: Final = "the database"


def gathered(
    conn: sa.Connection, store: str, keys: Sequence[PublicKey], folder: Path | None, paths: Iterable[Path] = ()
) -> Gathered:
    """Every seal of `store`: the database's own, those in the exporter's `folder`, and what is named besides.

    Call it before the log is read: a seal that is made meanwhile would seem to be ahead of it.
    """
    found: list[Found] = []
    problems: list[Problem] = []
    for file in _files(store, folder, paths):
        try:
            raw = file.read_bytes()
        except OSError as error:
            problems.append(_doubt(str(file), f"it cannot be read ({error.strerror})"))
        else:
            _take(found, problems, store, keys, str(file), raw)
    # Only now: no transaction stands open while a year's files are read.
    for one in seals.own(conn, store) if keys else ():
        _take(found, problems, store, keys, OWN, one.raw, one.packed)
    return Gathered(tuple(found), tuple(problems))


def _files(store: str, folder: Path | None, paths: Iterable[Path]) -> Iterator[Path]:
    if folder is not None and folder.is_dir():
        yield from files(folder, store)
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
        else:
            yield path


def _take(
    found: list[Found],
    problems: list[Problem],
    store: str,
    keys: Sequence[PublicKey],
    where: str,
    raw: bytes,
    packed: bytes | None = None,
) -> None:
    """Put one seal where it belongs. That of another store is passed over, unless it is kept as one of this store."""
    try:
        seal = note.opened(raw, keys)
    except NoteError as error:
        problems.append(_doubt(where, str(error)))
        return
    if seal.store == store:
        found.append(Found(where, seal, packed))
    elif where == OWN:
        problems.append(_doubt(where, f"it is a seal of store {seal.store}"))


def _doubt(where: str, what: str) -> Problem:
    return Problem(Standing.DOUBTFUL, f"a seal in {where} does not count: {what}", None, where)


@dataclass(slots=True)
class _Comparison:
    """The tree as far as it has been recomputed, and the seals that are still ahead, the nearest last."""

    store: str
    ahead: list[Found]
    frontier: Frontier = field(default_factory=Frontier)
    nodes: list[bytes] = field(default_factory=list)
    origin: str | None = None
    agreeing: int = 0
    sealed: int = 0
    kept: int = 0
    problems: list[Problem] = field(default_factory=list)

    def go_on(self, hashes: list[bytes]) -> None:
        """Add hashes, and stop at the end of each seal."""
        if self.origin is None and hashes:
            self.origin = note.origin_of(self.store, hashes[0])
        while hashes:
            upto = len(hashes)
            if self.ahead:
                upto = min(upto, self.ahead[-1].seal.size - self.frontier.size)
            here, hashes = hashes[:upto], hashes[upto:]
            self.frontier, nodes = tree.extended(self.frontier, here)
            self.nodes += nodes
            below = self.sealed  # of two seals of the same size, one may agree and the other not
            while self.ahead and self.ahead[-1].seal.size == self.frontier.size:
                self._compare(self.ahead.pop(), here[-1], below)

    def _compare(self, one: Found, last: bytes, below: int) -> None:
        seal = one.seal
        if (seal.root, seal.chain, seal.origin) != (self.frontier.root, last, self.origin):
            first = 1 if seal.origin != self.origin else below + 1
            told = f"the log of store {self.store} is forked: the seal of {_moment(seal)} ({one.where}) holds "
            if seal.origin != self.origin:
                text = f"{told}{seal.size} events of another log, {seal.origin}"
            else:
                text = f"{told}{seal.size} events, and positions {first} to {seal.size} are others"
            self.problems.append(Problem(Standing.FORKED, text, first, one.where))
            return
        self.agreeing, self.sealed = self.agreeing + 1, seal.size
        if one.packed is not None:
            self.kept = max(self.kept, seal.size)
            if one.packed != self.frontier.packed():
                text = f"the frontier that the database keeps for {seal.size} events is not that of the log"
                self.problems.append(Problem(Standing.DAMAGED, text, None, OWN))


def check(
    conn: sa.Connection,
    store: str,
    given: Gathered,
    known_restores: Collection[int] = (),
    reached: Callable[[int], None] = lambda _: None,
) -> Report:
    """Recompute the log of `store`, and hold it against the seals that were `gathered` before.

    `known_restores`: epochs whose restore the caller knows of from elsewhere; what was lost before them is no problem.
    """
    ahead: list[Found] = []
    problems, losses = list(given.problems), []
    begun = seals.begun(conn, store)
    for one in given.found:
        lost = seals.lost_in(begun, one.seal)
        if lost is None:
            ahead.append(one)
        elif lost.epoch in known_restores:
            losses.append(_lost(store, one, lost))
        else:
            problems.append(Problem(Standing.LOST, _lost(store, one, lost), lost.first, one.where))
    end = log.head(conn, store)
    ahead.sort(key=lambda one: -one.seal.size)
    run = _Comparison(store, ahead)
    try:
        for hashes in verify.walk(conn, store):
            run.go_on(hashes)
            reached(run.frontier.size)
    except LogDamagedError as error:
        bound = f"; seals agree up to position {run.sealed}" if run.agreeing else ""
        run.problems.append(Problem(Standing.DAMAGED, f"{error}{bound}", error.position))
    run.problems += _behind(store, end, run.ahead)
    run.problems += _nodes(conn, store, run)
    problems = [*run.problems, *problems]
    return Report(store, run.frontier.size, run.frontier.root, run.agreeing, run.sealed, tuple(problems), tuple(losses))


def _lost(store: str, one: Found, lost: Lost) -> str:
    return (
        f"the log of store {store} lost positions {lost.first} to {one.seal.size} before epoch {lost.epoch}: "
        f"the seal of {_moment(one.seal)} ({one.where}) holds them"
    )


def _behind(store: str, end: int, ahead: Sequence[Found]) -> Iterator[Problem]:
    """What the seals say that end after the log does; the longest one says it for all."""
    beyond = [one for one in ahead if one.seal.size > end]
    if beyond:
        longest = beyond[0]
        text = (
            f"the log of store {store} is behind: it ends at position {end}, and the seal of {_moment(longest.seal)} "
            f"({longest.where}) holds {longest.seal.size} events"
        )
        yield Problem(Standing.BEHIND, text, end + 1, longest.where)


def _nodes(conn: sa.Connection, store: str, run: _Comparison) -> Iterator[Problem]:
    """Are the nodes that the database keeps those of the log? Only those below a seal of its own are in use."""
    upto = run.kept >> tree.TILE
    query = sa.select(seal_nodes.c.number, seal_nodes.c.hash)
    query = query.where(seal_nodes.c.store == store, seal_nodes.c.number < upto).order_by(seal_nodes.c.number)
    kept = [(number, bytes(hash_)) for number, hash_ in conn.execute(query)]
    if kept != list(enumerate(run.nodes[:upto])):
        yield Problem(Standing.DAMAGED, f"the nodes that the database keeps of the tree of {store} are not the log's")


def _moment(seal: Seal) -> str:
    return f"{seal.time:%Y-%m-%d %H:%M:%S} UTC"
