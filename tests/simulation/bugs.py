"""Bugs to plant: each leaves out one rule of the engine, and says which promise breaks then.

None of them may survive. `aim` turns a schedule towards the trouble that the rule is there for, as a fuzzer would that
has learnt something: without it each is found as well, only later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
import sqlalchemy as sa
from msgspec import structs
from tests.simulation.check import Promise
from tests.simulation.simulate import Simulation, seconds

from orderflow import intake
from orderflow.connectors import Found, Refused, Retry, Unknown
from orderflow.connectors import shop as shop_connector
from orderflow.connectors.exchange import json_object
from orderflow.connectors.shop_answers import sighting
from orderflow.domain import conclusions, details, due, order, slots
from orderflow.domain.decisions import Cancel
from orderflow.domain.due import Due
from orderflow.domain.events import Destination, Effect, EffectClosed, EffectIntended, HoldReason, Ids, ShopState
from orderflow.domain.folding import Folding
from orderflow.domain.machine import Status
from orderflow.domain.order import Hold
from orderflow.domain.policy import wants_cancel
from orderflow.glopal.routes import Success
from orderflow.orders import Fact
from orderflow.relay import call, intent, outcome
from orderflow.relay.work import Move, Reply, ended
from orderflow.store import outbox
from orderflow.store.leases import Held

Plant = Callable[[pytest.MonkeyPatch], None]


# --- where to look ----------------------------------------------------------------------------------------------------


def lossy(kind: str, place: str = "shop") -> Callable[[Simulation], None]:
    """Half of all requests to one place meet this fault, and nothing else goes wrong."""

    def aim(simulation: Simulation) -> None:
        for swarm in simulation.world.swarms.values():
            swarm.rates, swarm.outage = {}, None
        simulation.world.swarms[place].rates = {kind: 0.5}
        simulation.world.shop.options = replace(simulation.world.shop.options, refuse=None)

    return aim


def sleepy(simulation: Simulation) -> None:
    """Workers are suspended all the time."""
    simulation.sleeps, simulation.crashes = 0.6, 0.0


def quiet(simulation: Simulation) -> None:
    """Nothing goes wrong but what the bug needs."""
    for swarm in simulation.world.swarms.values():
        swarm.rates, swarm.outage = {}, None
    options = simulation.world.shop.options
    simulation.world.shop.options = replace(options, refuse=None, answer_without_id=0.0)
    simulation.crashes = simulation.sleeps = simulation.mistakes = simulation.abandons = simulation.slowness = 0.0


def ready_soon(simulation: Simulation, after: float) -> None:
    """Every order is confirmed by Glopal so many seconds after it came."""
    world = simulation.world
    for life in world.lives:
        world.later(seconds(after), lambda life=life: world._act(life.order_id, "ready", 0))


def cancelled_at_the_last_moment(simulation: Simulation) -> None:
    """A person cancels just before a worker begins, and nobody has planned anew."""
    quiet(simulation)
    prepare = simulation._prepare
    planned = sa.text(
        "SELECT order_id FROM orderflow.outbox WHERE store = :s AND effect IN ('draft', 'promote', 'accept')"
    )

    def late(worker: Any) -> bool:
        if simulation.rng.random() < 0.3:
            with simulation.window.connect() as conn:
                orders = list(conn.scalars(planned, {"s": simulation.world.store}))
            for order_id in orders:
                simulation._command(order_id, Cancel("out of stock", "ann"))
        return prepare(worker)

    simulation._prepare = late  # type: ignore[method-assign]


def cancelled_once_drafted(simulation: Simulation) -> None:
    """A person cancels as soon as there is something in the shop."""
    quiet(simulation)
    people = simulation._people

    def waiting() -> None:
        for life in simulation.world.lives:
            life.operator_cancels = bool(simulation.world.made(life.order_id))
        people()

    simulation._people, simulation.commands = waiting, 1.0  # type: ignore[method-assign]


def overtaken(simulation: Simulation) -> None:
    """Whoever sends is suspended beyond its lease; whoever looks up in its place is suspended even longer."""
    quiet(simulation)
    ready_soon(simulation, 10)
    perform, prepare = simulation._perform, simulation._prepare

    def sleep(worker: Any, for_seconds: float) -> None:
        worker.asleep_since = simulation.world.clock.now
        worker.asleep_until = worker.asleep_since + seconds(for_seconds)

    def then_asleep(worker: Any) -> None:
        perform(worker)
        if worker.replies and worker.replies[-1][0].effect is Effect.DRAFT:
            sleep(worker, 77)

    def looking(worker: Any) -> bool:
        done = prepare(worker)
        if any(one.kind == "look_up" for one in worker.calls):
            sleep(worker, 200)
        return done

    simulation._perform, simulation._prepare = then_asleep, looking  # type: ignore[method-assign]


def two_drafts_at_once(simulation: Simulation) -> None:
    """The first draft is made late, the reply to the second is lost, the search lags: one look-up finds both."""
    quiet(simulation)
    ready_soon(simulation, 5)
    shop, swarm = simulation.world.shop, simulation.world.swarms["shop"]
    shop.options = replace(shop.options, unique_reference=False, search_lag=timedelta(seconds=30))
    swarm.delays = (40,)
    faults = iter(["late", "cut_after"])
    swarm.choose = lambda stage, _: next(faults, "none") if stage == "draft" else "none"  # type: ignore[method-assign]


def cancelled_late(simulation: Simulation) -> None:
    """A person cancels once there is something in the shop."""
    simulation.commands = 0.2
    for life in simulation.world.lives:
        life.operator_cancels = True


def cancelled_behind_a_lag(simulation: Simulation) -> None:
    """Glopal cancels, and its GET lags."""
    world = simulation.world
    world.get_lag = 20.0
    for life in world.lives:
        world.later(seconds(30), lambda life=life: world._act(life.order_id, "cancel", 0))


def unanswered_and_cancelled(simulation: Simulation) -> None:
    """A person cancels while nobody knows what became of the draft."""
    lossy("cut_after")(simulation)
    cancelled_late(simulation)


def refusing(simulation: Simulation) -> None:
    """The shop takes nothing."""
    options = simulation.world.shop.options
    simulation.world.shop.options = replace(options, refuse=lambda _: "no_stock")


def with_evidence(simulation: Simulation) -> None:
    """Soon after the order there is evidence against an event."""
    world = simulation.world
    for life in world.lives:
        world.later(seconds(1), lambda life=life: world._evidence(life.order_id))
    simulation.slowness = 0.6


def refunded(simulation: Simulation) -> None:
    """A person gives a part of the money back, and replies are lost."""
    lossy("cut_after", "glopal")(simulation)
    simulation.commands = 0.5
    for life in simulation.world.lives:
        life.operator_refunds, life.operator_cancels = True, False


def listing_everything(simulation: Simulation) -> None:
    """Replies get lost, and the shop lists orders of other people, too."""
    quiet(simulation)
    ready_soon(simulation, 5)
    swarm = simulation.world.swarms["shop"]
    faults = {"draft": "cut_before", "look-up": "another_order"}
    swarm.choose = lambda stage, _: faults.get(stage, "none") if swarm.on else "none"  # type: ignore[method-assign]


def anything(_simulation: Simulation) -> None:
    """Where it looks makes no difference."""


# --- the relay: intent, call, outcome ---------------------------------------------------------------------------------


def timeout_taken_for_a_failure(patch: pytest.MonkeyPatch) -> None:
    """After a lost reply it is sent again at once."""
    perform = call.perform

    def hasty(relay: Any, call_: Any) -> Reply:
        reply = perform(relay, call_)
        return replace(reply, result=Retry("timeout")) if isinstance(reply.result, Unknown) else reply

    patch.setattr("orderflow.relay.perform", hasty)


def fence_unchecked(patch: pytest.MonkeyPatch) -> None:
    """A worker whose lease is over writes its row all the same."""

    def held_by_anybody(conn: Any, store: str, rows: Any) -> Held:
        wanted = {row.key for row in rows}
        found = [row for order_id in {key.order_id for key in wanted} for row in outbox.rows_of(conn, store, order_id)]
        now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
        return Held({row.key: row for row in found if row.key in wanted}, now, frozenset())

    patch.setattr(outcome.leases, "hold", held_by_anybody)


def due_asked_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Whether it is still due is asked when the row is planned, not again when the intent is recorded."""

    def as_planned(order_: Any, policy: Any, row: Any) -> Due:
        ids = due.accept_ids(order_, policy) or order_.accept_ids
        return Due(Effect(row.key.effect), row.key.generation, row.now, row.target, ids)

    patch.setattr(intent, "still_due", as_planned)


