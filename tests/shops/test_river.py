"""The whole river against each real shop: every loop of orderflow, Glopal's feed, and a network that fails on the way.

At the end three ledgers are compared, each read from its owner: Glopal's, orderflow's and the shop's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from tests.e2e.stage import wait
from tests.shops.bring_up import Recipe, Row, Running, running
from tests.shops.buying import random_members
from tests.shops.forwarding import forwarding
from tests.shops.kinds import RECIPES

from orderflow import app as composition
from orderflow import config
from orderflow.app import App
from orderflow.cli.demo.judge import at_rest, damage, forgotten
from orderflow.config.page import written
from orderflow.domain.attention import attention
from orderflow.domain.events import ShopState
from orderflow.domain.order import Order, Total
from orderflow.orders import load
from orderflow.relay import strays
from orderflow.sandbox import Fault, Faults, Glopal, GlopalOptions, Life, Player, lives, serve
from orderflow.sandbox.faults import Kind
from orderflow.sandbox.glopal import GlopalEntry
from orderflow.store.vault import new_master_key
from orderflow.work import work

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]

STORE = "river"
ORDERS = int(os.environ.get("ORDERFLOW_RIVER_ORDERS", "16"))
PATIENCE = float(os.environ.get("ORDERFLOW_RIVER_SECONDS", "300"))
BY_CHANCE: dict[Kind, float] = {
    "cut_before": 0.03,
    "cut_after": 0.05,
    "late": 0.02,
    "error_after": 0.04,
    "error_503": 0.03,
    "html_after": 0.02,
    "truncated": 0.02,
    "throttled": 0.02,
    "refused": 0.02,
}
"""Of the requests to the shop, look-ups included."""
SURELY: tuple[Kind, ...] = ("cut_before", "cut_after", "late", "silent_after", "error_after", "error_503", "throttled")
"""Each of these strikes one write at least, however chance goes."""
SLOW = Fault("drip", timedelta(microseconds=300))

SETTINGS = """
master_key_file = "{home}/master.key"
data_dir = "{home}/data"
workers = 4
unsafe_server = ["fsync", "full_page_writes", "synchronous_commit"]
database_url = "{database}"

[windows]
send = 8.0
call = 8.0
get_settle = 1.0
look_up = 0.5
retry = 0.5
longest = 3.0

[stores.{store}.glopal]
base_url = "{glopal}"
key = {{ file = "{home}/glopal.key" }}
poll_seconds = 0.3
settle_seconds = 0.5

