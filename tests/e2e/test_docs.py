"""The documents say what is: the command line's reference is generated, settings are complete, links lead somewhere.

`ORDERFLOW_WRITE_DOCS=1 python -m pytest tests/e2e/test_docs.py` writes docs/reference/cli.md anew.
"""

import os
import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from orderflow.cli import program
from orderflow.config import GlopalSettings, Settings, ShopSettings, StoreSettings, WindowSettings
from orderflow.domain.machine import TABLE, Report

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize("settings", [Settings, StoreSettings, GlopalSettings, ShopSettings, WindowSettings])
def test_every_setting_is_documented(settings):
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    nested = {"stores", "windows", "glopal", "shop"}
    assert [name for name in settings.__struct_fields__ if name not in nested and f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_shows_the_table_of_the_machine():
    text = (ROOT / "README.md").read_text()
    assert f"| {' | '.join(Report)} |" in text
    for status, verdicts in TABLE.items():
        assert f"| {status} | {' | '.join(verdicts)} |" in text