def sent_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The request leaves while its intent is still being written."""
    intend = intent._intend

    def eager(turn: Any, due_: Any, started: float) -> Move:
        move = intend(turn, due_, started)
        if move.call is not None:
            turn.relay.tenants[turn.row.key.store].connectors[due_.destination].send(
                move.call.request, key="k", in_time=lambda: True
            )
        return move

    patch.setattr(intent, "_intend", eager)


def deadline_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Whoever was suspended sends when it wakes."""
    perform = call.perform
    patch.setattr("orderflow.relay.perform", lambda relay, call_: perform(relay, replace(call_, deadline=float("inf"))))


def refusal_not_read_back(patch: pytest.MonkeyPatch) -> None:
    """A no of the shop is final, whatever stands there."""
    perform = call.perform

    def trusting(relay: Any, call_: Any) -> Reply:
        if call_.kind != "send" or call_.effect.destination is not Destination.SHOP:
            return perform(relay, call_)
        connector = relay.tenants[call_.row.key.store].connectors[Destination.SHOP]
        in_time = relay.boottime() < call_.deadline
        result = connector.send(call_.request, key=str(call_.row.key), in_time=lambda: in_time)
        return Reply(result, Found() if isinstance(result, Refused) else None, 0.0)

    patch.setattr("orderflow.relay.perform", trusting)


