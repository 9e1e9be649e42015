"""`orderflow doctor`: every finding, provoked once with real HTTP and a real database; nothing is changed."""

import json
import re
from datetime import UTC, datetime
from random import Random

import pytest
import sqlalchemy as sa

from orderflow import intake, work
from orderflow.sandbox import Request, Response, serve
from orderflow.sandbox.shopify import Shopify, ShopifyOptions
from orderflow.store.vault import new_master_key

from .stage import STORE, staged


def findings(stage, *arguments, code=1, **environment):
    """What is found, by check; a check that is found several times as it was found worst."""
    said = stage.run("doctor", *arguments, "--json", code=code, **environment).data
    worst = {"ok": 0, "warning": 1, "failure": 2}
    found = {}
    for one in sorted(said["findings"], key=lambda one: worst[one["level"]]):
        found[one["check"]] = one
    return found


def change(stage, pattern, text):
    """Another settings file: `text` in the place of `pattern`."""
    path = stage.home / "orderflow.toml"
    changed, count = re.subn(pattern, text, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(changed)


def pulled(stage):
    """Events of the feed stand in the log and in the read models, the outbox is planned."""
    while intake.pull(stage.app.engine, stage.app.vault, stage.app.feeds[STORE]).more:
        pass
    while work.project(stage.app, STORE):
        pass


def sql(engine, statement, **values):
    with engine.begin() as conn:
        conn.execute(sa.text(statement), values)


def rows(engine):
    """How many rows each table holds."""
    with engine.begin() as conn:
        names = conn.scalars(
            sa.text("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname LIKE 'orderflow%'")
        )
        return {name: conn.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in names.all()}


def expect(found, check, level, told, mend=""):
    one = found[check]
    assert (one["level"], told in one["found"], mend in one["mend"]) == (level, True, True), one
    assert bool(one["mend"]) == (level != "ok")


# --- all is well ----------------------------------------------------------------------------------------------------


def test_a_sound_installation_is_ready(tmp_path):
    """On orderflow's own, durable Postgres nothing is to be mended; the verdict is the last line."""
    tmp_path.chmod(0o711)
    with staged(tmp_path, None) as stage:
        (stage.home / "shop.key").chmod(0o600)
        stage.run("migrate")
        stage.place(ready=True)
        found = findings(stage, "--go-live", code=0)
        assert {check for check, one in found.items() if one["level"] == "failure"} == set()
        assert {check for check, one in found.items() if one["level"] == "ok"} >= {
            *("disk", "database", "role", "schema", "encoding", "durability", "writing", "connections", "encryption"),
            *("database clock", "master key", "pauses", "readers", "effects", "outcomes", "orders"),
            *("completeness", "machine"),
            *("Glopal", "Glopal's clock", "old orders", "events", "newest orders", "environment", "money", "shop"),
            *("shadow", "mode"),
        }
        said = stage.run("doctor", "--go-live").out.splitlines()
        assert re.fullmatch(r"ready to go live, with \d+ to weigh", said[-1])
        assert re.fullmatch(r"all is well, with \d+ to weigh", stage.run("doctor").out.splitlines()[-1])


def test_nothing_is_changed_anywhere(stage, engine):
    """Not in the database, not at Glopal, not in the shop: only GETs are made."""
    order_id = stage.place(ready=True)
    pulled(stage)
    before = rows(engine)
    seen: list[Request] = []

    def watched(handle):
        def answer(request):
            seen.append(request)
            return handle(request)

        return answer

    with serve(watched(stage.glopal.handle)) as glopal, serve(watched(stage.shop.handle)) as shop:
        change(stage, r'(glopal\]\nbase_url = )".*"', rf'\1"{glopal.url}"')
        change(stage, r'(shop\]\nbase_url = )".*"', rf'\1"{shop.url}"')
        found = findings(stage, "--go-live")
    assert {check for check, one in found.items() if one["level"] == "failure"} == {"durability"}
    assert {request.method for request in seen} == {"GET"}
    assert len(seen) == 3
    assert stage.shop.ledger() == []
    assert stage.glopal.status(STORE, order_id) == "READY"
    assert rows(engine) == before


def test_people_read_what_is_wrong_and_how_to_mend_it(stage):
    """The tests' database is fast and loose, which is the one thing to mend; secrets and persons are not shown."""
    stage.place(ready=True)
    said = stage.run("doctor", "--go-live", STORE, code=1)
    text = " ".join(said.out.split())
    assert "✗ durability fsync is off: a power cut may damage everything;" in text
    assert "→ set fsync = on, full_page_writes = on, synchronous_commit = on in postgresql.conf" in text
    assert f"\n{STORE}\n" in said.out
    assert re.fullmatch(r"1 thing to mend before going live, \d+ to weigh", said.out.splitlines()[-1])
    for secret in ("GL.sandbox", "shop-sandbox", "@"):
        assert secret not in said.out


# --- settings and database ------------------------------------------------------------------------------------------


def test_mistakes_in_the_settings_come_first(stage):
    change(stage, "^workers = 3", "workers = 0")
    found = findings(stage)
    assert list(found) == ["settings"]
    expect(found, "settings", "failure", "workers: got 0, expected a whole number", "mend workers;")


def test_what_shows_only_when_put_together(stage):
    found = findings(stage, SANDBOX_GLOPAL_KEY="")
    expect(found, "settings", "failure", "SANDBOX_GLOPAL_KEY is empty or not set", "mend stores.acme.glopal.key")
    (stage.home / "shop.key").chmod(0o644)
    expect(findings(stage), "settings", "warning", "shop.key may be read by everybody")


def test_a_store_that_is_not_there(stage):
    assert "there is no store acne" in stage.run("doctor", "acne", code=2).err


def test_a_database_that_is_not_there(stage):
    found = findings(stage, ORDERFLOW_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/x")
    expect(found, "database", "failure", "cannot be used", "start the database")
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("revision", "told", "mend"),
    [
        ("0001", "the database stands at 0001, this version needs", "run `orderflow migrate`"),
        ("9999", "the database stands at 9999, which this version does not know", "install the newer orderflow"),
    ],
)
def test_a_database_of_another_version(stage, engine, revision, told, mend):
    sql(engine, "UPDATE orderflow.alembic_version SET version_num = :to", to=revision)
    found = findings(stage)
    expect(found, "schema", "failure", told, mend)
    assert "feed" not in found
    assert told in stage.run("orders", "list", code=2).err


def test_an_empty_database(stage, engine):
    sql(engine, "DROP SCHEMA orderflow CASCADE")
    expect(findings(stage), "schema", "failure", "the database is empty", "migrate` first")


def test_a_user_who_may_not_act_for_us(stage, engine, database_url):
    name = sa.make_url(database_url).database
    sql(engine, f'CREATE ROLE "{name}" LOGIN')
    try:
        url = sa.make_url(database_url).set(username=name, drivername="postgresql")
        found = findings(stage, ORDERFLOW_DATABASE_URL=url.render_as_string(hide_password=False))
        expect(found, "role", "failure", "may not act as orderflow_app", f'GRANT orderflow_app TO "{name}"')
    finally:
        sql(engine, f'DROP ROLE "{name}"')


def test_postgres_15(stage, database_url_15):
    url = database_url_15.replace("+psycopg", "")
    expect(findings(stage, ORDERFLOW_DATABASE_URL=url, code=0), "database", "ok", "PostgreSQL 15")


# --- the flow -------------------------------------------------------------------------------------------------------


def test_a_feed_that_nobody_reads(stage, engine):
    expect(findings(stage), "feed", "warning", "was never read", "orderflow work")
    stage.place()
    pulled(stage)
    expect(findings(stage), "feed", "ok", "was read")
    sql(engine, "UPDATE orderflow.cursors SET moved_at = moved_at - interval '3 hours'")
    sql(engine, "UPDATE orderflow.pulls SET at = at - interval '3 hours'")
    expect(findings(stage), "feed", "failure", "was read 3 h ago", "orderflow work")
    pulled(stage)
    expect(findings(stage), "feed", "ok", "was read")


def test_pauses(stage):
    stage.run("pause", STORE, "pull", "--why", "moving house")
    stage.run("pause", STORE, "shop", "--why", "shop is upgraded")
    found = findings(stage)
    expect(found, "feed", "failure", "the pull is paused: moving house", f"orderflow resume {STORE} pull")
    expect(found, "pauses", "failure", "shop since ", f"orderflow resume {STORE} shop")


def test_what_lies_about(stage, engine, monkeypatch):
    """Readers far behind, effects that nobody looks at, outcomes that nobody looks up, orders that wait."""
    stage.place(ready=True)
    pulled(stage)
    found = findings(stage)
    for check in ("readers", "effects", "outcomes", "orders"):
        assert found[check]["level"] == "ok"
    sql(engine, "DELETE FROM orderflow.checkpoints WHERE reader = 'planner'")
    expect(findings(stage), "readers", "ok", "a little behind: planner by 2 events")
    monkeypatch.setattr("orderflow.doctor.flow.FAR_BEHIND", 2)
    expect(findings(stage), "readers", "warning", "planner by 2 events", "orderflow work")
    sql(engine, "UPDATE orderflow.outbox SET next_at = next_at - interval '1 hour'")
    expect(findings(stage), "effects", "warning", "1 should have been looked at", "orderflow work")
    sql(
        engine,
        "INSERT INTO orderflow.outbox (store, order_id, destination, effect, generation, state, reads, next_at, "
        "attempt, request, request_key, digest, send_by, counts_from) "
        "SELECT store, order_id, 'shop', 'draft', 0, 'unknown', false, next_at,"
        " 1, '', gen_random_uuid(), '', now() - interval '2 hours', now() FROM orderflow.outbox",
    )
    expect(findings(stage), "outcomes", "warning", "1 calls have an unknown outcome, the oldest for 2 h", "unknown_too")
    sql(
        engine,
        "INSERT INTO orderflow.exceptions (store, order_id, kind, position, number, subject, class, text, commands,"
        " settling, owner, opened_at, opened_type, opens_at) SELECT store, order_id, 'held_money', 2, 1, '2', 'money',"
        " 'held', '{}', false, 'finance', now(), 'DetailsFetched', now() FROM orderflow.orders",
    )
    expect(findings(stage), "orders", "warning", "wait for a person: money 1", "exceptions show acme/")


def test_another_master_key(stage):
    stage.place()
    pulled(stage)
    (stage.home / "master.key").unlink()
    new_master_key(stage.home / "master.key")
    expect(findings(stage), "master key", "failure", "does not open what is sealed", "put the former key back")


# --- before going live ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "told", "mend"),
    [
        (r'(glopal\]\nbase_url = )".*"', r'\1"http://127.0.0.1:1"', "cannot be reached: no connection", "base_url"),
        (r'(glopal\]\nbase_url = )"(.*)"', r'\1"\2/elsewhere"', "answers the question for events with 404", "base_url"),
        (
            r"glopal\]",
            r'glopal]\nstore_id = "other"',
            "turns the key away: 403 forbidden",
            "stores.acme.glopal.store_id",
        ),
    ],
)
def test_glopal_is_not_as_the_settings_say(stage, pattern, text, told, mend):
    change(stage, pattern, text)
    found = findings(stage, "--go-live")
    expect(found, "Glopal", "failure", told, mend)
    expect(found, "newest orders", "warning", "no order to look at", "place a test order")


