"""The server that everything runs on: one of our own with full durability, or the one at a URL.

It never measures on a server that would lose what it has acknowledged.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from pathlib import Path
from typing import Any

import psycopg

from bench.ground import plain
from orderflow.store import embedded

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "wal_compression": "off"}
"""Large enough that no checkpoint falls into a sample by itself. Nothing that weakens durability."""
SHOWN = (*DURABLE, *SETTINGS, "autovacuum", "max_connections", "wal_sync_method", "jit")
PACKAGES = (
    "eventsourcing",
    "procrastinate",
    "psycopg",
    "sqlalchemy",
    "msgspec",
    "httpx",
    "cryptography",
    "transitions",
)


class LooseError(Exception):
    """The server would lose what it has acknowledged."""


@contextmanager
def server(url: str | None, directory: Path | None = None) -> Iterator[str]:
    """The URL of a durable server: `url`, or one of our own below `directory`, gone at the end."""
    if url is not None:
        check(url)
        yield url
        return
    home = Path(tempfile.mkdtemp(prefix="orderflow-bench-", dir=directory))
    home.chmod(0o711)  # as root, the server runs as another user, who has to pass through
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        with (
            embedded.start(home / "postgres", durable=True) as first,
            psycopg.connect(plain(first.url), autocommit=True) as conn,
        ):
            for name, value in SETTINGS.items():
                conn.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        running = stack.enter_context(embedded.start(home / "postgres", durable=True))
        check(running.url)
        yield running.url


def check(url: str) -> None:
    """Raise `LooseError` if the server is not durable."""
    found = settings(url)
    off = [name for name in DURABLE if found.get(name) != "on"]
    if off:
        raise LooseError(f"{', '.join(off)} is not on: such figures say nothing")


def settings(url: str) -> dict[str, str]:
    """What the server says of itself."""
    with psycopg.connect(plain(url), autocommit=True) as conn:
        rows = conn.execute("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)", [list(SHOWN)])
        return dict(rows.fetchall())


def facts(url: str) -> dict[str, Any]:
    """Everything that a figure depends on and that can be asked for."""
    with psycopg.connect(plain(url), autocommit=True) as conn:
        row = conn.execute("SHOW server_version").fetchone()
    return {
        "cpu": _cpu(),
        "cores": cpu_count(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": row[0] if row else "",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "orderflow": _version("orderflow"),
        "commit": _commit(),
        "settings": settings(url),
    }


def steal() -> tuple[float, float] | None:
    """Seconds that the host gave to others, and all seconds, since the machine started; None where nobody says."""
    with suppress(OSError, ValueError, IndexError):
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return ticks[7] / 100, sum(ticks) / 100
    return None


def load() -> float | None:
    """How many wanted to run in the last minute."""
    with suppress(OSError):
        return float(Path("/proc/loadavg").read_text().split()[0])
    return None


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    with suppress(OSError):
        kib = int(Path("/proc/meminfo").read_text().split()[1])
        return round(kib / 2**20, 1)
    return None


def _version(name: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(name)
    return None


def _commit() -> str | None:
    with suppress(OSError, subprocess.CalledProcessError):
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        return done.stdout.strip()
    return None
