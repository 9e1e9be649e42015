"""Every key has a twin in the environment; the twin wins, and one that resembles a twin is a named mistake."""

from pathlib import Path

import pytest

from orderflow import config
from orderflow.config import ConfigError, Secret
from orderflow.config.given import segment
from orderflow.config.keys import Kind, keys_of
from orderflow.config.page import TABLES

WORTH = {"bool": "true", "int": "7", "float": "7.5", "datetime": "2026-01-01T00:00:00Z", "tuple": "a, b", "dict": "{}"}
ODD = {
    "mode": "observe",
    "on_refusal": "cancel",
    "import_currency": "order",
    "base_currency": "EUR",
    "unsafe_server": "fsync",
    "kind": "contract",
    "schedule": "5, 30.5",
    "rate": "0.5",
    "longest": "4000",
    "classes": "stuck, money",
    "outcomes": "Refused",
    "effects": "draft, promote",
    "only": "acme",
    "api_version": "2026-07",
}


def singles():
    for place, table in TABLES.items():
        for key in keys_of(table).values():
            if key.kind in {Kind.VALUE, Kind.SECRET}:
                yield place, key


@pytest.mark.parametrize(("place", "key"), list(singles()), ids=lambda one: getattr(one, "name", one))
def test_every_key_has_a_twin(home, monkeypatch, place, key):
    """Whatever settings there will be: each can be set from the environment, and is told to come from there."""
    parts = [*place.split("."), key.name] if place else [key.name]
    variable = "ORDERFLOW_" + "__".join(part.upper() for part in parts)
    kind = getattr(getattr(key.bare, "__origin__", key.bare), "__name__", "")
    value = ODD.get(key.name) or WORTH.get(kind, "https://x.example.com")
    monkeypatch.setenv(variable, value)
    found = config.examine(home.path)
    assert found.mistakes == ()
    assert found.given.source(tuple(parts)) == f"environment {variable}"


def test_what_the_twins_say(home, monkeypatch):
    for name, value in {
        "WORKERS": "9",
        "WINDOWS__CALL": "12.5",
        "STORES__ACME__SHADOW": "true",
        "STORES__ACME__MODE": "observe",
        "STORES__ACME__GLOPAL__EVENTS": "order.received, order.ready",
        "STORES__ACME__GLOPAL__ROUTES": '{ accept = { method = "PUT" } }',
        "STORES__ACME__GLOPAL__KEY": "GL.secret",
        "STORES__ACME__SHOP__KEY__FILE": "secrets/shop",
        "MASTER_KEY_FILE": "here.key",
        "DATABASE_URL": "postgresql://me:pass@db/x",
    }.items():
        monkeypatch.setenv(f"ORDERFLOW_{name}", value)
    settings = home.settings()
    acme = settings.stores["acme"]
    assert (settings.workers, settings.windows.call, acme.shadow, acme.mode) == (9, 12.5, True, "observe")
    assert acme.glopal.events == ("order.received", "order.ready")
    assert acme.glopal.routes == {"accept": {"method": "PUT"}}
    assert acme.glopal.key.read("key") == "GL.secret"
    assert acme.shop.key == Secret(file=Path.cwd() / "secrets/shop")
    assert settings.master_key_file == Path.cwd() / "here.key"
    assert config.database_url(settings) == "postgresql+psycopg://me:pass@db/x"
    assert "pass" not in repr(settings)
    assert "GL.secret" not in repr(settings)


def test_paths_of_the_file_count_from_its_folder(home):
    home.write(top='data_dir = "~/data"', glopal='mapping = "/etc/acme.toml"')
    settings = home.settings()
    assert settings.master_key_file == home.folder / "master.key"
    assert settings.stores["acme"].shop.key.file == home.folder / "shop.key"
    assert settings.data_dir == Path("~/data").expanduser()
    assert settings.stores["acme"].glopal.mapping == Path("/etc/acme.toml")


def test_no_file_is_needed(home, monkeypatch):
    """A store that stands in the environment only has its name in small letters."""
    home.path.unlink()
    with pytest.raises(ConfigError, match="orderflow config example"):
        config.read()
    for name, value in {
        "MASTER_KEY_FILE": "/k",
        "STORES__ACME__GLOPAL__BASE_URL": "https://g.example.com",
        "STORES__ACME__GLOPAL__KEY": "a",
        "STORES__ACME__SHOP__BASE_URL": "http://127.0.0.1:8000",
        "STORES__ACME__SHOP__KEY": "b",
    }.items():
        monkeypatch.setenv(f"ORDERFLOW_{name}", value)
    assert list(config.read().stores) == ["acme"]
    with pytest.raises(ConfigError, match="cannot be read"):
        config.read(home.path)  # a file that was named has to be there