def test_a_wrong_key_of_glopal(stage):
    found = findings(stage, "--go-live", SANDBOX_GLOPAL_KEY="GL.hunter2")
    expect(found, "Glopal", "failure", "turns the key away: 401 unauthorized", "env SANDBOX_GLOPAL_KEY")
    assert "hunter2" not in json.dumps(found)


def test_something_else_answers_for_glopal(stage):
    with serve(lambda _: Response(200, b"<html>", {"content-type": "text/html"})) as other:
        change(stage, r'(glopal\]\nbase_url = )".*"', rf'\1"{other.url}"')
        expect(findings(stage, "--go-live"), "Glopal", "failure", "no page of events", "base_url")


@pytest.mark.parametrize(
    ("store", "level", "told"),
    [
        ({}, "failure", "old orders that are still open would enter the shop"),
        ({"EFFECTS_FROM": "2026-01-01T00:00:00Z"}, "ok", "orders get effects from 2026-01-01 00:00"),
        ({"EFFECTS_FROM": "2126-01-01T00:00:00Z"}, "warning", "no order gets effects before 2126"),
        ({"MODE": "observe"}, "ok", "this store only observes"),
    ],
)
def test_a_feed_that_begins_years_ago(stage, store, level, told):
    event = {
        "event_id": "e1",
        "event_name": "order.received",
        "order_id": "1-1",
        "event_at": "2020-02-03T00:00:00.000Z",
    }
    page = json.dumps({"events": [event]}).encode()
    with serve(lambda request: Response(200 if "events" in request.path else 404, page)) as old:
        change(stage, r'(glopal\]\nbase_url = )".*"', rf'\1"{old.url}"')
        twins = {f"ORDERFLOW_STORES__ACME__{name}": value for name, value in store.items()}
        found = findings(stage, "--go-live", **twins)
    expect(found, "old orders", level, told, "effects_from" if level != "ok" else "")
    expect(found, "newest orders", "failure", "1-1: 404", "routes.order")


