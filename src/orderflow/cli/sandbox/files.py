"""What `orderflow sandbox` writes: keys, and settings that make orderflow speak the dialect that was switched on.

It writes into one directory only, and never deletes one in which no settings stand.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orderflow.cli.means import Failure
from orderflow.sandbox import GlopalOptions
from orderflow.sandbox.glopal.routes import routes_of
from orderflow.store.vault import new_master_key

GLOPAL_KEY: Final = "GL.sandbox"
SHOP_KEY: Final = "shop-sandbox"
_HEAD: Final = """\
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
"""
_TEST: Final = """
[stores.{store}]
environment = "test"
"""
_STORE: Final = """
[stores.{store}.glopal]
base_url = "{glopal}"
key = {{ file = "{home}/glopal.key" }}
poll_seconds = 0.5
settle_seconds = 2.0
{events}
[stores.{store}.shop]
base_url = "{shop}"
key = {{ file = "{home}/shop.key" }}
settle_seconds = 2.0
"""
_EMITTED: Final = 'events = ["order.received", "order.ready", "order.cancelled"]  # others are refused\n'


def prepared(directory: Path, *, fresh: bool) -> Path:
    """The directory, empty. Raises `Failure` if something is in it."""
    home = directory.absolute()
    if fresh and (home / "orderflow.toml").exists():
        shutil.rmtree(home)
    if home.exists() and any(home.iterdir()):
        raise Failure(f"{directory} exists already: name another with --dir, or delete it with --fresh")
    home.mkdir(parents=True, exist_ok=True)
    return home


def write(home: Path, stores: tuple[str, ...], options: GlopalOptions, glopal: str, shop: str) -> None:
    """Settings and keys. The keys are the sandbox's own and no secrets."""
    new_master_key(home / "master.key")
    for name, key in (("glopal.key", GLOPAL_KEY), ("shop.key", SHOP_KEY)):
        (home / name).touch(0o600)
        (home / name).write_text(f"{key}\n")
    few = options.unknown_event == "refused" and not options.emit_accepted_completed
    parts = [_HEAD.format(home=home)]
    for store in stores:
        if options.environment == "test":
            parts.append(_TEST.format(store=store))
        events = _EMITTED if few else ""
        parts.append(_STORE.format(home=home, store=store, glopal=glopal, shop=shop, events=events))
        parts.extend(_routes(store, options))
    (home / "orderflow.toml").write_text("".join(parts))


def _routes(store: str, options: GlopalOptions) -> Iterator[str]:
    """What a client has to be told of the dialect, as `docs/reference/glopal-assumptions.md` says."""
    table = "\n[stores.{}.glopal.routes.{}]\n"
    if options.routes != "post":
        for operation, (method, template) in routes_of(options.routes).items():
            path = template.replace("{store}", "{store_id}").replace("{order}", "{order_id}")
            yield table.format(store, operation) + f'method = "{method}"\npath = "{path}"\n'
            yield from _particulars(operation, options)
        return
    for operation in ("events", "accept"):
        if said := list(_particulars(operation, options)):
            yield table.format(store, operation)
            yield from said


def _particulars(operation: str, options: GlopalOptions) -> Iterator[str]:
    if operation == "events" and options.limit_name != "limit":
        yield f'query = {{ limit = "{"" if options.limit_name == "none" else options.limit_name}" }}\n'
    if operation == "accept" and options.accept_body == "flat":
        yield 'body = { order_id = "{ids.order_id}", order_number = "{ids.number}" }\n'
