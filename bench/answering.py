"""A shop that only answers: a process of its own that says "made" to every order, as quickly as Python can.

It keeps nothing. `python -m bench.answering` prints its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_REFERENCE: Final = re.compile(rb'"reference": ?"([^"]+)"')
_NUMBERS: Final = count(1)


class _Answering(asyncio.Protocol):
    """One connection, kept open."""

    def __init__(self) -> None:
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._got[:end])
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._got) < whole:
                return
            request, self._got = self._got[:whole], self._got[whole:]
            self._transport.write(_answer(request))


def _answer(request: bytes) -> bytes:
    number, reference = next(_NUMBERS), _REFERENCE.search(request)
    order = {"id": f"s{number}", "number": f"{number:06}", "state": "draft"}
    body = json.dumps(order | {"reference": reference[1].decode() if reference else ""}).encode()
    head = f"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  whoever started us reads it
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def answering() -> Iterator[str]:
    """Its URL, while it runs."""
    command = [sys.executable, "-m", "bench.answering"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve())