def test_routes_that_are_guessed(stage):
    found = findings(stage, "--go-live")
    expect(found, "routes", "warning", "guessed: accept: POST /v2/orders/{store_id}/{order_id}/accept;", "glopal-assum")
    known = "".join(
        f'[stores.acme.glopal.routes.{name}]\npath = "/v2/orders/{{store_id}}/{{order_id}}/{name}"\n'
        for name in ("accept", "cancel", "refund", "quote")
    )
    with (stage.home / "orderflow.toml").open("a") as file:
        file.write(known)
    expect(findings(stage, "--go-live"), "routes", "ok", "none is guessed")


def test_events_that_are_not_asked_for(stage):
    change(stage, r"glopal\]", 'glopal]\nevents = ["order.ready"]')
    expect(
        findings(stage, "--go-live"), "events", "warning", "order.received, order.cancelled are not", "glopal.events"
    )


def test_orders_of_another_environment(stage):
    stage.place(environment="test")
    stage.place()
    found = findings(stage, "--go-live")
    expect(found, "environment", "failure", "of 1 of the 2 newest it is test, of this store live", "environment")


def test_orders_that_the_mapping_does_not_reach(stage):
    stage.place()
    (stage.home / "acme.toml").write_text('total = "grand.total"\nnote = "nowhere"\n')
    change(stage, r"glopal\]", 'glopal]\nmapping = "acme.toml"')
    found = findings(stage, "--go-live")
    expect(
        found,
        "mapping",
        "failure",
        "made of the newest order; not found: total",
        "stores.acme.glopal.mapping",
    )


