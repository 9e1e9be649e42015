"""`orderflow orders`: lists by what orders are, one order as it was known at a time."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from .stage import STORE


def ids(stage, *only: str) -> list[str]:
    return [row["order_id"] for row in stage.run("orders", "list", *only, "--json").data]


def test_filters_and_sorting(stage, engine):
    dear, cheap = stage.place(ready=True), stage.place()
    stage.run("pull")
    with engine.begin() as conn:  # the read model is what is listed
        change = sa.text(
            "UPDATE orderflow.orders SET total = :total, currency = :currency, shop_order_id = :shop, held = :held, "
            "attention = :attention, status_since = status_since - CAST(:ago AS interval) WHERE order_id = :order"
        )
        values = {"total": 900, "currency": "EUR", "shop": "S-1", "held": ["money"], "attention": ["held_money"]}
        conn.execute(change, values | {"ago": "3 hours", "order": dear})
        values = {"total": 5, "currency": "JPY", "shop": "S_1", "held": [], "attention": []}
        conn.execute(change, values | {"ago": "1 minute", "order": cheap})
    for only, found in {
        ("--status", "ready"): [dear],
        ("--held",): [dear],
        ("--attention",): [dear],
        ("--kind", "money"): [dear],
        ("--kind", "held_money"): [dear],
        ("--kind", "parked_draft"): [],
        ("--older-than", "2h"): [dear],
        ("--older-than", "30s", "--sort", "oldest"): [dear, cheap],
        ("--older-than", "1d"): [],
        ("--currency", "jpy"): [cheap],
        ("--text", "S_1"): [cheap],
        ("--text", dear[2:9]): [dear],
        ("--text", "%"): [],
        ("--sort", "total"): [dear, cheap],
        ("--sort", "total", "--limit", "1"): [dear],
    }.items():
        assert ids(stage, *only) == found, only
    assert stage.run("orders", "list").out.splitlines()[-1] == "2 orders"
    assert "1 order\n" in stage.run("orders", "list", "--held").out
    assert stage.run("orders", "list", "--text", "%").out == "0 orders\n"


@pytest.mark.parametrize("wrong", ["2", "h", "2w", "-2h", "two hours", "9999999999h", "999999999d", "3651d", "²h", ""])
def test_a_length_of_time_that_is_none(stage, wrong):
    assert "--older-than: " in stage.run("orders", "list", f"--older-than={wrong}", code=2).err


def test_what_lags_or_is_silent_is_said_on_stderr(stage, engine):
    assert "Glopal's feed was never read: does a worker run?" in stage.run("orders", "list").err
    stage.place()
    stage.run("pull")
    assert stage.run("orders", "list").err == ""
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow.cursors SET moved_at = moved_at - interval '2 hours'"))
        conn.execute(sa.text("DELETE FROM orderflow.pulls"))
    assert f"{STORE}: Glopal's feed was last read 2 h ago: does a worker run?" in stage.run("orders", "list").err
    stage.run("pause", STORE, "pull", "--why", "stocktaking")
    assert "the pull is paused (stocktaking)" in stage.run("orders", "list").err


def test_an_order_as_it_was_known(stage):
    order_id = stage.place()
    stage.run("pull")
    stage.glopal.ready(STORE, order_id)
    stage.run("pull")
    first, second = stage.run("orders", "timeline", order_id, "--json").data
    then = stage.run("orders", "as-of", first["recorded_at"], order_id, "--json").data
    assert (then["status"], then["version"], then["events"]) == ("RECEIVED", 1, 2)
    assert [one["effect"] for one in then["due"]] == ["fetch"]
    assert len(then["later"]) == 1
    later = stage.run("orders", "as-of", second["recorded_at"], order_id)
    assert "from 2 of 2 events" in later.out
    assert "READY" in later.out
    before = datetime.fromisoformat(first["recorded_at"]) - timedelta(seconds=1)
    assert "was not known yet" in stage.run("orders", "as-of", before.isoformat(), order_id).out
    naive = before.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert "was not known yet" in stage.run("orders", "as-of", naive, order_id).out
    assert "TIME: 'yesterday' is no time" in stage.run("orders", "as-of", "yesterday", order_id, code=2).err


def test_a_timeline_names_the_source_and_what_came_late(stage, engine):
    order_id = stage.place()
    stage.run("pull")
    [line] = stage.run("orders", "timeline", order_id, "--json").data
    assert line["source"] == "glopal"
    assert line["occurred_at"] <= line["recorded_at"]
    assert "happened" not in stage.run("orders", "timeline", order_id).out
