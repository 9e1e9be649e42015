"""The state machine: thirty verdicts, and that the library and the compiled table give the same ones."""

from __future__ import annotations

from itertools import product

import pytest

from orderflow.domain.machine import REPORT, TABLE, TARGET, Report, Status, Verdict, judge, machine, reports_from

# The design's table, cell by cell, written a second time on purpose.
CELLS = """
             received ready    accepted completed cancelled
NEW          advance  advance  leap     leap      advance
RECEIVED     echo     advance  leap     leap      advance
READY        echo     echo     advance  leap      advance
ACCEPTED     echo     echo     echo     advance   advance
COMPLETED    echo     echo     echo     echo      advance
CANCELLED    echo     conflict conflict conflict  echo
"""


def _literal() -> dict[tuple[Status, Report], Verdict]:
    head, *rows = [line.split() for line in CELLS.strip().splitlines()]
    return {
        (Status(row[0]), Report(report)): Verdict(word)
        for row in rows
        for report, word in zip(head, row[1:], strict=True)
    }


LITERAL = _literal()
EVERY = list(product(Status, Report))


def test_the_literal_table_has_thirty_cells() -> None:
    """Six statuses by five reports, none left out."""
    assert set(LITERAL) == set(EVERY)
    assert len(LITERAL) == 30


@pytest.mark.parametrize(("status", "report"), EVERY)
def test_judge_follows_the_table(status: Status, report: Report) -> None:
    """`judge` is total and rules as the design's table does."""
    assert judge(status, report) is LITERAL[status, report]


@pytest.mark.parametrize(("status", "report"), EVERY)
def test_compiled_table_equals_the_library(status: Status, report: Report) -> None:
    """The hot path and the `transitions` machine agree on every cell, destination included."""
    rows = machine().get_transitions(report.value, status.value)
    verdict = judge(status, report)
    assert verdict is TABLE[status][list(Report).index(report)]
    if verdict is Verdict.CONFLICT:
        assert rows == []
        return
    assert len(rows) == 1
    assert rows[0].dest == (None if verdict is Verdict.ECHO else report.value.upper())


def test_the_library_holds_nothing_else() -> None:
    """No row beyond the table, so no automatic `to_...` triggers either."""
    assert len(machine().get_transitions()) == sum(v is not Verdict.CONFLICT for v in LITERAL.values())
    assert set(machine().events) == {report.value for report in Report}
    assert set(machine().states) == {status.value for status in Status}


def test_the_library_drives_nothing() -> None:
    """No model is bound to the machine and no callback can fire, on no state, transition or the machine itself."""
    ours = machine()
    assert ours.models == []
    assert not any(state.on_enter or state.on_exit for state in ours.states.values())
    for row in ours.get_transitions():
        assert [row.before, row.after, row.prepare, row.conditions] == [[], [], [], []]
    hooks = [ours.before_state_change, ours.after_state_change, ours.prepare_event, ours.finalize_event]
    assert [*hooks, ours.on_exception, ours.on_final] == [[]] * 6
    assert not ours.ignore_invalid_triggers
    assert not ours.auto_transitions
    assert not ours.send_event


def test_reports_and_statuses_name_each_other() -> None:
    """Every report leads to its own status, and every status but NEW has its report."""
    assert {TARGET[report] for report in Report} == set(Status) - {Status.NEW}
    assert all(REPORT[TARGET[report]] is report for report in Report)


@pytest.mark.parametrize("status", Status)
def test_reports_from(status: Status) -> None:
    """What would move an order are exactly the advances and leaps; nothing leads out of CANCELLED."""
    moving = {r for r in Report if LITERAL[status, r] in (Verdict.ADVANCE, Verdict.LEAP)}
    assert set(reports_from(status)) == moving
    assert (moving == set()) is (status is Status.CANCELLED)
