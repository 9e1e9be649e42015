"""Every race of docs/reference/races.md on the real relay: it ends as the pure core says."""

from datetime import timedelta

import pytest
from tests.domain.races import AFTERWARDS, CELLS, FOREIGN, STARTS, Cell, End, News, cannot_be, run
from tests.domain.races import Stage as Moment
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow import relay
from orderflow.domain.decisions import Cancel, IllegalTransition, Retry
from orderflow.domain.events import Effect, EffectIntended
from orderflow.domain.machine import Status
from orderflow.relay import Call
from orderflow.sandbox import Fault, GlopalOptions
from orderflow.store.tables import outbox

POSSIBLE = [cell for cell in CELLS if cannot_be(cell) is None]
IMPOSSIBLE = [cell for cell in CELLS if cannot_be(cell) is not None]
WRITE = {
    Effect.DRAFT: ("POST", "/orders$"),
    Effect.PROMOTE: ("POST", "/promote$"),
    Effect.ACCEPT: ("POST", "/accept$"),
    Effect.WITHDRAW: ("DELETE", ""),
}


@pytest.mark.parametrize("cell", POSSIBLE, ids=str)
def test_it_ends_as_the_table_says(stage: NewStage, cell: Cell) -> None:
    it = stage(glopal_options=GlopalOptions(emit_accepted_completed=True))
    order_id = begun(it, cell)
    if cell.stage is Moment.PLANNED:
        until_planned(it, order_id, cell.effect)
        arrive(it, order_id, cell)
    else:
        call = it.call(cell.effect)
        race(it, order_id, cell, call)
    it.live(AFTERWARDS.total_seconds())
    assert ended(it, order_id) == run(cell).end
    assert [row for row in it.rows(order_id) if row.state != "planned"] == []


@pytest.mark.parametrize("cell", IMPOSSIBLE, ids=str)
def test_what_cannot_be_cannot_be_there_either(stage: NewStage, cell: Cell) -> None:
    it = stage(glopal_options=GlopalOptions(emit_accepted_completed=True))
    order_id = begun(it, cell)
    if cell.news is News.STALE:
        assert [status for _, status in it.at_glopal(order_id).statuses] == ["RECEIVED"]
        return
    if cell.effect is Effect.ACCEPT:
        it.finish(it.call(Effect.ACCEPT))
    with pytest.raises(ValueError, match="cannot be accepted"):
        it.glopal.accept_elsewhere(it.store, order_id, FOREIGN.order_id, FOREIGN.number)


def begun(it: Stage, cell: Cell) -> str:
    """An order for which the effect is the next thing to do."""
    if cell.effect is Effect.DRAFT:
        return it.place()
    order_id = it.drafted()
    it.clock.wait(60)
    if STARTS[cell.effect] is Status.READY:
        it.ready(order_id)
    else:
        it.cancel(order_id)
    return order_id


def until_planned(it: Stage, order_id: str, effect: Effect) -> None:
    it.news()
    for _ in range(20):
        if it.rows(order_id, effect):
            return
        relay.step(it.relay)
        it.news()
    raise AssertionError(f"{effect} was never planned")


def race(it: Stage, order_id: str, cell: Cell, call: Call) -> None:
    """The news come while the call is at the moment of the cell."""
    if cell.stage is Moment.UNKNOWN:
        method, path = WRITE[cell.effect]
        where = it.to_glopal if cell.effect is Effect.ACCEPT else it.to_shop
        where.faults.script("cut_after", method=method, path=path)
    if cell.stage is Moment.INTENDED:
        arrive(it, order_id, cell)
        it.finish(call)
        return
    reply = relay.perform(it.relay, call)
    if cell.stage is Moment.IN_FLIGHT:
        arrive(it, order_id, cell)
    relay.settle(it.relay, [(call, reply)])
    if cell.stage is not Moment.IN_FLIGHT:
        arrive(it, order_id, cell)


def arrive(it: Stage, order_id: str, cell: Cell) -> None:
    """The news: they happen, and are recorded."""
    true = it.glopal.status(it.store, order_id)
    it.clock.wait(1)
    match cell.news:
        case News.RECEIVED:
            it.glopal.report(it.store, order_id, "order.received")
        case News.READY if true == "RECEIVED":
            it.glopal.ready(it.store, order_id)
        case News.READY:
            it.glopal.report(it.store, order_id, "order.ready")
        case News.CANCELLED if true != "CANCELLED":
            it.glopal.cancel(it.store, order_id)
        case News.CANCELLED:
            it.glopal.report(it.store, order_id, "order.cancelled")
        case News.ELSEWHERE:
            it.glopal.accept_elsewhere(it.store, order_id, FOREIGN.order_id, FOREIGN.number)
            if true == "RECEIVED":
                asked(it, order_id)
        case News.OPERATOR:
            try:
                it.command(order_id, Cancel("out of stock", "ann"))
            except IllegalTransition:
                assert true == "CANCELLED"
        case News.STALE:
            since = it.at_glopal(order_id).statuses[-1][0]
            asked(it, order_id, stale=(it.clock.now - since).total_seconds() + 0.5)
    it.news()


def asked(it: Stage, order_id: str, stale: float = 0.0) -> None:
    """Somebody asks for the details just now; another worker fetches them, while the write at Glopal is left alone."""
    it.command(order_id, Retry(Effect.FETCH, "ann", "to be sure"))
    if stale:
        it.to_glopal.faults.script(Fault("stale", timedelta(seconds=stale)), method="GET", path=f"/{order_id}$")
    taken = it.rows(order_id, Effect.ACCEPT)
    with it.engine.begin() as conn:
        soon = outbox.update().where(outbox.c.store == it.store, outbox.c.effect == "accept")
        conn.execute(soon.values(lease_until=it.clock.now + timedelta(seconds=2)))
    [fetch] = it.calls("glopal", worker=it.worker("b"))
    assert fetch.effect is Effect.FETCH
    it.finish(fetch)
    if taken:
        with it.engine.begin() as conn:
            conn.execute(soon.values(lease_until=taken[0].lease_until))


def ended(it: Stage, order_id: str) -> End:
    entry, order = it.at_glopal(order_id), it.order(order_id)
    own = order.shop.own
    ours = entry.ids is not None and own is not None and entry.ids[0] == own.shop_id
    return End(
        tuple(event.effect.value for event in it.history(order_id, EffectIntended)),
        tuple(sorted(_STATES.get(one.state, one.state) for one in it.made(order_id))),
        Status(entry.status),
        "" if entry.ids is None else "ours" if ours else "foreign",
        tuple(sorted(it.exceptions(order_id))),
    )


_STATES = {"cancelled": "gone", "deleted": "gone"}
