"""The pages that are generated say what the code says. `ORDERFLOW_WRITE_DOCS=1` writes them anew."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from . import events_page, exceptions_page, machine_page, races_page, schema_page

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def holds(name: str, text: str) -> None:
    """The committed file is `text`, or is made so."""
    path = REFERENCE / name
    if os.environ.get("ORDERFLOW_WRITE_DOCS"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("events.md", events_page.page),
        ("races.md", races_page.page),
        ("state-machine.md", machine_page.page),
        ("state-machine.svg", machine_page.picture),
        ("../explanation/exceptions.md", exceptions_page.page),
    ],
)
def test_generated_from_code(name, write):
    holds(name, write())


def test_the_schema_is_what_a_migrated_database_says(engine: sa.Engine):
    holds("schema.md", schema_page.page(engine))


def test_the_diagram_has_every_move_of_the_table():
    arrows = [line for line in machine_page.diagram().splitlines() if "-->" in line and "[*]" not in line]
    assert len(arrows) == sum(v in ("advance", "leap") for row in machine_page.TABLE.values() for v in row) == 15
    assert machine_page.picture().count("marker-end") == 15
