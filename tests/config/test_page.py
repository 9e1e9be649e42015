"""The example file and the reference page say what there is; what is in effect is shown without secrets."""

import re
import tomllib

from orderflow import config
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
        key.kind in {Kind.VALUE, Kind.SECRET} for table in TABLES.values() for key in keys_of(table).values()
    )
    assert "hunter" not in repr(rows)
