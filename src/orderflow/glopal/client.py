"""Speaks HTTP: `Endpoint` carries single calls to one address, `Client` is Glopal's Order API on top of it.

It never retries, never follows a redirect, never raises for what the other side does, and never lets the key out but in
the header that it belongs to.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypedDict, Unpack

import httpcore
import httpx

from orderflow.glopal.deadline import Connections, deadline, left
from orderflow.glopal.replies import Broken, Gate, NotSent, Reply, TooLate, always
from orderflow.glopal.routes import ROUTES, Route

LARGEST_REPLY: Final = 8 * 1024 * 1024  # bytes
_KEY = re.compile(r"[\x21-\x7e]+")
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class EndpointOptions(TypedDict, total=False):
    """The options of `Endpoint`, for those who make one inside."""

    transport: httpx.BaseTransport | None
    tls: ssl.SSLContext | None
    connect_seconds: float
    total_seconds: float


class Endpoint:
    """One address and the credentials for it; thread-safe. Raises ValueError for an address or key that cannot be.

    `transport` replaces the network (tests, simulations, proxies); `total_seconds` bounds a call from connecting to the
    last byte of the answer; `tls` trusts other roots than the usual ones. The key goes as `Authorization: Bearer`,
    or bare in the header `key_header`.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        key_header: str | None = None,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = 5.0,
        total_seconds: float = 30.0,
    ) -> None:
        self._base = _base(base_url)
        if not _KEY.fullmatch(key):
            raise ValueError("the key must be visible ASCII characters without spaces")
        self._credentials = {key_header: key} if key_header else {"authorization": f"Bearer {key}"}
        self._transport = transport or _Network(self._base, tls)
        self._traces = isinstance(self._transport, _Network | httpx.HTTPTransport)
        self.connect_seconds = connect_seconds
        self.total_seconds = total_seconds

    def __repr__(self) -> str:
        return f"Endpoint({self._base!r})"

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def exchange(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        in_time: Callable[[], bool] = always,
        total_seconds: float | None = None,
    ) -> Reply | NotSent | Broken:
        """One request, one answer. `target`: path and query behind the address, already percent-encoded.

        `in_time` is asked right before the first byte is written; on False nothing is sent. A transport that does not
        tell when that is (no `trace` events) is asked for before the request is handed over.
        """
        gate = Gate(in_time)
        try:
            with deadline(self.total_seconds if total_seconds is None else total_seconds):
                if not self._traces:
                    gate.open()
                return self._exchange(method, target, body, headers or {}, gate)
        except TooLate:
            return NotSent("it was too late to send", late=True)
        except Exception as error:  # noqa: BLE001 - hostile answers find odd errors, and each means one of these three
            name = type(error).__name__  # its text may quote what was sent
            if not gate.passed or (not self._traces and isinstance(error, _NEVER_CONNECTED)):
                return NotSent(f"no connection: {name}")
            if gate.status is not None:
                return Broken(f"the answer broke off: {name}", gate.status)
            return Broken(f"no answer: {name}")

    def _exchange(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], gate: Gate
    ) -> Reply | Broken:
        sent = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "orderflow",
            **self._credentials,
            **({"content-type": "application/json"} if body else {}),
            **headers,
        }
        seconds = left()
        timeout = dict.fromkeys(("read", "write", "pool"), seconds) | {"connect": min(self.connect_seconds, seconds)}
        extensions = {"timeout": timeout, "trace": gate}
        request = httpx.Request(method, self._base + target, headers=sent, content=body, extensions=extensions)
        response = self._transport.handle_request(request)
        gate.status = response.status_code
        try:
            return _whole(response)
        finally:
            response.close()


