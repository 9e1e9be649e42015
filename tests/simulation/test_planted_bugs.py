"""The oracle is tested too: each planted bug must be caught by the simulation, by the promise it breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.simulation.check import Broken
from tests.simulation.simulate import Database, simulate

from orderflow.connectors import Retry, Unknown
from orderflow.domain import conclusions, order, slots
from orderflow.relay import call, intent, outcome
from orderflow.store import outbox
from orderflow.store.leases import Held

SEEDS = range(10_000, 10_300)


@pytest.fixture
def database(database_url):
    made = Database(database_url)
    yield made
    made.dispose()


def caught(database) -> str:
    """What the first broken seed said; fails if no seed was broken."""
    for seed in SEEDS:
        try:
            simulate(database, seed)
        except Broken as broken:
            return str(broken)
    pytest.fail(f"survived {len(SEEDS)} seeds")


def look_up_skipped_after_a_timeout(monkeypatch):
    """A timeout is taken for a failure: sent again without asking."""
    perform = call.perform

    def hasty(relay, call_):
        reply = perform(relay, call_)
        if isinstance(reply.result, Unknown):
            return replace(reply, result=Retry("timeout"))
        return reply

    monkeypatch.setattr("orderflow.relay.perform", hasty)


def fence_unchecked(monkeypatch):
    """A worker whose lease is over writes its row all the same."""
    monkeypatch.setattr(outcome.leases, "hold", held_by_anybody)


def held_by_anybody(conn, store, rows):
    wanted = {row.key for row in rows}
    found = [row for order_id in {key.order_id for key in wanted} for row in outbox.rows_of(conn, store, order_id)]
    now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
    return Held({row.key: row for row in found if row.key in wanted}, now)


def cancel_checked_outside_the_intents_transaction(monkeypatch):
    """Whether it is still due is asked when the row is planned, not again when the intent is recorded."""
    monkeypatch.setattr(intent, "still_due", intent_from_the_row)


def intent_from_the_row(order_, policy, row):
    from orderflow.domain.due import Due, accept_ids  # noqa: PLC0415
    from orderflow.domain.events import Effect  # noqa: PLC0415

    effect = Effect(row.key.effect)
    ids = accept_ids(order_, policy) or order_.accept_ids
    return Due(effect, row.key.generation, row.now, row.target, ids)


def absent_counted_once(monkeypatch):
    """A single look-up that finds nothing is believed."""
    monkeypatch.setattr(conclusions, "ABSENTS_NEEDED", 1)
    monkeypatch.setattr(slots, "_count_absence", count_at_once)


def count_at_once(order_, destination, _sent_at):
    slot = order_.slot(destination)
    if slot is None or slot.phase is not order.Phase.OPEN or slots.is_done(order_, slot):
        return
    order_.put(destination, replace(slot, absents=slot.absents + 1))


def generation_counted_at_refusal(monkeypatch):
    """A refusal ends the generation but parks nothing: the same thing falls due at once, under a new key."""
    monkeypatch.setattr(slots, "_park", lambda *_: None)


BUGS = {
    look_up_skipped_after_a_timeout: "look-ups that count",
    fence_unchecked: "fence",
    cancel_checked_outside_the_intents_transaction: "after the cancellation was known",
    absent_counted_once: "look-ups that count",
    generation_counted_at_refusal: "rest",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(database, monkeypatch, bug):
    """The simulation fails, and says why."""
    bug(monkeypatch)
    said = caught(database)
    assert BUGS[bug] in said, said
