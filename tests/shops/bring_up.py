"""Real shops for tests: packages from npm, a database seeded once and copied for each server, the server itself.

It must never write into the repository outside `build/`, nor leave a server or a database of its own behind.

A shop is a folder beside this file (package.json, its lock file, plain JavaScript) and one `Recipe`. Its seed script
writes to `SEED_FILE`, as JSON, what a connector and the tests need to know of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from tests.store.proxy import proxy

from orderflow.domain.events import ShopState
from orderflow.store import embedded

ROOT: Final = Path(__file__).parents[2]
HOME: Final = Path(os.environ.get("ORDERFLOW_SHOPS", ROOT / "build" / "shops"))
"""Packages and databases; made once, used by every run."""
OLDEST_NODE: Final = (20, 19)
_LEAVE: Final = Path(__file__).with_name("leave.cjs")


@dataclass(frozen=True)
class Row:
    """One shop order as the shop's own API shows it. `reference` is ours, None where it carries none."""

    id: str
    number: str
    state: ShopState
    reference: str | None
    currency: str
    total: Decimal
    created_at: datetime


@dataclass(frozen=True)
class Recipe:
    """What is peculiar to one kind of shop. Scripts are words for `node`; `{port}` is filled in.

    `settings` makes the members of `[stores.X.shop]` beside address and key, `ledger` reads every order out of a shop
    that runs, both from what the seed wrote (`key` is the key).
    """

    kind: str
    folder: Path
    seed: Sequence[Sequence[str]]
    serve: Sequence[str]
    settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    ledger: Callable[[str, Mapping[str, Any]], list[Row]]


@dataclass(frozen=True)
class Running:
    """A shop that runs. `settings`: the members of `[stores.X.shop]` but address and key; `seeded`: what the seed told.

    `stop` lets it end; `die` is kill -9; `start` brings it back at the same address, with the same database.
    """

    kind: str
    base_url: str
    key: str
    settings: dict[str, Any]
    seeded: dict[str, Any]
    stop: Callable[[], None]
    die: Callable[[], None]
    start: Callable[[], None]
    ledger: Callable[[], list[Row]]


def needs_node() -> str | None:
    """Why no shop can run here, None if one can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "a real shop needs node and npm, and they are not here"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    major, minor = (int(part) for part in version.lstrip("v").split(".")[:2])
    if (major, minor) < OLDEST_NODE:
        return f"a real shop needs node {'.'.join(map(str, OLDEST_NODE))} or newer, and {version} is here"
    return None


@contextmanager
def running(recipe: Recipe, **environment: str) -> Iterator[Running]:
    """The shop on a database of its own, freshly seeded; `environment` is for its process. Skips without node."""
    if (missing := needs_node()) is not None:
        pytest.skip(missing)
    home = _installed(recipe)
    with embedded.start(HOME / "postgres", durable=False) as server, proxy(server.url) as door:
        template, seeded = _template(recipe, home, server.url, door.url)
        database = f"{recipe.kind}-{os.getpid()}-{time.monotonic_ns()}"
        _admin(server.url, f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        process = _Process(recipe, home, _environment(door.url, database) | environment)
        try:
            process.start()
            yield Running(
                recipe.kind,
                process.base_url,
                seeded["key"],
                recipe.settings(seeded),
                seeded,
                process.stop,
                process.die,
                process.start,
                lambda: recipe.ledger(process.base_url, seeded),
            )
        finally:
            process.die()
            _admin(server.url, f'DROP DATABASE "{database}" WITH (FORCE)')


def _installed(recipe: Recipe) -> Path:
    """The folder with the shop's packages and files, made if the ones there are others."""
    home = HOME / recipe.kind
    home.mkdir(parents=True, exist_ok=True)
    lock = recipe.folder / "package-lock.json"
    with _alone(home / "install.lock"):
        shutil.copytree(recipe.folder, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        done, wanted = home / "installed", _digest(lock)
        if not done.exists() or done.read_text() != wanted:
            done.unlink(missing_ok=True)
            words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
            _run(words, home, dict(os.environ))
            done.write_text(wanted)
    return home


def _template(recipe: Recipe, home: Path, server_url: str, door_url: str) -> tuple[str, dict[str, Any]]:
    """The database that every shop of this kind begins with, seeded if its files are others, and what its seed told."""
    files = sorted(one for one in recipe.folder.rglob("*") if one.suffix in {".js", ".json"})
    name = f"{recipe.kind}-seeded-{_digest(*files)[:12]}"
    told = home / f"{name}.json"
    with _alone(home / "seed.lock"):
        known = told.exists() and _scalar(server_url, f"SELECT true FROM pg_database WHERE datname = '{name}'")
        if not known:
            _admin(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
            for words in recipe.seed:
                _run(["node", *words], home, _environment(door_url, name) | {"SEED_FILE": str(told)})
    return name, json.loads(told.read_text())


def _environment(door_url: str, database: str) -> dict[str, str]:
    url = sa.make_url(door_url)
    shop = {
        "DATABASE_URL": f"postgres://postgres@127.0.0.1:{url.port}/{database}",
        "NODE_ENV": "production",
        "MEDUSA_DISABLE_TELEMETRY": "1",
        "NODE_NO_WARNINGS": "1",
    }
    return dict(os.environ) | shop


class _Process:
    """The server, started and ended as often as wanted; its output goes to a file."""

    def __init__(self, recipe: Recipe, home: Path, environment: dict[str, str]) -> None:
        self._recipe, self._home, self._environment = recipe, home, environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is healthy; nothing happens if it runs."""
        if self._process is not None:
            return
        with socket.socket() as probe:  # an old server there would answer the health check for the new one
            assert probe.connect_ex(("127.0.0.1", self.port)), f"port {self.port} is taken"
        words = ["node", "--require", str(_LEAVE), *(word.format(port=self.port) for word in self._recipe.serve)]
        log = self._home / f"server-{self.port}.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                words,
                cwd=self._home,
                env=self._environment | {"PORT": str(self.port)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 90
        while not self._healthy():
            ended = self._process.poll()
            assert ended is None, f"the shop ended with {ended}:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"the shop never became healthy:\n{log.read_text()[-2000:]}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._gone()

    def die(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._gone()

    def _gone(self) -> None:
        assert self._process is not None
        self._process.wait(10)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One test process at a time; the others find everything made."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, (
        f"{' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
    )


@cache
def _digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()


def _admin(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _scalar(url: str, question: str) -> Any:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.scalar(sa.text(question))
