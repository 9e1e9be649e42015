"""Serve one app over real HTTP/1.1 on 127.0.0.1, with its faults applied to the socket.

For demos and tests only: no TLS, one thread per connection, nothing is logged.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl
from weakref import WeakSet

from orderflow.sandbox.delivery import Cut, deliver
from orderflow.sandbox.faults import Fault, Faults
from orderflow.sandbox.wire import App, Request, Response

_MAX_BODY = 16 * 1024 * 1024


class Server:
    """A running app; a context manager. `stop` and `start` again keep the port, as a shop that was down for a while."""

    def __init__(self, app: App, faults: Faults | None = None, *, port: int = 0) -> None:
        self._app = app
        self._faults = faults
        self._port = port
        self._http: _Http | None = None
        self.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether connections are taken; if not, they are refused."""
        return self._http is not None

    def start(self) -> None:
        """Take connections; nothing happens if it does already."""
        if self._http is None:
            self._http = _Http(("127.0.0.1", self._port), self._app, self._faults)
            self._port = self._http.server_address[1]
            threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and break those that are open; nothing happens if it does already."""
        if self._http is not None:
            http, self._http = self._http, None
            http.shutdown()
            http.server_close()
            http.break_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(app: App, faults: Faults | None = None, *, port: int = 0) -> Server:
    """Serve the app in background threads; port 0 takes a free one. Stop it with `stop` or by leaving a `with`."""
    return Server(app, faults, port=port)


def _quiet(*_: object, **__: object) -> None:
    """Say nothing."""


def _complain(server: _Http, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
    """Report a fault of the sandbox itself; a client that has gone is none."""
    if not isinstance(sys.exc_info()[1], ConnectionError):
        ThreadingHTTPServer.handle_error(server, request, client_address)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False  # a keep-alive connection would hold the close until its client has gone
    request_queue_size = 128

    handle_error = _complain

    def __init__(self, address: tuple[str, int], app: App, faults: Faults | None) -> None:
        self.app = app
        self.faults = faults
        self.connections: WeakSet[socket.socket] = WeakSet()  # those that have sent something
        super().__init__(address, _Handler)

    def break_connections(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    log_message = _quiet  # tests and demos have their own output
    server: _Http

    def handle_request(self) -> None:
        self.server.connections.add(self.connection)
        request = self._request()
        if request is None:
            self.close_connection = True
            return
        faults = self.server.faults
        if faults is None:
            self._answer(self.server.app(request))
            return
        try:
            self._suffer(request, faults.choose(request))
        except Cut:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815 - the names http.server calls

    def _suffer(self, request: Request, fault: Fault) -> None:
        """Answer with this fault; the two that take their time are played out here. Raises `Cut`."""
        match fault.kind:
            case "drip":
                self._answer(self.server.app(request), pause=fault.delay)
            case "silent_after":
                self.server.app(request)
                self.connection.recv(1)  # until the client leaves or the server stops
                raise Cut(sent=True)
            case _:
                self._answer(deliver(self.server.app, request, fault, _after))

    def _request(self) -> Request | None:
        """The request as a value; None if it did not arrive whole."""
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return None
        path, _, query = self.path.partition("?")
        return Request(
            method=self.command,
            path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )

    def _answer(self, response: Response, pause: timedelta | None = None) -> None:
        """Write the answer, in one piece or a byte at a time."""
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "content-length" in response.headers:  # promises more than there is
            self.close_connection = True
        elif response.status != 204:  # RFC 9110, 8.6: no length there
            self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if pause is None:
            self.wfile.write(response.body)
            return
        for byte in response.body:
            self.wfile.flush()
            time.sleep(pause.total_seconds())
            self.wfile.write(bytes((byte,)))


def _after(delay: timedelta, action: Callable[[], None]) -> None:
    timer = threading.Timer(delay.total_seconds(), action)
    timer.daemon = True
    timer.start()
