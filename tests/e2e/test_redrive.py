"""`orderflow redrive`: plan into a file, apply exactly that, see what came of it."""

import json
import signal

import pytest
import sqlalchemy as sa

from .stage import STORE, Stage, wait


def refuse(stage: Stage, code: str | None) -> None:
    """From now on the shop refuses every order with this code, or none."""
    stage.shop.options = type(stage.shop.options)(refuse=lambda _: code)


@pytest.fixture
def refused(stage) -> list[str]:
    """Orders whose drafts the shop refused, once the worker has stopped; the shop takes them now."""
    refuse(stage, "no_such_article")
    with stage.working():
        found = sorted(stage.place(ready=True) for _ in range(3))
        wait(lambda: all(stage.order(order_id).parked for order_id in found))
    stage.run("pull")  # the read models read to the end
    refuse(stage, None)
    return found


def retries(stage: Stage) -> int:
    with stage.app.engine.connect() as conn:
        return conn.scalar(sa.text("SELECT count(*) FROM orderflow.events WHERE type = 'RetryRequested'"))


def test_plan_apply_status(stage, refused):
    planned = stage.run("redrive", "plan", STORE, "--why", "articles were missing", "--out", "plan.json")
    assert f"{STORE}: 3 effects of 3 orders to be retried" in planned.out
    assert "refused: 422 no_such_article" in planned.out
    assert "redrive apply plan.json" in planned.out
    assert retries(stage) == 0
    written = json.loads((stage.home / "plan.json").read_text())
    assert [item["order_id"] for item in written["plan"]["items"]] == refused
    assert "3 not applied" in stage.run("redrive", "status", "plan.json").out

    applied = stage.run("redrive", "apply", "plan.json", "--why", "the shop knows them", "--by", "ada", "--json").data
    assert applied["counts"] == {"applied": 3}
    assert {item["outcome"] for item in applied["items"]} == {"applied"}
    assert "3 still waiting" in stage.run("redrive", "status", "plan.json").out
    again = stage.run("redrive", "apply", "plan.json", "--why", "once more")
    assert "3 already done" in again.out
    assert retries(stage) == 3
    line = stage.run("orders", "timeline", refused[0], "--json").data[-1]
    assert line["what"] == f"retry of draft asked for by ada, redrive {applied['plan']}"

    with stage.working():
        wait(lambda: all(stage.glopal.status(STORE, order_id) == "ACCEPTED" for order_id in refused))
    found = stage.run("redrive", "status", "plan.json", "--json").data
    assert {item["standing"] for item in found["items"]} == {"delivered"}
    assert "nothing of that waits" in stage.run("redrive", "failed", STORE, "--why", "all of it").out


def test_retry_all_failed_is_one_line(stage, refused):
    said = stage.run("redrive", "failed", STORE, "--why", "the shop knows them now", "--rate", "600/min")
    assert "3 applied" in said.out
    [file] = stage.home.glob(f"redrive-{STORE}-*.json")
    assert file.name in said.out
    with stage.working():
        wait(lambda: all(stage.order(order_id).shop.own for order_id in refused))
    assert "3 delivered" in stage.run("redrive", "status", file.name).out


def test_retry_now_is_one_line(stage):
    """An attempt that did nothing is tried again later; now it is due at once."""
    order_id = stage.place()
    stage.faults.script("refused", times=1000, method="POST")
    with stage.working():
        wait(lambda: stage.order(order_id).shop_slot and stage.order(order_id).shop_slot.tries > 5, 60)
    stage.run("pull")
    before = stage.order(order_id)
    told = stage.run("redrive", "now", STORE, "--why", "the shop is back", "--json").data
    # Its pause is two seconds at most here: it may have run out by itself.
    assert [item["outcome"] for item in told["items"]] in ([], ["applied"])
    if told["items"]:
        assert stage.order(order_id).shop_slot.again_at == stage.order(order_id).last.at > before.last.at


def test_what_moved_is_told_and_ends_with_1(stage, refused):
    stage.run("redrive", "plan", STORE, "--out", "plan.json")
    stage.run("cancel", refused[0], "--reason", "out_of_stock")
    said = stage.run("redrive", "apply", "plan.json", "--why", "the shop knows them now", code=1)
    assert "2 applied, 1 refused: the order moved" in said.out
    assert f"{refused[0]} draft: refused: the order moved: cancelling was none, is yes" in said.out


def test_killed_half_way_it_goes_on(stage, refused):
    """Each item is written once, however the first turn ended."""
    stage.run("redrive", "plan", STORE, "--out", "plan.json")
    process = stage.start("redrive", "apply", "plan.json", "--why", "the shop knows them now", "--rate", "1/min")
    wait(lambda: retries(stage) == 1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert retries(stage) == 1
    told = stage.run("redrive", "apply", "plan.json", "--why", "the shop knows them now", "--json").data
    assert told["counts"] == {"already done": 1, "applied": 2}
    assert retries(stage) == 3


def test_an_altered_plan_is_refused(stage, refused):
    stage.run("redrive", "plan", STORE, "--out", "plan.json")
    text = (stage.home / "plan.json").read_text()
    (stage.home / "plan.json").write_text(text.replace(refused[0], refused[1]))
    said = stage.run("redrive", "apply", "plan.json", "--why", "x", code=1)
    assert "plan.json was altered since it was made" in said.err
    assert retries(stage) == 0


def test_choosing_and_leaving_out(stage, refused):
    chosen = ("redrive", "plan", STORE, "--json", "--out", "plan.json")
    assert len(stage.run(*chosen, "--order", refused[1]).data["items"]) == 1
    assert stage.run(*chosen, "--effect", "accept").data["items"] == []
    assert stage.run(*chosen, "--class", "given_up").data["left_out"] == {"refused": 3}
    assert stage.run(*chosen, "--until", "2026-01-01T00:00").data["items"] == []
    assert "left out: 3 refused; --class refused takes them" in stage.run(*chosen[:3], "--class", "later").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("plan", "acne"), "did you mean acme?"),
        (("plan", STORE, "--class", "refuse"), "did you mean refused"),
        (("plan", STORE, "--effect", "draught"), "did you mean draft"),
        (("plan", STORE, "--since", "noon"), "--since"),
        (("plan", STORE, "--order", "1-1"), "has no order 1-1"),
        (("failed", STORE, "--why", " "), "--why must say something"),
        (("failed", STORE, "--why", "x", "--rate", "fast"), "is no rate"),
    ],
)
def test_bad_input(stage, arguments, told):
    assert told in stage.run("redrive", *arguments, code=2).err
