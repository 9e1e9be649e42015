"""What around an order concerns it: pauses, no worker, parked rows, shadow, a mode or a date that leaves it out.

It never changes anything, and names only what bears on this order.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from orderflow.cli.headline import clock
from orderflow.cli.means import moment, span
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy, in_scope
from orderflow.projections.planner import Planner
from orderflow.relay.pacing import why_shut
from orderflow.store import epochs, gates, log, progress
from orderflow.store.gates import Gate
from orderflow.store.tables import pauses

OVERDUE: Final = timedelta(minutes=1)
"""A row that has waited so long past its time is not merely next in line."""
_OVER: Final = (Status.COMPLETED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Circumstance:
    """One of them. `stops`: nothing of this order goes on meanwhile. `commands` are whole command lines that help."""

    kind: str
    text: str
    stops: bool = False
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at: one order, its outbox rows, and how orderflow was called."""

    conn: sa.Connection
    store: str
    order_id: str
    order: Order
    policy: StorePolicy
    rows: Sequence[dict[str, Any]]
    silence: str
    now: datetime
    command: str

    def retry(self, effect: str) -> str:
        """The command line that tries `effect` of this order again."""
        return f'{self.command} retry {shlex.quote(f"{self.store}/{self.order_id}")} {effect} --why "..."'


def around(view: View) -> tuple[Circumstance, ...]:
    """All of them, what stops the order first."""
    found = (*_recovery(view), *_pauses(view), *_gates(view), *_rows(view), *_unread(view), *_policy(view))
    return tuple(sorted(found, key=lambda one: not one.stops))


def _recovery(view: View) -> Iterator[Circumstance]:
    """After a restore nothing leaves until orders were looked up; what was left out then waits for itself."""
    found, stops = epochs.pending(view.conn, view.store), view.order.status not in _OVER
    if found is not None:
        text = f"effects of {view.store} are kept back since {clock(found.noticed_at, view.now)}: {found.reason}"
        yield Circumstance("kept_back", text, stops, (f"{view.command} recover status",))
    elif view.order_id in epochs.orders_left_out(view.conn, view.store):
        text = "effects of this order are kept back: it was left out when a recovery was opened"
        lines = (f"{view.command} recover reconcile --store {shlex.quote(view.store)}",)
        yield Circumstance("left_out", text, stops, lines)


def _pauses(view: View) -> Iterator[Circumstance]:
    query = sa.select(pauses.c.scope, pauses.c.reason, pauses.c.by, pauses.c.since).where(pauses.c.store == view.store)
    waiting = {row["destination"] for row in view.rows if not row["parked"] and row["next_at"] <= view.now}
    parked = {one.effect.destination.value for one in view.order.parked}
    for scope, reason, by, since in view.conn.execute(query.order_by(pauses.c.scope)):
        if scope == "pull":
            continue  # the silence tells of it
        who = "orderflow itself" if by == "orderflow" else by
        first = "; mend that first" if by == "orderflow" else ""
        text = f"{scope} of {view.store} is paused by {who} since {clock(since, view.now)} ({reason}){first}"
        stops, helps = scope in waiting, scope in {*waiting, *parked}
        lines = (f"{view.command} resume {view.store} {scope}",) if helps else ()
        if helps or scope in {row["destination"] for row in view.rows}:
            yield Circumstance("paused", text, stops, lines)


def _gates(view: View) -> Iterator[Circumstance]:
    """A destination that rests or is down: it opens by itself, so that it stops nobody for good."""
    waiting = {row["destination"] for row in view.rows if not row["parked"]}
    for gate in gates.standing(view.conn, view.store):
        if gate.destination in waiting and gate.guarded and gate.shut_until is not None and gate.shut_until > view.now:
            until, why = clock(gate.shut_until, view.now), why_shut(gate, view.now)
            text = f"nobody calls {gate.destination} of {view.store} until {until}: {why}"
            yield Circumstance("kept_away", text, commands=(f"{view.command} resume {view.store} {gate.destination}",))


def _unread(view: View) -> Iterator[Circumstance]:
    """The planner is the last reader that an event must pass before anything is done about it."""
    read = progress.positions(view.conn, [Planner.name], view.store)[Planner.name]
    if view.order.position > read:
        behind = log.head(view.conn, view.store) - read
        text = f"the newest events of this order are not read yet ({behind} of {view.store} wait): does a worker run?"
        yield Circumstance("unread", text, stops=True, commands=(f"{view.command} work",))
    if view.silence and view.order.status not in _OVER:
        yield Circumstance("silence", view.silence, stops=True, commands=(f"{view.command} work",))


def _rows(view: View) -> Iterator[Circumstance]:
    held_up = set(view.conn.scalars(sa.select(pauses.c.scope).where(pauses.c.store == view.store)))
    held_up |= {gate.destination for gate in gates.standing(view.conn, view.store) if _slow(gate, view.now)}
    for row in view.rows:
        effect, late = row["effect"], view.now - row["next_at"]
        leased = row["lease_until"] is not None and row["lease_until"] > view.now
        if row["parked"]:
            how = "was planned in shadow" if row["shadow"] else "fell due by a change of settings or version, not news"
            text = f"{effect} is planned but parked: it {how}"
            yield Circumstance("parked_row", text, stops=not view.policy.shadow, commands=(view.retry(effect),))
        elif leased:
            yield Circumstance("under_way", f"{effect} is being done right now by {row['owner']}")
        elif late > OVERDUE and row["destination"] not in held_up:
            text = f"{effect} should have been done {span(late)} ago, and no worker took it: does one run?"
            yield Circumstance("overdue", text, stops=True, commands=(f"{view.command} work",))


def _slow(gate: Gate, now: datetime) -> bool:
    """Whoever waits there may wait long, although workers run."""
    lately = [time for time in (gate.shut_until, gate.started_at) if time is not None and time > now - OVERDUE]
    return gate.guarded or bool(lately)


def _policy(view: View) -> Iterator[Circumstance]:
    policy, order = view.policy, view.order
    if not in_scope(order, policy) and order.born is not None and policy.effects_from is not None:
        born, since = moment(order.born), moment(policy.effects_from)
        text = f"born {born} UTC, before the store's effects_from {since} UTC: it is recorded, and nothing is done"
        first = "withdraw" if policy.mode is Mode.OBSERVE else "draft"
        yield Circumstance("out_of_scope", text, stops=True, commands=(view.retry(first),))
    if policy.shadow:
        yield Circumstance("shadow", f"{view.store} is in shadow: what is due is planned and shown, nothing is sent")
    if policy.mode is Mode.OBSERVE:
        yield Circumstance("observe", f"{view.store} only observes: Glopal itself puts its orders into the shop")
