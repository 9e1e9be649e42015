"""What goes wrong between a client and an app: chosen by chance or by script, for one request.

A fault never changes an app's rules; `delivery` decides what becomes of the request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from threading import RLock
from typing import Final, Literal, TypeAlias

from orderflow.sandbox.wire import Request

Kind: TypeAlias = Literal[
    "none",
    "refused",
    "cut_before",
    "cut_after",
    "late",
    "silent_after",
    "drip",
    "truncated",
    "html_before",
    "html_after",
    "empty_after",
    "wrong_type",
    "throttled",
    "throttled_oddly",
    "error_500",
    "error_503",
    "error_after",
    "redirect",
    "stale",
]

KINDS: Final[Mapping[Kind, str]] = {
    "none": "nothing goes wrong",
    "refused": "the connection never comes about: provably not executed",
    "cut_before": "cut without executing; the client cannot know",
    "cut_after": "executed, the answer is lost",
    "late": "the client is cut, the request is executed `delay` later",
    "silent_after": "executed, and no answer until the client gives up: a timeout after the commit",
    "drip": "executed, the answer comes byte by byte, `delay` apart",
    "truncated": "executed, the answer ends in the middle, before the length it promised",
    "html_before": "not executed, a proxy's HTML page with status 200",
    "html_after": "executed, a proxy's HTML page with status 200",
    "empty_after": "executed, status 200 and an empty body",
    "wrong_type": "executed and answered rightly, but as text/html",
    "throttled": "429 with Retry-After, not executed",
    "throttled_oddly": "429 with an odd Retry-After, each time another of `ODD_WAITS`; not executed",
    "error_500": "500, not executed",
    "error_503": "503 with Retry-After, not executed",
    "error_after": "executed, answered with 500",
    "redirect": "307 to another host, not executed: a client that follows it gives its key away",
    "stale": "a GET shows what stood there `delay` ago; everything else is answered rightly",
}
"""Every kind, and what it does."""

UNCLEAR: Final[frozenset[Kind]] = frozenset(
    {
        *("cut_before", "cut_after", "late", "silent_after", "drip", "truncated", "html_before", "html_after"),
        *("empty_after", "error_500", "error_503", "error_after"),
    }
)
"""After these a client that wrote cannot know whether it was executed: it must look before it writes again."""

ODD_WAITS: Final = (
    *("-1", "0", "99999999", "soon", "1.5", "", "1, 2", "NaN"),
    *("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `delay`: see `KINDS`. `retry_after` (None: no header) counts for "throttled" and "error_503"."""

    kind: Kind = "none"
    delay: timedelta = timedelta(seconds=2)
    retry_after: int | str | None = 1


NONE = Fault()


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    matches: Callable[[Request], bool]
    skip: int
    times: int


class Faults:
    """Chooses a fault per request. Thread-safe.

    `rates`: kind -> probability, together at most 1; they need the `rng`. `budget`: so many faults by chance, then none
    (None: no end).
    """

    def __init__(
        self,
        rng: Random | None = None,
        rates: Mapping[Kind, float] | None = None,
        *,
        budget: int | None = None,
        delay: Callable[[], timedelta] | None = None,
    ) -> None:
        self.counts: Counter[Kind] = Counter()
        self._rng = rng
        self._rates: dict[Kind, float] = dict(rates or {})
        if sum(self._rates.values()) > 1 or any(rate < 0 for rate in self._rates.values()):
            raise ValueError("the rates must be probabilities and together at most 1")
        if self._rates and rng is None:
            raise ValueError("faults by chance need a generator")
        self._budget = budget
        self._delay = delay
        self._script: list[_Scripted] = []
        self._on = True
        self._lock = RLock()

    def stop(self) -> None:
        """No more faults, neither by chance nor by script."""
        with self._lock:
            self._on = False

    def start(self) -> None:
        """Faults again."""
        with self._lock:
            self._on = True

    def script(
        self,
        kind: Kind | Fault,
        *,
        method: str | None = None,
        path: str = "",
        where: Callable[[Request], bool] | None = None,
        nth: int = 1,
        times: int = 1,
    ) -> None:
        """From the `nth` matching request on, `times` requests get this fault. Earlier scripts go first.

        `path`: a regular expression searched in the path; `where`: any further condition, on the body for example.
        """
        fault = kind if isinstance(kind, Fault) else Fault(kind)
        pattern = re.compile(path)

        def matches(request: Request) -> bool:
            return (
                (method is None or method == request.method)
                and pattern.search(request.path) is not None
                and (where is None or where(request))
            )

        with self._lock:
            self._script.append(_Scripted(fault, matches, nth - 1, times))

    def choose(self, request: Request) -> Fault:
        """The fault for this request; counted in `counts`."""
        with self._lock:
            fault = self._choose(request) if self._on else NONE
            if fault.kind == "throttled_oddly":
                fault = replace(fault, retry_after=ODD_WAITS[self.counts[fault.kind] % len(ODD_WAITS)])
            self.counts[fault.kind] += 1
            return fault

    def _choose(self, request: Request) -> Fault:
        for scripted in self._script:
            if not scripted.matches(request):
                continue
            if scripted.skip:
                scripted.skip -= 1
                continue
            scripted.times -= 1
            if not scripted.times:
                self._script.remove(scripted)
            return scripted.fault
        if self._rng is None or not self._rates or self._budget == 0:
            return NONE
        point = self._rng.random()
        for kind, rate in self._rates.items():
            point -= rate
            if point < 0 < rate:
                if self._budget is not None:
                    self._budget -= 1
                return Fault(kind) if self._delay is None else Fault(kind, self._delay())
        return NONE
