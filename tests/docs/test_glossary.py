"""The glossary is the code's own vocabulary: no word in it that the code does not use, none of a closed set missing."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from orderflow.domain.events import Destination, Effect, HoldReason, ShopState
from orderflow.domain.machine import Status, Verdict

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "glossary.md").read_text()
WORDS = re.findall(r"\*\*([^*]+)\*\*", TEXT)
CODE = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*") if p.suffix in {".py", ".sql"})


@pytest.mark.parametrize("word", WORDS)
def test_the_code_uses_the_word(word):
    assert re.search(re.sub("[ -]", "[ _-]?", re.escape(word).replace("\\", "")), CODE, re.IGNORECASE)


def test_no_word_stands_twice():
    assert sorted(WORDS) == sorted(set(WORDS))


@pytest.mark.parametrize("kind", [Status, Verdict, HoldReason, Effect, ShopState, Destination])
def test_every_word_of_a_closed_set_is_explained(kind: type[StrEnum]):
    assert [one.value for one in kind if not re.search(rf"\b{one.value}\b", TEXT)] == []
