"""`orderflow config`: check, show and example, as people and programs see them."""

import tomllib

import pytest


def test_good_settings(stage):
    (stage.home / "shop.key").chmod(0o600)
    said = stage.run("config", "check")
    assert said.out == "✓ the settings are good, for acme\n"
    data = stage.run("config", "check", "--json").data
    assert data == {"file": str(stage.home / "orderflow.toml"), "mistakes": [], "warnings": []}


def test_every_mistake_and_doubt(stage):
    """Of the file, of the environment, and what shows only when things are put together."""
    (stage.home / "shop.key").chmod(0o644)
    said = stage.run(
        "config", "check", code=2, SANDBOX_GLOPAL_KEY="", ORDERFLOW_STORES__ACME__SHOP__KEY__FILE="nowhere"
    )
    assert said.err == ""
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [
        "✗ stores.acme.glopal.key",
        "✗ stores.acme.shop.key.file",
    ]
    data = stage.run("config", "check", "--json", code=2, ORDERFLOW_WORKER="3", ORDERFLOW_WINDOWS__CALL="0").data
    assert [mistake.partition(":")[0] for mistake in data["mistakes"]] == [
        "ORDERFLOW_WORKER",
        "windows.call (from ORDERFLOW_WINDOWS__CALL)",
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("master.key", "c2hvcnQ=", "master_key_file: a master key has 32 bytes, this one has 5"),
        ("master.key", "no base 64", "master_key_file: no master key could be read from"),
        ("shop.key", "two words", "stores.acme.shop: the key must be visible ASCII"),
        ("acme.toml", "totl = 'x'", "stores.acme.glopal.mapping: "),
        ("acme.toml", "[", "stores.acme.glopal.mapping: "),
    ],
)
def test_files_that_the_settings_name(stage, name, content, told):
    (stage.home / "acme.toml").write_text("")
    (stage.home / name).write_text(content)
    said = stage.run("config", "check", code=2, ORDERFLOW_STORES__ACME__GLOPAL__MAPPING=str(stage.home / "acme.toml"))
    assert f"✗ {told}" in said.out
    assert content not in said.out.replace(name, "")


def test_what_is_in_effect(stage):
    said = stage.run("config", "show", ORDERFLOW_WORKERS="7")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.out.splitlines() if line.strip()}
    assert lines["workers"] == "7 environment ORDERFLOW_WORKERS"
    assert lines["windows.call"] == "1.5 file"
    assert lines["stores.acme.mode"] == '"draft_on_received" default'
    assert lines["stores.acme.glopal.key"] == "set, 10 characters, from env SANDBOX_GLOPAL_KEY file"
    rows = stage.run("config", "show", "--json", ORDERFLOW_DATABASE_URL="postgresql://me:hunter2@db/x").data
    found = {row["key"]: row for row in rows}
    assert found["database_url"]["value"] == "postgresql://me:***@db/x, from env ORDERFLOW_DATABASE_URL"
    for secret in ("hunter2", "GL.sandbox", "shop-sandbox"):
        assert secret not in said.out + repr(rows)


def test_nothing_is_shown_of_bad_settings(stage):
    said = stage.run("config", "show", code=2, ORDERFLOW_WORKERS="many", ORDERFLOW_WINDOWS__SEND="x")
    assert (said.out, len(said.err.splitlines())) == ("", 2)


def test_a_file_to_begin_with(stage):
    data = tomllib.loads(stage.run("config", "example").out)
    assert list(data["stores"]) == ["acme"]
    listed = {one["key"]: one for one in stage.run("config", "example", "--json").data}
    assert listed["stores.NAME.shop.key"]["required"]
    assert listed["workers"]["default"] == "4"
    said = stage.run_apart("config", "example", ORDERFLOW_CONFIG="nowhere.toml")
    assert (said.code, tomllib.loads(said.out)) == (0, data)