def test_a_base_currency_that_has_no_rate(stage):
    stage.place()
    base = {"ORDERFLOW_STORES__ACME__IMPORT_CURRENCY": "base", "ORDERFLOW_STORES__ACME__BASE_CURRENCY": "GBP"}
    found = findings(stage, "--go-live", **base)
    expect(found, "mapping", "failure", "not found: exchange_rates.GBP.rate", "stores.acme.glopal.mapping")


def test_what_no_order_has(stage):
    stage.place()
    (stage.home / "acme.toml").write_text('fees = "totals.charges"\n')
    change(stage, r"glopal\]", 'glopal]\nmapping = "acme.toml"')
    expect(
        findings(stage, "--go-live"),
        "mapping",
        "warning",
        "in none is found: fees, shipping_address_romanised",
        "orderflow map acme/",
    )


def test_sums_that_do_not_hold(stage):
    stage.place()
    (stage.home / "acme.toml").write_text('shipping_price = ""\n')
    change(stage, r"glopal\]", 'glopal]\nmapping = "acme.toml"')
    expect(
        findings(stage, "--go-live"),
        "money",
        "failure",
        "the sums of the newest order do not hold",
        "stores.acme.glopal.mapping",
    )


def test_the_newest_orders_are_those_of_the_log(stage):
    first = stage.place()
    pulled(stage)
    stage.place(environment="test")
    found = findings(stage, "--go-live")
    expect(found, "newest orders", "ok", "the details of the newest order can be read")
    expect(found, "environment", "ok", "live")
    assert first


