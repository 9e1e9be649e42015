"""Packed columns arrive as they were given, as the driver's own way would bring them."""

import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow.store.arrays import bigints, ints, octets, texts, times, uuids

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=1500)
_FIRST, _LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001  the zone is added below
TIMES = st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))
KINDS = {
    "text": (texts, st.lists(TEXTS)),
    "bytea": (octets, st.lists(st.none() | st.binary(max_size=1500))),
    "uuid": (uuids, st.lists(st.none() | st.uuids())),
    "int": (ints, st.lists(st.integers(-(2**31), 2**31 - 1))),
    "bigint": (bigints, st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))),
    "timestamptz": (times, st.lists(st.none() | TIMES)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_packed_arrives(app, kind):
    """Whatever the length, value and nulls: unnested in Postgres, and compared there with the driver's array."""
    pack, values = KINDS[kind]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values)
    def arrives(given_: list) -> None:
        query = "SELECT array_agg(a ORDER BY k) FROM unnest(%b) WITH ORDINALITY AS t (a, k)"
        same = f"SELECT %b = %b::{kind}[]"
        with app.begin() as conn:
            assert (conn.exec_driver_sql(query, (pack(given_),)).scalar() or []) == given_
            assert conn.exec_driver_sql(same, (pack(given_), given_)).scalar() or not given_

    arrives()


def test_a_time_of_another_zone_is_the_same_moment(app):
    there = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with app.begin() as conn:
        [[found]] = conn.exec_driver_sql("SELECT %b", (times([there]),)).one()
    assert found == there


def test_what_does_not_fit_is_a_mistake():
    with pytest.raises(struct.error):
        ints([2**31])
    with pytest.raises(OverflowError):
        bigints([2**63])
