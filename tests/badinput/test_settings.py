"""Bad settings and mapping files: refused with the key named, by one line each; never a traceback, never half taken."""

import json
import os
import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from tests.badinput.fuzz import FEW, WORDS, changed, document, fuzz, mangled

from orderflow import config
from orderflow.config import ConfigError, Settings
from orderflow.glopal.description import described
from orderflow.glopal.description.openapi import document as description
from orderflow.glopal.mapping import Mapping, mapping_from

GOOD = """
master_key_file = "master.key"
database_url = "postgresql://orderflow@127.0.0.1/orderflow"
workers = 4

[stores.acme]
environment = "live"
effects_from = 2026-01-01T00:00:00Z

[stores.acme.glopal]
base_url = "https://api.glopal.test"
key = { env = "GLOPAL_KEY" }
page_size = 100
poll_seconds = 5.0
routes = { accept = { path = "/v2/orders/{store_id}/{order_id}/accept", body = { a = "{ids.number}" } } }

[stores.acme.shop]
base_url = "https://shop.test"
key = { file = "shop.key" }
"""
# name: what is replaced, by what, what the one mistake must begin with
SETTINGS = {
    "word-for-number": ("workers = 4", 'workers = "many"', "workers: got the text"),
    "true-for-number": ("workers = 4", "workers = true", "workers: got true"),
    "negative": ("workers = 4", "workers = -5", "workers: "),
    "zero-page": ("page_size = 100", "page_size = 0", "stores.acme.glopal.page_size: "),
    "huge-page": ("page_size = 100", f"page_size = {2**63 - 1}", "stores.acme.glopal.page_size: "),
    "nan": ("poll_seconds = 5.0", "poll_seconds = nan", "stores.acme.glopal.poll_seconds: "),
    "infinity": ("poll_seconds = 5.0", "poll_seconds = inf", "stores.acme.glopal.poll_seconds: "),
    "other-case": ("workers = 4", "Workers = 4", "Workers: there is no such setting"),
    "homoglyph": ("workers = 4", '"w\\u043erkers" = 4', "w\u043erkers: there is no such setting"),
    "no-zone": ("01T00:00:00Z", "01T00:00:00", "stores.acme.effects_from: "),
    "date-only": ("2026-01-01T00:00:00Z", "2026-01-01", "stores.acme.effects_from: "),
    "list-for-table": ('[stores.acme]\nenvironment = "live"', "[[stores.acme]]", "stores.acme: "),
    "a-store-with-a-slash": ("stores.acme", 'stores."a/b"', "stores.a/b: a store's name"),
    "a-store-that-hides": ("stores.acme", 'stores."a\\u200bb"', "stores.a\\u200bb: a store's name"),
    "a-store-of-5000-letters": ("stores.acme", f'stores."{"a" * 5000}"', "stores.aaaa"),
    "an-empty-store": ("stores.acme", 'stores.""', "stores.: a store's name"),
    "http": ("https://shop.test", "http://shop.test", "stores.acme.shop.base_url: "),
    "file-url": ("https://shop.test", "file:///etc/passwd", "stores.acme.shop.base_url: "),
    "user-in-url": ("https://shop.test", "https://me:secret@shop.test", "stores.acme.shop.base_url: "),
    "secret-in-file": ('{ env = "GLOPAL_KEY" }', '"GL.secret"', "stores.acme.glopal.key: "),
    "two-secrets": ('{ env = "GLOPAL_KEY" }', '{ env = "A", file = "b" }', "stores.acme.glopal.key: "),
    "mysql": ("postgresql://", "mysql://", "database_url: "),
}
FILES = {
    "not-toml": b"workers: 4",
    "key-twice": b"workers = 4\nworkers = 5",
    "5000-digits": b"workers = " + b"9" * 5000,
    "deep": b"a = " + b"[" * 100_000,
    "latin-1": b'data_dir = "caf\xe9"',
    "utf-16": GOOD.encode("utf-16"),
    "nul": b"workers = 4\x00",
    "month-13": b"x = 2026-13-01",
    "empty": b"",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings(tmp_path: Path, name: str):
    """One mistake, one line, which begins with the key and never quotes a secret."""
    old, new, told = SETTINGS[name]
    assert old in GOOD
    found = examined(tmp_path / "orderflow.toml", GOOD.replace(old, new).encode())
    assert found.settings is None
    assert any(mistake.startswith(told) for mistake in found.mistakes), found.mistakes
    for mistake in found.mistakes:
        assert "\n" not in mistake
        assert "secret@" not in mistake
        assert "GL.secret" not in mistake
        assert len(mistake) < 500, mistake


@pytest.mark.parametrize("name", FILES)
def test_bad_files(tmp_path: Path, name: str):
    """The file is named, with what is wrong with it."""
    found = examined(tmp_path / "orderflow.toml", FILES[name])
    assert found.settings is None
    assert found.mistakes
    if name != "empty":
        assert str(tmp_path / "orderflow.toml") in found.mistakes[0]


def examined(path: Path, raw: bytes) -> config.Reading:
    path.write_bytes(raw)
    with patch.dict(os.environ, clear=True):
        return config.examine(path)


def test_good_settings(tmp_path: Path):
    """What the tests above break is good."""
    assert examined(tmp_path / "orderflow.toml", GOOD.encode()).mistakes == ()


MAPPINGS = {
    "unknown": ('itmes = "items"', "itmes: there is no such field"),
    "number": ("total = 5", "total: give a path"),
    "dots": ('total = "a..b"', "total: 'a..b' is no path"),
    "hidden": ('total = "a\\u200b"', "total: 'a\\u200b' is no path"),
    "float-constant": ("tax = { value = 1.5 }", "tax: give a path"),
    "true-constant": ("tax = { value = true }", "tax: give a path"),
    "line-word": ('line = "items"', "line: must be a table"),
    "line-unknown": ('[line]\nprice = "p"', "line.price: there is no such field"),
    "address-unknown": ('[billing_address]\nstreet = "x"', "billing_address.street: there is no such field"),
    "list-of-numbers": ("total = [1, 2]", "total: give a path"),
    "deep": ("total = " + "[" * 50_000, ""),
    "not-toml": ("total", ""),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_bad_mapping_files(tmp_path: Path, name: str):
    """Refused with the key, or with the file's name where it cannot be read."""
    text, told = MAPPINGS[name]
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(ValueError, match=r".") as refused:
        mapping_from(config.table(tmp_path / "mapping.toml"))
    assert str(refused.value).startswith(told or str(tmp_path))


def test_fuzzed_settings() -> None:
    seed = tomllib.loads(GOOD.replace("2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"'))

    def check(raw: Any) -> None:
        if not isinstance(raw, dict):
            return
        try:
            settings = config.parse(raw)
        except ConfigError as error:
            told = error.mistakes
        else:
            assert isinstance(settings, Settings)
            told = []
        assert all(": " in mistake for mistake in told)

    def make(rng: Random) -> Any:
        """Without lone surrogates: TOML has none, and the environment's are told before."""
        return json.loads(re.sub(r"\\ud[89a-f]..", "?", json.dumps(changed(rng, seed, rng.choice((0.02, 0.1))))))

    fuzz("settings", make, check)


def test_fuzzed_files(tmp_path: Path) -> None:
    path = tmp_path / "orderflow.toml"

    def check(raw: bytes) -> None:
        found = examined(path, raw)
        assert (found.settings is None) == bool(found.mistakes)

    fuzz("settings files", lambda rng: mangled(rng, GOOD.encode()), check, FEW)


def test_fuzzed_twins(tmp_path: Path) -> None:
    """Environment twins, of keys that are there and of keys that are not."""
    path = tmp_path / "orderflow.toml"
    path.write_text(GOOD)
    names = ("WORKERS", "STORES__ACME__GLOPAL__KEY", "STORES__ACME__GLOPAL__ROUTES", "STORES__ACME", "DATABASE_URL")
    more = (
        "STORES__B__SHOP__BASE_URL",
        "WINDOWS__SEND",
        "WORKER",
        "STORES__ACME__MODE",
        "__",
        "STORES____",
        "CONFIG_X",
    )

    def make(rng: Random) -> dict[str, str]:
        chosen = rng.sample((*names, *more), rng.randrange(1, 4))
        return {f"ORDERFLOW_{name}": str(rng.choice(WORDS)).replace("\0", "").replace("\ud800", "") for name in chosen}

    def check(twins: dict[str, str]) -> None:
        with patch.dict(os.environ, twins, clear=True):
            found = config.examine(path)
        assert (found.settings is None) == bool(found.mistakes)

    fuzz("environment twins", make, check, FEW)


def test_fuzzed_mapping_files(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    told: list[str] = []
    seed = b'items = "lines"\ntotal = ["a.b", { value = "0" }]\n[line]\nsku = "sku"\n[customer]\nemail = "mail"\n'

    def check(raw: bytes) -> None:
        path.write_bytes(raw)
        try:
            assert isinstance(mapping_from(config.table(path)), Mapping)
        except ValueError as error:
            told.append(str(error))

    fuzz("mapping files", lambda rng: mangled(rng, seed), check, FEW)
    assert all(told)


DESCRIPTIONS = sorted((Path(__file__).parent.parent / "glopal" / "descriptions").iterdir())


def test_fuzzed_descriptions() -> None:
    """Glopal's own API description, in JSON and in YAML, with wounds."""
    told: list[str] = []
    seeds = [path.read_bytes() for path in DESCRIPTIONS]
    parsed = [json.loads(raw) for raw in seeds if raw.lstrip().startswith(b"{")]

    def make(rng: Random) -> bytes:
        return document(rng, [*seeds, *parsed])

    def check(raw: bytes) -> None:
        try:
            found = described(description(raw), {}, "https://api.glopal.test/v2")
        except ValueError as error:
            told.append(str(error))
            return
        for route in found.routes.values():
            assert route.target({"store_id": "a/b", "order_id": "c?d"}).isascii()

    fuzz("descriptions", make, check, FEW)
    assert all(told)
