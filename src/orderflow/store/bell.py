"""The bell tells who waits in this process that there may be something to do; `link` carries it to the others.

Nothing ever depends on it: whoever waits also looks by itself now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final


class Topic(StrEnum):
    """What it rings for."""

    FACTS = "facts"
    """Events were recorded: there is something to read."""
    DUE = "due"
    """Outbox rows were planned or freed: there may be something to send."""


_ALONE: Final = 0.5
"""Seconds after which everybody looks unasked."""
_LISTENING: Final = 2.0
"""The same while hints of the other processes come in."""


class Bell:
    """One for a process; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rung = dict.fromkeys(Topic, 0)
        self._untold: set[Topic] = set()
        self._wake: Callable[[], object] = lambda: None
        self._listening = False

    def ring(self, topic: Topic) -> None:
        """There may be something new: also for the other processes, if this one is linked to them."""
        with self._changed:
            self._untold.add(topic)
            wake = self._wake
        self.hear(topic)
        wake()

    def hear(self, topic: Topic) -> None:
        """There may be something new: in this process only."""
        with self._changed:
            self._rung[topic] += 1
            self._changed.notify_all()

    def heard(self, topic: Topic) -> int:
        """How often it has rung. To be asked before one looks: what rings during the look is not missed then."""
        with self._changed:
            return self._rung[topic]

    def wait(
        self, topic: Topic, heard: int, seconds: float | None = None, *, unless: Callable[[], object] | None = None
    ) -> None:
        """Wait until it has rung more than `heard` times, but `seconds` at most, and never longer than is safe.

        `unless` ends it too as soon as it is true; it is asked again whenever somebody rings or stirs.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._rung[topic] > heard or (unless is not None and unless()), self.within(seconds)
            )

    def within(self, seconds: float | None = None) -> float:
        """`seconds`, but never longer than is safe: so often everybody looks unasked.

        That is seldom while hints of the other processes come in.
        """
        safe = _LISTENING if self._listening else _ALONE
        return safe if seconds is None else max(0.0, min(seconds, safe))

    def stir(self) -> None:
        """Let whoever waits look whether it still has to: nothing has rung."""
        with self._changed:
            self._changed.notify_all()

    def silence(self) -> None:
        """Let everybody look up: the process ends."""
        for topic in Topic:
            self.ring(topic)

    # ---- to and from the other processes ---------------------------------------------------------------------------

    @contextmanager
    def linked(self, wake: Callable[[], object]) -> Iterator[None]:
        """For as long as it is entered, `wake` is called whenever there is something to tell the others."""
        self._wake = wake
        try:
            yield
        finally:
            self._wake, self._listening = (lambda: None), False

    def listen(self) -> None:
        """From now on, and as long as it is linked, the hints of the others come in. Earlier ones may be missed."""
        self._listening = True
        for topic in Topic:
            self.hear(topic)

    def untold(self, topics: set[Topic]) -> set[Topic]:
        """Those of `topics` that have rung and were not told to the others yet; now they are."""
        with self._changed:
            found = self._untold & topics
            self._untold -= found
            return found
