"""The wire of a play: it carries requests to a fake in this process, with the faults of the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx

from orderflow.sandbox import App, Cut, Faults, Request, deliver


class Wire(httpx.BaseTransport):
    """Takes the network's place. What is executed late is handed to `later`."""

    def __init__(self, app: App, faults: Faults, later: Callable[[timedelta, Callable[[], None]], None]) -> None:
        self.app, self.faults, self.later = app, faults, later

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wire = Request(
            request.method,
            request.url.raw_path.split(b"?")[0].decode(),
            tuple(request.url.params.multi_items()),
            {name.lower(): value for name, value in request.headers.items()},
            request.content,
        )
        try:
            answer = deliver(self.app, wire, self.faults.choose(wire), self.later)
        except Cut as cut:
            if not cut.sent:
                raise httpx.ConnectError("refused", request=request) from None
            raise httpx.ReadTimeout("no answer", request=request) from None
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)
