"""Decisions about an exception: who has it, and that it is none.

They stand in the order's history with who and why, like every other decision; nothing else is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from orderflow.desk.exceptions import STORE, Id, UnknownExceptionError, open_case
from orderflow.domain.decisions import Assign, Dismiss
from orderflow.domain.events import Position
from orderflow.domain.policy import StorePolicy
from orderflow.orders import Handled, handle
from orderflow.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides, and why. The same `command_id` again writes nothing."""

    by: str
    why: str
    command_id: str


def assign(engine: sa.Engine, vault: Vault, wanted: Id, owner: str, policy: StorePolicy, decider: Decider) -> Handled:
    """Give an open exception to `owner`. Raises `UnknownExceptionError`, `ExceptionClosedError`."""
    key = _open(engine, wanted, policy)
    command = Assign(*key, owner, decider.by, decider.why)
    return handle(engine, vault, wanted.store, wanted.order_id, command, decider.command_id)


def dismiss(engine: sa.Engine, vault: Vault, wanted: Id, policy: StorePolicy, decider: Decider) -> Handled:
    """Close an open exception by hand. Raises `UnknownExceptionError`, `ExceptionClosedError`."""
    key = _open(engine, wanted, policy)
    return handle(
        engine, vault, wanted.store, wanted.order_id, Dismiss(*key, decider.by, decider.why), decider.command_id
    )


def _open(engine: sa.Engine, wanted: Id, policy: StorePolicy) -> tuple[str, str, Position]:
    if wanted.order_id == STORE:
        raise UnknownExceptionError(
            f"{wanted} concerns a store: it closes when its cause is mended, and nobody decides"
        )
    with engine.connect() as conn:
        return open_case(conn, wanted, policy)
