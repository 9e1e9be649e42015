"""The order state machine: six statuses, five reports, thirty verdicts.

It never holds an order and has no callbacks: a callback would fire again on every replay.

Glopal owns the status of an order; this table says how our replica takes each of Glopal's reports. The table below
is the definition, `machine()` gives it to the `transitions` library (which validates it, answers what may happen
from a status, and draws it), and `judge` reads a compiled form that is built from the library's own answers.

Returns have a table of the same kind (`domain.returns`); `built` and `compiled` are for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias, TypeVar

from transitions import Machine

VERSION: Final = 3
"""Version of the table and of the fold built on it. Raise it when history would be judged differently."""


class Status(StrEnum):
    """Where an order stands. `NEW` is ours (nothing reported yet), the others are Glopal's words."""

    NEW = "NEW"
    RECEIVED = "RECEIVED"
    READY = "READY"
    ACCEPTED = "ACCEPTED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class Report(StrEnum):
    """What Glopal may report about an order, by event or inside fetched details."""

    RECEIVED = "received"
    READY = "ready"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    """How a report is taken: a legal step, Glopal ahead of us, repeated or late, or against what we hold."""

    ADVANCE = "advance"
    LEAP = "leap"
    ECHO = "echo"
    CONFLICT = "conflict"


TARGET: Final[dict[Report, Status]] = {report: Status(report.value.upper()) for report in Report}
REPORT: Final[dict[Status, Report]] = {status: report for report, status in TARGET.items()}

_A, _L, _E, _C = Verdict.ADVANCE, Verdict.LEAP, Verdict.ECHO, Verdict.CONFLICT

MOVING: Final = (Verdict.ADVANCE, Verdict.LEAP)
"""The verdicts that move the status."""

TABLE: Final[dict[Status, tuple[Verdict, Verdict, Verdict, Verdict, Verdict]]] = {
    # report →          received ready accepted completed cancelled
    Status.NEW: (
        _A,
        _A,
        _L,
        _L,
        _A,
    ),  # Glopal recommends to start at READY: a first ready is a legal step
    Status.RECEIVED: (_E, _A, _L, _L, _A),
    Status.READY: (_E, _E, _A, _L, _A),
    Status.ACCEPTED: (_E, _E, _E, _A, _A),
    Status.COMPLETED: (
        _E,
        _E,
        _E,
        _E,
        _A,
    ),  # legal at Glopal while the order is unshipped
    Status.CANCELLED: (_E, _C, _C, _C, _E),
}


Built: TypeAlias = Machine
"""A table in the library."""

S = TypeVar("S", bound=StrEnum)
R = TypeVar("R", bound=StrEnum)


def built(table: Mapping[S, Sequence[Verdict]], target: Mapping[R, S]) -> Built:
    """`table` as a `transitions.Machine` without a model. A row has a verdict for each report of `target`, in order.

    Advance and leap are ordinary transitions, echo is an internal one (no destination), conflict is a missing row.
    """
    rows: list[dict[str, str | None]] = []
    for status, verdicts in table.items():
        for (report, reached), verdict in zip(target.items(), verdicts, strict=True):
            if verdict is not Verdict.CONFLICT:
                moves = verdict is not Verdict.ECHO
                rows.append(
                    {
                        "trigger": report.value,
                        "source": status.value,
                        "dest": reached.value if moves else None,
                    }
                )
    return Machine(
        model=None,
        states=[status.value for status in table],
        initial=None,
        transitions=rows,
        auto_transitions=False,
    )


def compiled(given: Machine, table: Mapping[S, Sequence[Verdict]], target: Mapping[R, S]) -> dict[tuple[S, R], Verdict]:
    """The verdicts as the library's machine gives them; only advance and leap are told apart by our own table."""
    found = {}
    for status, verdicts in table.items():
        for report, verdict in zip(target, verdicts, strict=True):
            rows = given.get_transitions(report.value, status.value)
            if not rows:
                answer = Verdict.CONFLICT
            elif rows[0].dest is None:
                answer = Verdict.ECHO
            else:
                answer = Verdict.LEAP if verdict is Verdict.LEAP else Verdict.ADVANCE
            found[status, report] = answer
    return found


@cache
def machine() -> Machine:
    """The table of orders in the library."""
    return built(TABLE, TARGET)


_COMPILED: Final = compiled(machine(), TABLE, TARGET)


def judge(status: Status, report: Report) -> Verdict:
    """The verdict on `report` for an order that stands at `status`. Total over all thirty cells."""
    return _COMPILED[status, report]


def reports_from(status: Status) -> tuple[Report, ...]:
    """The reports that would move an order from `status`."""
    return tuple(r for r in Report if judge(status, r) in MOVING)
