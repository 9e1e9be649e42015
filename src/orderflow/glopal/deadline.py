"""A connection pool in which nothing outlasts a deadline, and what a call over it can come to.

It never speaks HTTP by itself, and never logs.

HTTP libraries bound each single read; a peer that sends one byte now and then holds them for ever. Here the socket
itself knows the deadline of the call that uses it: connecting, TLS, waiting for the head and reading the body all end
with it. (Only the name server is beyond reach: the operating system bounds that.)
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
from typing_extensions import override

_ends_at: ContextVar[float] = ContextVar("_ends_at")


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Everything this thread does on the pool's connections inside ends so many seconds from now."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def left() -> float:
    """Seconds that are left; not positive when time is up."""
    return _ends_at.get(float("inf")) - time.monotonic()


def pool(tls: ssl.SSLContext | None, connections: int) -> httpcore.ConnectionPool:
    """HTTP/1.1 connections, kept 5 seconds when idle, never retried. `tls`: trust other roots than the usual ones."""
    return httpcore.ConnectionPool(
        ssl_context=tls,
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=5.0,
        network_backend=_Network(),
    )


def _within(timeout: float | None, late: type[Exception]) -> float:
    remaining = left()
    if remaining <= 0:
        raise late("the deadline has passed")
    return min(remaining, remaining if timeout is None else timeout)


class _Network(httpcore.NetworkBackend):
    """The usual sockets, with deadlines."""

    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    @override
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

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _within(timeout, httpcore.ReadTimeout))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), self._PIECE):
            piece = buffer[start : start + self._PIECE]
            self._inner.write(piece, _within(timeout, httpcore.WriteTimeout))

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        within = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, within))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
