"""`orderflow reconcile`, by command and by the worker's own round, over real HTTP."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from .stage import STORE, Stage, staged, wait


def accepted(stage: Stage) -> tuple[str, str]:
    """An accepted order and its shop id, once the worker has stopped and Glopal's GET shows everything."""
    with stage.working():
        order_id = stage.place(ready=True)
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")
        wait(lambda: stage.show(order_id)["status"] == "ACCEPTED")
        stage.rest()
    return order_id, stage.order(order_id).shop.own.shop_id


def test_what_was_changed_by_hand_is_told_and_closes(stage):
    order_id, shop_id = accepted(stage)
    said = stage.run("reconcile", STORE, order_id)
    assert said.out == f"{STORE}: 1 order asked about, 0 differ\n"

    stage.shop.change_by_hand(shop_id, total="0.01")
    said = stage.run("reconcile", STORE, order_id, code=1)
    assert "1 order asked about, 1 differ" in said.out
    assert f"{order_id}: total_differs: here {stage.order(order_id).total}, shop shows 0.01" in said.out
    assert f'orderflow cancel {STORE}/{order_id} --reason "..."' in said.out
    assert f"orderflow reconcile {STORE} {order_id}" in said.out
    stage.run("pull")
    why = stage.run("why", order_id).out
    assert "total differs: we hold" in why
    assert f"orderflow reconcile {STORE} {order_id}" in why
    [row] = stage.run("orders", "list", "--kind", "drift_total_differs", "--json").data
    assert row["order_id"] == order_id

    stage.shop.change_by_hand(shop_id, total=str(stage.order(order_id).entered.total))
    [told] = stage.run("reconcile", STORE, order_id, "--json").data
    assert (told["drifts"], told["problem"], told["commands"]) == ([], "", [])
    stage.run("pull")
    assert stage.run("orders", "list", "--attention", "--json").data == []
    lines = [line["what"] for line in stage.run("orders", "timeline", order_id, "--json").data]
    assert lines[-1] == "reconciled: all agrees again"


def test_all_open_orders(stage):
    one, _ = accepted(stage)
    other, shop_id = accepted(stage)
    stage.shop.cancel_by_hand(shop_id)
    told = stage.run("reconcile", STORE, "--all-open", "--rate", "100/s", "--json", code=1).data
    assert {row["order_id"]: [d["kind"] for d in row["drifts"]] for row in told} == {
        one: [],
        other: ["cancelled_in_shop"],
    }
    stage.glopal.complete(STORE, one)
    assert f"{one}: ACCEPTED -> COMPLETED, told by no event; it is followed" in stage.run("reconcile", STORE, one).out


def test_the_worker_s_own_round(tmp_path: Path, database_url: str) -> None:
    """Every period, without being asked: what differs is an exception by then."""
    with staged(tmp_path, database_url, {STORE: "reconcile_hours = 0.001"}) as stage:
        order_id, shop_id = accepted(stage)
        stage.shop.lose_by_hand(shop_id)
        with stage.working():
            wait(lambda: [d.kind for d in stage.order(order_id).drifts] == ["missing_in_shop"], 60)
        stage.run("pull")
        [row] = stage.run("orders", "list", "--attention", "--json").data
        assert row["attention"] == ["drift_missing_in_shop"]


@pytest.mark.parametrize("hours", ["0", "24"])
def test_a_worker_without_a_round_to_make(tmp_path: Path, database_url: str, hours: str) -> None:
    """Off, nothing is noted; usually the first round begins a period after the first start."""
    with staged(tmp_path, database_url, {STORE: f"reconcile_hours = {hours}"}) as stage:
        accepted(stage)
        with stage.app.engine.connect() as conn:
            found = list(conn.scalars(sa.text("SELECT done FROM orderflow.rounds")))
        assert found == ([] if hours == "0" else [True])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("acne", "--all-open"), "did you mean acme?"),
        ((STORE,), "name orders, or say --all-open"),
        ((STORE, "1-1", "--all-open"), "name orders, or say --all-open"),
        ((STORE, "1-1"), "has no order 1-1"),
        ((STORE, "--all-open", "--rate", "0/s"), "is no rate"),
    ],
)
def test_bad_input(stage, arguments, told):
    assert told in stage.run("reconcile", *arguments, code=2).err
