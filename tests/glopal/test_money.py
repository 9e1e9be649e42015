"""The store's own currency: exact, rounded once, and what the parts miss is stated."""

import json
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.glopal.details import Details, read_details, read_order
from orderflow.glopal.jsontext import amount, money
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.money import Base, converted, in_base, money_problem, parts, read_base, smallest_unit
from orderflow.glopal.shop_order import Line, ShopOrder

from .test_details import ORDER, raw

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "EUR"])
AMOUNTS = st.decimals(0, 10**12, allow_nan=False, allow_infinity=False).map(lambda d: Decimal(money(d)))
LONG = st.integers(0, 10**30 - 1).map(lambda n: Decimal(n).scaleb(-20)) | AMOUNTS
"""Thirty digits, twenty of them behind the point."""
RATES = st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-8))
"""Up to eight decimals (STATED, reference 8.2)."""
BASES = st.builds(Base, CURRENCIES, RATES)
LINES = st.builds(Line, st.just("A"), st.none(), st.integers(1, 50), LONG)


@st.composite
def orders(draw: st.DrawFn) -> ShopOrder:
    """An order in CHF whose parts make its total exactly."""
    some = st.none() | LONG
    order = ShopOrder(
        "CHF",
        tuple(draw(st.lists(LINES, min_size=1, max_size=5))),
        Decimal(0),
        shipping=draw(some),
        discount=draw(some),
        tax=draw(some),
        duty=draw(some),
        fees=draw(some),
    )
    with localcontext(prec=200):
        return replace(order, total=sum(parts(order).values(), Decimal(0)))


def total_of(order: ShopOrder) -> Decimal:
    with localcontext(prec=200):
        return sum(parts(order).values(), order.rounding or Decimal(0))


@given(orders(), BASES)
def test_parts_and_rounding_make_the_total_exactly(order: ShopOrder, base: Base) -> None:
    """To the last digit, however long; and a rounding of zero is left out."""
    made = in_base(order, base)
    assert total_of(made) == made.total
    assert made.rounding is None or made.rounding != 0


@given(orders(), BASES)
def test_the_total_is_the_orders_own_converted_once(order: ShopOrder, base: Base) -> None:
    """Half to even on the exact quotient: not added up, and not rounded twice."""
    exact = Fraction(order.total) / Fraction(base.rate)
    unit = Fraction(smallest_unit(base.currency))
    total = Fraction(in_base(order, base).total)
    assert abs(total - exact) <= unit / 2
    if abs(total - exact) == unit / 2:
        assert total / unit % 2 == 0


@given(orders(), BASES)
def test_rounding_is_bounded(order: ShopOrder, base: Base) -> None:
    """At most half a unit for each piece, each other part, and the total."""
    made = in_base(order, base)
    pieces = sum(line.quantity for line in order.lines) + len(parts(order)) - 1 + 1
    assert abs(made.rounding or Decimal(0)) <= pieces * smallest_unit(base.currency) / 2


@given(orders(), BASES)
def test_every_amount_fits_the_currency(order: ShopOrder, base: Base) -> None:
    """No yen has decimals, every dinar three at most."""
    made = in_base(order, base)
    assert made.currency == base.currency
    amounts = [made.total, made.shipping, made.tax, made.duty, made.fees, made.discount, made.rounding]
    amounts += [line.unit_price for line in made.lines]
    unit = smallest_unit(base.currency)
    for value in amounts:
        if value is not None:
            assert value.as_tuple().exponent == unit.as_tuple().exponent


@given(LONG, RATES)
def test_a_long_decimal_loses_nothing_on_the_way(value: Decimal, rate: Decimal) -> None:
    """The same as with two hundred digits; the default context, of twenty-eight, would get some wrong."""
    with localcontext(prec=300):
        expected = (value / rate).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert converted(value, Base("USD", rate)) == expected


@pytest.mark.parametrize(
    ("value", "currency", "rate", "made"),
    [
        ("91.02", "USD", "0.9102", "100.00"),  # the reference's own example (8.2)
        ("0.125", "USD", "1", "0.12"),
        ("0.135", "USD", "1", "0.14"),
        ("1000", "JPY", "0.0061", "163934"),
        ("10", "KWD", "3.25", "3.077"),
        ("123456789012345678901234567890.005", "USD", "1", "123456789012345678901234567890.00"),
        ("0.0049999999999999999999999999999", "USD", "1", "0.00"),
        ("0", "EUR", "0.5", "0.00"),
        ("-1.005", "EUR", "1", "-1.00"),
    ],
)
def test_converted(value: str, currency: str, rate: str, made: str) -> None:
    """Examples, to the digit."""
    assert money(converted(Decimal(value), Base(currency, Decimal(rate)))) == made


@pytest.mark.parametrize(
    ("decimals", "currencies"),
    [
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (2, "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR MGA MRU MXN NOK NZD PLN SEK SGD TRY TWD USD ZAR"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    ],
)
def test_smallest_units_are_those_of_iso_4217(decimals: int, currencies: str) -> None:
    """Written a second time, from the standard's list of minor units."""
    assert {smallest_unit(currency) for currency in currencies.split()} == {Decimal(1).scaleb(-decimals)}


@given(st.integers(1, 10**20).map(lambda n: Decimal(n).scaleb(-16)), LONG)
def test_a_rate_with_more_decimals_than_glopal_names_is_taken_as_it_came(rate: Decimal, value: Decimal) -> None:
    """Nine and more: nothing of it is cut off."""
    read_rate = read_base({"exchange_rates": {"USD": {"rate": rate}}}, "EUR", "USD")
    assert read_rate == Base("USD", rate)
    exact, unit = Fraction(value) / Fraction(rate), Fraction(1, 100)
    assert abs(Fraction(converted(value, Base("USD", rate))) - exact) <= unit / 2


@given(orders(), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]), st.integers(-5000, 5000))
def test_a_sum_that_does_not_hold_is_named(order: ShopOrder, currency: str, thousandths: int) -> None:
    """More than one smallest unit off is a problem, however small that is; a negative total always. So a hold."""
    unit = smallest_unit(currency)
    with localcontext(prec=200):
        off = unit * thousandths / 1000
        wrong = replace(order, currency=currency, total=order.total + off)
    found = money_problem(wrong)
    assert (found is None) is (abs(off) <= unit and wrong.total >= 0)


