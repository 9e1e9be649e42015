"""Every scenario of docs/how-to/use-the-sandbox.md can be played to its end; its lists are those of the code."""

import re
from pathlib import Path

import pytest

from orderflow.sandbox import SWITCHES, UNCLEAR
from orderflow.sandbox.scenario import read
from orderflow.sandbox.scenario.steps import ACTS
from orderflow.sandbox.stage import staged

from .world import Clock

PAGE = (Path(__file__).parents[2] / "docs/how-to/use-the-sandbox.md").read_text("utf-8")
SCENARIOS = dict(re.findall(r"docs-test: file (\S+\.toml) -->\n```toml\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_played_to_its_end(name: str) -> None:
    clock = Clock()
    stage = staged(read(SCENARIOS[name]), clock)
    for _ in range(120):
        stage.player.step(clock())
        for store in stage.glopal.stores():
            for entry in stage.glopal.ledger(store):
                if entry.status == "READY":  # stands for a client
                    stage.glopal.accept_elsewhere(store, entry.order_id, entry.order_id, entry.order_id)
        clock.pass_(1)
    assert stage.player.done
    ends = {entry.status for store in stage.glopal.stores() for entry in stage.glopal.ledger(store)}
    assert ends == {
        "lost-accept.toml": {"COMPLETED"},
        "lies.toml": {"ACCEPTED", "CANCELLED"},
        "late.toml": {"CANCELLED"},
        "storm.toml": {"ACCEPTED", "COMPLETED"},
    }.get(name)


def test_there_are_some() -> None:
    assert len(SCENARIOS) == 4


def test_the_page_names_every_act_and_every_unclear_fault() -> None:
    for act in ACTS:
        assert f"| `{act}` |" in PAGE
    said = set(re.findall(r"`(\w+)`", PAGE.partition("has to look before it writes again:")[2].partition("\n\n")[0]))
    assert said == UNCLEAR


def test_the_switches_of_the_page_exist() -> None:
    table = PAGE.partition("| switch | what a client must not believe |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    found = {name for cell in named for name in re.findall(r"`([a-z_]+)(?: =.*?)?`", cell)}
    assert found
    assert found <= set(SWITCHES)


def test_the_python_of_the_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "use-the-sandbox.md", "exec"), {})
