"""The comparison by itself: equal worlds show nothing, one change shows one difference, and no cent is forgiven."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.connectors import Missing, View, ViewedLine
from orderflow.desk.reconcile.compare import Seen, compare
from orderflow.desk.reconcile.lines import in_shop_currency, lines_problem
from orderflow.domain.events import DetailsFetched, Ids, Position, ShopState, Sighting
from orderflow.domain.machine import Status
from orderflow.domain.order import Entered, Mark, Order, Total
from orderflow.domain.policy import Mode, StorePolicy
from orderflow.domain.shop import Shop
from orderflow.glopal.details import Details
from orderflow.glopal.money import Base, converted
from orderflow.glopal.shop_order import Line

T0 = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = st.decimals(Decimal("0.01"), Decimal(10**6), places=2)
LINES = st.builds(ViewedLine, st.sampled_from(["A", "B", "C"]), st.integers(1, 5), st.none() | PRICES)
PRICED = st.builds(ViewedLine, st.sampled_from(["A", "B", "C"]), st.integers(1, 5), PRICES)
OWN = Sighting("s1", "0001", ShopState.ORDER, promoted=True)
IDS = Ids("s1", "0001")


# --- lines ------------------------------------------------------------------------------------------------------------


@given(st.lists(PRICED, max_size=6), st.randoms())
def test_order_and_splitting_do_not_matter(lines, rng):
    """Each piece on a line of its own, shuffled, is the same sale."""
    split = [replace(line, quantity=1) for line in lines for _ in range(line.quantity)]
    rng.shuffle(split)
    assert lines_problem(lines, split) is None


@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_it_is_even_handed(ours, theirs):
    """Whoever is on which side: the same difference, told the other way round."""
    one, other = lines_problem(ours, theirs), lines_problem(theirs, ours)
    assert (one is None) == (other is None)
    assert one is None or one == (other[1], other[0])


@given(st.lists(PRICED, min_size=1, max_size=6), st.data())
def test_any_change_shows(lines, data):
    """Another quantity, another price by a cent, another article."""
    at = data.draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    changed = data.draw(
        st.sampled_from(
            [
                replace(line, quantity=line.quantity + 1),
                replace(line, unit_price=line.unit_price + Decimal("0.01")),
                replace(line, sku="Z"),
            ]
        )
    )
    assert lines_problem(lines, [*lines[:at], changed, *lines[at + 1 :]]) is not None


@given(st.lists(PRICED, max_size=6))
def test_what_the_shop_does_not_show_is_not_compared(lines):
    """No prices: articles and quantities. No articles: pieces."""
    assert lines_problem(lines, [replace(line, unit_price=None) for line in lines]) is None
    assert lines_problem(lines, [replace(line, unit_price=None, sku=None) for line in lines]) is None
    more = [*lines, ViewedLine(None, 1)]
    assert lines_problem(lines, more) is not None


# --- the whole --------------------------------------------------------------------------------------------------------


def world(rate: str | None = None, lines: tuple[Line, ...] = ()) -> tuple[Order, Seen]:
    """An accepted order and what Glopal and the shop show, all of one mind."""
    lines = lines or (Line("A", None, 2, Decimal("10.00")), Line("B", None, 1, Decimal("5.55")))
    total = sum((line.quantity * line.unit_price for line in lines), Decimal(0))
    base = None if rate is None else Base("USD", Decimal(rate))
    shown = total if base is None else converted(total, base)
    entered = Entered(shown, "EUR" if base is None else "USD", None if base is None else base.rate)
    details = Details("ACCEPTED", Status.ACCEPTED, IDS, "live", "EUR", total, T0, (), None, b"", b"", lines=lines)
    told = DetailsFetched(Position(9), T0, T0, Status.ACCEPTED, "ACCEPTED", IDS, "live", "EUR", total)
    order = Order(
        status=Status.ACCEPTED,
        moved=Mark(Position(8), T0),
        confirmed=True,
        details=told,
        external=IDS,
        shop=Shop("s1", (OWN,)),
        drafted=Total(total, "EUR"),
        entered=entered,
        accept_ids=IDS,
    )
    seen = Seen(
        T0 + timedelta(minutes=5),
        "glopal:acme:1-1",
        details,
        View(OWN, "glopal:acme:1-1", entered.currency, shown, in_shop_currency(details, entered)),
        (OWN,),
        timedelta(minutes=1),
    )
    return order, seen


def kinds(order: Order, seen: Seen, policy: StorePolicy = StorePolicy()) -> list[str]:  # noqa: B008  frozen
    return [one.kind.value for one in compare(order, policy, seen)]


@given(
    st.none() | st.decimals(Decimal("0.0001"), Decimal(1000), places=4).map(str),
    st.lists(st.builds(Line, st.sampled_from("ABC"), st.none(), st.integers(1, 9), PRICES), min_size=1, max_size=5),
)
def test_of_one_mind_nothing_differs_at_whatever_rate(rate, lines):
    """Converted by the frozen rate, rounded once: the same figures on both sides, to the last digit."""
    order, seen = world(rate, tuple(lines))
    assert kinds(order, seen) == []


@given(st.none() | st.just("0.9102"), st.sampled_from(["0.01", "-0.01", "0.0001"]))
def test_no_cent_is_forgiven(rate, by):
    order, seen = world(rate)
    assert kinds(order, replace(seen, shop=replace(seen.shop, total=seen.shop.total + Decimal(by)))) == [
        "total_differs"
    ]


VIEWED = {
    "number_differs": {"sighting": Sighting("s1", "9", ShopState.ORDER)},
    "reference_differs": {"reference": "glopal:acme:1-2"},
    "currency_differs": {"currency": "XTS"},
    "lines_differ": {"lines": (ViewedLine("A", 2, Decimal("10.00")),)},
    "cancelled_in_shop": {"sighting": Sighting("s1", "0001", ShopState.GONE)},
    "state_differs": {"sighting": Sighting("s1", "0001", ShopState.DRAFT)},
}


@pytest.mark.parametrize("kind", VIEWED)
def test_one_change_in_the_shop_is_one_difference(kind):
    order, seen = world()
    assert kinds(order, replace(seen, shop=replace(seen.shop, **VIEWED[kind]))) == [kind]


def test_missing_and_unknown():
    order, seen = world()
    assert kinds(order, replace(seen, shop=Missing("404"))) == ["missing_in_shop"]
    stray = Sighting("s9", "9", ShopState.DRAFT)
    assert kinds(order, replace(seen, beside=(OWN, stray))) == ["unknown_in_fold"]
    assert kinds(order, replace(seen, beside=(OWN, replace(stray, state=ShopState.GONE)))) == []


def test_what_is_on_its_way_out_may_be_gone():
    """A withdrawal, or somebody before it, has taken it away: that is what was wanted."""
    order, seen = world()
    away = replace(order, cancel_reason="out of stock")
    assert kinds(away, replace(seen, shop=Missing("404"))) == []
    gone = replace(seen.shop, sighting=Sighting("s1", "0001", ShopState.GONE))
    assert kinds(away, replace(seen, shop=gone)) == []


def test_what_glopal_says():
    order, seen = world()
    behind = replace(seen.details, status=Status.READY, said="READY")
    assert kinds(order, replace(seen, details=behind)) == ["status_differs"]
    assert kinds(order, replace(seen, details=behind, sent_at=T0)) == [], "its GET may lag so long"
    assert kinds(order, replace(seen, details=replace(behind, status=None, said="PAINTED"))) == [], "an anomaly"
    elsewhere = replace(seen.details, external=Ids("x", "9"))
    assert kinds(order, replace(seen, details=elsewhere)) == ["ids_differ"]
    assert kinds(order, replace(seen, details=elsewhere), StorePolicy(mode=Mode.OBSERVE)) == []
    assert kinds(order, replace(seen, details=replace(seen.details, external=None))) == ["ids_differ"]


def test_what_somebody_else_put_into_the_shop_is_not_priced():
    """Nothing is known of what it should come to."""
    order, seen = world()
    odd = replace(seen.shop, total=Decimal(1), lines=(), currency="XTS")
    assert kinds(replace(order, entered=None), replace(seen, shop=odd)) == []


def test_every_difference_says_both_sides():
    order, seen = world()
    odd = replace(seen.shop, total=Decimal(1), lines=(), reference="x", sighting=Sighting("s1", "9", ShopState.DRAFT))
    found = compare(order, StorePolicy(), replace(seen, shop=odd))
    assert Counter(one.kind.value for one in found) == Counter(
        ["state_differs", "number_differs", "reference_differs", "total_differs", "lines_differ"]
    )
    assert all(one.ours and one.theirs and one.ours != one.theirs for one in found)