@pytest.mark.parametrize(
    ("currency", "price", "total", "holds"),
    [
        ("JPY", "1234.567", "2469.134", True),  # three decimals in a currency without any: as they came
        ("JPY", "1234.567", "2469", True),  # within one yen
        ("JPY", "1234.567", "2471", False),
        ("KWD", "1.995", "3.990", True),  # a charm price
        ("KWD", "1.995", "3.992", False),  # two thousandths are two units of a dinar
        ("EUR", "19.99", "39.98", True),
        ("EUR", "19.99", "40.00", False),
        ("CLF", "0.00015", "0.0003", True),
    ],
)
def test_whether_it_adds_up(currency: str, price: str, total: str, holds: Any) -> None:
    order = ShopOrder(currency, (Line("A", None, 2, Decimal(price)),), Decimal(total))
    assert (money_problem(order) is None) is holds


def test_what_three_thirds_miss_is_stated() -> None:
    """3 x 0.33 is a cent short of 1.00, and the cent is there."""
    order = ShopOrder("CHF", (Line("A", None, 3, Decimal(1)),), Decimal(3))
    made = in_base(order, Base("USD", Decimal(3)))
    assert (made.lines[0].unit_price, made.total, made.rounding) == (Decimal("0.33"), Decimal("1.00"), Decimal("0.01"))


def test_an_order_in_the_base_currency_stays_as_it_came() -> None:
    """All its digits, and no rounding: there is nothing to convert."""
    order = ShopOrder("USD", (Line("A", None, 1, Decimal("1.00499")),), Decimal("1.00499"))
    assert in_base(order, Base("USD", Decimal(1))) is order


# --- the rate -------------------------------------------------------------------------------------------------------


def read(**members: Any) -> Details:
    details = read_details(raw(**members), Mapping(), base_currency="USD")
    assert isinstance(details, Details), details
    return details


@pytest.mark.parametrize(
    "rates", [..., None, {}, [], "USD", {"USD": None}, {"USD": 0.91}, {"EUR": {"rate": 1}}, {"USD": {"rate": None}}]
)
def test_a_rate_that_is_not_there_is_named_and_never_one(rates: Any) -> None:
    """The order is held for it, its own total is known, and no request can be built."""
    details = read(exchange_rates=rates)
    assert (details.unmapped, details.money) == (("exchange_rates.USD.rate",), None)
    assert (details.base, details.basis) == (None, b"")
    assert (details.total, details.currency) == (Decimal("162.48"), "EUR")


@pytest.mark.parametrize("rate", [0, -0.9, "0.00", True, "a", "", 1e40, 1e-40, "Infinity", "NaN", [1], {"rate": 1}])
def test_a_rate_that_cannot_be_is_named_and_never_one(rate: Any) -> None:
    """Zero, below, or no number at all."""
    details = read(exchange_rates={"USD": {"rate": rate}})
    assert (details.unmapped, details.money) == ((), "exchange_rates.USD.rate is no rate above zero")
    assert (details.base, details.basis) == (None, b"")


def test_a_rate_is_read_as_exactly_as_it_came() -> None:
    """As a number (SAMPLE) or as text; with every digit."""
    body = raw().replace(b'"currency"', b'"exchange_rates": {"USD": {"rate": 147.31250000}}, "currency"')
    details = read_details(body, Mapping(), base_currency="USD")
    assert isinstance(details, Details)
    assert details.base is not None
    assert str(details.base.rate) == "147.31250000"
    assert read(exchange_rates={"USD": {"rate": "0.9102"}}).base == Base("USD", Decimal("0.9102"))


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ({}, Base("EUR", Decimal(1))),
        ({"EUR": {"rate": Decimal(1)}}, Base("EUR", Decimal(1))),
        ({"EUR": {"rate": Decimal("1.1")}}, "exchange_rates.EUR.rate is not 1"),
        ({"EUR": {"rate": None}}, Base("EUR", Decimal(1))),
    ],
)
def test_an_order_needs_no_rate_in_its_own_currency(rates: Any, found: Base | str) -> None:
    """One that is given all the same must be 1."""
    assert read_base({"exchange_rates": rates}, "EUR", "EUR") == found


def test_the_basis_is_the_converted_order() -> None:
    """Another rate is another request, so what was parked for the old one is tried again; the same one is not."""
    one, other = (read(exchange_rates={"USD": {"rate": rate}}).basis for rate in (0.91, 0.92))
    assert one != other
    assert one == read(exchange_rates={"USD": {"rate": 0.91}, "GBP": {"rate": 1.1}}).basis
    order = read_order(raw(), Mapping(), base=Base("USD", Decimal("0.91")))
    assert isinstance(order, ShopOrder)
    assert order.basis() == one
    assert json.loads(one)["currency"] == "USD"


def test_without_a_base_currency_rates_are_nobodys_business() -> None:
    """Orders in their own currency come in whatever the rates say."""
    details = read_details(raw(exchange_rates={"USD": {"rate": 0}}), Mapping())
    assert isinstance(details, Details)
    assert (details.unmapped, details.base) == ((), None)
    assert amount(ORDER["totals"]["total"]) == details.total
