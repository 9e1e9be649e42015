"""`append_events` against a model of a few lines, and against the function that it replaced, over calls of any kind."""

from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from orderflow.store import log
from orderflow.store.log import Appended, Conflict, Duplicate, Result, Unit

from .writing import entry, rows, verified

_numbers = count(1)


class RefusedError(Exception):
    """The whole call fails, and nothing of it is written."""


@dataclass
class Model:
    """What a log is: a list of (order, source id, clear), and units judged one behind the other."""

    kept: list[tuple[str, str, str]] = field(default_factory=list)

    def append(self, units: list[Unit]) -> list[Result]:
        before = list(self.kept)
        try:
            return [self._one(one) for one in units]
        except RefusedError:
            self.kept = before
            raise

    def version(self, order_id: str, upto: int | None = None) -> int:
        return sum(order == order_id for order, _, _ in self.kept[:upto])

    def _one(self, unit: Unit) -> Result:
        places = {source_id: place for place, (_, source_id, _) in enumerate(self.kept, start=1)}
        for given_ in unit.entries:
            if given_.source_id in places:
                place = places[given_.source_id]
                order_id, _, clear = self.kept[place - 1]
                return Duplicate(place, self.version(order_id, place), order_id, clear)
        order_id = unit.entries[0].order_id
        version = self.version(order_id)
        if unit.expected is not None and unit.expected != version:
            return Conflict(version)
        if len({e.order_id for e in unit.entries}) > 1 or len({e.source_id for e in unit.entries}) < len(unit.entries):
            raise RefusedError
        self.kept += [(e.order_id, e.source_id, e.clear) for e in unit.entries]
        return Appended(len(self.kept) - len(unit.entries) + 1, version + len(unit.entries))


ORDERS = st.sampled_from("abc")
IDS = st.integers(0, 12).map(lambda n: f"s{n}")
ENTRIES = st.builds(entry, ORDERS, IDS, st.integers(0, 99).map(str))


@st.composite
def units(draw) -> Unit:
    """Mostly of one order and of new ids; now and then a mistake."""
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=3))
    if draw(st.integers(0, 9)):
        first = entries[0].order_id
        entries = [entry(first, e.source_id, e.clear) for e in {e.source_id: e for e in entries}.values()]
    return Unit(tuple(entries), draw(st.none() | st.integers(0, 4)))


CALLS = st.lists(st.lists(units(), min_size=1, max_size=8), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def before(owner) -> None:
    """The function of the first day beside the present one, under another name."""
    text = files("orderflow.store").joinpath("sql/append_events.sql").read_text()
    with owner.begin() as conn:
        conn.execute(sa.text(text.replace("orderflow.append_events", "orderflow.append_events_before")))
        conn.execute(sa.text("GRANT EXECUTE ON FUNCTION orderflow.append_events_before TO orderflow_app"))


def told(app, store: str, call: list[Unit], function: str = "append_events") -> list[Result] | None:
    """What the function answers; None if it refuses the whole call."""
    statement = log._APPEND.replace("append_events", function)
    try:
        with app.begin() as conn:
            return [log._result(*row) for row in conn.exec_driver_sql(statement, log.prepared(store, call))]
    except DBAPIError as error:
        if error.orig.sqlstate in {"OF003", "23505"}:
            return None
        raise


def standing(app, store: str) -> list[tuple]:
    """Everything of the log but what is drawn by chance or told by the clock."""
    query = "SELECT position, order_id, version, source_id, clear FROM orderflow.events WHERE store = :s ORDER BY 1"
    streams = "SELECT order_id, version FROM orderflow.streams WHERE store = :s ORDER BY 1"
    return [tuple(row) for row in [*rows(app, query, s=store), *rows(app, streams, s=store)]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
@example([[Unit((entry("a", "s1"),), 9), Unit((entry("a", "s1"),), 0)]])  # refused, so not known: the second goes in
@example([[Unit((entry("a", "s1"),)), Unit((entry("a", "s1"), entry("a", "s2"))), *[Unit((entry("a", "s2"),))] * 2]])
@example([[Unit((entry("a", "s1"),)), Unit((entry("b", "s2"), entry("b", "s1")))]])  # half of it written by this call
@example([[Unit((entry("a", "s1"),), 0), Unit((entry("a", "s2"),), 1), Unit((entry("a", "s3"),), 1)]])
def test_every_call_is_answered_as_the_model_says(app, before, calls):
    """Units, repeated orders and ids, versions right and wrong, mistakes: same answers, same rows, same chain."""
    model, number = Model(), next(_numbers)
    new, old = f"new-{number}", f"old-{number}"
    for call in calls:
        try:
            expected = model.append(call)
        except RefusedError:
            expected = None
        assert told(app, new, call) == expected
        assert told(app, old, call, "append_events_before") == expected
    assert standing(app, new) == standing(app, old)
    assert [row[1:] for row in standing(app, new)[: len(model.kept)]] == [
        (order_id, model.version(order_id, place), source_id, clear)
        for place, (order_id, source_id, clear) in enumerate(model.kept, start=1)
    ]
    assert verified(app, new) == verified(app, old) == len(model.kept)


def test_a_long_call(app, before, store):
    """A thousand units over forty orders, a third of them seen before, some with the version that they have to have."""
    model = Model()
    for start in (0, 700):
        call = [
            Unit((entry(f"o{n % 40}", f"s{n * 7 % 1300}"), entry(f"o{n % 40}", f"t{n}")), None if n % 3 else n // 40)
            for n in range(start, start + 1000)
        ]
        assert told(app, store, call) == model.append(call)
    assert len({type(result) for result in model.append(call)}) == 2
    assert verified(app, store) == len(model.kept)
