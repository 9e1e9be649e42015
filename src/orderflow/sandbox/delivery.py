"""Hand one request to an app as its fault allows, and give the client what it then hears.

It acts in no time of its own: what has to happen later is left to the caller's idea of time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, assert_never

from orderflow.sandbox.faults import Fault
from orderflow.sandbox.wire import App, Request, Response, json_response

_PAGE: Final = b"<!doctype html><html><title>Welcome to nginx!</title><h1>Something went wrong</h1></html>"
_HTML: Final = {"content-type": "text/html"}


class Cut(ConnectionError):
    """The client's connection broke without an answer. `sent`: the request may have reached the app."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection was cut" if sent else "the connection was refused")
        self.sent = sent


def deliver(
    app: App, request: Request, fault: Fault, later: Callable[[timedelta, Callable[[], None]], None]
) -> Response:
    """Let the app answer as the fault allows; raises `Cut` where the client hears nothing.

    `later(delay, action)` must run the action after that time. An answer that never ends in time ("silent_after",
    "drip") is a cut here; over a socket `server` plays it out.
    """
    match fault.kind:
        case "none":
            return app(request)
        case "refused":
            raise Cut(sent=False)
        case "cut_before":
            raise Cut(sent=True)
        case "cut_after" | "silent_after" | "drip":
            app(request)
            raise Cut(sent=True)
        case "late":
            later(fault.delay, lambda: _execute(app, request))
            raise Cut(sent=True)
        case "truncated":
            return _truncated(app(request))
        case "html_before":
            return Response(200, _PAGE, _HTML)
        case "html_after":
            app(request)
            return Response(200, _PAGE, _HTML)
        case "empty_after":
            app(request)
            return Response(200, b"", {})
        case "wrong_type":
            answer = app(request)
            return replace(answer, headers={**answer.headers, **_HTML})
        case "throttled" | "throttled_oddly":
            return _failure(429, "too_many_requests", fault.retry_after)
        case "error_500":
            return _failure(500, "internal_error", None)
        case "error_503":
            return _failure(503, "unavailable", fault.retry_after)
        case "error_after":
            app(request)
            return _failure(500, "internal_error", None)
        case "redirect":
            return Response(307, b"", {"location": f"http://elsewhere.invalid{request.path}"})
        case "stale":
            return app(replace(request, stale=fault.delay))
    assert_never(fault.kind)


def _execute(app: App, request: Request) -> None:
    app(request)


def _truncated(answer: Response) -> Response:
    """The first half of an answer that promises the whole; one too short to be cut promises a byte more."""
    length = max(len(answer.body), 1)
    return replace(answer, body=answer.body[: length // 2], headers={**answer.headers, "content-length": str(length)})


def _failure(status: int, code: str, retry_after: int | str | None) -> Response:
    headers = None if retry_after is None else {"retry-after": str(retry_after)}
    return json_response(status, {"error": {"code": code, "message": "a switched fault of the sandbox"}}, headers)