[stores.{store}.shop]
base_url = "{shop}"
key = {{ file = "{home}/shop.key" }}
settle_seconds = 3.0
{members}
"""


@dataclass
class River:
    """Everything on stage."""

    app: App
    glopal: Glopal
    shop: Running
    player: Player
    faults: Faults

    def order(self, order_id: str) -> Order:
        with self.app.engine.connect() as conn:
            return load(conn, STORE, order_id)

    def stuck(self) -> list[str]:
        """What does not go on, and what a person should look at."""
        policy, entries = self.app.policy(STORE), self.glopal.ledger(STORE)
        seen = [(entry, attention(self.order(entry.order_id), policy)) for entry in entries]
        told = [f"{entry.order_id} {entry.status}: {one.kind}: {one.text}" for entry, found in seen for one in found]
        return [f"{self.player.finished} of {len(self.player.script)} lives are over", *told, *self.unrest()]

    def unrest(self) -> list[str]:
        return [*at_rest(self.app), *forgotten(self.app)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)
def test_three_ledgers_agree(
    recipe: Recipe, tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(recipe) as shop, staged(tmp_path, database_url, shop) as river, working(river.app):
        river.player.start(_now)
        wait(lambda: river.player.done, PATIENCE, river.stuck)
        river.faults.stop()
        wait(lambda: not river.unrest(), PATIENCE, river.unrest)
        swept = strays.sweep(river.app.relay(), timedelta(0))
        entries, rows = river.glopal.ledger(STORE), shop.ledger()
        found = [problem for entry in entries for problem in problems(river, entry, rows)]
        ours = {f"glopal:{STORE}:{entry.order_id}" for entry in entries}
        found += [f"{row.id} is nobody's: {row.reference}" for row in rows if row.reference not in ours]
        with capsys.disabled():
            sys.stdout.write(f"\n{told(recipe.kind, entries, rows, river.faults)}\n  {swept} empty drafts swept\n")
        assert found == []
        assert river.player.refused == []
        assert damage(river.app, STORE) == []
        assert [kind for kind in (*SURELY, SLOW.kind) if not river.faults.counts[kind]] == []


def problems(river: River, entry: GlopalEntry, rows: list[Row]) -> Iterator[str]:
    """What the ledgers say differently of one order."""
    order = river.order(entry.order_id)
    made = [row for row in rows if row.reference == f"glopal:{STORE}:{entry.order_id}"]
    living = [row for row in made if row.state is not ShopState.GONE]
    named = f"{entry.order_id} ({entry.status})"
    if order.status.value != entry.status:
        yield f"{named}: orderflow says {order.status}"
    if order.shop_slot is not None or order.glopal_slot is not None:
        yield f"{named}: something is left unknown"
    if len({call.ids for call in entry.accepts}) > 1:
        yield f"{named}: two sets of ids"
    if entry.status == "CANCELLED":
        yield from (f"{named}: {row.id} is {row.state}" for row in living)
        return
    if [row.state for row in living] != [ShopState.ORDER]:
        yield f"{named}: in the shop there stand {[(row.id, row.state) for row in living]}"
        return
    [row] = living
    if entry.ids != (row.id, row.number):
        yield f"{named}: accepted as {entry.ids}, in the shop {row.id}, {row.number}"
    if order.shop.own is None or order.shop.own.shop_id != row.id:
        yield f"{named}: orderflow goes by another order"
    if order.total != Total(row.total, row.currency):
        yield f"{named}: {order.total}, in the shop {row.total} {row.currency}"


def told(kind: str, entries: list[GlopalEntry], rows: list[Row], faults: Faults) -> str:
    """What happened, as a small table."""
    states = {state: sum(row.state is state for row in rows) for state in ShopState}
    cancelled = sum(entry.status == "CANCELLED" for entry in entries)
    lines = [
        f"{kind}: {len(entries)} orders at Glopal, {cancelled} of them cancelled",
        f"  in the shop: {', '.join(f'{number} {state}' for state, number in states.items() if number)}",
        f"  {faults.counts.total()} requests to the shop, of which failed on the way:",
    ]
    return "\n".join(
        [*lines, *(f"    {count:4} {name}" for name, count in faults.counts.most_common() if name != "none")]
    )


@contextmanager
def staged(home: Path, database_url: str, shop: Running) -> Iterator[River]:
    """Glopal, the shop behind its faults, and orderflow by its settings; nothing lives yet."""
    rng = Random(7)
    glopal = Glopal(clock=_now, rng=Random(8), options=GlopalOptions(emit_accepted_completed=True))
    glopal.open(STORE)
    faults = Faults(Random(9), BY_CHANCE, delay=lambda: timedelta(seconds=1))
    for number, kind in enumerate(SURELY):
        faults.script(Fault(kind, timedelta(seconds=1)), method="POST", nth=3 * number + 2)
    faults.script(SLOW, method="POST", nth=4, times=2)
    at_glopal = Faults(Random(10), {"cut_after": 0.03, "error_503": 0.03})
    new_master_key(home / "master.key")
    (home / "glopal.key").write_text("GL.sandbox")
    (home / "shop.key").write_text(shop.key)
    with serve(glopal.handle, at_glopal) as at, serve(forwarding(shop.base_url), faults) as to_shop:
        members = "\n".join(f"{name} = {written(value)}" for name, value in shop.settings.items())
        text = SETTINGS.format(
            home=home, database=database_url, store=STORE, glopal=at.url, shop=to_shop.url, members=members
        )
        (home / "orderflow.toml").write_text(text)
        app = _hasty(composition.build(config.read(home / "orderflow.toml"), database_url))
        player = Player(script(rng), glopal, begin=_now())
        try:
            yield River(app, glopal, shop, player, faults)
        finally:
            player.stop()
            composition.close(app)


def script(rng: Random) -> list[Life]:
    """Lives of orders that the shop has goods for. None waits for a person."""
    whole = lives(rng, ORDERS + 1, [STORE], spread=timedelta(seconds=ORDERS / 3), pace=4.0)
    return [replace(life, members=random_members(rng)) for life in whole if life.story != "contradiction"]


@contextmanager
def working(app: App) -> Iterator[None]:
    """All loops of a worker, in this process; they end by themselves when they are told to."""
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(app, stop))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(60)
        assert not worker.is_alive()


def _hasty(app: App) -> App:
    """What is asked again after hours in earnest is asked again after seconds."""
    tenants = {
        name: replace(
            tenant,
            policy=replace(
                tenant.policy,
                ask_again=tuple(timedelta(seconds=s) for s in (0, 1, 2, 4, 8, 16)),
                reap_after=(timedelta(seconds=12), timedelta(seconds=24)),
            ),
        )
        for name, tenant in app.tenants.items()
    }
    return replace(app, tenants=tenants)


def _now() -> datetime:
    return datetime.now(UTC)
