"""What comes from outside is shown as what it is: no terminal obeys it, no table breaks, no command fails on it."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from tests.badinput.corpus import TEXT, event
from tests.badinput.fuzz import FEW, WORDS, fuzz, mangled
from tests.e2e.stage import STORE, Stage, staged
from tests.intake.feeds import page

from orderflow import intake, orders, work
from orderflow.cli import main
from orderflow.cli.plain import plain
from orderflow.domain.decisions import Cancel
from orderflow.domain.events import Malformed
from orderflow.glopal.codec import Page, read_page
from orderflow.orders import Fact
from orderflow.store import progress

NASTY = "\x1b[2J\x1b]0;title\x07\r\n\u202e\u200b\x9b31m[/red][bold]:smile:"
"""What no check of today lets into the log; an older log may hold it."""
SHOWN = r"\u001b[2J"


@pytest.fixture(scope="module")
def stage(tmp_path_factory, module_database_url) -> Iterator[Stage]:
    """One order with every odd name that is let in, and with texts that are not let in any more."""
    with staged(tmp_path_factory.mktemp("display"), module_database_url) as made:
        read = read_page(page(*(entry.raw for entry in TEXT), event({"event_name": "order.ready"}), b"17"))
        assert isinstance(read, Page)
        with made.app.engine.begin() as conn:
            intake.record(conn, made.app.vault, STORE, read.elements)
        with made.app.engine.begin() as conn:
            order = orders.load(conn, STORE, "7-7")
            facts = [Fact(Malformed(NASTY), "old malformed")]
            assert orders.commit(conn, made.app.vault, STORE, "7-7", order, facts)
            progress.pause(conn, STORE, "pull", NASTY, NASTY)
        orders.handle(made.app.engine, made.app.vault, STORE, "7-7", Cancel(NASTY, NASTY), "c-1")
        while work.project(made.app, STORE):
            pass
        yield made


COMMANDS = (
    ("orders", "timeline", "7-7"),
    ("orders", "timeline", f"{STORE}/~intake"),
    ("orders", "show", "7-7"),
    ("orders", "as-of", "2999-01-01T00:00", "7-7"),
    ("orders", "list", "--attention"),
    ("why", "7-7"),
    ("effects", "list"),
    ("pauses",),
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_shown(stage, arguments, form):
    """Every character can be seen; what is odd stands there letter by letter."""
    answer = stage.run(*arguments, *(["--json"] if form == "json" else []))
    for line in (answer.out + answer.err).split("\n"):
        assert line.isprintable(), line
    if form == "json":
        assert answer.data is not None
        return
    assert all(len(line) <= 400 for line in answer.out.splitlines())


def test_names_from_outside_stand_as_they_are(stage):
    """Neither rich's markup nor its emoji codes, nor anything else, changes an event's name."""
    shown = stage.run("orders", "timeline", "7-7").out
    for name in ("[/bold]", "[link=file:///etc/passwd]order[/link]", ":smiling_imp:", "{{7*7}}", "<script>", "%s%n"):
        assert name in shown
    assert SHOWN in shown
    assert SHOWN in stage.run("pauses").out.replace("\n", "")


def test_a_terminal_is_told_the_same(stage):
    """On a terminal there are colours of ours, and no other command."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for arguments in (("orders", "timeline", "7-7"), ("why", "7-7"), ("orders", "list")):
        out = Terminal()
        with (
            patch.object(sys, "argv", ["orderflow", *arguments]),
            patch.dict(os.environ, stage.environment | {"TERM": "xterm-256color", "COLUMNS": "200"}),
            redirect_stdout(out),
            contextlib.suppress(SystemExit),
        ):
            main()
        for command in ("\x1b[2J", "\x1b]0", "\x07", "\r", "\u202e", "\x9b"):
            assert command not in out.getvalue()


