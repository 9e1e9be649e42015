"""The machine of returns: thirty verdicts, and that the library and the compiled table give the same ones."""

from __future__ import annotations

from itertools import product

import pytest

from orderflow.domain.machine import Verdict
from orderflow.domain.returns import (
    CLOSED,
    RETURN_TABLE,
    RETURN_TARGET,
    ReturnState,
    ReturnStep,
    judge_return,
    return_machine,
)

# Written a second time on purpose.
CELLS = """
             requested authorized pending  delivered cancelled
NEW          advance   leap       leap     leap      leap
REQUESTED    echo      advance    leap     leap      advance
AUTHORIZED   echo      echo       advance  leap      advance
PENDING      echo      echo       echo     advance   conflict
DELIVERED    echo      echo       echo     echo      conflict
CANCELLED    echo      echo       conflict conflict  echo
"""


def _literal() -> dict[tuple[ReturnState, ReturnStep], Verdict]:
    head, *rows = [line.split() for line in CELLS.strip().splitlines()]
    return {
        (ReturnState(row[0]), ReturnStep(step)): Verdict(word)
        for row in rows
        for step, word in zip(head, row[1:], strict=True)
    }


LITERAL = _literal()
EVERY = list(product(ReturnState, ReturnStep))


def test_the_literal_table_has_thirty_cells() -> None:
    assert set(LITERAL) == set(EVERY)
    assert len(LITERAL) == 30


@pytest.mark.parametrize(("state", "step"), EVERY)
def test_judge_the_table_and_the_library_agree(state: ReturnState, step: ReturnStep) -> None:
    """On every cell, destination included."""
    verdict = judge_return(state, step)
    assert verdict is LITERAL[state, step] is RETURN_TABLE[state][list(ReturnStep).index(step)]
    rows = return_machine().get_transitions(step.value, state.value)
    assert len(rows) == (verdict is not Verdict.CONFLICT)
    if rows:
        assert rows[0].dest == (None if verdict is Verdict.ECHO else RETURN_TARGET[step].value)


def test_the_library_holds_nothing_else_and_drives_nothing() -> None:
    """No row beyond the table, no model, no callback."""
    ours = return_machine()
    assert len(ours.get_transitions()) == sum(v is not Verdict.CONFLICT for v in LITERAL.values())
    assert set(ours.events) == {step.value for step in ReturnStep}
    assert set(ours.states) == {state.value for state in ReturnState}
    assert ours.models == []
    assert not any(state.on_enter or state.on_exit for state in ours.states.values())
    for row in ours.get_transitions():
        assert [row.before, row.after, row.prepare, row.conditions] == [[], [], [], []]
    hooks = [ours.before_state_change, ours.after_state_change, ours.prepare_event, ours.finalize_event]
    assert [*hooks, ours.on_exception, ours.on_final] == [[]] * 6
    assert not ours.ignore_invalid_triggers
    assert not ours.auto_transitions


def test_nothing_leads_out_of_what_is_closed_but_an_echo_or_a_conflict() -> None:
    """And every open state leads to a closed one."""
    moving = (Verdict.ADVANCE, Verdict.LEAP)
    for state in ReturnState:
        reached = {RETURN_TARGET[step] for step in ReturnStep if judge_return(state, step) in moving}
        assert bool(reached) is (state not in CLOSED)
        assert state in CLOSED or reached & set(CLOSED)
