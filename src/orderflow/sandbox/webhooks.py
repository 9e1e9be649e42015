"""Glopal's webhooks, as far as anyone can guess: each event is posted to an address, and again where that fails.

Everything here is ASSUMED (reference 10); STATED is only that webhooks exist. It never holds up the API: events are
queued, and `step` or a thread of its own sends them.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from orderflow.sandbox.delivery import Cut
from orderflow.sandbox.glopal import Glopal
from orderflow.sandbox.glopal.world import Notice
from orderflow.sandbox.wire import JSON_HEADERS, Request, Response, render

Send: TypeAlias = Callable[[Request], Response]
"""Carries one request to the receiver; raises OSError (`Cut` is one) where no answer comes."""

PARAMETER: Final = "secret"
KEY_HEADER: Final = "x-glopal-secret"
SIGNATURE_HEADER: Final = "x-glopal-signature"
TIMEOUT: Final = 5.0  # seconds (SIBLING)


def _seconds(*seconds: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=one) for one in seconds)


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Switches of the webhooks; the first setting of each is the default."""

    body: Literal["event", "event id", "event in an object", "list", "list in an object", "event with order"] = "event"
    auth: Literal["basic", "query secret", "header secret", "hmac hex", "hmac base64", "none"] = "basic"
    retries: Annotated[tuple[timedelta, ...], (_seconds(1, 5, 30), (), _seconds(1, 1, 1, 1, 1))] = _seconds(1, 5, 30)
    copies: Annotated[int, (1, 2)] = 1
    order: Literal["in order", "out of order"] = "in order"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was sent; `status` is None where no answer came."""

    event_id: str
    number: int
    at: datetime
    status: int | None


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    at: datetime
    sequence: int
    number: int = field(compare=False)
    notice: Notice = field(compare=False)


class Webhooks:
    """Posts every event of this Glopal to `url`, where `{store}` stands for the store. Thread-safe.

    `step(now)` sends what is due, which suits virtual time; `start(clock)` lets a thread do it by the wall clock.
    """

    def __init__(
        self, glopal: Glopal, url: str, secret: str, options: WebhookOptions | None = None, send: Send | None = None
    ) -> None:
        self.attempts: list[Attempt] = []
        self.options = options or WebhookOptions()
        self._glopal = glopal
        self._url = url
        self._secret = secret.encode()
        self._send = send or over_http(url)
        self._due: list[_Due] = []
        self._sequence = count()
        self._heard = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        glopal.listen(self._hear)

    def _hear(self, notice: Notice, at: datetime) -> None:
        with self._lock:
            self._heard += 1
            if self.options.order == "out of order" and self._heard % 2:
                at += timedelta(seconds=3)  # every other event is overtaken by those behind it
            for _ in range(self.options.copies):
                self._queue(at, 1, notice)

    def _queue(self, at: datetime, number: int, notice: Notice) -> None:
        heapq.heappush(self._due, _Due(at, next(self._sequence), number, notice))

    def step(self, now: datetime) -> None:
        """Send everything due until `now`."""
        self._glopal.settle()
        while (due := self._next(now)) is not None:
            status = self._status(self.request(due.notice))
            with self._lock:
                self.attempts.append(Attempt(due.notice.event_id, due.number, now, status))
                if (status is None or status >= 500) and due.number <= len(self.options.retries):
                    self._queue(now + self.options.retries[due.number - 1], due.number + 1, due.notice)

    def _next(self, now: datetime) -> _Due | None:
        with self._lock:
            return heapq.heappop(self._due) if self._due and self._due[0].at <= now else None

    def _status(self, request: Request) -> int | None:
        try:
            return self._send(request).status
        except OSError:
            return None

    def start(self, clock: Callable[[], datetime]) -> None:
        """Send in a background thread until `stop`."""

        def run() -> None:
            while not self._stop.wait(0.05):
                self.step(clock())

        threading.Thread(target=run, daemon=True).start()

    def stop(self) -> None:
        """End the thread; what was not sent is not sent any more."""
        self._stop.set()

    def request(self, notice: Notice) -> Request:
        """The request that tells of this event."""
        parts = urlsplit(self._url.replace("{store}", quote(notice.store, safe="")))
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        body = self._body(notice).encode()
        headers = dict(JSON_HEADERS)
        digest = hmac.new(self._secret, body, hashlib.sha256).digest()
        match self.options.auth:
            case "basic":
                pair = base64.b64encode(b"glopal:" + self._secret).decode()
                headers["authorization"] = f"Basic {pair}"
            case "query secret":
                query += ((PARAMETER, self._secret.decode()),)
            case "header secret":
                headers[KEY_HEADER] = self._secret.decode()
            case "hmac hex":
                headers[SIGNATURE_HEADER] = digest.hex()
            case "hmac base64":
                headers[SIGNATURE_HEADER] = base64.b64encode(digest).decode()
            case "none":
                pass
        return Request("POST", parts.path or "/", query, headers, body)

    def _body(self, notice: Notice) -> str:
        match self.options.body:
            case "event":
                return notice.event
            case "event id":
                return f'{{"event_id":{render(notice.event_id)}}}'
            case "event in an object":
                return f'{{"event":{notice.event}}}'
            case "list":
                return f"[{notice.event}]"
            case "list in an object":
                return f'{{"events":[{notice.event}]}}'
            case "event with order":
                return f'{{"event":{notice.event},"order":{notice.order or "null"}}}'


def over_http(url: str) -> Send:
    """A sender that makes one connection per request to the host of `url`. ValueError unless it is http(s)."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a webhook: it must begin with http:// or https:// and name a host")
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    host, port = parts.hostname, parts.port

    def send(request: Request) -> Response:
        connection = connect(host, port, timeout=TIMEOUT)
        target = request.path + (f"?{urlencode(request.query)}" if request.query else "")
        try:
            connection.request(request.method, target, request.body, dict(request.headers))
            answer = connection.getresponse()
            return Response(answer.status, answer.read(65536), {})
        except HTTPException as error:
            raise Cut(sent=True) from error
        finally:
            connection.close()

    return send