def second_open_row(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether another row of the order is open there."""
    patch.setattr(intent.leases, "open_rows", lambda *_: [])


def unknown_closed_unseen(patch: pytest.MonkeyPatch) -> None:
    """What is unknown and no longer due is closed without a look."""
    look_up = intent._look_up

    def impatient(turn: Any) -> Move:
        slot = turn.slot
        if slot is None or not slot.unknown or conclusions.still_wanted(turn.order, turn.policy, slot):
            return look_up(turn)
        closed = EffectClosed(slot.effect, slot.generation, slot.attempt, "no longer due")
        return Move(turn, (Fact(closed, f"{turn.row.key}:closed"),), ended(turn))

    patch.setattr(intent, "_look_up", impatient)


def settle_window_left_out(patch: pytest.MonkeyPatch) -> None:
    """A look-up counts as soon as the request can no longer leave."""

    def hasty(*given: Any, **members: Any) -> EffectIntended:
        intended = EffectIntended(*given, **members)
        return replace(intended, counts_from=intended.send_by)

    patch.setattr(intent, "EffectIntended", hasty)


# --- the fold: slots, generations, details ----------------------------------------------------------------------------


def absent_counted_once(patch: pytest.MonkeyPatch) -> None:
    """A single look-up that finds nothing is believed."""
    patch.setattr(conclusions, "ABSENTS_NEEDED", 1)


def absent_counted_early(patch: pytest.MonkeyPatch) -> None:
    """When the look-up was sent does not matter."""

    def count(order_: Any, destination: Destination, _sent_at: object) -> None:
        slot = order_.slot(destination)
        if slot is not None and slot.phase is order.Phase.OPEN and not slots.is_done(order_, slot):
            order_.put(destination, replace(slot, absents=slot.absents + 1))

    patch.setattr(slots, "_count_absence", count)


def refusal_parks_nothing(patch: pytest.MonkeyPatch) -> None:
    """A refusal ends the generation, and the same thing falls due at once under a new key."""
    patch.setattr(slots, "_park", lambda *_: None)


def generation_not_counted(patch: pytest.MonkeyPatch) -> None:
    """The next effect of a kind has the key of the last one."""
    patch.setattr(Folding, "count", lambda *_: None)


def one_stale_answer_overrules(patch: pytest.MonkeyPatch) -> None:
    """The first answer that shows a living order is followed."""

    def living(order_: Any, event: Any, here: Any) -> None:
        order_.dispute = None
        order_.lift(HoldReason.CONTRADICTION)
        order_.move_to(event.status, here, confirmed=True)
        order_.hold_for(Hold(HoldReason.OVERRULED, here.position, "one answer"))

    patch.setattr(details, "_living", living)


def refund_sent_again(patch: pytest.MonkeyPatch) -> None:
    """A refund that nobody has seen is taken for not made."""
    conclude = conclusions.conclude

    def certain(order_: Any, policy: Any, place: Any, **told: Any) -> Any:
        slot = order_.slot(place)
        if slot is not None and slot.effect is Effect.REFUND and slot.absents >= 2:
            return conclusions.not_executed(order_, policy, slot, "absent", retry_in=0.0)
        return conclude(order_, policy, place, **told)

    patch.setattr(outcome, "conclude", certain)


# --- what is due ------------------------------------------------------------------------------------------------------


def recorded_draft_reaped(patch: pytest.MonkeyPatch) -> None:
    """The reaper takes every draft for a stray."""
    patch.setattr(
        due, "_unwanted", lambda order_, *_, **__: (s for s in order_.shop.living if s.state is ShopState.DRAFT)
    )


def stray_promoted(patch: pytest.MonkeyPatch) -> None:
    """Whichever draft is the newest becomes the order."""
    at_shop = due._wanted_at_shop

    def newest(order_: Any, policy: Any) -> Due | None:
        drafts = [s for s in order_.shop.living if s.state is ShopState.DRAFT]
        ready = order_.status is Status.READY and order_.confirmed and not due.held(order_, policy)
        if ready and len(drafts) > 1 and not wants_cancel(order_, policy):
            return due._due(order_, Effect.PROMOTE, drafts[-1].shop_id)
        return at_shop(order_, policy)

    patch.setattr(due, "_wanted_at_shop", newest)


def draft_accepted(patch: pytest.MonkeyPatch) -> None:
    """The draft's ids will do."""
    ids_of = due.accept_ids

    def early(order_: Any, policy: Any) -> Ids | None:
        own = order_.shop.own
        if own is not None and own.state is ShopState.DRAFT and order_.accepted is None and order_.external is None:
            ready = order_.status is Status.READY and order_.confirmed and order_.accept_ids is None
            return Ids(own.shop_id, own.number) if ready else ids_of(order_, policy)
        return ids_of(order_, policy)

    patch.setattr(due, "accept_ids", early)


def hold_ignored(patch: pytest.MonkeyPatch) -> None:
    """What is held goes on."""
    patch.setattr(due, "held", lambda *_: ())


def glopal_cancelled_first(patch: pytest.MonkeyPatch) -> None:
    """Glopal is told before the shop is clear."""
    at_glopal = due._wanted_at_glopal

    def hasty(order_: Any, policy: Any) -> Due | None:
        if wants_cancel(order_, policy) and order_.status is not Status.CANCELLED and order_.cancelled is None:
            return due._due(order_, Effect.CANCEL) if order_.parking(Effect.CANCEL) is None else None
        return at_glopal(order_, policy)

    patch.setattr(due, "_wanted_at_glopal", hasty)


def reaper_off(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks for strays."""
    patch.setattr(due, "reap_at", lambda *_: None)


# --- the connectors and the feed --------------------------------------------------------------------------------------


def any_200_is_a_success(patch: pytest.MonkeyPatch) -> None:
    """Whatever Glopal says with 200 is taken for a yes."""
    patch.setattr(Success, "shown_by", lambda *_: True)


def filter_trusted(patch: pytest.MonkeyPatch) -> None:
    """What the shop lists for a reference is ours."""

    def listed(self: Any, reference: str, heard: Any) -> Any:
        reply = shop_connector.exchange(
            self._endpoint, shop_connector.Outbound("GET", f"/orders?reference={reference}")
        )
        heard.append(reply)
        document = json_object(reply.body) if getattr(reply, "status", 0) == 200 else None
        rows = document.get("orders") if document else None
        readable = isinstance(rows, list) and all(sighting(row) is not None for row in rows)
        return rows if readable else Retry("the list of orders cannot be read")

    patch.setattr(shop_connector.Shop, "_listed", listed)


def events_taken_twice(patch: pytest.MonkeyPatch) -> None:
    """An event that comes again is another event."""
    fact = intake._fact

    def anew(*given: Any) -> Any:
        entry = fact(*given)
        return structs.replace(entry, source_id=f"{entry.source_id} {uuid4()}")

    patch.setattr(intake, "_fact", anew)


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug: the promise that breaks, where to look for it, and within how many seeds it must be found."""

    plant: Plant
    promise: Promise
    aim: Callable[[Simulation], None] = anything
    within: int = 30

    @property
    def name(self) -> str:
        """As people say it."""
        return self.plant.__name__


BUGS: Final = (
    Bug(timeout_taken_for_a_failure, Promise.LOOK_FIRST, lossy("cut_after")),
    Bug(fence_unchecked, Promise.FENCE, sleepy),
    Bug(due_asked_outside_the_transaction, Promise.OVER, cancelled_at_the_last_moment),
    Bug(sent_before_the_commit, Promise.INTENT),
    Bug(deadline_unchecked, Promise.IN_TIME, sleepy),
    Bug(refusal_not_read_back, Promise.READ_BACK, lossy("refusal")),
    Bug(second_open_row, Promise.ONE_OPEN, overtaken),
    Bug(unknown_closed_unseen, Promise.OBSERVED, unanswered_and_cancelled),
    Bug(settle_window_left_out, Promise.LOOK_FIRST, lossy("cut_before")),
    Bug(absent_counted_once, Promise.LOOK_FIRST, lossy("cut_before")),
    Bug(absent_counted_early, Promise.LOOK_FIRST, lossy("cut_before")),
    Bug(refusal_parks_nothing, Promise.REST, refusing),
    Bug(generation_not_counted, Promise.REST),
    Bug(one_stale_answer_overrules, Promise.REST, cancelled_behind_a_lag),
    Bug(refund_sent_again, Promise.ONE_REFUND, refunded),
    Bug(recorded_draft_reaped, Promise.REST),
    Bug(stray_promoted, Promise.RECORDED, two_drafts_at_once),
    Bug(draft_accepted, Promise.FOUNDED),
    Bug(hold_ignored, Promise.HELD, with_evidence),
    Bug(glopal_cancelled_first, Promise.CLEAR, cancelled_once_drafted),
    Bug(reaper_off, Promise.NO_STRAY, lossy("late")),
    Bug(any_200_is_a_success, Promise.PROVED, lossy("html_before", "glopal")),
    Bug(filter_trusted, Promise.FOUNDED, listing_everything),
    Bug(events_taken_twice, Promise.EVENTS),
)
