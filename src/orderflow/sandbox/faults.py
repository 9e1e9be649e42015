"""What goes wrong between a client and an app: chosen by chance or by script, and applied to one request.

A fault never changes an app's rules; it decides only whether and when a request is executed and what the client hears.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from threading import RLock
from typing import Literal, TypeAlias, assert_never

from orderflow.sandbox.wire import App, Request, Response, json_response

Kind: TypeAlias = Literal[
    "none",
    "refused",  # the connection never came about: provably not executed
    "cut_before",  # cut without executing; the client cannot know
    "cut_after",  # executed, the reply is lost
    "late",  # the client is cut (or times out), the request is executed `delay` later
    "throttled",  # 429 with Retry-After, not executed
    "error_500",  # 500 before acting
    "error_503",  # 503 before acting
    "error_after",  # executed, answered with 500
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `delay` counts for "late"; `retry_after` (seconds; None: no header) for "throttled", "error_503"."""

    kind: Kind = "none"
    delay: timedelta = timedelta(seconds=2)
    retry_after: int | None = 1


NONE = Fault()


class Cut(ConnectionError):
    """The client's connection broke without an answer. `sent`: the request may have reached the app."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection was cut" if sent else "the connection was refused")
        self.sent = sent


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


def deliver(
    app: App, request: Request, fault: Fault, later: Callable[[timedelta, Callable[[], None]], None]
) -> Response:
    """Let the app answer as the fault allows; raises `Cut` where the client hears nothing.

    `later(delay, action)` must run the action after that time, in the caller's idea of time.
    """
    match fault.kind:
        case "none":
            return app(request)
        case "refused":
            raise Cut(sent=False)
        case "cut_before":
            raise Cut(sent=True)
        case "cut_after":
            app(request)
            raise Cut(sent=True)
        case "late":
            later(fault.delay, lambda: _execute(app, request))
            raise Cut(sent=True)
        case "throttled":
            return _failure(429, "too_many_requests", fault.retry_after)
        case "error_500":
            return _failure(500, "internal_error", None)
        case "error_503":
            return _failure(503, "unavailable", fault.retry_after)
        case "error_after":
            app(request)
            return _failure(500, "internal_error", None)
    assert_never(fault.kind)


def _execute(app: App, request: Request) -> None:
    app(request)


def _failure(status: int, code: str, retry_after: int | None) -> Response:
    headers = None if retry_after is None else {"retry-after": str(retry_after)}
    return json_response(status, {"error": {"code": code, "message": "a switched fault of the sandbox"}}, headers)
