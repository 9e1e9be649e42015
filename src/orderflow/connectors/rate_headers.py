"""What an answer's headers say of a rate limit, in the dialects that shops speak: how long to leave them alone.

It never guesses: a header that cannot be read says nothing.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from orderflow.connectors import Result, Sight, Viewed
from orderflow.glopal.replies import LONGEST_WAIT, Broken, NotSent, Reply

_FEW: Final = 64
"""Calls; with fewer left than a worker may begin at once, the rest of them is spread over the rest of the time."""
_ASKS: Final = frozenset({429, 503})
"""Where `Retry-After` is about everybody, not about the one thing that was asked for."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How calls that are left, and the time until there are more, are called; `seconds` reads the time's number."""

    left: str
    reset: str
    seconds: Callable[[float, float], float]


def _span(number: float, _now: float) -> float:
    return number


def _span_or_time(number: float, now: float) -> float:
    """Seconds from now, or since 1970, or the same in milliseconds: what it is shows in its size."""
    if number > 1e11:
        return number / 1000.0 - now
    return number - now if number > 1e9 else number


def _milliseconds(number: float, _now: float) -> float:
    return number / 1000.0


DIALECTS: Final = (
    Dialect("ratelimit-remaining", "ratelimit-reset", _span),
    Dialect("x-ratelimit-remaining", "x-ratelimit-reset", _span_or_time),
    Dialect("x-rate-limit-remaining", "x-rate-limit-reset", _span_or_time),
    Dialect("x-rate-limit-requests-left", "x-rate-limit-time-reset-ms", _milliseconds),
)
"""The IETF's draft as it was first; two that are widely spoken; BigCommerce."""


def rest(status: int, headers: Mapping[str, str], retry_after: float, now: float) -> float:
    """Seconds for which the other side wants to be left alone, an hour at most; 0 where it says nothing of it.

    `headers` by lower-case names; `retry_after` as it was read; `now` in seconds since 1970. With few calls left it is
    the time from one to the next that makes them last.
    """
    asked = [retry_after] if status in _ASKS else []
    asked += [_spread(left, reset) for left, reset in _limits(headers, now)]
    return min(LONGEST_WAIT, max(asked, default=0.0))


def _limits(headers: Mapping[str, str], now: float) -> list[tuple[float, float]]:
    """Calls left and seconds until there are more, of every limit that is named."""
    found = []
    for dialect in DIALECTS:
        left, reset = _number(headers.get(dialect.left)), _number(headers.get(dialect.reset))
        if left is not None and reset is not None:
            found.append((left, dialect.seconds(reset, now)))
    draft = headers.get("ratelimit", "")
    for policy in draft.split('"')[2::2] or [draft]:  # limits by name with r and t; or one, in whole words
        named = dict(_MEMBER.findall(policy))
        left, reset = (named.get(short, named.get(whole)) for short, whole in (("r", "remaining"), ("t", "reset")))
        if left is not None and reset is not None:
            found.append((float(left), float(reset)))
    return found


_MEMBER: Final = re.compile(r"(?:^|[;,])\s*(r|t|remaining|reset)\s*=\s*(\d{1,15})")


def _number(text: str | None) -> float | None:
    """A plain number, the first one where more than one limit is named."""
    match = re.match(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*(?:[,;]|$)", text or "")
    return None if match is None else float(match[1])


def _spread(left: float, seconds: float) -> float:
    if not math.isfinite(seconds) or seconds <= 0 or left >= _FEW:
        return 0.0
    return seconds / (left + 1)


Said = TypeVar("Said", bound=Result | Sight | Viewed)


def rested(said: Said, *outcomes: Reply | NotSent | Broken) -> Said:
    """What a connector says, with the rest that the last answer it had asks for."""
    replies = [one for one in outcomes if isinstance(one, Reply)]
    if not replies:
        return said
    last = replies[-1]
    seconds = rest(last.status, last.headers, last.retry_after, time.time())
    return replace(said, rest=seconds) if seconds > 0 else said
