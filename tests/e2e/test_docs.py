"""The documents say what is: the command line's reference is generated, settings are complete, links lead somewhere.

`ORDERFLOW_WRITE_DOCS=1 python -m pytest tests/e2e/test_docs.py` writes the generated ones anew.
"""

import os
import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from orderflow.cli import program
from orderflow.config.page import reference as settings_reference
from orderflow.domain.machine import TABLE, Report

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
CLI = ROOT / "docs" / "reference" / "cli.md"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
HEAD = """\
# Command line

`orderflow [--config PATH] COMMAND`. Exit codes: 0 done · 1 refused, damaged or out of reach · 2 bad input or settings.
Errors are one line on stderr. Nothing personal is ever shown. Generated from the program itself.
"""


def paths(command, before=()):
    """Every command, groups by their members."""
    for name, one in sorted(command.commands.items()):
        if hasattr(one, "commands"):
            yield from paths(one, (*before, name))
        else:
            yield *before, name


def reference() -> str:
    runner = CliRunner()
    parts = [HEAD]
    for path in paths(get_command(program)):
        said = runner.invoke(program, [*path, "--help"], env={"COLUMNS": "80"}, prog_name="orderflow")
        assert said.exit_code == 0, said.output
        text = "\n".join(line.rstrip() for line in said.output.strip().splitlines())
        parts.append(f"## {' '.join(path)}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def test_the_reference_of_the_command_line_is_what_the_program_says():
    if os.environ.get("ORDERFLOW_WRITE_DOCS"):
        CLI.write_text(reference())
    assert CLI.read_text() == reference()


def test_the_reference_of_the_settings_is_what_the_program_reads():
    """Above the mark stands prose, below it what the structs say."""
    prose, mark, tables = SETTINGS.read_text().partition("<!-- From here on generated from the program. -->\n\n")
    assert mark
    if os.environ.get("ORDERFLOW_WRITE_DOCS"):
        SETTINGS.write_text(prose + mark + "\n".join(settings_reference()))
        return
    assert tables == "\n".join(settings_reference())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_shows_the_table_of_the_machine():
    text = (ROOT / "README.md").read_text()
    assert f"| {' | '.join(Report)} |" in text
    for status, verdicts in TABLE.items():
        assert f"| {status} | {' | '.join(verdicts)} |" in text
