"""YAML is read as the plain data it is, and everything clever in it is refused by name."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow.glopal.description.yamltext import parse
from orderflow.glopal.jsontext import NotJson

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, 'no', no, true, null, ~]\n", {"a": 1, "b": ["x", "no", "no", True, None, None]}),
        ("200: ok\nno: x\n1.5: y\n", {"200": "ok", "no": "x", "1.5": "y"}),
        ("a: 2.50\nb: 1e3\nc: 0x1F\nd: 010", {"a": Decimal("2.50"), "b": Decimal("1e3"), "c": "0x1F", "d": 10}),
        ("d: 2025-07-02\nt: 12:30:45", {"d": "2025-07-02", "t": "12:30:45"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("- - 1\n  - {}\n", [[1, {}]]),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "a name stands twice (line 2)"),
        ("a: !!python/object/apply:os.system [x]", "a tag (line 1): only plain data is read"),
        ("a: !mine 5", "a tag (line 1): only plain data is read"),
        ("a: &a [*a]", "an alias without a finished anchor (line 1)"),
        ("a: *nowhere", "an alias without a finished anchor (line 1)"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "a merge key (line 3): write the members out"),
        ("? [a]\n: b", "a name that is no text (line 1)"),
        ("a: 1\n---\nb: 2", "more than one document (line 2)"),
        ("[" * 100_000, "nested too deeply (line 1)"),
        ("- " * 100_000, "nested too deeply (line 1)"),
        ("a: 'x", "not YAML (line 1)"),
        ("a: \x00", "not YAML"),
    ],
    ids=range(12),
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert parse(text) == NotJson(problem)


def test_a_small_text_does_not_unfold_into_a_big_one() -> None:
    lines = ["a0: &a0 [" + "1," * 10 + "]"]
    lines += [f"a{n}: &a{n} [" + f"*a{n - 1}," * 10 + "]" for n in range(1, 12)]
    result = parse("\n".join(lines))
    assert isinstance(result, NotJson)
    assert result.problem.startswith("more than 200000 values")


def test_it_agrees_with_the_library_on_a_real_description() -> None:
    text = (ROOT / "src/orderflow/connectors/shop.openapi.yaml").read_text("utf-8")
    assert parse(text) == yaml.safe_load(text)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text("ab:-[]{}&*!|>?'\"#%,\n 01.~<", max_size=80) | st.text(max_size=60))
def test_whatever_the_text(text: str) -> None:
    result = parse(text)
    assert not isinstance(result, NotJson) or result.problem.isprintable()
