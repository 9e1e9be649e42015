"""`orderflow work` for one store as a process of its own.

It never ends by itself: with its standard input it does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import ours

_PATIENCE = 30.0


def main(home: str, url: str, glopal: str, shop: str, store: str, workers: str) -> None:
    """Work until standard input ends."""
    with ours.wired(Path(home), url, glopal, shop, [store], int(workers)) as app, ours.running(ours.prompt(app)):
        print(flush=True)  # noqa: T201  whoever started us waits for it
        sys.stdin.read()


@contextmanager
def working(home: Path, url: str, glopal: str, shop: str, store: str, workers: int) -> Iterator[None]:
    """Start it and wait until it works; end it."""
    own = home / store
    own.mkdir()
    command = [sys.executable, "-m", "bench.working", str(own), url, glopal, shop, store, str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            process.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
