"""Every command of the documents does what they say. See `pages` for how a page speaks to this test.

`ORDERFLOW_WRITE_DOCS=1` writes what was printed into blocks that show something else: read the difference.
"""

from collections.abc import Iterator

import pytest

from . import reader
from .pages import PAGES, ROOT, RUN, Block, steps

FOLLOWED = [page for page in PAGES if any(isinstance(s, Block) and s.kind in RUN for s in steps(page))]
SKIPPED = [
    pytest.param(why, id=f"{page.relative_to(ROOT)}:{step.line}")
    for page in FOLLOWED
    for step in steps(page)
    if isinstance(step, Block) and (why := step.says("skip")) is not None
]


@pytest.fixture(scope="session")
def world() -> Iterator:
    """The sandbox that the pages share which begin in the middle of things; nobody starts it before one asks."""
    opened = []

    def once() -> reader.World:
        if not opened:
            opened.append(reader.open_world())
        return opened[0][0]

    yield once
    for _, starter in opened:
        reader.close(starter)


@pytest.mark.timeout(300)  # it waits for much; each wait has a limit of its own
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reader_can_follow(page, world):
    one = reader.Reader(reader.home(), world)
    try:
        for step in steps(page):
            try:
                one.follow(step)
            except Exception as error:
                raise AssertionError(f"{page.relative_to(ROOT)}:{step.line}: {error}") from error
    finally:
        for before, after in one.mended.items():
            page.write_text(page.read_text().replace(before, after, 1))
        reader.close(one)


@pytest.mark.parametrize("why", SKIPPED)
def test_what_is_not_run_says_why(why):
    assert why.startswith("needs "), "say what it needs that is not here"
    pytest.skip(why)
