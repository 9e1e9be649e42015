"""What a single call over HTTP can come to, and what of an answer people may see.

It never quotes free text from an answer: that may be personal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from orderflow.glopal.codes import code as word
from orderflow.glopal.jsontext import NotJson, parse

LONGEST_WAIT: Final = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `body` may be personal. Header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float:
        """Seconds that `Retry-After` asks for, as number or date, within 0..3600; 0 where it is absent or nonsense."""
        return _seconds(self.headers.get("retry-after", "").strip())

    @property
    def code(self) -> str | None:
        """The machine-readable word of an error body, in any of the shapes that Glopal and shops use.

        None where there is none, or one with a word that might be a name.
        """
        body = parse(self.body)
        if isinstance(body, NotJson) or not isinstance(body, dict):
            return None
        error = body.get("error")
        inner = error.get("code") if isinstance(error, dict) else error
        return word(inner) or word(body.get("code")) or word(body.get("title"))

    @property
    def summary(self) -> str:
        """The status and the code."""
        code = self.code if self.status >= 400 else None
        return f"{self.status} {code}" if code else str(self.status)


@dataclass(frozen=True, slots=True)
class NotSent:
    """Provably not a byte of the request was written. `late`: because `in_time` said no."""

    reason: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """The request may have arrived; no whole answer came. `status` if at least that was seen.

    `unfit`: an answer did come, of a size or form that is not taken; asking again will bring the same.
    """

    reason: str
    status: int | None = None
    unfit: bool = False


def always() -> bool:
    """For calls that are in time whenever they are sent: reads."""
    return True


class TooLate(Exception):
    """`in_time` said no; nothing was written."""


class Gate:
    """Asks `in_time` when the first byte is about to be written: httpcore calls this at every step of a request."""

    def __init__(self, in_time: Callable[[], bool]) -> None:
        self._in_time = in_time
        self.passed = False
        self.status: int | None = None

    def __call__(self, step: str, _info: Mapping[str, object]) -> None:
        """Take notice of a step (httpcore's `trace`)."""
        if step.endswith(".send_request_headers.started"):
            self.open()

    def open(self) -> None:
        """Pass, or raise `TooLate`."""
        if not self.passed:
            if not self._in_time():
                raise TooLate
            self.passed = True


def _seconds(text: str) -> float:
    if text.isascii() and text.isdecimal():
        return float(min(int(text[:9]), LONGEST_WAIT))
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        wait = (until - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_WAIT)
