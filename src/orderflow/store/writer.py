"""Group commit: what the threads of a process append to one store at the same time goes in by one call and one commit.

It never keeps anybody waiting for company: alone, a caller writes at once; who comes meanwhile goes in with the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orderflow.store import log
from orderflow.store.chain import leaves
from orderflow.store.connect import passes
from orderflow.store.log import Result, Unit

_MOST: Final = 500
"""Units of one commit: those who come after should not wait for ever."""


class WriterClosedError(Exception):
    """The writer takes nothing any more: this process is ending."""


@dataclass(eq=False, slots=True)
class _Caller:
    """One thread and the unit it waits for. Once it is woken it has an outcome, or it is its turn to write."""

    unit: Unit
    leaves: list[bytes]
    woken: threading.Lock = field(default_factory=threading.Lock)
    outcome: Result | Exception | None = None

    def __post_init__(self) -> None:
        self.woken.acquire()


class Writer:
    """The appends of one process, of any number of stores; threads share it.

    There is no thread of its own: the first caller of a store writes for all who wait, then hands on to the first of
    those who came meanwhile. Each store has a queue and a transaction of its own, so that none waits for another.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: dict[str, deque[_Caller]] = {}
        """A store is in here as long as somebody writes to it."""
        self._closed = False

    def append(self, store: str, unit: Unit) -> Result:
        """Append `unit` to the log of `store`, and return when it is committed. As `log.append` otherwise.

        When the connection breaks, also during COMMIT, everything is sent again: what was written is then a
        `Duplicate`. An error of the database reaches everybody who waited for that commit, a mistake only who made it.
        """
        one = _Caller(unit, leaves(store, unit.entries))  # before the queue: all that can be is computed by its caller
        if not unit.entries:
            raise ValueError("a unit holds at least one event")
        if not self._first(store, one):
            self._wait(store, one)
        if one.outcome is None:
            self._write(store, one)
        if isinstance(one.outcome, Exception):
            raise one.outcome
        assert one.outcome is not None
        return one.outcome

    def close(self) -> None:
        """Take nothing more, and return when all that was taken is written."""
        with self._idle:
            self._closed = True
            while self._waiting:
                self._idle.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _first(self, store: str, one: _Caller) -> bool:
        """Get in line; True if nobody stands there, and nobody writes."""
        with self._lock:
            if self._closed:
                raise WriterClosedError
            first = store not in self._waiting
            self._waiting.setdefault(store, deque()).append(one)
            return first

    def _wait(self, store: str, one: _Caller) -> None:
        try:
            one.woken.acquire()
        except BaseException:  # Ctrl-C: leave the line, or it would stand still when it is this one's turn
            with self._lock:
                line = self._waiting.get(store, ())
                if one in line:
                    turn = one.woken.acquire(blocking=False)
                    self._waiting[store].remove(one)
                    if turn:
                        self._hand_on(store)
            raise

    def _write(self, store: str, one: _Caller) -> None:
        """Write what waits, `one` at its head, and hand on, whatever comes of it."""
        with self._lock:
            line = self._waiting[store]
            batch = [line.popleft() for _ in range(min(len(line), _MOST))]
        try:
            outcomes = _written(self._engine, store, batch)
        except BaseException:  # Ctrl-C: nobody knows whether it was done; the others send it again, which is safe
            with self._lock:
                line.extendleft(reversed(batch[1:]))
                self._hand_on(store)
            raise
        assert batch[0] is one
        for caller, outcome in zip(batch, outcomes, strict=True):
            caller.outcome = outcome
        with self._lock:
            self._hand_on(store)
        for caller in batch[1:]:
            caller.woken.release()

    def _hand_on(self, store: str) -> None:
        """Let the first who waits write; under the lock."""
        if self._waiting[store]:
            self._waiting[store][0].woken.release()
        else:
            del self._waiting[store]
            self._idle.notify_all()


def _written(engine: sa.Engine, store: str, batch: Sequence[_Caller]) -> Sequence[Result | Exception]:
    """One outcome a caller. What the database refuses as a whole is sent one by one: a mistake is its maker's alone."""
    try:
        given = log.prepared(store, [one.unit for one in batch], [leaf for one in batch for leaf in one.leaves])
        return log.append_at_once(engine, given)
    except Exception as error:  # noqa: BLE001  whatever it is, it reaches whoever waits
        if len(batch) == 1 or (isinstance(error, DBAPIError) and passes(error)):
            return [error] * len(batch)
    return [outcome for one in batch for outcome in _written(engine, store, [one])]
