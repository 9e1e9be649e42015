"""`orderflow map` and `orderflow routes`, and a Glopal that speaks other words: with its API description and a mapping
file, orders flow as ever.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.connectors.test_conformance import details

from orderflow.sandbox import serve

from .other_words import in_other_words
from .stage import STORE, Stage, wait

DESCRIPTIONS = Path(__file__).parents[1] / "glopal" / "descriptions"
MAPPING = """
items = "cart.lines"
total = ["grand_total", "sums.payable"]
shipping_price = "carrier.fee"
shipping_method = { value = "courier" }
tax = "sums.kind=tax.amount"
duty = "sums.kind=duty.amount"

[line]
sku = "article.code"
name = "article.title"
quantity = "count"
unit_price = ["price.net", "price.gross"]

[customer]
email = "buyer.mail"
first_name = "buyer.names.0"

[shipping_address]
line1 = "ship_to.street"
city = "ship_to.town"
country = "ship_to.land"
"""


@pytest.fixture
def elsewhere(stage: Stage) -> Iterator[Stage]:
    """The stage, whose Glopal speaks the other words; settings say so by description and mapping."""
    with serve(in_other_words(stage.glopal.handle), stage.faults) as server:
        (stage.home / "mapping.toml").write_text(MAPPING)
        settings = stage.home / "orderflow.toml"
        lines = [
            f'base_url = "{server.url}"',
            f'openapi = "{DESCRIPTIONS / "other-words.json"}"',
            f'mapping = "{stage.home / "mapping.toml"}"',
            'routes.cancel.otherwise = "OTHER"',
        ]
        base, rest = settings.read_text().split("[stores.acme.glopal]\n")
        settings.write_text(f"{base}[stores.acme.glopal]\n" + "\n".join(lines) + "\n" + rest.partition("\n")[2])
        yield stage


@pytest.mark.timeout(180)
def test_orders_flow_in_other_words(elsewhere: Stage) -> None:
    stage = elsewhere
    with stage.working():
        done, gone = stage.place(ready=True), stage.place(ready=True)
        wait(lambda: {stage.glopal.status(STORE, one) for one in (done, gone)} == {"ACCEPTED"}, 60)
        stage.glopal.complete(STORE, done)
        stage.run("cancel", gone, "--reason", "buyer changed their mind")
        wait(lambda: stage.glopal.status(STORE, gone) == "CANCELLED", 60)
        stage.rest(60)
    shown = {one: stage.show(one) for one in (done, gone)}
    assert [shown[one]["status"] for one in (done, gone)] == ["COMPLETED", "CANCELLED"]
    ledger = {entry.order_id: entry for entry in stage.glopal.ledger(STORE)}
    assert [len(ledger[one].accepts) for one in (done, gone)] == [1, 1]
    assert [call.reason for call in ledger[gone].cancels] == ["OTHER"]

    told = stage.run("map", done, "--json").data
    assert told["fit"]
    assert told["money"] is None
    found = {one["name"]: one for one in told["fields"]}
    assert found["total"]["place"] == "grand_total or sums.payable"
    assert found["shipping_method"]["value"] == "courier"
    assert found["duty"]["value"] is not None
    assert found["internal_note"]["state"] == "not mapped"
    assert {"loyalty", "buyer.names[]"} & set(told["left_over"]) == {"loyalty", "buyer.names[]"}
    assert told["request"]["body"]["customer"].keys() == {"email", "first_name"}
    assert told["request"]["body"]["reference"] == f"glopal:{STORE}:{done}"


def test_map_shows_no_person(stage: Stage) -> None:
    order_id = stage.place()
    with stage.working():
        wait(stage.shop.ledger)
    (entry,) = stage.shop.ledger()
    plain = stage.run("map", order_id, "--personal", "--json").data["request"]["body"]
    person = {*plain["customer"].values(), *plain["shipping_address"].values()}
    for said in (stage.run("map", order_id).out, stage.run("map", order_id, "--json").out):
        assert [word for word in person if len(word) > 2 and word in said] == []
    assert f"glopal:{STORE}:{order_id}" == entry.reference
    assert plain["total"] in stage.run("map", order_id).out


def test_map_tries_another_mapping_and_says_what_is_missing(stage: Stage) -> None:
    order_id = stage.place()
    with stage.working():
        wait(lambda: stage.order(order_id).details is not None)
    (stage.home / "other.toml").write_text('total = "sum"\ntax = "items"\nduty = ""\n')
    said = stage.run("map", order_id, "--mapping", "other.toml", code=1)
    assert "not mapped: nothing is there" in said.out
    assert "is no amount" in said.out
    assert said.out.splitlines()[-1] == "✗ no shop order can be made; not mapped: sum, items"
    stage.run("map", order_id)


def test_map_reads_a_file_without_a_database(stage: Stage) -> None:
    details = {
        "id": "1-1",
        "status": "READY",
        "currency": "EUR",
        "customer_note": "ring twice at Ada's",
        "items": [{"sku": "A", "quantity": 2, "unit_price": "5.00", "weight": 3}],
        "totals": {"total": "11.00"},
    }
    (stage.home / "body.json").write_text(json.dumps(details))
    settings = stage.home / "orderflow.toml"
    settings.write_text(
        settings.read_text().replace("database_url = ", "database_url = 'postgresql://nobody@127.0.0.1:1/x' #")
    )
    said = stage.run("map", "--file", "body.json", code=1)
    assert "lines 10.00 make 10.00 EUR, but the total is 11.00" in said.out
    assert "text, 19 characters" in said.out
    assert "items[].weight" in said.out
    assert "Ada" not in said.out
    (stage.home / "body.json").write_text("{}")
    assert "id is missing" in stage.run("map", "--file", "body.json", code=1).out


def test_map_shows_the_request_of_the_shop_that_there_is(stage: Stage) -> None:
    """Shopify's own, with what it could not take; its shape only, since nobody has said which members are personal."""
    (stage.home / "body.json").write_bytes(details())
    settings = stage.home / "orderflow.toml"
    settings.write_text(settings.read_text().replace(".shop]\n", '.shop]\nkind = "shopify"\n'))
    said = stage.run("map", "--file", "body.json", "--personal", "--json").data["request"]
    assert said["target"].startswith("/admin/api/")
    assert said["body"]["variables"]["input"]["taxExempt"] is True
    masked = stage.run("map", "--file", "body.json", "--json").data["request"]
    assert masked["body"]["variables"]["input"]["shippingAddress"]["countryCode"] == "text, 2 characters"
    (stage.home / "body.json").write_bytes(details().replace(b'"country":"', b'"country":"x'))
    assert "billing_address.country is no code" in stage.run("map", "--file", "body.json", code=1).out


