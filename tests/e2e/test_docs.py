"""The documents say what is: the references of the command line and of the settings are generated.

`ORDERFLOW_WRITE_DOCS=1 python -m pytest tests/e2e/test_docs.py` writes the generated ones anew.
"""

import os
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from orderflow.cli import program
from orderflow.cli.exits import CODES
from orderflow.config.page import reference as settings_reference

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
CLI = ROOT / "docs" / "reference" / "cli.md"
HEAD = """\
# Command line

`orderflow [--config PATH] COMMAND`. Generated from the program itself.

An order is named by Glopal's id, or as `STORE/ORDER` where two stores share one; commands that only look also take the
shop's id or number, and the ids that the order was accepted with. `--json` prints the whole answer for programs: money
as texts, times as ISO 8601. Times for people are UTC. Errors are one line on stderr; nothing personal is ever shown,
unless `effects show --personal` is asked to. Colours are for terminals only, and `NO_COLOR` is honoured.

| exit code | meaning |
| --- | --- |
{codes}

Ctrl-C may be pressed at any time: whatever writes, writes whole transactions, and the same command goes on from there.
""".format(codes="\n".join(f"| {code} | {text} |" for code, text in CODES.items()))


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
