"""Every mistake is named with its key and what would be right, all of them at once, and no secret is ever shown."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow import config
from orderflow.config import ConfigError
from orderflow.config.checked import checked
from orderflow.config.effective import effective
from orderflow.config.given import Given
from orderflow.config.keys import keys_of
from orderflow.config.page import TABLES, example


def test_all_mistakes_at_once(home):
    home.write(top="workerss = 3\nwindows.retry = -1", glopal='page_size = "x"', store='mode = "watch"')
    assert [mistake.partition(":")[0] for mistake in home.mistakes()] == [
        "workerss",
        "stores.acme.glopal.page_size",
        "stores.acme.mode",
        "windows.retry",
    ]
    with pytest.raises(ConfigError) as caught:
        home.settings()
    assert str(caught.value) == "\n".join(home.mistakes())


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"top": "worker = 3"}, "worker: there is no such setting; did you mean workers?"),
        ({"top": "zzz = 3"}, "zzz: there is no such setting; there are data_dir, database_url, "),
        ({"top": 'workers = "3"'}, 'workers: got the text "3", expected a whole number from 1 to 64 (calls'),
        ({"top": "workers = 0"}, "workers: got 0, expected a whole number from 1"),
        ({"top": "workers = true"}, "workers: got true, expected"),
        ({"top": "windows.send = inf"}, "windows.send: got inf, expected a number above 0, at most 600"),
        ({"top": "windows.send = nan"}, "windows.send: got nan, expected"),
        ({"top": "windows.call = 1e300"}, "windows.call: got 1e+300, expected"),
        ({"top": "windows = 3"}, "windows: got 3, expected a table"),
        (
            {"top": "windows.retry = 30\nwindows.longest = 20"},
            "windows.retry: got 30, expected at most windows.longest",
        ),
        ({"top": "data_dir = 3"}, "data_dir: got 3, expected a path"),
        ({"top": 'data_dir = ""'}, 'data_dir: got the text "", expected a path'),
        ({"top": 'database_url = "mysql://x"'}, "database_url: must begin with postgresql://"),
        ({"top": 'database_url = "postgresql://x:y:z:w"'}, "database_url: cannot be read as postgresql://USER@HOST"),
        ({"top": "database_url = 3"}, "database_url: expected a text"),
        ({"top": "database_url = {}"}, "database_url: give either env (a variable's name) or file (a path)"),
        (
            {"glopal": "page_size = 1.5"},
            "stores.acme.glopal.page_size: got 1.5, expected a whole number from 1 to 1000",
        ),
        ({"glopal": 'events = "a"'}, 'stores.acme.glopal.events: got the text "a", expected a list of texts'),
        ({"glopal": "events = [1]"}, "stores.acme.glopal.events: got a list, expected a list of texts"),
        ({"glopal": 'store_id = ""'}, 'stores.acme.glopal.store_id: got the text "", expected a text'),
        (
            {"more": 'kind = "medusa"\nmedusa = { region_id = "reg_1", sales_channel_id = "sc_1" }'},
            'stores.acme.shop.medusa.shipping_option_id: is missing: kind = "medusa" needs it',
        ),
        ({"glopal": "routes = 3"}, "stores.acme.glopal.routes: got 3, expected a table"),
        (
            {"store": "effects_from = 2026-01-01T00:00:00"},
            "stores.acme.effects_from: got the time 2026-01-01T00:00:00, ",
        ),
        (
            {"store": 'base_currency = "euro"'},
            'stores.acme.base_currency: got the text "euro", expected a text such as',
        ),
        ({"store": 'on_refusal = "x"'}, 'on_refusal: got the text "x", expected one of exception, cancel'),
        ({"more": '[stores."a/b"]\n'}, "stores.a/b.glopal: is missing, expected a table (Glopal's API for this store)"),
        ({"more": "[stores]\nb = 3"}, "stores.b: got 3, expected a table"),
    ],
)
def test_one_mistake(home, parts, told):
    home.write(**parts)
    assert told in home.mistakes()[0]


@pytest.mark.parametrize("name", ["a/b", "a:b", "~a", " a", "a ", "", "a\\u0000", "a\\nb"])
def test_names_of_stores_that_cannot_be(home, name):
    home.path.write_text(home.path.read_text().replace("stores.acme", f'stores."{name}"'))
    [mistake] = home.mistakes()
    assert "a store's name is printable" in mistake


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://glopal.example.com", "must begin with https://"),
        ("http://127.0.0.1.evil.example.com", "must begin with https://"),
        ("ftp://127.0.0.1", "must begin with https://"),
        ("https://", "must begin with https://"),
        ("https://me:hunter2@glopal.example.com", "credentials stand in `key`"),
        ("https://glopal.example.com?key=hunter2", "holds a ?"),
        ("https://glopal.example.com:hunter2", "cannot be read as an address"),
        ("https://[hunter2", "cannot be read as an address"),
    ],
)
def test_addresses_that_cannot_be(home, url, told):
    home.path.write_text(home.path.read_text().replace("https://glopal.example.com", url))
    [mistake] = home.mistakes()
    assert mistake.startswith("stores.acme.glopal.base_url: ")
    assert told in mistake
    assert "hunter2" not in mistake


@pytest.mark.parametrize("url", ["https://x", "http://localhost:1", "http://[::1]:2/a", "http://127.0.0.1"])
def test_addresses_that_can_be(home, url):
    home.path.write_text(home.path.read_text().replace("https://glopal.example.com", url))
    assert home.mistakes() == ()


@pytest.mark.parametrize(
    "top",
    [
        'database_url = "postgresql://me:hunter2@db/x"',
        'database_url = "postgresql://me@db/x?password=hunter2"',
        'database_url = "mysql://me:hunter2@db/x"',
        'database_url = { env = "hunter2 !" }',
        'database_url = { url = "hunter2" }',
        'database_url = ["hunter2"]',
    ],
)
def test_a_password_of_the_database_is_refused_and_not_shown(home, top):
    home.write(top=top)
    assert home.mistakes()[0].startswith("database_url")
    assert "hunter2" not in "\n".join(home.mistakes())


@pytest.mark.parametrize("key", ['"hunter2"', '{ env = "hunter2!" }', '["hunter2"]', '{ value = "hunter2" }', "7"])
def test_a_secret_in_the_file_is_refused_and_not_shown(home, key):
    home.path.write_text(home.path.read_text().replace('{ env = "GLOPAL_KEY" }', key))
    assert home.mistakes()[0].startswith("stores.acme.glopal.key")
    assert "hunter2" not in "\n".join(home.mistakes())


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read (No such file"), (b"", "is empty"), (b"\xff\xfe", "it is no text")]
)
def test_a_secret_that_is_not_there(home, content, told):
    if content is not None:
        (home.folder / "shop.key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"stores\.acme\.shop\.key") as caught:
        home.settings().stores["acme"].shop.key.read("stores.acme.shop.key")
    assert told in str(caught.value)


def test_what_is_doubtful(home, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "x")
    home.write(glopal="settle_seconds = 90", store='early_accept = true\nbase_currency = "EUR"')
    for name in ("shop.key", "master.key"):
        (home.folder / name).write_text("x")
    (home.folder / "shop.key").chmod(0o604)
    (home.folder / "master.key").chmod(0o640)
    assert [warning.partition(": ")[0] for warning in home.warnings()] == [
        "database_url",
        "stores.acme.shop.key.file",
        "windows.get_settle",
        "stores.acme.early_accept",
        "stores.acme.base_currency",
    ]
    assert any("mode 604): chmod 600 " in warning for warning in home.warnings())


def test_parse_takes_plain_data():
    with pytest.raises(ConfigError, match="master_key_file: is missing"):
        config.parse({"stores": {}})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"workers = \xff", "is not valid TOML"),
        (b"a = " + b"[" * 10_000, "is not valid TOML: it is nested too deeply"),
        (b"workers = 1\nworkers = 2", "is not valid TOML"),
    ],
)
def test_files_that_are_no_toml(home, content, told):
    home.path.write_bytes(content)
    [mistake] = home.mistakes()
    assert told in mistake


def test_a_mark_in_front_is_no_mistake(home):
    home.path.write_bytes(b"\xef\xbb\xbf" + home.path.read_bytes())
    assert home.mistakes() == ()


def test_whose_home_is_not_known(home):
    home.write(top='data_dir = "~nobody-of-this-name/data"')
    [mistake] = home.mistakes()
    assert mistake.startswith("data_dir: ~nobody-of-this-name/data begins with a home that is not known")


@pytest.mark.parametrize(
    ("top", "told"),
    [
        ('"a\\nb\\u001b[1m" = 1', "a\\nb\\x1b[1m: there is"),
        ('data_dir = "a\\u0000"', 'data_dir: got the text "a\\x00"'),
    ],
)
def test_a_mistake_is_one_line_that_can_be_printed(home, top, told):
    home.write(top=top)
    [mistake] = home.mistakes()
    assert mistake.startswith(told)
    assert mistake.isprintable()


@pytest.mark.parametrize("name", ["WORKERS", "DATABASE_URL", "STORES__ACME__SHOP__KEY", "STORES__ACME__GLOPAL__ROUTES"])
def test_bytes_that_are_no_text(home, monkeypatch, name):
    monkeypatch.setenv(f"ORDERFLOW_{name}", "hunter2\udcff")
    [mistake] = home.mistakes()
    assert mistake.endswith(f"ORDERFLOW_{name} holds bytes that are no UTF-8")


leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.binary()
anything = st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


@given(data=st.data())
def test_whatever_is_given_is_read_or_refused(data):
    """Any value at any key: settings, or mistakes that begin with a key, and never anything else."""
    raw = tomllib.loads(example())
    place = data.draw(st.sampled_from(list(TABLES)))
    table = raw
    for name in place.split(".") if place else ():
        table = table.setdefault(name, {})
    key = data.draw(st.sampled_from(list(keys_of(TABLES[place]))) | st.text())
    table[key] = data.draw(anything)
    settings, mistakes = checked(Given(raw))
    if settings is None:
        inside = f"{place}.{key}" if place else key
        assert mistakes
        assert [one for one in mistakes if not one.startswith((inside, place or "stores"))] == []
    else:
        assert list(effective(settings, Given(raw)))
