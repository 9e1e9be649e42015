"""A TCP door to a Postgres, which breaks connections around COMMIT on demand.

It knows of the protocol only that statements are sent as text, and that an answer ends with ReadyForQuery.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

import sqlalchemy as sa


class Fault(Enum):
    """What becomes of a COMMIT."""

    REPLY_LOST = "the server commits, and its answer is lost"
    NEVER_SENT = "the connection is cut before the server hears of it"


class Proxy:
    """Forwards connections; `url` is for SQLAlchemy. The next COMMITs behind `arm` are struck, one after the other."""

    def __init__(self, server_url: str) -> None:
        url = sa.make_url(server_url)
        self._server = server_url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._faults: list[Fault] = []
        self._marker, self._end = b"", b"COMMIT"
        self._refuse = 0
        self._lock = threading.Lock()
        self.struck = 0
        port = self._listener.getsockname()[1]
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        self.url = url.set(host="127.0.0.1", port=port, query=plain).render_as_string(hide_password=False)

    def arm(self, *faults: Fault, marker: bytes, end: bytes = b"COMMIT", refuse: int = 0) -> None:
        """Strike the COMMITs of transactions that sent `marker`; then refuse so many new connections.

        `end`: what ends such a transaction; a statement that is a transaction of its own is its own end.
        """
        with self._lock:
            self._faults, self._marker, self._end, self._refuse = list(faults), marker, end, refuse

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are many small pieces
                if self._faults == [] and self._refuse:
                    self._refuse -= 1
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client, _connected(self._server) as server, suppress(OSError):
            lost = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, lost), daemon=True)
            back.start()
            marked = False
            while data := client.recv(65536):
                marked = marked or self._marker in data
                fault = self._next(data) if marked else None
                if fault is Fault.NEVER_SENT:
                    break
                if fault is Fault.REPLY_LOST:
                    lost.set()
                server.sendall(data)
                if fault is Fault.REPLY_LOST:
                    back.join(10)  # it ends with the answer, which is thrown away
                    break
                marked = marked and self._end not in data and b"ROLLBACK" not in data
            _cut(client, server)

    def _next(self, data: bytes) -> Fault | None:
        with self._lock:
            if self._end not in data or not self._faults:
                return None
            self.struck += 1
            return self._faults.pop(0)

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if lost.is_set():
                    assert data[-6:-1] == b"Z\0\0\0\x05", "ReadyForQuery: the server is through with COMMIT"
                    return
                client.sendall(data)
        _cut(client)


def _connected(server_url: str) -> socket.socket:
    """A connection to the server: over TCP if the URL has a host, else over its unix socket."""
    url = sa.make_url(server_url)
    port = url.port or 5432
    if url.host:
        return socket.create_connection((url.host, port))
    made = socket.socket(socket.AF_UNIX)
    made.connect(f"{url.query['host']}/.s.PGSQL.{port}")
    return made


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(server_url: str) -> Iterator[Proxy]:
    """A running proxy."""
    made = Proxy(server_url)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(5)
