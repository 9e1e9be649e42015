"""Glopal and the shop as a process of their own: the sandbox over HTTP, without faults, driven over a pipe.

`python -m bench.town` prints its addresses; then it answers each line `open STORE`, `place STORE COUNT` or
`accepted STORE` with one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import IO

from orderflow.sandbox import Glopal, GlopalOptions, Shop, serve


def main() -> None:
    """Serve until standard input ends."""
    glopal = Glopal(clock=_now, rng=Random(1), options=GlopalOptions())  # noqa: S311  a play, not a secret
    shop = Shop(clock=_now, rng=Random(2))  # noqa: S311  as above
    with serve(glopal.handle) as at_glopal, serve(shop.handle) as at_shop:
        _say(json.dumps([at_glopal.url, at_shop.url]))
        for line in sys.stdin:
            verb, store, *more = line.split()
            glopal.open(store)
            if verb == "place":
                for order_id in [glopal.place(store) for _ in range(int(more[0]))]:
                    glopal.ready(store, order_id)
            _say(str(sum(bool(entry.applied_accepts) for entry in glopal.ledger(store))))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  whoever started us reads it


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Town:
    """The pipe to it."""

    glopal: str
    shop: str
    _to: IO[str]
    _from: IO[str]

    def open(self, store: str) -> None:
        """Glopal knows the store from now on."""
        self._ask(f"open {store}")

    def place(self, store: str, count: int) -> None:
        """So many buyers order, and Glopal confirms: each is READY."""
        self._ask(f"place {store} {count}")

    def accepted(self, store: str) -> int:
        """Orders whose accept took effect at Glopal."""
        return self._ask(f"accepted {store}")

    def _ask(self, line: str) -> int:
        self._to.write(line + "\n")
        self._to.flush()
        return int(self._from.readline())


@contextmanager
def town() -> Iterator[Town]:
    """Start it, and end it."""
    command = [sys.executable, "-m", "bench.town"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            glopal, shop = json.loads(process.stdout.readline())
            yield Town(glopal, shop, process.stdin, process.stdout)
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


if __name__ == "__main__":
    main()
