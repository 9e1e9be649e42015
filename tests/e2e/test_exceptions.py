"""`orderflow exceptions` and `orderflow alerts`: from the refusal to its end, as an operator sees it."""

import json
import re
import sys

import pytest

from .stage import STORE, Stage, staged, wait


@pytest.fixture
def stage(tmp_path, database_url):
    with staged(tmp_path, database_url) as made:
        yield made


def refused(stage: Stage) -> str:
    stage.shop.options = type(stage.shop.options)(refuse=lambda _: "no_such_article")
    order_id = stage.place(ready=True)
    wait(lambda: stage.order(order_id).parked)
    return order_id


def test_a_day_at_the_desk(stage):
    assert stage.run("exceptions").out == "no exceptions: nothing waits for a person\n"
    assert stage.run("exceptions", "--closed").out == "no closed exceptions\n"
    with stage.working():
        order_id = refused(stage)
        wait(lambda: stage.run("exceptions", "--json").data)
    [one] = stage.run("exceptions", "list", "--json").data
    assert (one["class"], one["owner"], one["order_id"], one["closed_type"]) == (
        "refused_by_shop",
        "operator",
        order_id,
        None,
    )
    said = stage.run("exceptions", "--store", STORE, "--class", "refused_by_shop", "--owner", "operator").out
    assert re.search(
        rf"^{one['id']} +refused_by_shop +\d+ (s|min) +operator +draft was refused: 422", said, re.MULTILINE
    )
    assert said.endswith("1 open exception\n")
    for nothing in (("--class", "money"), ("--owner", "bo"), ("--closed",)):
        assert stage.run("exceptions", *nothing, "--json").data == []

    shown = stage.run("exceptions", "show", one["id"]).out
    assert f"opened by  EffectRefused at position {one['position']}, " in shown
    assert "sent, attempt 1: Refused: 422 no_such_article" in shown
    assert f'orderflow retry {STORE}/{order_id} draft --why "..."' in shown
    told = stage.run("exceptions", "show", one["id"], "--json").data
    assert (told["opened"]["type"], told["exception"]["class"]) == ("EffectRefused", "refused_by_shop")
    assert [call["kind"] for call in told["attempts"]] == ["send"]
    assert one["id"] in stage.run("why", order_id).out
    assert stage.run("orders", "show", order_id, "--json").data["attention"][0]["id"] == one["id"]
    findings = stage.run("doctor", "--json", code=1).data["findings"]
    assert any(f"exceptions show {one['id']}" in finding["mend"] for finding in findings)

    assert (
        "given to bo; recorded at position" in stage.run("exceptions", "assign", one["id"], "bo", "--why", "hers").out
    )
    assert "nothing written" in stage.run("exceptions", "assign", one["id"], "bo", "--why", "hers").out
    stage.run("pull")
    assert [found["owner"] for found in stage.run("exceptions", "--owner", "bo", "--json").data] == ["bo"]
    assert "exception parked_draft given to bo by " in stage.run("orders", "timeline", order_id).out

    stage.shop.options = type(stage.shop.options)()
    with stage.working():
        stage.run("retry", order_id, "draft", "--why", "article is there")
        wait(lambda: stage.order(order_id).accepted)
        wait(lambda: not stage.run("exceptions", "--json").data)
    [over] = stage.run("exceptions", "--closed", "--json").data
    assert (over["id"], over["closed_type"]) == (one["id"], "RetryRequested")
    assert re.search(
        rf"^{one['id']} .* RetryRequested of \S+, position \d+$", stage.run("exceptions", "--closed").out, re.MULTILINE
    )
    assert "closed by  RetryRequested at position" in stage.run("exceptions", "show", one["id"]).out
    closed = stage.run("exceptions", "dismiss", one["id"], "--why", "late", code=1)
    assert "was closed by RetryRequested at position" in closed.err


def test_dismissing_and_bad_input(stage):
    with stage.working():
        order_id = refused(stage)
        wait(lambda: stage.run("exceptions", "--json").data)
    [one] = stage.run("exceptions", "--json").data
    stage.run("exceptions", "dismiss", one["id"], "--why", "sold by phone", "--by", "ann", "--command-id", "d1")
    assert (
        "was dismissed before"
        in stage.run("exceptions", "dismiss", one["id"], "--why", "sold by phone", "--command-id", "d1").out
    )
    assert stage.run("orders", "show", order_id, "--json").data["attention"] == []
    stage.run("pull")
    [over] = stage.run("exceptions", "--closed", "--json").data
    assert (over["closed_type"], over["closed_by"]) == ("ExceptionDismissed", "ann")
    for arguments, told in {
        ("show", "nonsense"): "is no id of an exception",
        ("show", f"{STORE}/{order_id}/parked_draft/1"): "there is no exception",
        ("show", "nowhere/1/parked_draft/1"): "there is no store 'nowhere'",
        ("show", f"{STORE}/~store/paused_shop/1"): "is kept nowhere",
        ("dismiss", f"{STORE}/~store/paused_shop/1", "--why", "x"): "concerns a store",
        ("assign", one["id"], " ", "--why", "x"): "WHO must be plain text",
        ("list", "--class", "stuk"): "did you mean stuck?",
    }.items():
        assert told in stage.run("exceptions", *arguments, code=2).err


def test_what_concerns_a_store_stands_with_the_others(stage):
    stage.run("pull")
    stage.run("pause", STORE, "shop", "--why", "upgrade", "--by", "ann")
    [one] = stage.run("exceptions", "--json").data
    assert (one["class"], one["order_id"], one["text"]) == ("paused", None, "shop is paused by ann: upgrade")
    shown = stage.run("exceptions", "show", one["id"]).out
    assert f"  orderflow resume {STORE} shop\n" in shown
    stage.run("resume", STORE, "shop")
    assert stage.run("exceptions", "--json").data == []


def test_somebody_is_told(stage):
    """A worker, a program that is told, and a rule of one's own."""
    rules = stage.run("alerts", "list").out
    assert "critical" in rules
    assert "nobody is told" in rules
    assert "nobody is told" in stage.run("alerts", "test", code=1).out
    path, told = stage.home / "orderflow.toml", stage.home / "told"
    script = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))"
    command = json.dumps([sys.executable, "-c", script])
    path.write_text(
        path.read_text() + f"\n[alerts]\ncommand = {command}\nevery = 0.2\ndefaults = false\n"
        '[alerts.rules.refused]\nclasses = ["refused_by_shop"]\nwindow_minutes = 0.01\n'
    )
    assert stage.run("alerts", "test").out == "command: taken\n"
    assert stage.run("alerts", "list").out.splitlines()[1].split() == [
        *("refused", "exceptions", "of", "refused_by_shop", "1", "1", "s", "each"),
    ]
    with stage.working():
        order_id = refused(stage)
        wait(lambda: len(told.read_text().splitlines()) == 2)
        stage.shop.options = type(stage.shop.options)()
        stage.run("retry", order_id, "draft", "--why", "article is there")
        wait(lambda: len(told.read_text().splitlines()) == 3)
    trial, firing, recovered = map(json.loads, told.read_text().splitlines())
    assert [one["state"] for one in (trial, firing, recovered)] == ["trial", "firing", "recovered"]
    assert (firing["rule"], firing["orders"]) == ("refused", [order_id])
    [line] = stage.run("alerts", "status", "--json").data
    assert (line["fires"], line["said"]["state"], line["said"]["problem"]) == (False, "recovered", "")
    assert re.search(rf"{STORE} +refused +quiet +0 +recovered, .* ago; taken", stage.run("alerts", "status").out)
