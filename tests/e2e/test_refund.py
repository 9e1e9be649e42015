"""Money back by command, on a real database, over real HTTP, with a worker."""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import Any

from .stage import STORE, Stage, wait

EUR: dict[str, Any] = {
    "currency": "EUR",
    "items": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": Decimal("20.00")}],
    "shipping": {"method": "standard", "price": Decimal("5.00")},
    "totals": {"total": Decimal("25.00")},
}


def sold(stage: Stage) -> str:
    order_id = stage.place(ready=True, **EUR)
    wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED")
    stage.glopal.ship(STORE, order_id)
    wait(lambda: stage.order(order_id).status == "ACCEPTED")
    return order_id


def ledger(stage: Stage, order_id: str) -> Any:
    return stage.run("refund", "list", order_id, "--json").data


def given_back(stage: Stage, order_id: str) -> list[Decimal]:
    [entry] = [one for one in stage.glopal.ledger(STORE) if one.order_id == order_id]
    return [one.amount for one in entry.refunds]


def make(stage: Stage, order_id: str, amount: str, *more: str, code: int = 0) -> Any:
    return stage.run("refund", "make", order_id, "--amount", amount, "--reason", "damaged", *more, code=code)


def test_quote_a_part_and_the_rest(stage: Stage) -> None:
    with stage.working():
        order_id = sold(stage)
        said = stage.run("refund", "quote", order_id, "--amount", "12.34", "--glopal-amount", "2.34")
        assert "QuoteRefund of order" in said.out
        wait(lambda: ledger(stage, order_id)["quotes"][0]["outcome"] == "quoted")
        shown = stage.run("refund", "list", order_id).out
        assert "quote-1: 12.34 EUR: the merchant would bear 10.00, Glopal 2.34" in shown
        assert given_back(stage, order_id) == []

        assert "Refund of order" in make(stage, order_id, "12.34", "--glopal-amount", "2.34", "--claim", "damaged").out
        wait(lambda: ledger(stage, order_id)["refunds"][0]["outcome"] == "delivered")
        again = make(stage, order_id, "12.34", code=1)
        assert (
            "refund refund-1 of 12.34 EUR is delivered already; if this is another one, give it a --name" in again.err
        )
        make(stage, order_id, "rest")
        wait(lambda: [one["outcome"] for one in ledger(stage, order_id)["refunds"]] == ["delivered"] * 2)
        assert given_back(stage, order_id) == [Decimal("12.34"), Decimal("12.66")]
        assert "only 0.00 EUR are left" in make(stage, order_id, "0.01", code=1).err
        assert "nothing is left" in make(stage, order_id, "rest", code=1).err
    told = stage.run("orders", "timeline", order_id).out
    assert "quote quote-1: the merchant would bear 10.00, Glopal 2.34 EUR" in " ".join(told.split())
    shown = stage.run("orders", "show", order_id).out
    assert "refund-1: 12.34 EUR, by" in shown
    assert "0.00 EUR are left" in shown


def test_what_is_typed_is_checked_before_anything_is_written(stage: Stage) -> None:
    with stage.working():
        order_id = sold(stage)
    version = stage.order(order_id).version
    for amount, told in (("12,34", "is no amount"), ("1e3", "is no amount"), ("0.001", "EUR has no smaller unit")):
        assert told in make(stage, order_id, amount, code=2).err
    assert "above zero" in make(stage, order_id, "0", code=1).err
    assert "only 25.00 EUR" in make(stage, order_id, "25.01", code=1).err
    assert "share must be between" in make(stage, order_id, "5", "--glopal-amount", "6", code=1).err
    assert "--name: one short word" in make(stage, order_id, "5", "--name", "for Ada", code=2).err
    assert "say which" in stage.run("refund", "settle", order_id, "r1", "--why", "x", code=2).err
    assert "no refund r1" in stage.run("refund", "settle", order_id, "r1", "--made", "--why", "x", code=1).err
    assert stage.order(order_id).version == version


def test_a_lost_reply_is_settled_as_the_card_says(stage: Stage) -> None:
    """The exact command line that `why` proposes does it."""
    with stage.working():
        order_id = sold(stage)
        stage.faults.script("cut_after", method="POST", path="/refund$")
        make(stage, order_id, "5.00")
        wait(lambda: "unknown_refund" in kinds(stage, order_id))
        wait(lambda: "which was not there before" in stage.run("why", order_id).out.replace("\n", " "))
        card = stage.run("why", order_id, "--json").data
        [one] = [one for one in card["attention"] if one["kind"] == "unknown_refund"]
        made, not_made = one["commands"]
        assert (shlex.split(made)[1:4], shlex.split(not_made)[5]) == (
            ["refund", "settle", f"{STORE}/{order_id}"],
            "--not-made",
        )
        stage.run(*shlex.split(made)[1:])
        stage.rest()
        assert kinds(stage, order_id) == []
        [refund] = ledger(stage, order_id)["refunds"]
        assert (refund["outcome"], refund["settled"], refund["at_glopal"] is not None) == ("delivered", True, True)
        assert given_back(stage, order_id) == [Decimal("5.00")]
        assert "as settled" in stage.run("refund", "list", order_id).out


def kinds(stage: Stage, order_id: str) -> list[str]:
    return [one["kind"] for one in stage.run("orders", "show", order_id, "--json").data["attention"]]


def test_made_elsewhere_cancelled_by_whom_and_returns_are_shown(stage: Stage) -> None:
    with stage.working():
        order_id, other = sold(stage), stage.place()
        theirs = stage.glopal.refund(STORE, order_id, Decimal("7.00"), "chargeback", "lost_dispute")
        stage.glopal.returned(STORE, order_id, "REQUESTED", "4")
        stage.glopal.cancel(STORE, other, "fraud_detected")
        wait(lambda: kinds(stage, order_id) == ["refunded_elsewhere"])
        wait(lambda: stage.order(other).ending is not None)
        shown = stage.run("orders", "show", order_id).out
        assert "7.00 EUR, by lost_dispute (chargeback): made elsewhere" in shown
        assert "18.00 EUR are left" in shown
        assert "4: REQUESTED since" in shown
        assert "Glopal processes returns and takes no call about them" in " ".join(shown.split())
        assert "by glopal: fraud_detected, says Glopal" in stage.run("orders", "show", other).out
        stage.run("refund", "settle", order_id, theirs, "--made", "--why", "booked as a loss")
        assert kinds(stage, order_id) == []
    assert "no call acts on one" in " ".join(stage.run("refund", "--help").out.split())
