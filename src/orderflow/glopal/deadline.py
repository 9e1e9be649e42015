"""Connections on which nothing outlasts a deadline.

It never speaks HTTP by itself, and never logs.

HTTP libraries bound each single read; a peer that sends one byte now and then holds them for ever. Here the socket
itself knows the deadline of the call that uses it: connecting, TLS, waiting for the head and reading the body all end
with it. (Only the name server is beyond reach: the operating system bounds that.)
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final

import httpcore

_KEPT_SECONDS: Final = 5.0
_ends_at: ContextVar[float] = ContextVar("_ends_at")


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Everything this thread does on such connections inside ends so many seconds from now."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def left() -> float:
    """Seconds that are left; not positive when time is up."""
    return _ends_at.get(float("inf")) - time.monotonic()


class Connections:
    """Connections to one address, HTTP/1.1, kept for 5 idle seconds, never retried; each is in one hand at a time.

    Not httpcore's own pool: under load its threads take an answer that has just arrived on another's connection for a
    sign that the server hung up, and close it (measured: 3 of 1000 calls on a loaded machine ended as unknown).
    """

    def __init__(self, origin: httpcore.Origin, tls: ssl.SSLContext | None) -> None:
        self._origin, self._tls = origin, tls
        self._idle: list[httpcore.HTTPConnection] = []
        self._lock = threading.Lock()

    def take(self) -> httpcore.HTTPConnection:
        """One for the caller alone: the one used last, else a new one, not yet connected."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.is_idle() and not connection.has_expired():
                return connection
            connection.close()
        return httpcore.HTTPConnection(
            self._origin, self._tls, keepalive_expiry=_KEPT_SECONDS, network_backend=_Network()
        )

    def give(self, connection: httpcore.HTTPConnection) -> None:
        """Take it back, or close it if it cannot be used again."""
        if connection.is_idle():
            with self._lock:
                self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close all that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _within(timeout: float | None, late: type[Exception]) -> float:
    remaining = left()
    if remaining <= 0:
        raise late("the deadline has passed")
    return min(remaining, remaining if timeout is None else timeout)


class _Network(httpcore.NetworkBackend):
    """The usual sockets, with deadlines."""

    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        within = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._sockets.connect_tcp(host, port, within, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    _PIECE = 65536

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _within(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), self._PIECE):
            piece = buffer[start : start + self._PIECE]
            self._inner.write(piece, _within(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        within = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, within))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
