"""The page about money has the tables that the code has: returns, and the units of ISO 4217."""

import re
from pathlib import Path

from orderflow.domain.returns import RETURN_TABLE
from orderflow.glopal.money import _EXPONENTS

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "money.md").read_text()


def test_the_table_of_returns():
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in PAGE.splitlines() if line[:2] == "| "]
    found = {row[0]: tuple(row[1:]) for row in rows if row[0] in RETURN_TABLE}
    assert found == {state.value: tuple(verdicts) for state, verdicts in RETURN_TABLE.items()}


def test_the_units():
    text = PAGE.partition("## The smallest unit")[2].partition("##")[0]
    named = set(re.findall(r"\b[A-Z]{3}\b", text)) - {"ISO"}
    assert named == set(_EXPONENTS)
