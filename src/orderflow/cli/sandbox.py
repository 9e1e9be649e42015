"""`orderflow sandbox`: the fake Glopal and the fake shop by themselves, for integrators.

It serves on this machine only, keeps everything in memory, and never touches a database.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Final

import typer

from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.cli.sandbox_control import control
from orderflow.sandbox import App as WebApp
from orderflow.sandbox import Glopal, GlopalOptions, Server, Shop, serve
from orderflow.store.vault import new_master_key

GLOPAL_KEY: Final = "GL.sandbox"
SHOP_KEY: Final = "shop-sandbox"
_SETTINGS: Final = """\
# Settings for the sandbox of `orderflow sandbox`; see docs/reference/settings.md.
master_key_file = "{home}/master.key"
data_dir = "{home}/data"  # orderflow runs a Postgres of its own in there

# Short, since nothing here is far away. Leave this table out for a real Glopal.
[windows]
send = 2.0
call = 5.0
get_settle = 5.0
look_up = 0.5
retry = 0.5

[stores.{store}.glopal]
base_url = "{glopal}"
key = {{ file = "{home}/glopal.key" }}
poll_seconds = 0.5
settle_seconds = 2.0

[stores.{store}.shop]
base_url = "{shop}"
key = {{ file = "{home}/shop.key" }}
settle_seconds = 2.0
"""


def run(
    store: Annotated[str, typer.Option(help="The store that the fake Glopal knows.")] = "acme",
    port: Annotated[int, typer.Option(help="The first of three ports; 0 takes free ones.", min=0, max=65533)] = 8701,
    directory: Annotated[Path, typer.Option("--dir", help="Where settings and keys are written.")] = Path(
        "orderflow-sandbox"
    ),
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete that directory first, with its database.")] = False,
) -> None:
    """Serve a fake Glopal and a fake shop over HTTP on this machine, with settings that use them, until Ctrl-C."""
    home = _prepared(directory, fresh=fresh)
    glopal = Glopal(clock=_now, rng=Random(), key=GLOPAL_KEY, options=GlopalOptions(emit_accepted_completed=True))  # noqa: S311  no secret
    shop = Shop(clock=_now, rng=Random(), key=SHOP_KEY)  # noqa: S311  no secret
    glopal.open(store)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with ExitStack() as stack:
        apps = (glopal.handle, shop.handle, control(glopal, shop))
        servers = [stack.enter_context(_serve(app, port + n if port else 0)) for n, app in enumerate(apps)]
        glopal_url, shop_url, control_url = (server.url for server in servers)
        _write(home, store, glopal_url, shop_url)
        for line in _told(home, store, glopal_url, shop_url, control_url):
            means.say(line)
        while not stop.wait(1.0):  # a wait without end would not hear Ctrl-C everywhere
            time.sleep(0)
    means.say("stopped; what was in the sandbox is gone")


def _prepared(directory: Path, *, fresh: bool) -> Path:
    home = directory.absolute()
    if fresh and (home / "orderflow.toml").exists():
        shutil.rmtree(home)
    if home.exists() and any(home.iterdir()):
        raise Failure(f"{directory} exists already: name another with --dir, or delete it with --fresh")
    home.mkdir(parents=True, exist_ok=True)
    return home


def _serve(app: WebApp, port: int) -> Server:
    try:
        return serve(app, port=port)
    except OSError as error:
        raise Failure(f"port {port} cannot be used ({error.strerror}): name another with --port, or 0") from None


def _write(home: Path, store: str, glopal: str, shop: str) -> None:
    """Settings and keys. The keys are the sandbox's own and no secrets."""
    new_master_key(home / "master.key")
    (home / "glopal.key").write_text(f"{GLOPAL_KEY}\n")
    (home / "shop.key").write_text(f"{SHOP_KEY}\n")
    (home / "orderflow.toml").write_text(_SETTINGS.format(home=home, store=store, glopal=glopal, shop=shop))


def _told(home: Path, store: str, glopal: str, shop: str, drive: str) -> list[str]:
    return [
        f"Glopal    {glopal}   key {GLOPAL_KEY}   store {store}",
        f"shop      {shop}   key {SHOP_KEY}   (docs/how-to/read-the-shop-contract.md)",
        f"control   {drive}   makes orders live; GET it for a list of what it can do",
        f"settings  {home / 'orderflow.toml'}",
        "",
        "In another terminal:",
        f"  export ORDERFLOW_CONFIG={home / 'orderflow.toml'}",
        "  orderflow migrate",
        "  orderflow work",
        "and in a third one:",
        f"  curl -X POST {drive}/{store}/place",
        "",
        "Ctrl-C ends it.",
    ]


def _now() -> datetime:
    return datetime.now(UTC)
