"""The example file and the reference page say what there is; what is in effect is shown without secrets."""

import re
import tomllib

from orderflow import config
from orderflow.config import ShopKind
from orderflow.config.effective import effective
from orderflow.config.keys import Kind, keys_of
from orderflow.config.page import TABLES, example, reference


def test_the_example_is_a_settings_file_of_defaults(home):
    home.path.write_text(example())
    made = home.settings()
    home.path.write_text(re.sub(r"(?m)^#.*\n", "", example()))
    assert made == home.settings()
    assert made.stores["acme"].mode == "draft_on_received"


def test_every_line_of_the_example_can_be_used(home):
    """What is commented out is a setting, too: its default, or an example that is taken."""
    home.path.write_text(re.sub(r"(?m)^#(\w+ = |\[)", r"\1", example()))
    assert home.mistakes() == ()
    data = tomllib.loads(home.path.read_text())["stores"]["acme"]
    assert set(data) == set(keys_of(TABLES["stores.acme"]))
    assert set(data["age_limits"]) == set(keys_of(TABLES["stores.acme.age_limits"]))
    assert set(data["glopal"]) == set(keys_of(TABLES["stores.acme.glopal"]))
    assert set(data["shop"]) == set(keys_of(TABLES["stores.acme.shop"]))
    assert set(data["shop"]["medusa"]) == set(keys_of(TABLES["stores.acme.shop.medusa"]))


def test_the_reference_has_every_key():
    text = "\n".join(reference())
    for table in TABLES.values():
        for key in keys_of(table).values():
            assert key.about
            assert (f"| `{key.name}` |" in text) == (key.kind in {Kind.VALUE, Kind.SECRET})


def test_what_is_in_effect(home, monkeypatch):
    (home.folder / "shop.key").write_text("four\n")
    home.write(top='database_url = { env = "DB" }', glopal='routes = { accept = { method = "PUT" } }')
    monkeypatch.setenv("DB", "postgresql://me:hunter2@db/x?password=hunter3")
    monkeypatch.setenv("ORDERFLOW_WORKERS", "2")
    monkeypatch.delenv("GLOPAL_KEY", raising=False)
    found = config.examine(home.path)
    assert found.settings is not None
    rows = {row.key: (row.value, row.source) for row in effective(found.settings, found.given)}
    assert rows["database_url"] == ("postgresql://me:***@db/x, from env DB", "file")
    assert rows["workers"] == ("2", "environment ORDERFLOW_WORKERS")
    assert rows["windows.call"] == ("30", "default")
    assert rows["stores.acme.shop.key"] == (f"set, 4 characters, from file {home.folder}/shop.key", "file")
    assert rows["stores.acme.glopal.key"] == ("not set: GLOPAL_KEY is empty or not set", "file")
    assert rows["stores.acme.glopal.routes"] == ('{"accept":{"method":"PUT"}}', "file")
    assert rows["stores.acme.effects_from"] == ("none", "default")
    assert len(rows) == sum(
        key.kind in {Kind.VALUE, Kind.SECRET}
        for name, table in TABLES.items()
        for key in keys_of(table).values()
        if name not in {"alerts.rules.acme", *(f"stores.acme.shop.{kind}" for kind in ShopKind)}  # there are none
    )
    assert "hunter" not in repr(rows)


def test_age_limits_are_hours_and_the_rest_keeps_its_default(home):
    home.write(store="unknown_minutes = 5\n[stores.acme.age_limits]\nreceived = 1.5")
    found = config.policy(home.settings().stores["acme"])
    told = {status.value: limit.total_seconds() / 3600 for status, limit in found.age_limits.items()}
    assert told == {"NEW": 24, "RECEIVED": 1.5, "READY": 24, "ACCEPTED": 168}
    assert found.unknown_after.total_seconds() == 300
    home.write(store="[stores.acme.age_limits]\nready = 0\ncompleted = 3")
    assert len(home.mistakes()) == 2


def test_alert_rules_stand_beside_the_built_in_ones_or_in_their_place(home):
    home.write(
        top='[alerts.rules.stuck]\noff = true\n[alerts.rules.critical]\nclasses = ["money"]\nwindow_minutes = 1\n'
        '[alerts.rules.calls_of_mine]\noutcomes = ["Unknown"]\neffects = ["accept"]\nat_least = 3\nonly = ["acme"]'
    )
    rules = {rule.name: rule for rule in config.alert_rules(home.settings().alerts)}
    assert list(rules) == ["critical", "unknown", "refusals", "calls", "calls_of_mine"]
    assert (rules["critical"].classes, rules["critical"].window.total_seconds()) == (("money",), 60)
    mine = rules["calls_of_mine"]
    assert (mine.outcomes, mine.effects, mine.at_least, mine.only) == (("Unknown",), ("accept",), 3, ("acme",))
    home.write(top="alerts.defaults = false")
    assert config.alert_rules(home.settings().alerts) == ()


def test_mistakes_and_doubts_about_alerts(home):
    home.write(
        top='[alerts]\nurl = "https://x.example.com"\n[alerts.rules.a]\nclasses = ["stuk"]\noutcomes = ["No"]\n'
        'effects = ["dance"]\nonly = ["nowhere"]\npercent = 101'
    )
    assert [one.split(": ")[0] for one in home.mistakes()] == ["alerts.rules.a.percent"]
    home.path.write_text(home.path.read_text().replace("101", "10"))
    keys = [one.split(": ")[0].removeprefix("alerts.rules.a.") for one in home.mistakes()]
    assert keys == ["classes", "outcomes", "effects", "outcomes"]
    home.write(top='[alerts]\nurl = "https://x.example.com"\n[alerts.rules.a]\neffects = ["draft"]\nonly = ["nowhere"]')
    assert home.mistakes() == ("alerts.rules.a.only: there is no store nowhere",)
    home.path.write_text(home.path.read_text().replace("nowhere", "acme"))
    told = [one for one in home.warnings() if one.startswith("alerts")]
    assert [one.split(": ")[0] for one in told] == ["alerts.rules.a.effects", "alerts.url", "alerts.rules"]