def _base(url: str) -> str:
    """The address without a slash at its end."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("the base URL cannot be read") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError("the base URL must begin with https:// or http:// and name a host")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ValueError("the base URL must hold neither a user name nor a query nor a fragment")
    return str(parsed).rstrip("/")


def _whole(response: httpx.Response) -> Reply | Broken:
    """The answer as it came, unless it is too long, takes too long, or is compressed (which was not asked for)."""
    stream = response.stream
    if not isinstance(stream, httpx.SyncByteStream):
        return Broken("the transport gave no stream", response.status_code)
    parts: list[bytes] = []
    size = 0
    for part in stream:
        size += len(part)
        if size > LARGEST_REPLY:
            return Broken(f"the answer is longer than {LARGEST_REPLY} bytes", response.status_code, unfit=True)
        if left() <= 0:
            return Broken("the answer did not end in time", response.status_code)
        parts.append(part)
    if response.headers.get("content-encoding", "identity") != "identity":
        return Broken("the answer is compressed, which was not asked for", response.status_code, unfit=True)
    return Reply(response.status_code, dict(response.headers), b"".join(parts))


class _Network(httpx.BaseTransport):
    """The real network: connections with deadlines, as a transport."""

    def __init__(self, base_url: str, tls: ssl.SSLContext | None) -> None:
        self._connections = Connections(_url(httpx.URL(base_url)).origin, tls)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = httpcore.Request(
            request.method,
            _url(request.url),
            headers=request.headers.raw,
            content=request.content,
            extensions=request.extensions,
        )
        connection = self._connections.take()
        try:
            answer = connection.handle_request(asked)
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer, lambda: self._connections.give(connection))
        )

    def close(self) -> None:
        self._connections.close()


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, done: Callable[[], None]) -> None:
        self._answer, self._done = answer, done

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
        self._done()


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page of the feed, as it came (`codec.read_page` reads it)."""

    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvalidCursor:
    """Glopal does not take the cursor (400 while one was given). Never begin anew by itself: a person must look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The feed does not open (401, 403, 404, 405, redirects, other 4xx) or is unfit to read: a person must mend it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """No page this time; ask again after so many seconds at the soonest (0: as usual)."""

    after: float
    reason: str


Events = RawPage | InvalidCursor | Closed | Later


class Client:
    """Glopal's Order API for one store; thread-safe."""

    def __init__(
        self,
        base_url: str,
        store_id: str,
        key: str,
        *,
        routes: Mapping[str, Route] = ROUTES,
        empty_cursor: bool = False,
        **options: Unpack[EndpointOptions],
    ) -> None:
        """`empty_cursor`: name the cursor also where there is none, as Glopal's guide does (contradiction 11.4)."""
        self.endpoint = Endpoint(base_url, key, **options)
        self.store_id = store_id
        self.routes = routes
        self._empty_cursor = empty_cursor

    def __repr__(self) -> str:
        return f"Client({self.endpoint!r}, {self.store_id!r})"

    def close(self) -> None:
        """Close the idle connections."""
        self.endpoint.close()

    def events(self, after: str | None, names: Sequence[str], limit: int | None = None) -> Events:
        """The page behind the event id `after` (None: from the start), only events with these names (none: all).

        `limit` asks for a page size, whose name is ASSUMED and which nothing may rely on.
        """
        query = [("event", name) for name in names]
        if after is not None or self._empty_cursor:
            query.append(("after", after or ""))
        if limit is not None:
            query.append(("limit", str(limit)))
        route = self.routes["events"]
        got = self.endpoint.exchange(route.method, route.target({"store_id": self.store_id}, query))
        if isinstance(got, Broken) and got.unfit and got.status == 200:
            return Closed(got.reason)
        if not isinstance(got, Reply):
            return Later(0.0, got.reason)
        if got.status == 200:
            return RawPage(got.body)
        if got.status in {408, 425, 429} or got.status >= 500 or got.status < 300:
            return Later(got.retry_after, got.summary)
        return InvalidCursor(got.summary) if got.status == 400 and after is not None else Closed(got.summary)

    @property
    def cursor_name(self) -> str:
        """What the cursor is called in queries and links."""
        return self.routes["events"].query.get("after", "")

    def order(self, order_id: str) -> Reply | NotSent | Broken:
        """The answer to GET order. It may lag behind the events (UNKNOWN)."""
        return self.call(self.routes["order"].method, self.target("order", order_id))

    def target(self, operation: str, order_id: str) -> str:
        """Path of an operation on one order."""
        return self.routes[operation].target({"store_id": self.store_id, "order_id": order_id})

    def call(
        self, method: str, target: str, body: bytes = b"", in_time: Callable[[], bool] = always
    ) -> Reply | NotSent | Broken:
        """One call by its frozen parts."""
        return self.endpoint.exchange(method, target, body=body, in_time=in_time)
