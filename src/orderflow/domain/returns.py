"""The machine of returns: six states, five steps, thirty verdicts, in the words of the order machine.

It never holds a return, and knows nothing of events or details: those judge their steps by it. Glopal processes
returns; no call of theirs acts upon one, so there is nothing to decide here either.

STATED (reference 9): a request is REQUESTED, AUTHORIZED or CANCELLED, its parcel PENDING or DELIVERED, and it can be
cancelled until the parcel is registered with the carrier. UNKNOWN whether that is one field or two: a return stands
where the furthest of both says.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Final

from orderflow.domain.machine import Built, Verdict, built, compiled


class ReturnState(StrEnum):
    """Where a return stands. `NEW` is ours (only its id is known), the others are Glopal's words."""

    NEW = "NEW"
    REQUESTED = "REQUESTED"
    AUTHORIZED = "AUTHORIZED"
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


class ReturnStep(StrEnum):
    """What Glopal may say of a return: three of them by event, all five inside fetched details."""

    REQUESTED = "requested"
    AUTHORIZED = "authorized"
    PENDING = "pending"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


RETURN_TARGET: Final[dict[ReturnStep, ReturnState]] = {step: ReturnState(step.value.upper()) for step in ReturnStep}

_A, _L, _E, _C = Verdict.ADVANCE, Verdict.LEAP, Verdict.ECHO, Verdict.CONFLICT

RETURN_TABLE: Final[dict[ReturnState, tuple[Verdict, Verdict, Verdict, Verdict, Verdict]]] = {
    # step →                requested authorized pending delivered cancelled
    ReturnState.NEW: (_A, _L, _L, _L, _L),
    ReturnState.REQUESTED: (_E, _A, _L, _L, _A),
    ReturnState.AUTHORIZED: (_E, _E, _A, _L, _A),
    ReturnState.PENDING: (_E, _E, _E, _A, _C),  # the carrier has the parcel: too late to cancel
    ReturnState.DELIVERED: (_E, _E, _E, _E, _C),
    ReturnState.CANCELLED: (_E, _E, _C, _C, _E),  # both requests may come late; a parcel cannot have been sent
}
CLOSED: Final = (ReturnState.DELIVERED, ReturnState.CANCELLED)
"""Nothing more is to come."""


@cache
def return_machine() -> Built:
    """The table of returns in the library."""
    return built(RETURN_TABLE, RETURN_TARGET)


_COMPILED: Final = compiled(return_machine(), RETURN_TABLE, RETURN_TARGET)


def judge_return(state: ReturnState, step: ReturnStep) -> Verdict:
    """The verdict on `step` for a return that stands at `state`. Total over all thirty cells."""
    return _COMPILED[state, step]
