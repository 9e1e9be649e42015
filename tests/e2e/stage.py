"""A fake Glopal and a fake shop on real HTTP, settings that use them, and `orderflow` as a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from orderflow import app as composition
from orderflow import config
from orderflow.app import App
from orderflow.cli import main
from orderflow.cli.demo.judge import at_rest
from orderflow.domain.order import Order
from orderflow.orders import load
from orderflow.sandbox import Faults, Glopal, GlopalOptions, Shop, serve
from orderflow.store.vault import new_master_key

STORE = "acme"
SETTINGS = """
master_key_file = "{home}/master.key"
data_dir = "{home}/data"
workers = 3
unsafe_server = ["fsync", "full_page_writes", "synchronous_commit"]
{database}

[windows]
send = 1.5
call = 1.5
get_settle = 1.0
look_up = 0.2
retry = 0.2
longest = 2.0
"""
STORE_SETTINGS = """
[stores.{store}]
{more}
[stores.{store}.glopal]
base_url = "{glopal}"
key = {{ env = "SANDBOX_GLOPAL_KEY" }}
poll_seconds = {poll}
settle_seconds = 0.5

[stores.{store}.shop]
base_url = "{shop}"
key = {{ file = "{home}/shop.key" }}
settle_seconds = 0.5
"""


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Stage:
    """Stores, one shop for all of them, and how to call orderflow for them. `STORE` is meant where none is named."""

    home: Path
    glopal: Glopal
    shop: Shop
    faults: Faults
    app: App

    def run(self, *arguments: str, code: int = 0, **environment: str) -> Answer:
        """Run `orderflow` to its end, in this process to save time; it must end with `code`, without a traceback."""
        done = self.run_here(*arguments, **environment)
        assert done.code == code, (done.code, done.out, done.err)
        return done

    def run_here(self, *arguments: str, **environment: str) -> Answer:
        """The same with whatever code."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.object(sys, "argv", ["orderflow", *arguments]),
            patch.dict(os.environ, self.environment | environment),
            redirect_stdout(out),
            redirect_stderr(err),
            chdir(self.home),
        ):
            try:
                main()
                ended = 0
            except SystemExit as exit_:
                ended = int(exit_.code or 0)
        return Answer(ended, out.getvalue(), err.getvalue())

    def run_apart(self, *arguments: str, **environment: str) -> Answer:
        """The same as a process of its own, with whatever code."""
        done = subprocess.run(
            command(*arguments),
            env=self.environment | environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `orderflow` and leave it running."""
        return subprocess.Popen(
            command(*arguments),
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[str]]:
        """`orderflow work`, ended by SIGTERM; it must end cleanly."""
        process = self.start("work")
        assert process.stdout is not None
        assert process.stdout.readline().startswith("working for")
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out.splitlines()[-1]) == (0, "stopped"), (out, err)

    @property
    def environment(self) -> dict[str, str]:
        path = {"ORDERFLOW_CONFIG": str(self.home / "orderflow.toml"), "SANDBOX_GLOPAL_KEY": "GL.sandbox"}
        return with_bytecode() | path

    def place(self, *, ready: bool = False, store: str = STORE, **overrides: Any) -> str:
        order_id = self.glopal.place(store, **overrides)
        if ready:
            self.glopal.ready(store, order_id)
        return order_id

    def show(self, order_id: str, store: str = STORE) -> Any:
        wait(lambda: self.order(order_id, store).version > 0)
        return self.run("orders", "show", f"{store}/{order_id}", "--json").data

    def order(self, order_id: str, store: str = STORE) -> Order:
        """The order as its history in the log tells it."""
        with self.app.engine.connect() as conn:
            return load(conn, store, order_id)

    def rest(self, seconds: float = 40) -> None:
        """Wait until nothing is due any more."""
        wait(lambda: not at_rest(self.app), seconds, lambda: at_rest(self.app))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from orderflow.cli import main; main()", *arguments]


def with_bytecode() -> dict[str, str]:
    """The environment, save that modules may be compiled once and for all: it saves seconds for every process."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def wait(
    condition: Callable[[], object], seconds: float = 20, told: Callable[[], object] = lambda: "it never came"
) -> None:
    """Wait until the condition holds; AssertionError with what is `told` if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(0.1)


@contextmanager
def staged(
    home: Path, database_url: str | None, stores: Mapping[str, str] | None = None, faults: Faults | None = None
) -> Iterator[Stage]:
    """Everything but a worker; without a URL orderflow runs its own database, and `app` is not to be used.

    `stores`: more settings of each store, as lines of TOML; without it there is one with none. `faults`: what befalls
    requests to both.
    """
    stores = stores or {STORE: ""}
    glopal = Glopal(clock=_now, rng=Random(1), options=GlopalOptions(emit_accepted_completed=True))
    shop = Shop(clock=_now, rng=Random(2))
    glopal.open(*stores)
    faults = faults or Faults()
    new_master_key(home / "master.key")
    (home / "shop.key").write_text("shop-sandbox\n")
    with serve(glopal.handle, faults) as at_glopal, serve(shop.handle, faults) as at_shop:
        database = f'database_url = "{database_url}"' if database_url else ""
        text = SETTINGS.format(home=home, database=database)
        for store, more in stores.items():
            poll = 0.1 if len(stores) == 1 else 0.3
            urls = {"glopal": at_glopal.url, "shop": at_shop.url}
            text += STORE_SETTINGS.format(store=store, more=more, home=home, poll=poll, **urls)
        (home / "orderflow.toml").write_text(text)
        os.environ["SANDBOX_GLOPAL_KEY"] = "GL.sandbox"
        app = composition.build(config.read(home / "orderflow.toml"), database_url or "postgresql+psycopg://")
        try:
            yield Stage(home, glopal, shop, faults, app)
        finally:
            composition.close(app)


def _now() -> datetime:
    return datetime.now(UTC)
