"""The comparison can fail: words count, ids and figures do not, and what differs is learnt."""

import pytest

from .likeness import Likeness
from .pages import Block, commands

PAGE = [
    "acme/965023-393551   at 22:23:43 UTC",
    "READY since 22:23:13, 30 s ago; held by overruled",
    "  orderflow release acme/965023-393551 overruled 20 --why ...",
]
RUN = """\
acme/717524-533613   at 09:01:02 UTC
READY since 08:59:00, 2 min ago; held by overruled
something else
  orderflow release acme/717524-533613 overruled 31 --why ...
"""


def test_ids_times_and_figures_may_differ_and_are_learnt():
    likeness = Likeness()
    assert likeness.like(PAGE, RUN)
    command = "orderflow release 965023-393551 overruled 20 --by 965023-3935512"
    assert likeness.real(command) == "orderflow release 717524-533613 overruled 31 --by 965023-3935512"


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("READY", "ACCEPTED"), ("1 order held", "1 order"), ("held\nheld", "held"), ("no mistake", "a mistake")],
)
def test_words_may_not(shown, printed):
    assert not Likeness().like(shown.splitlines(), printed)


def test_dots_stand_for_anything():
    assert Likeness().like(["one", "...", "four"], "one\ntwo\nthree\nfour")


def test_a_console_block_is_commands_with_what_they_print():
    block = Block("console", "$ one \\\n>   more\nsaid\n$ two\n", 1)
    assert list(commands(block)) == [("one \\\n  more", ["said"]), ("two", [])]
