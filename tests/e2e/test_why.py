"""`orderflow why`: five differently stuck orders, each told with its proof, its next step and the command that helps.

`ORDERFLOW_WRITE_DOCS=1 python -m pytest tests/e2e/test_why.py -k picture` draws docs/images/why.svg anew.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console

from orderflow.cli.card import card
from orderflow.cli.finding import Place
from orderflow.cli.screen import commands, printed
from orderflow.cli.why import SECTIONS

from .stage import STORE, Stage, staged, wait

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "why.svg"


@dataclass
class Stuck:
    """A store whose worker has stopped, and its orders by what they are stuck in."""

    stage: Stage
    orders: dict[str, str]

    def card(self, name: str):
        return self.stage.run("why", self.orders[name], "--json").data

    def text(self, name: str, **environment: str) -> str:
        return self.stage.run("why", self.orders[name], **environment).out


@pytest.fixture(scope="module")
def stuck(tmp_path_factory, module_database_url) -> Iterator[Stuck]:
    with staged(tmp_path_factory.mktemp("why"), module_database_url) as stage:
        path = stage.home / "orderflow.toml"
        slow = path.read_text().replace("get_settle = 1.0", "get_settle = 300")
        path.write_text(slow.replace("settle_seconds = 0.5", "settle_seconds = 300", 1))
        orders = {}
        with stage.working():
            orders["fine"] = stage.place()
            orders["contradiction"] = stage.place(ready=True)
            wait(lambda: stage.order(orders["contradiction"]).accepted)
            stage.glopal.report(STORE, orders["contradiction"], "order.cancelled")
            wait(lambda: (dispute := stage.order(orders["contradiction"]).dispute) and dispute.answer)

            stage.shop.options = type(stage.shop.options)(refuse=lambda _: "no_such_article")
            orders["refused"] = stage.place(ready=True)
            wait(lambda: stage.order(orders["refused"]).parked)
            stage.shop.options = type(stage.shop.options)()

            orders["unmapped"] = stage.place(ready=True, currency="")
            wait(lambda: stage.order(orders["unmapped"]).holds)

            stage.faults.script("cut_before", method="POST", path="accept")
            orders["unknown"] = stage.place(ready=True)
            wait(lambda: (slot := stage.order(orders["unknown"]).glopal_slot) and slot.unknown)
        (stage.home / "shop.key").write_text("shop-revoked\n")
        with stage.working():
            orders["paused"] = stage.place(ready=True)
            wait(lambda: paused(stage))
        yield Stuck(stage, orders)


def paused(stage: Stage) -> list[str]:
    with stage.app.engine.connect() as conn:
        return list(conn.scalars(sa.text("SELECT scope FROM orderflow.pauses")))


# --- five stuck orders ----------------------------------------------------------------------------------------------


def test_a_contradiction_that_glopal_is_asked_about_needs_nobody(stuck):
    card = stuck.card("contradiction")
    assert card["needs_you"] is False
    assert re.search(
        r"^CANCELLED since .*, held by contradiction; waits for a second answer of Glopal", card["headline"]
    )
    assert ": Glopal is asked); nothing needs you" in card["headline"]
    [wait_] = [one for one in card["waiting"] if one["on"] == "glopal"]
    assert wait_["next_at"] < wait_["until"]
    [hold] = card["holds"]
    assert hold["proof"]["position"] == hold["position"]
    assert (hold["proof"]["type"], hold["proof"]["said"][:12]) == ("DetailsFetched", "details say ")
    assert [one["settling"] for one in card["attention"]] == [True]
    assert f"orderflow release {STORE}/{stuck.orders['contradiction']} contradiction" in stuck.text("contradiction")


def test_a_refused_draft_needs_you_and_says_what_the_shop_said(stuck):
    card = stuck.card("refused")
    assert card["needs_you"] is True
    assert "needs you: draft was refused: " in card["headline"]
    assert "no_such_article" in card["headline"]
    [parked] = card["parked"]
    assert parked["proof"]["type"] == "EffectRefused"
    sent = next(one for one in card["attempts"] if one["effect"] == "draft")
    assert (sent["kind"], sent["attempt"], sent["decision"].split(", ")[-1]) == ("send", 1, "EffectRefused")
    assert "no_such_article" in sent["outcome"]
    text = stuck.text("refused")
    assert f'orderflow retry {STORE}/{stuck.orders["refused"]} draft --why "..."' in text


def test_an_unknown_accept_is_looked_up_and_needs_nobody(stuck):
    card = stuck.card("unknown")
    assert card["needs_you"] is False
    assert "waits for a look-up that shows what became of accept, attempt 1" in card["headline"]
    [slot] = card["under_way"]
    assert (slot["effect"], slot["unknown"], slot["tries"], slot["max_attempts"]) == ("accept", True, 1, 8)
    assert {row["effect"]: row["state"] for row in card["outbox"]}["accept"] == "unknown"
    assert "look up accept: " in stuck.text("unknown")
    assert any(one["outcome"].startswith("Unknown: ") for one in card["attempts"])


def test_what_is_not_mapped_is_named(stuck):
    card = stuck.card("unmapped")
    assert card["needs_you"] is True
    [hold] = card["holds"]
    assert (hold["reason"], hold["detail"]) == ("unmapped", "currency")
    text = stuck.text("unmapped")
    [told] = card["attention"]
    assert (told["class"], told["owner"]) == ("not_mapped", "integrator")
    assert told["id"] == f"{STORE}/{stuck.orders['unmapped']}/held_unmapped/{hold['position']}"
    assert re.search(rf"exceptions +{told['id']}\n +not_mapped, since .* ago, with integrator\n", text)
    assert f"orderflow retry {STORE}/{stuck.orders['unmapped']} fetch" in text


def test_a_paused_destination_stops_the_order_and_names_resume(stuck):
    card = stuck.card("paused")
    assert card["needs_you"] is True
    assert re.search(rf"needs you: shop of {STORE} is paused by orderflow itself since .*401", card["headline"])
    assert f"  orderflow resume {STORE} shop" in stuck.text("paused").splitlines()


def test_an_order_on_its_way_says_what_comes_next(stuck):
    card = stuck.card("fine")
    assert "waits for Glopal to report ready" in card["headline"]
    assert card["headline"].endswith("nothing needs you")
    assert card["holds"] == card["parked"] == card["attention"] == []


# --- the commands that it names -------------------------------------------------------------------------------------


def test_show_gives_the_same_card(stuck):
    for name, order in stuck.orders.items():
        shown, card = stuck.stage.run("orders", "show", order, "--json").data, stuck.card(name)
        told_by_the_clock = {"now", "headline", "around"}
        assert shown.keys() == card.keys()
        assert [key for key in card if key not in told_by_the_clock and card[key] != shown[key]] == []


# --- an order by its other names ------------------------------------------------------------------------------------


def test_an_order_is_found_by_what_the_shop_calls_it(stuck):
    card = stuck.card("fine")
    [shop] = card["shop_orders"]
    for name in (shop["id"], shop["number"], f"{STORE}/{card['order_id']}", f"{STORE}/{shop['id']}"):
        assert stuck.stage.run("why", name, "--json").data["order_id"] == card["order_id"]
    said = stuck.stage.run("cancel", shop["number"], "--reason", "x", code=2)  # what decides wants Glopal's own id
    assert f"has no order {shop['number']}; did you mean {STORE}/{card['order_id']}?" in said.err


def test_an_unknown_order_is_answered_with_those_like_it(stuck):
    order = stuck.orders["fine"]
    said = stuck.stage.run("why", order[:-1], code=2)
    assert f"did you mean {STORE}/{order}" in said.err
    assert "did you mean" not in stuck.stage.run("why", "nothing-like-it", code=2).err
    assert "there is no store 'acne'; did you mean acme?" in stuck.stage.run("why", f"acne/{order}", code=2).err


# --- on a screen ----------------------------------------------------------------------------------------------------


def full_card(stuck: Stuck, name: str):
    """The card as the screen gets it, with times that are times."""
    with stuck.stage.app.engine.connect() as conn:
        return card(conn, stuck.stage.app, Place(STORE, stuck.orders[name]), "orderflow")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["contradiction", "refused", "unknown", "unmapped", "paused", "fine"])
@pytest.mark.parametrize("terminal", [True, False])
def test_it_fits_its_screen_but_for_commands_which_stay_whole(stuck, name, width, terminal):
    found, told = full_card(stuck, name), io.StringIO()
    colours = "standard" if terminal else None
    printed(found, Console(width=width, file=told, force_terminal=terminal, color_system=colours), SECTIONS)
    assert ("\x1b[" in told.getvalue()) is terminal
    lines = re.sub(r"\x1b\[[0-9;]*m", "", told.getvalue()).splitlines()
    whole = [f"  {line}" for line in commands(found)]
    assert set(whole) <= set(lines)
    assert all(len(line) <= width for line in lines if line not in whole)
    assert terminal or not any(line.endswith(" ") for line in lines)


def test_the_picture_for_the_documents(stuck):
    """Drawn from a real order; nothing personal can be in it, for `why` shows nothing personal."""
    if not os.environ.get("ORDERFLOW_WRITE_DOCS"):
        assert PICTURE.read_text().startswith("<svg")
        return
    found = full_card(stuck, "refused")
    console = Console(width=100, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f"[dim]$[/] orderflow why {found['order_id']}")
    printed(found, console, SECTIONS)
    PICTURE.parent.mkdir(exist_ok=True)
    drawn = console.export_svg(title="orderflow why", unique_id="why")
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))  # fetches nothing from elsewhere
