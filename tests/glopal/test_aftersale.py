"""What details show of the time after the sale is read exactly, or said to be unreadable; free text stays out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund, ShownReturn
from orderflow.domain.returns import ReturnStep
from orderflow.glopal.aftersale import MOST, read_after
from orderflow.glopal.details import Details, read_details
from orderflow.glopal.mapping import Mapping, mapping_from

from .test_details import raw

AT = "2026-01-02T03:04:05.000Z"


def after(mapping: Mapping | None = None, **members: Any) -> AfterSale | None:
    details = read_details(raw(**members), mapping or Mapping())
    assert isinstance(details, Details), details
    return details.after


def test_the_good_case() -> None:
    found = after(
        cancellation={"by": "glopal", "reason": "fraud_detected", "cancelled_at": AT},
        refunds=[
            {"id": "R1", "amount": "12.340", "reason": "damaged", "by": "merchant", "created_at": AT},
            {"id": 7, "amount": 5, "currency": "EUR", "by": "lost_dispute"},
        ],
        returns=[{"id": "4", "status": "AUTHORIZED", "shipment": {"status": "PENDING"}, "tracking_number": "JD01"}],
    )
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found == AfterSale(
        Ending("glopal", "fraud_detected", at),
        (
            ShownRefund("R1", Decimal("12.340"), None, "damaged", "merchant", at),
            ShownRefund("7", Decimal(5), "EUR", "", "lost_dispute"),
        ),
        (ShownReturn("4", "AUTHORIZED/PENDING", (ReturnStep.AUTHORIZED, ReturnStep.PENDING)),),
    )


@pytest.mark.parametrize("nothing", [..., None, [], {}, ""])
def test_nothing_is_nothing(nothing: Any) -> None:
    assert after(refunds=nothing, returns=nothing, cancellation=nothing) is None


@pytest.mark.parametrize("word", ["Ada Lovelace", "+33612345678", "ring twice please", "", 5, None, {"text": "x"}])
def test_what_is_no_code_is_left_out(word: Any) -> None:
    """Free text may be personal."""
    found = after(cancellation={"by": word, "reason": word, "cancelled_at": AT}, refunds=[{"id": "R", "reason": word}])
    assert found is not None
    assert found.ending is not None
    assert (found.ending.by, found.ending.reason, found.refunds[0].reason) == ("", "", "")


@pytest.mark.parametrize(
    "refunds",
    [
        [{"id": "R1"}],
        [{"id": "R1", "amount": "all of it"}],
        [{"id": "R1", "amount": None}],
        ["R1"],
        [None],
        {"total": "5.00"},
        "5.00",
        5,
        [{"id": "R1", "amount": 1}] * 2 + [{"id": "R1", "amount": 2}],
        [{"id": str(n), "amount": 1} for n in range(MOST + 1)],
    ],
)
def test_a_refund_that_cannot_be_read_is_no_zero(refunds: Any) -> None:
    """It stands there without an amount, so that nobody takes it for none."""
    found = after(refunds=refunds)
    assert found is not None
    assert any(one.amount is None for one in found.refunds)


def test_the_same_refund_told_twice_is_one() -> None:
    found = after(refunds=[{"id": "R1", "amount": "1.00"}, {"id": "R1", "amount": "1.00"}])
    assert found is not None
    assert found.refunds == (ShownRefund("R1", Decimal("1.00")),)


def test_refunds_without_ids_are_told_apart_by_their_places() -> None:
    found = after(refunds=[{"amount": 1}, {"amount": 1}])
    assert found is not None
    assert [one.refund_id for one in found.refunds] == ["#1", "#2"]


@pytest.mark.parametrize(
    ("shown", "steps", "said"),
    [
        ({"status": "DELIVERED"}, (ReturnStep.DELIVERED,), "DELIVERED"),
        ({"status": "Authorised"}, (ReturnStep.AUTHORIZED,), "Authorised"),
        ({"status": "canceled", "shipment": None}, (ReturnStep.CANCELLED,), "canceled"),
        ({"status": "RECEIVED"}, (), "RECEIVED"),
        ({"status": "REQUESTED", "shipment": {"status": "LOST"}}, (ReturnStep.REQUESTED,), "REQUESTED/LOST"),
        ({"status": 5}, (), "?"),
        ({}, (), ""),
    ],
)
def test_statuses_of_returns(shown: Any, steps: Any, said: str) -> None:
    """One field or two, in both spellings; a word that is not named here is kept and is no step."""
    found = after(returns=[{"id": "4", **shown}])
    assert found is not None
    assert found.returns == (ShownReturn("4", said, steps),)


def test_places_are_the_mappings() -> None:
    mapping = mapping_from(
        {
            "refunds": "money_back.items",
            "refunded": {"id": "ref", "amount": "sum.value", "currency": "sum.unit", "by": {"value": "merchant"}},
            "returns": "rma",
            "returned": {"id": "number", "status": "state", "shipment": "parcel.state"},
            "cancelled": {"by": "end.actor", "reason": ["end.code", "end.reason"]},
        }
    )
    found = after(
        mapping,
        money_back={"items": [{"ref": "R1", "sum": {"value": "5", "unit": "EUR"}}]},
        rma=[{"number": 4, "state": "authorized", "parcel": {"state": "delivered"}}],
        end={"actor": "merchant", "reason": "out_of_stock"},
    )
    assert found == AfterSale(
        Ending("merchant", "out_of_stock"),
        (ShownRefund("R1", Decimal(5), "EUR", by="merchant"),),
        (ShownReturn("4", "authorized/delivered", (ReturnStep.AUTHORIZED, ReturnStep.DELIVERED)),),
    )
    with pytest.raises(ValueError, match=r"^refunded.sum: there is no such field"):
        mapping_from({"refunded": {"sum": "x"}})
    with pytest.raises(ValueError, match=r"^returned: must be a table of places within one of returns"):
        mapping_from({"returned": "x"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "amount", "status"]), inner),
)


@given(JSON, JSON, JSON)
def test_whatever_is_there_is_read(refunds: Any, returns: Any, cancellation: Any) -> None:
    """Never raises, and what is there of refunds never becomes nothing."""
    details = {"refunds": refunds, "returns": returns, "cancellation": cancellation}
    found = read_after(details, Mapping())
    if refunds:
        assert found is not None
        assert found.refunds