def test_map_asks_glopal_without_recording(stage: Stage) -> None:
    order_id = stage.place()
    with stage.working():
        wait(lambda: stage.order(order_id).details is not None)
        stage.rest()
    before = stage.order(order_id).version
    assert "asked Glopal now" in stage.run("map", order_id, "--fetch").out
    assert stage.order(order_id).version == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "ORDER: name an order"),
        (("1-1", "--file", "x", "--fetch"), "--file and --fetch"),
        (("--file", "nowhere.json"), "nowhere.json cannot be read"),
        (("--file", "orderflow.toml", "--store", "acne"), "did you mean acme?"),
        (("--file", "orderflow.toml", "--mapping", "orderflow.toml"), "there is no such field"),
    ],
    ids=range(5),
)
def test_map_names_bad_input(stage: Stage, arguments: tuple[str, ...], says: str) -> None:
    assert says in stage.run("map", *arguments, code=2).err


def test_routes_are_told_with_their_source(stage: Stage, elsewhere: Stage) -> None:
    told = stage.run("routes", "--json").data[STORE]
    assert {row["operation"]: row["source"] for row in told} == dict.fromkeys(
        ("events", "order", "accept", "cancel", "refund", "quote"), "description"
    )
    said = elsewhere.run("routes").out
    assert "PUT /glopal/v3/merchants/{store_id}/orders/{order_id}/acceptance   (description)" in said
    assert "reasons  OUT_OF_STOCK, OTHER; another is sent as OTHER" in said


def test_routes_that_are_guessed_are_called_so(stage: Stage) -> None:
    said = stage.run("routes").out
    assert "! a guess until compared with Glopal's API description: accept, cancel, refund, quote" in said


def test_a_description_that_cannot_be_used_is_named(elsewhere: Stage) -> None:
    settings = elsewhere.home / "orderflow.toml"
    settings.write_text(settings.read_text().replace("other-words.json", "nowhere.json"))
    said = elsewhere.run("routes", code=2).err
    assert "stores.acme.glopal.openapi" in said
    assert "nowhere.json cannot be read" in said


def test_an_operation_is_looked_up_in_a_description_only(stage: Stage) -> None:
    settings = stage.home / "orderflow.toml"
    settings.write_text(settings.read_text() + '[stores.acme.glopal.routes.accept]\noperation = "confirmOrder"\n')
    assert "routes.accept.operation: there is no description to look it up in" in stage.run("routes", code=2).err
