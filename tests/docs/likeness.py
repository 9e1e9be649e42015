"""Is what a program printed like what a page shows? Words must agree; ids, times, figures and blanks may differ.

What differs is learnt, so that the reader's next commands speak of the real order and not of the page's.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

# What one run calls otherwise than another, longest forms first.
_VARIES: Final = re.compile(
    r"(?P<order>\b\d{6}-\d{6}\b)"
    r"|(?P<shop>\bord_[0-9A-Z]+\b)"
    r"|(?P<hash>\b[0-9a-f]{12}\b)"
    r"|(?P<path>(?<![\w:/])/(?:tmp|var|home)[\w./+-]*)"
    r"|(?P<money>\b\d[\d.]* [A-Z]{3}\b)"
    r"|(?P<time>\b\d+ (?:ms|s|min|h|d)\b)"
    r"|(?P<number>\b\d[\d.:]*)"
)
_HOLD: Final = re.compile(
    r"\b((?:contradiction|evidence|environment|money|unmapped|malformed|overruled)(?: at position)? )(\d+)\b"
)
_LEARNT: Final = ("order", "shop", "path")


@dataclass(slots=True)
class Likeness:
    """What the page's names are called in this run."""

    names: dict[str, str] = field(default_factory=dict)

    def real(self, text: str) -> str:
        """`text` with the page's names replaced by those of this run."""
        for name in sorted(self.names, key=len, reverse=True):
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", lambda _, to=self.names[name]: to, text)
        return text

    def like(self, shown: list[str], printed: str) -> bool:
        """Every word that the page shows was printed, as often. `...` stands for any.

        Lines are no measure: where they break, and whose news came first, differs from run to run.
        """
        shown = [line for line in shown if line.strip() not in {"...", "…"}]
        if _words(shown) - _words(printed.splitlines()):
            return False
        self.learn(_pairs(shown, printed.splitlines()))
        return True

    def learn(self, found: Iterable[tuple[str, str]]) -> None:
        """Take over what the second lines call otherwise than the first."""
        for line, real in found:
            self._learn(line, real)

    def _learn(self, line: str, real: str) -> None:
        for ours, theirs in zip(_VARIES.finditer(line), _VARIES.finditer(real), strict=False):
            if ours.lastgroup in _LEARNT and ours.lastgroup == theirs.lastgroup:
                self.names.setdefault(ours[0], theirs[0])
        for (word, at), (same, really) in zip(_HOLD.findall(line), _HOLD.findall(real), strict=False):
            if word == same:
                self.names.setdefault(word + at, same + really)


def _pairs(shown: list[str], printed: list[str]) -> Iterator[tuple[str, str]]:
    """The lines that are alike, in their order."""
    at = 0
    for line in shown:
        for there in range(at, len(printed)):
            if _bare(line) and _bare(line) == _bare(printed[there]):
                yield line, printed[there]
                at = there + 1
                break


def _words(lines: list[str]) -> Counter[str]:
    return Counter(word for line in lines for word in _bare(line).split())


def _bare(line: str) -> str:
    return " ".join(_VARIES.sub(lambda found: f"<{found.lastgroup}>", line).split())
