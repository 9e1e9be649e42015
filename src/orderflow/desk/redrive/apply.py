"""Apply a plan, item by item, each as the decision that a person would take.

It never retries what is not as it was planned, and never writes an item twice, however often a plan is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from orderflow.desk.redrive.items import Item
from orderflow.desk.redrive.plan import fresh
from orderflow.desk.redrive.planfile import Plan
from orderflow.domain.decisions import IllegalTransition, Retry
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import UnknownOrderError, handle
from orderflow.store import epochs
from orderflow.store.vault import Vault

LIFETIME: Final = timedelta(days=1)
"""A plan that is older was made for another day's world."""


class StalePlanError(Exception):
    """The plan as a whole cannot be applied any more, or not now."""


def check(conn: sa.Connection, plan: Plan, now: datetime, *, force: bool = False) -> None:
    """Raises `StalePlanError` if `plan` is too old (unless `force`), the log was restored since, or is recovering."""
    if epochs.pending(conn, plan.store) is not None:
        raise StalePlanError(f"effects of {plan.store} are kept back after a restore; see `recover status`")
    epoch = epochs.current(conn, plan.store)
    if epoch != plan.epoch:
        raise StalePlanError(f"the database was restored since the plan was made (epoch {plan.epoch}, now {epoch})")
    if now - plan.made_at > LIFETIME and not force:
        made = f"{plan.made_at:%Y-%m-%d %H:%M} UTC"
        raise StalePlanError(f"the plan was made at {made}, more than a day ago: make a new one, or say --force")


class Outcome(StrEnum):
    """What became of an item: `DONE` says that an earlier turn at the same plan wrote it."""

    APPLIED = "applied"
    DONE = "already done"
    MOVED = "refused: the order moved"
    ILLEGAL = "illegal"


@dataclass(frozen=True, slots=True)
class Result:
    """One item and what became of it. `detail` says what moved, or why it is illegal."""

    item: Item
    outcome: Outcome
    detail: str = ""


class _MovedError(Exception):
    """The order is not what it was planned on."""


def apply_item(
    engine: sa.Engine, vault: Vault, plan: Plan, item: Item, policy: StorePolicy, *, by: str, why: str
) -> Result:
    """Record the retry of one item, if its order stands as it was planned; all in one transaction."""
    looked = False

    def look(conn: sa.Connection, order: Order) -> None:
        nonlocal looked
        looked = True
        moved = _moved(conn, plan.store, item, order, policy)
        if moved:
            raise _MovedError(moved)

    command = Retry(item.effect, by, why, plan.name)
    try:
        handled = handle(engine, vault, plan.store, item.order_id, command, plan.command_id(item), before=look)
    except _MovedError as error:
        return Result(item, Outcome.MOVED, str(error))
    except (IllegalTransition, UnknownOrderError) as error:
        return Result(item, Outcome.ILLEGAL, str(error))
    if handled.written:
        return Result(item, Outcome.APPLIED)
    return Result(item, Outcome.DONE, "a retry of it was recorded just before" if looked else "")


def _moved(conn: sa.Connection, store: str, item: Item, order: Order, policy: StorePolicy) -> str:
    """What is not as it was when the plan was made; nothing if that does not matter."""
    now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    found = fresh(conn, store, item.order_id, order, policy, now).get(item.effect)
    if order.generation(item.effect) != item.generation:
        return f"{item.effect} was tried since, and " + ("waits again" if found is not None else "waits no more")
    if found is None:
        return f"{item.effect} waits no more"
    names = [name for name, was in item.world.items() if found.world.get(name) != was]
    changes = (f"{name} was {item.world[name] or 'none'}, is {found.world.get(name) or 'none'}" for name in names)
    return "; ".join(changes)
