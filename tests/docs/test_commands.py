"""Every command of the documents does what they say. See `pages` for how a page speaks to this test.

`ORDERFLOW_WRITE_DOCS=1` writes what was printed into blocks that show something else: read the difference.
"""

from collections.abc import Iterator

import pytest

from . import beginnings
from .pages import PAGES, ROOT, RUN, Block, steps
from .reader import Reader
from .terminal import Terminal

FOLLOWED = [page for page in PAGES if any(isinstance(s, Block) and s.kind in RUN for s in steps(page))]
SKIPPED = [
    pytest.param(why, id=f"{page.relative_to(ROOT)}:{step.line}")
    for page in FOLLOWED
    for step in steps(page)
    if isinstance(step, Block) and (why := step.says("skip")) is not None
]


@pytest.fixture(scope="session")
def shared() -> Iterator:
    """The world that the pages share which begin in the middle of things; nobody starts it before one asks."""
    terminal = Terminal()
    opened = []

    def once() -> beginnings.World:
        if not opened:
            opened.append(beginnings.world(terminal))
        return opened[0]

    yield once
    terminal.close()


@pytest.mark.timeout(300)  # it waits for much; each wait has a limit of its own
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reader_can_follow(page, shared):
    reader = Reader(Terminal(), shared)
    try:
        for step in steps(page):
            try:
                reader.follow(step)
            except Exception as error:
                raise AssertionError(f"{page.relative_to(ROOT)}:{step.line}: {error}") from error
    finally:
        for before, after in reader.mended.items():
            page.write_text(page.read_text().replace(before, after, 1))
        reader.terminal.close()


@pytest.mark.parametrize("why", SKIPPED)
def test_what_is_not_run_says_why(why):
    assert why.startswith("needs "), "say what it needs that is not here"
    pytest.skip(why)