@pytest.mark.parametrize("name", ["Acme EU", "acme-eu", "acme.eu", "ACME_EU"])
def test_the_store_of_the_file_is_found(home, monkeypatch, name):
    home.path.write_text(home.path.read_text().replace("stores.acme", f'stores."{name}"'))
    assert segment(name) == "ACME_EU"
    monkeypatch.setenv("ORDERFLOW_STORES__ACME_EU__MAX_ATTEMPTS", "3")
    monkeypatch.setenv("ORDERFLOW_STORES__ACME_EU__GLOPAL__PAGE_SIZE", "0")
    [mistake] = home.mistakes()
    assert mistake.startswith(f"stores.{name}.glopal.page_size (from ORDERFLOW_STORES__ACME_EU__GLOPAL__PAGE_SIZE)")
    monkeypatch.delenv("ORDERFLOW_STORES__ACME_EU__GLOPAL__PAGE_SIZE")
    assert home.settings().stores[name].max_attempts == 3
    assert config.examine(home.path).given.source(("stores", name, "max_attempts")).startswith("environment")
    assert config.examine(home.path).given.source(("stores", name, "shop", "base_url")) == "file"
    assert config.examine(home.path).given.source(("stores", name, "mode")) == "default"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"WORKER": "3"}, "ORDERFLOW_WORKER: there is no such setting; did you mean ORDERFLOW_WORKERS?"),
        (
            {"STORES__ACME__GLOPAL__POLL_SECOND": "3"},
            "ORDERFLOW_STORES__ACME__GLOPAL__POLL_SECOND: there is no such setting; did you mean ORDERFLOW_STORES__",
        ),
        ({"STORES__ACME": "3"}, "ORDERFLOW_STORES__ACME: is a table"),
        ({"STORES": "3"}, "ORDERFLOW_STORES: is a table"),
        ({"WINDOWS": "3"}, "ORDERFLOW_WINDOWS: is a table"),
        ({"WORKERS__MORE": "3"}, "ORDERFLOW_WORKERS__MORE: goes on behind workers, which is a whole number"),
        ({"STORES__ACME__GLOPAL__KEY__ENV": "x"}, "ORDERFLOW_STORES__ACME__GLOPAL__KEY__ENV: goes on behind"),
        (
            {"STORES__ACME__GLOPAL__ROUTES": "accept"},
            "ORDERFLOW_STORES__ACME__GLOPAL__ROUTES: expected a table in TOML",
        ),
        ({"FOO__BAR": "3"}, "ORDERFLOW_FOO__BAR: there is no such setting"),
        (
            {"STORES__ACME__SHOP__KEY": "x", "STORES__ACME__SHOP__KEY__FILE": "y"},
            "stores.acme.shop.key: ORDERFLOW_STORES__ACME__SHOP__KEY and ORDERFLOW_STORES__ACME__SHOP__KEY__FILE both",
        ),
        ({"WORKERS": "many"}, 'workers (from ORDERFLOW_WORKERS): got the text "many", expected a whole number'),
    ],
)
def test_what_resembles_a_twin(home, monkeypatch, variables, told):
    for name, value in variables.items():
        monkeypatch.setenv(f"ORDERFLOW_{name}", value)
    [mistake] = home.mistakes()
    assert mistake.startswith(told)


def test_what_is_left_alone(home, monkeypatch):
    """Kubernetes sets such variables for a service of this name; an empty variable is no value."""
    for name in ("PORT", "SERVICE_HOST", "PORT_8080_TCP_ADDR", "WORKERS", "CONFIG"):
        monkeypatch.setenv(f"ORDERFLOW_{name}", "" if name in {"WORKERS", "CONFIG"} else "tcp://10.0.0.1:8080")
    assert home.settings().workers == 4


def test_two_stores_that_look_alike_are_not_guessed(home, monkeypatch):
    text = home.path.read_text()
    home.path.write_text(
        text.replace("stores.acme", 'stores."a-b"') + text[text.index("[") :].replace("stores.acme", 'stores."a.b"')
    )
    assert sorted(home.settings().stores) == ["a-b", "a.b"]
    monkeypatch.setenv("ORDERFLOW_STORES__A_B__SHADOW", "true")
    [mistake] = home.mistakes()
    assert "may mean a-b or a.b" in mistake
