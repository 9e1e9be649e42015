"""Ways to a fake destination: within this process and over real HTTP, with answers put in its place."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from orderflow.sandbox import App, Cut, Fault, Faults, Request, Response, Server, deliver, serve


class Fake:
    """The destination with its ears open: every request is kept, and `instead` is answered if it is set."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.instead: Response | None = None
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return self.instead or self.app(request)

    @property
    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.requests)


class InProcess(httpx.BaseTransport):
    """Hands requests over without a socket; a cut connection looks as httpx shows one."""

    def __init__(self, app: App, faults: Faults) -> None:
        self.app, self.faults = app, faults

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wire = Request(
            request.method,
            request.url.raw_path.split(b"?")[0].decode(),
            tuple(request.url.params.multi_items()),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
        )
        try:
            answer = deliver(self.app, wire, self.faults.choose(wire), later)
        except Cut as cut:
            kind = httpx.ReadError if cut.sent else httpx.ConnectError
            raise kind("secret detail", request=request) from None
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def later(_delay: timedelta, action: Callable[[], None]) -> None:
    action()


@dataclass
class Bench:
    """A fake and the way to it."""

    fake: Fake
    faults: Faults = field(default_factory=Faults)
    base_url: str = "http://destination.test/base"
    transport: httpx.BaseTransport | None = None
    server: Server | None = None

    def refuse_connections(self) -> None:
        """From now on nobody is at home."""
        if self.server is not None:
            self.server.stop()
        else:
            self.faults.script("refused", times=1000)

    def script(self, kind: str, where: Callable[[Request], bool] | None = None) -> None:
        """The next request, or the next of this kind, gets this fault."""
        self.faults.script(Fault(kind, delay=timedelta(0)), where=where)  # type: ignore[arg-type]


@contextlib.contextmanager
def bench(app: App, over: str) -> Iterator[Bench]:
    """`over`: "process" or "http"."""
    faults = Faults()
    fake = Fake(app)
    if over == "process":
        transport = InProcess(_without_base(fake), faults)
        yield Bench(fake, faults, transport=transport)
        return
    with serve(fake, faults) as server:
        yield Bench(fake, faults, server.url, server=server)


def _without_base(app: App) -> App:
    def handle(request: Request) -> Response:
        assert request.path.startswith("/base/")
        return app(Request(request.method, request.path[5:], request.query, request.headers, request.body))

    return handle


@contextlib.contextmanager
def drip(head: bytes, *, seconds: float, chunk: bytes = b"x") -> Iterator[str]:
    """A server that answers each connection with `head`, then one chunk every `seconds`, for ever. Yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                while not stop.is_set():
                    time.sleep(seconds)
                    connection.sendall(chunk)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.close()
        thread.join(5)


@contextlib.contextmanager
def blurt(answer: bytes) -> Iterator[str]:
    """A server that answers one request with exactly these bytes and closes. Yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)
