"""A command is decided on the whole history, once, whoever else writes at the same moment."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from orderflow import codec, orders
from orderflow.domain.decisions import Accept, Cancel, IllegalTransition, Note, Release
from orderflow.domain.events import EvidenceFound, HoldReason, Ids, Position
from orderflow.domain.machine import Status
from orderflow.orders import RaceError, UnknownOrderError
from orderflow.store.entry import Entry

from .writing import VAULT, append, ids, unit

ACCEPT = Accept(Ids("s1", "1"), "ann")


def received(app, store: str, order_id: str = "a", name: str = "OrderReceived") -> None:
    append(app, store, unit(Entry(order_id, name, "glopal", f"{order_id}-{name}", "{}")))


def evidence(app, store: str, source_id: str) -> int:
    """Hold order `a`; the position of the hold."""
    kind, clear = codec.encode(EvidenceFound(source_id))
    [result] = append(app, store, unit(Entry("a", kind, "glopal", source_id, clear)))
    return result.position


def handle(app, store: str, command, command_id: str, order_id: str = "a", **more) -> orders.Handled:
    return orders.handle(app, VAULT, store, order_id, command, command_id, **more)


def test_an_unknown_order_is_refused(app, store):
    """A command writes no history for an order that nobody has reported."""
    with pytest.raises(UnknownOrderError, match="no order a"):
        handle(app, store, Note("ann"), "n1")
    assert ids(app, store) == []


def test_an_illegal_command_writes_nothing(app, store):
    """The refusal names state, command and what is allowed."""
    received(app, store, name="OrderCancelled")
    with pytest.raises(IllegalTransition, match="CANCELLED") as caught:
        handle(app, store, ACCEPT, "c1")
    assert caught.value.state is Status.CANCELLED
    assert len(ids(app, store)) == 1


def test_the_same_command_again_succeeds_even_where_it_would_be_refused_now(app, store):
    """R14 and R12: the same command id finds its decision, though a newer hold stands that the command may not lift."""
    received(app, store)
    first = evidence(app, store, "v1")
    release = Release(HoldReason.EVIDENCE, Position(first), "ann", "seen")
    assert handle(app, store, release, "r1").written
    second = evidence(app, store, "v2")
    again = handle(app, store, release, "r1")
    assert not again.written
    assert again.order.hold(HoldReason.EVIDENCE).position == second
    with pytest.raises(IllegalTransition, match=f"stands at position {second}"):
        handle(app, store, release, "r2")


def test_command_ids_are_unique_per_store(app, store):
    """The id of another order's command is that command; in another store it is free."""
    received(app, store)
    received(app, store, "b")
    received(app, f"{store}-2")
    assert handle(app, store, Note("ann"), "n1").written
    assert not handle(app, store, Note("ann"), "n1", "b").written
    assert handle(app, f"{store}-2", Note("ann"), "n1").written


def test_a_lost_race_is_decided_anew(app, store):
    """Between decision and append the order was cancelled: the command is judged again, and refused."""
    received(app, store)
    once = iter([True])

    def meanwhile(_conn, _order) -> None:
        if next(once, False):
            received(app, store, name="OrderCancelled")

    with pytest.raises(IllegalTransition):
        handle(app, store, ACCEPT, "c1", before=meanwhile)
    assert ids(app, store) == ["a-OrderReceived", "a-OrderCancelled"]


def test_of_two_accepts_with_other_ids_one_passes(app, store):
    """Sixteen at once with sixteen ids: one set of ids for ever."""
    received(app, store)

    def accept(number: int) -> str:
        try:
            handle(app, store, Accept(Ids(f"s{number}", "1"), "ann"), f"c{number}")
        except IllegalTransition:
            return "refused"
        return "passed"

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(accept, range(16))) == ["passed"] + ["refused"] * 15
    assert len(ids(app, store)) == 2


def test_an_append_onto_an_old_version_is_a_race(app, store):
    """Whoever holds an order that has grown since is told so, and has written nothing."""
    received(app, store)
    with app.begin() as conn:
        old = orders.load(conn, store, "a")
    handle(app, store, Cancel("no", "ann"), "c1")
    with app.begin() as conn, pytest.raises(RaceError):
        orders.commit(conn, VAULT, store, "a", old, [orders.Fact(EvidenceFound("x"), "x")])
    assert len(ids(app, store)) == 2
