"""History from a file: events as Glopal's feed gives them, one a line, recorded as if they had been pulled.

It never skips a line that is no event (it is kept, as intake keeps a bad element), and never moves the pull's cursor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

import sqlalchemy as sa

from orderflow import intake
from orderflow.glopal.codec import Bad, Element, Unparsable, read_element, read_page
from orderflow.intake import Facts
from orderflow.store import imports
from orderflow.store.connect import transact
from orderflow.store.imports import Offset
from orderflow.store.vault import Key, Vault, keys_of, live

_LINES: Final = 2000
_BYTES: Final = 4_000_000
"""At most so much goes in by one commit."""
_LONGEST: Final = 16_000_000
"""Bytes of a line: longer ones are no events, and would have to be held in memory."""


class NoHistoryError(Exception):
    """This is no file of events; nothing was written. `line` is where that showed."""

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        super().__init__(f"line {line} {what}")


@dataclass(frozen=True, slots=True)
class Progress:
    """What came of the file so far: `bytes` of it are read, `skipped` of its `lines` by an earlier run.

    The others were `new`, or `known`; `bad` ones are among both. `evidence`: events kept of lines that say something
    else of an event than the log does.
    """

    bytes: int = 0
    lines: int = 0
    skipped: int = 0
    new: int = 0
    known: int = 0
    bad: int = 0
    evidence: int = 0


def record(engine: sa.Engine, vault: Vault, store: str, file: BinaryIO) -> Iterator[Progress]:
    """Record the events of `file`; yields after each commit, and at least once.

    How far a file was read is recorded with what was read, by its contents: the same file again, or a longer one that
    begins like it, is gone on with there. One that cannot be rewound is read from its beginning; what is known by then
    is found out by its source ids. While one batch is being written the next one is made ready, on a thread of its own.
    Raises `NoHistoryError`.
    """
    reading = _Reading(file)
    begun = transact(engine, lambda conn: imports.offset(conn, store, reading.name)) if reading.rewinds else None
    if begun is not None:
        reading.skip(begun)
    done = Progress(reading.bytes, reading.lines, skipped=reading.lines)
    yield done
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(_ready, engine, vault, store, reading)
        while (batch := coming.result()) is not None:
            coming = beside.submit(_ready, engine, vault, store, reading)
            new, evidence = transact(engine, partial(_write, vault, batch))
            done = _and(done, batch, new, evidence)
            yield done


@dataclass(frozen=True, slots=True)
class _Batch:
    """Lines made ready, how many of the file were read with them, and where they end."""

    facts: Facts
    file: str
    end: Offset
    lines: int


class _Reading:
    """A file on its way: how much of it was read, and the digest of that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.rewinds = file.seekable()
        self.bytes = self.lines = self._whole = 0
        self._digest = hashlib.sha256()
        first = self._line()
        self._left = first
        self.name = hashlib.sha256(first).hexdigest()
        """A file goes by its first line: event ids do not come twice."""

    def skip(self, before: Offset) -> None:
        """Go on where an earlier run came to, if the file is the same up to there; else from its beginning."""
        self._file.seek(0)
        digest = hashlib.sha256()
        left = before.bytes
        while left and (piece := self._file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
        if left or digest.hexdigest() != before.digest:
            self._file.seek(0)
            self._left = self._line()
            return
        self.bytes, self.lines, self._whole = before.bytes, before.lines, before.lines
        self._digest, self._left = digest, b""

    def batch(self) -> tuple[list[bytes], Offset]:
        """The next lines without their ends, empty ones left out, and where they end; no lines at the end of the file.

        A last line that does not end may be half of one that is being written: it is taken, and read again next time.
        """
        found: list[bytes] = []
        size = 0
        while len(found) < _LINES and size < _BYTES:
            line = self._left or self._line()
            self._left = b""
            if not line:
                break
            self.lines += 1
            if line.endswith(b"\n"):
                self._digest.update(line)
                self.bytes, self._whole = self.bytes + len(line), self.lines
            if text := line.strip():
                found.append(text)
                size += len(text)
        return found, Offset(self.bytes, self._whole, self._digest.hexdigest())

    def _line(self) -> bytes:
        line = self._file.readline(_LONGEST)
        if len(line) == _LONGEST:
            raise NoHistoryError(self.lines + 1, f"has {_LONGEST} bytes or more: one event a line is expected")
        return line


def _ready(engine: sa.Engine, vault: Vault, store: str, reading: _Reading) -> _Batch | None:
    """The next lines, parsed, sealed and hashed; None at the end. Keys are made in a transaction of their own."""
    begins = reading.lines == 0
    lines, end = reading.batch()
    if not lines:
        return None
    elements = [read_element(line) for line in lines]
    if begins:
        _refuse_what_is_no_history(elements)
    keys: Mapping[str, Key] = transact(engine, lambda conn: keys_of(conn, vault, store, intake.streams(elements)))
    return _Batch(intake.facts(vault, keys, store, elements), reading.name, end, reading.lines)


def _refuse_what_is_no_history(elements: Sequence[Element]) -> None:
    """What is once in the log stays there: a wrong file should not get into it line by line."""
    first = elements[0]
    if isinstance(first, Bad) and not isinstance(read_page(first.raw), Unparsable):
        raise NoHistoryError(1, "is a whole page: one event a line is expected, as `jq -c '.events[]'` makes them")
    if all(isinstance(element, Bad) for element in elements):
        raise NoHistoryError(1, f"is no event, nor is any of the {len(elements)} lines from there")


def _write(vault: Vault, batch: _Batch, conn: sa.Connection) -> tuple[int, int]:
    """The place first: the log's lock is held to the commit. What a key that was erased since seals is sealed anew."""
    facts = batch.facts
    imports.note(conn, facts.store, batch.file, batch.end)
    if not live(conn, vault, facts.store, [*facts.keys.values()]):
        keys = keys_of(conn, vault, facts.store, facts.keys)
        facts = intake.facts(vault, keys, facts.store, facts.elements)
    return intake.recorded(conn, vault, facts)


def _and(done: Progress, batch: _Batch, new: int, evidence: int) -> Progress:
    elements = batch.facts.elements
    return Progress(
        bytes=batch.end.bytes,
        lines=batch.lines,
        skipped=done.skipped,
        new=done.new + new,
        known=done.known + len(elements) - new,
        bad=done.bad + sum(isinstance(element, Bad) for element in elements),
        evidence=done.evidence + evidence,
    )
