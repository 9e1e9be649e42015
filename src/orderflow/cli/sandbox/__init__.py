"""`orderflow sandbox`: the fake Glopal and the fake shop by themselves, for integrators.

It serves on this machine only, keeps everything in memory, and never touches a database.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from orderflow.cli import means
from orderflow.cli.means import Failure
from orderflow.cli.sandbox.control import control
from orderflow.cli.sandbox.files import GLOPAL_KEY, SHOP_KEY, prepared, write
from orderflow.sandbox import KINDS, SWITCHES, WEBHOOK_SWITCHES, Faults, Server, UnknownSwitch, serve
from orderflow.sandbox import App as WebApp
from orderflow.sandbox import scenario as scenarios
from orderflow.sandbox.glopal.switches import allowed, options
from orderflow.sandbox.scenario import PLACES, Scenario, ScenarioError
from orderflow.sandbox.stage import staged

_NICER_TO_WATCH: Final = {"emit_accepted_completed": True}
"""Unlike the reference's assumption: who watches wants to see how an order ends."""


def run(  # noqa: PLR0913  an option each
    store: Annotated[
        str | None, typer.Option(help="The store that the fake Glopal knows.", show_default="acme")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="A story to tell: a TOML file with switches, faults and lives of orders.")
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(help="Turn one switch of the fake Glopal; may be repeated.", metavar="NAME=SETTING"),
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(help="How often what goes wrong on both wires.", metavar="KIND=RATE[,KIND=RATE...]"),
    ] = None,
    port: Annotated[int, typer.Option(help="The first of three ports; 0 takes free ones.", min=0, max=65533)] = 8701,
    directory: Annotated[Path, typer.Option("--dir", help="Where settings and keys are written.")] = Path(
        "orderflow-sandbox"
    ),
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete that directory first, with its database.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Print every switch and every fault, and end.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Serve a fake Glopal and a fake shop over HTTP on this machine, with settings that use them, until Ctrl-C.

    docs/how-to/use-the-sandbox.md shows dialects, faults and scenario files.
    """
    if list_:
        if as_json:
            means.print_json({"switches": SWITCHES, "webhook_switches": WEBHOOK_SWITCHES, "faults": KINDS})
        for line in () if as_json else _listed():
            means.say(line)
        return
    chosen = _chosen(scenario, store, switch or [], faults)
    home = prepared(directory, fresh=fresh)
    stage = staged(chosen, _now)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with ExitStack() as stack:
        apps = ((stage.glopal.handle, "glopal"), (stage.shop.handle, "shop"), (control(stage), ""))
        servers = [
            stack.enter_context(_serve(app, stage.faults.get(place), port + n if port else 0))
            for n, (app, place) in enumerate(apps)
        ]
        glopal_url, shop_url, control_url = (server.url for server in servers)
        write(home, chosen.stores, chosen.options, glopal_url, shop_url)
        if as_json:
            means.print_json(_addresses(home, chosen, glopal_url, shop_url, control_url))
        for line in () if as_json else _told(home, chosen, glopal_url, shop_url, control_url):
            means.say(line)
        stack.callback(stage.stop)
        stage.start(_now)
        while not stop.wait(1.0):  # a wait without end would not hear Ctrl-C everywhere
            time.sleep(0)
    for why in stage.player.refused:
        means.complain(f"a step of the scenario was not possible: {why}")
    if not as_json:
        means.say("stopped; what was in the sandbox is gone")


def _chosen(file: Path | None, store: str | None, switches: list[str], faults: str | None) -> Scenario:
    """The scenario of the file, with what the command line says put over it. Raises `Failure`."""
    if file is not None and store is not None:
        raise Failure("--store: the scenario names its stores; write `stores = [...]` there")
    found = Scenario(stores=(store or "acme",)) if file is None else _read(file)
    try:
        given = dict(_pair(one) for one in switches)
        chosen = replace(found, switches={**_NICER_TO_WATCH, **found.switches, **given})
        options(chosen.switches)
    except UnknownSwitch as error:
        raise Failure(f"--switch: {error}") from None
    if faults is None:
        return chosen
    try:
        rates = scenarios.rates(faults)
        merged = {place: {**found.rates.get(place, {}), **rates} for place in PLACES}
        return replace(chosen, rates=merged)
    except ScenarioError as error:
        raise Failure(f"--faults: {'; '.join(error.mistakes)}") from None


def _pair(text: str) -> tuple[str, str]:
    name, found, setting = text.partition("=")
    if not found:
        raise Failure(f"--switch: {text!r} is no NAME=SETTING; `orderflow sandbox --list` prints all of them")
    return name.strip(), setting.strip()


def _read(file: Path) -> Scenario:
    try:
        return scenarios.read(file.read_text("utf-8"))
    except OSError as error:
        raise Failure(f"--scenario: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"--scenario: {file} is no UTF-8 text") from None
    except ScenarioError as error:
        raise Failure(f"--scenario: {file} has mistakes:\n" + "\n".join(f"  {one}" for one in error.mistakes)) from None


def _serve(app: WebApp, faults: Faults | None, port: int) -> Server:
    try:
        return serve(app, faults, port=port)
    except OSError as error:
        raise Failure(f"port {port} cannot be used ({error.strerror}): name another with --port, or 0") from None


def _listed() -> list[str]:
    """Every switch and every fault, for people."""
    parts = ["Switches of the fake Glopal (--switch NAME=SETTING); the first setting is the default:"]
    parts += [f"  {name:24}{allowed(settings)}" for name, settings in SWITCHES.items()]
    parts += ["", "Switches of its webhooks, in a scenario file below [webhooks]:"]
    parts += [f"  {name:24}{allowed(settings)}" for name, settings in WEBHOOK_SWITCHES.items()]
    parts += ["", "Faults (--faults KIND=RATE,...):"]
    return parts + [f"  {kind:24}{what}" for kind, what in KINDS.items() if kind != "none"]


def _addresses(home: Path, chosen: Scenario, glopal: str, shop: str, drive: str) -> dict[str, object]:
    """The same for programs."""
    return {
        "stores": chosen.stores,
        "glopal": {"url": glopal, "key": GLOPAL_KEY},
        "shop": {"url": shop, "key": SHOP_KEY},
        "control": drive,
        "settings": str(home / "orderflow.toml"),
        "webhooks": chosen.hook.url if chosen.hook else None,
        "orders": len(chosen.lives),
    }


def _told(home: Path, chosen: Scenario, glopal: str, shop: str, drive: str) -> list[str]:
    one, *others = chosen.stores
    orders = "1 order" if len(chosen.lives) == 1 else f"{len(chosen.lives)} orders"
    known = f"store {one}" if not others else f"stores {', '.join(chosen.stores)}"
    return [
        f"Glopal    {glopal}   key {GLOPAL_KEY}   {known}",
        f"shop      {shop}   key {SHOP_KEY}   (docs/how-to/read-the-shop-contract.md)",
        f"control   {drive}   makes orders live; GET it for a list of what it can do",
        f"settings  {home / 'orderflow.toml'}",
        *([f"webhooks  {chosen.hook.url}"] if chosen.hook else []),
        *([f"scenario  {orders}, from now on"] if chosen.lives else []),
        "",
        "In another terminal:",
        f"  export ORDERFLOW_CONFIG={home / 'orderflow.toml'}",
        "  orderflow migrate",
        "  orderflow work",
        "and in a third one:",
        f"  curl -X POST {drive}/{one}/place",
        "",
        "Ctrl-C ends it.",
    ]


def _now() -> datetime:
    return datetime.now(UTC)