@pytest.mark.parametrize("hidden", ["\x1b[31m", "\n", "\u202e", "\u200b", "\udcff", "\xa0", "\x9b", "a\r\nb"])
def test_an_argument_that_is_not_to_be_seen(stage, hidden):
    """It is refused before anything is read: it would end up in the log, and be shown to others."""
    before = stage.run("orders", "timeline", "7-7", "--json").data
    for arguments in (
        ("orders", "show", f"7-7{hidden}"),
        ("cancel", "7-7", "--reason", hidden),
        ("cancel", "7-7", "--reason", "x", "--by", hidden),
        ("retry", "7-7", "fetch", "--why", "x", "--command-id", hidden),
        ("orders", "list", "--text", hidden),
    ):
        answer = stage.run(*arguments, code=2)
        assert "has a character that is not to be seen (U+" in answer.err
        assert answer.err.count("\n") == 1
        assert answer.err[:-1].isprintable()
    assert stage.run("orders", "timeline", "7-7", "--json").data == before


@pytest.mark.parametrize(
    "order_id", ["7", "7-77", "7%2d7", "../7-7", "7-7/..", "' or 1=1 --", "%", "_", "{}", "x" * 9000]
)
def test_order_ids_on_the_command_line(stage, order_id):
    """None is taken for another order."""
    for command in (("orders", "show"), ("orders", "timeline"), ("why",)):
        assert stage.run(*command, order_id, code=2).out == ""
    assert stage.run("cancel", order_id, "--reason", "x", code=2).out == ""


def test_plain_text_keeps_what_can_be_seen() -> None:
    """Letters of every script, emoji and accents stay; the result can always be printed, and is JSON if it was."""
    assert plain("Zoé 花子 😀 o\u0301 [/red]\nx") == "Zoé 花子 😀 o\u0301 [/red]\nx"
    assert plain(NASTY).replace("\n", "").isprintable()

    def check(text: str) -> None:
        assert all(line.isprintable() for line in plain(text).split("\n"))
        assert plain(plain(text)) == plain(text)
        plain(text).encode()

    fuzz("plain", lambda rng: "".join(rng.choices([chr(rng.randrange(0x110000)), *WORDS], k=5)), check)


# ---- any command line ----------------------------------------------------------------------------------------------

VERBS = (
    *("why", "orders", "list", "show", "timeline", "as-of", "effects", "accept", "cancel", "release", "retry", "pause"),
    *(
        "resume",
        "pauses",
        "pull",
        "rebuild",
        "verify",
        "doctor",
        "map",
        "routes",
        "config",
        "check",
        "version",
        "--help",
    ),
)
OPTIONS = ("--json", "--store", "--limit", "--why", "--by", "--reason", "--id", "--number", "--older-than", "--status")


def test_any_command_line(tmp_path: Path) -> None:
    """Without settings every one ends with a known code and a line, never with a traceback."""
    said = io.StringIO()

    def make(rng: Random) -> list[str]:
        words = [rng.choice(VERBS) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
        odd = [rng.choice(WORDS) for _ in range(rng.randrange(4))]
        options = [rng.choice(OPTIONS) for _ in range(rng.randrange(3))]
        tail = [*odd, *options]
        rng.shuffle(tail)
        mangle = [mangled(rng, b"7-7").decode("utf-8", "surrogateescape").replace("\0", "")]
        return [word.replace("\0", "") for word in (*words, *tail, *mangle[: rng.randrange(2)])]

    def check(arguments: list[str]) -> None:
        said.seek(0)
        said.truncate()
        with patch.object(sys, "argv", ["orderflow", *arguments]), redirect_stdout(said), redirect_stderr(said):
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code
        assert code in {0, 1, 2, None}, (code, said.getvalue())
        assert "Traceback" not in said.getvalue()

    missing = {"ORDERFLOW_CONFIG": str(tmp_path / "none.toml"), "COLUMNS": "100"}
    with patch.dict(os.environ, missing), contextlib.chdir(tmp_path):
        fuzz("command lines", make, check, examples=FEW)
