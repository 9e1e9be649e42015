"""Is what a program printed like what a page shows? Words must agree; ids, times, figures and blanks may differ.

What differs is learnt, so that the reader's next commands speak of the real order and not of the page's.
"""

import re
from dataclasses import dataclass, field
from typing import Final

# What one run calls otherwise than another, longest forms first.
_VARIES: Final = re.compile(
    r"(?P<order>\b\d{6}-\d{6}\b)"
    r"|(?P<shop>\bord_[0-9A-Z]+\b)"
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
        """Every line that the page shows was printed, in this order; others may stand between. `...` stands for any."""
        rest = iter([line for line in printed.splitlines() if line.strip()])
        found: list[tuple[str, str]] = []
        for line in shown:
            if line.strip() in {"", "...", "…"}:
                continue
            real = next((one for one in rest if _bare(one) == _bare(line)), None)
            if real is None:
                return False
            found.append((line, real))
        for line, real in found:
            self._learn(line, real)
        return True

    def _learn(self, line: str, real: str) -> None:
        for ours, theirs in zip(_VARIES.finditer(line), _VARIES.finditer(real), strict=False):
            if ours.lastgroup in _LEARNT and ours.lastgroup == theirs.lastgroup:
                self.names.setdefault(ours[0], theirs[0])
        for (word, at), (same, really) in zip(_HOLD.findall(line), _HOLD.findall(real), strict=False):
            if word == same:
                self.names.setdefault(word + at, same + really)


def _bare(line: str) -> str:
    return " ".join(_VARIES.sub(lambda found: f"<{found.lastgroup}>", line).split())