@pytest.mark.parametrize(
    ("pattern", "text", "told", "mend"),
    [
        (r'(shop\]\nbase_url = )".*"', r'\1"http://127.0.0.1:1"', "cannot be reached: no connection", "start the shop"),
        (r'(shop\]\nbase_url = )"(.*)"', r'\1"\2/elsewhere"', "answers a search with 404", "read-the-shop-contract"),
        (r'(shop\]\nbase_url = ".*"\nkey = ).*', r'\1{ env = "SHOP_KEY" }', "turns the key away: 401", "env SHOP_KEY"),
    ],
)
def test_the_shop_is_not_as_the_settings_say(stage, pattern, text, told, mend):
    change(stage, pattern, text)
    expect(findings(stage, "--go-live", SHOP_KEY="hunter2"), "shop", "failure", told, mend)


def test_a_shop_that_ignores_its_filter(stage):
    with serve(lambda _: Response(200, b'{"orders": [{"id": "1"}]}')) as shop:
        change(stage, r'(shop\]\nbase_url = )".*"', rf'\1"{shop.url}"')
        expect(
            findings(stage, "--go-live"), "shop", "failure", "finds orders for a reference that nobody has", "filter"
        )


def test_a_shop_of_another_kind_is_asked_as_a_look_up_asks(stage):
    """Through its own connector: a Shopify store, with the key that it knows, with another, and without a scope."""
    clock = lambda: datetime.now(UTC)  # noqa: E731
    shopify = Shopify(clock=clock, rng=Random(1), key="shop-sandbox")
    asked = []

    def listening(request):
        asked.append(request)
        return shopify.handle(request)

    with serve(listening) as shop:
        change(stage, r'(shop\]\nbase_url = )".*"', rf'\1"{shop.url}"\nkind = "shopify"')
        expect(findings(stage, "--go-live"), "shop", "ok", "answers, takes the key, and searches by reference")
        assert all(b'"query":"query' in request.body for request in asked)
        shopify.key = "another"
        expect(findings(stage, "--go-live"), "shop", "failure", "does not answer a look-up: 401", "connect-shopify.md")
    without = Shopify(clock=clock, rng=Random(1), key="shop-sandbox", options=ShopifyOptions(scopes=frozenset()))
    with serve(without.handle) as shop:
        change(stage, r'(shop\]\nbase_url = )".*"', rf'\1"{shop.url}"')
        expect(findings(stage, "--go-live"), "shop", "failure", "look-up: 200 ACCESS_DENIED", "stores.acme.shop.key")


def test_settings_for_trying_things_out(stage):
    found = findings(stage, "--go-live", ORDERFLOW_STORES__ACME__SHADOW="true")
    expect(found, "shadow", "failure", "nothing is sent", "stores.acme.shadow = false")
    expect(found, "windows", "warning", "windows.get_settle = 1,", "the defaults fit")
    expect(found, "Glopal's address", "warning", "is not encrypted", "https://")
