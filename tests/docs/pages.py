"""What a page tells its reader to type: its blocks of commands, and what the page says to this test about them.

A block of ```sh is a script, a block of ```console shows commands after `$` and what they print. A comment
`<!-- docs-test: ... -->`, which no reader sees, speaks of the block below it:

- `skip: why`          it cannot be run here;
- `background`         its last command runs until the page ends; what it prints first is waited for;
- `fails`              its last command is refused, as the page says;
- `output`             a block of another kind: it is what the block before it printed, loosely;
- `run`                a block of Python: it is run;
- `file NAME`          a block of another kind: the reader writes it to this file;

or stands for itself, where the page begins in the middle of things:

- `world`              the sandbox runs, with a migrated database and a worker, and `ORDERFLOW_CONFIG` names it;
- `sandbox FILE FILE`  only the sandbox runs, as the page's Glopal and shop; their keys stand in these files;
- `ctrl-c`             the latest program in the background is stopped;
- `order ID STATE ...` an order in this state (`beginnings.STATES`); the page calls it ID.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_COMMENT: Final = re.compile(r"\s*<!-- docs-test: (.+?) -->\s*$")
_FENCE: Final = re.compile(r"(\s*)```(\w*)\s*$")
RUN: Final = ("sh", "console")
_FLAGS: Final = ("skip", "background", "fails", "output", "file", "run")


@dataclass(frozen=True, slots=True)
class Block:
    """Something between fences. `line` is where it begins, `told` what the comments above it say."""

    kind: str
    text: str
    line: int
    told: tuple[str, ...] = ()

    def says(self, word: str) -> str | None:
        """What follows `word` in the comments; None without it."""
        return next((t.removeprefix(word).lstrip(": ") for t in self.told if re.match(rf"{word}\b", t)), None)


@dataclass(frozen=True, slots=True)
class Setting:
    """A comment that stands for itself: what has happened before the reader goes on."""

    what: str
    line: int


def steps(page: Path) -> list[Block | Setting]:
    """What a reader of the page meets, from top to bottom."""
    return list(_steps(page.read_text().splitlines()))


def _steps(lines: list[str]) -> Iterator[Block | Setting]:
    told: list[str] = []
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if comment := _COMMENT.match(line):
            if comment[1].split(":")[0].split()[0] in _FLAGS:
                told.append(comment[1])
            else:
                yield Setting(comment[1], number)
        elif fence := _FENCE.match(line):
            inside = []
            for _, text in numbered:
                if text.strip() == "```":
                    break
                inside.append(text.removeprefix(fence[1]))
            yield Block(fence[2], "\n".join(inside) + "\n", number, tuple(told))
            told = []


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that the page shows as its output (a script shows none)."""
    if block.kind == "sh":
        yield block.text, []
        return
    command, shown = "", list[str]()
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        elif command.endswith("\\") and not shown:
            command += "\n" + line.removeprefix("> ")
        else:
            shown.append(line)
    yield command, shown
