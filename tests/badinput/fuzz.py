"""Seeded generators of odd input, and the loop that feeds them to a parser.

Plain loops instead of a property-testing library: twenty thousand examples take a second or two, and each can be made
again from its number alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

SCALE = float(os.environ.get("ORDERFLOW_FUZZ", "1"))
"""More or fewer examples everywhere: ORDERFLOW_FUZZ=10."""
EXAMPLES = int(20_000 * SCALE)
FEW = int(2_000 * SCALE)
"""For what takes a millisecond each: files, whole command lines, HTTP."""
SLOWEST = 1.0
"""Seconds of CPU time that one example may take."""

WORDS: tuple[Any, ...] = (
    *("", " ", "0", "-0", "1e400", "NaN", "null", "true", "1,5", "+5", "0x10", "9" * 400, "1-1", "7-7", "~intake"),
    *("../x", "%2f", "a b", "a\nb", "a\r\nX: y", "a\0b", "\x1b[31m", "\u202e", "\u200b", "\ud800", "\udcff", "\u0661"),
    *("\uff17", "é", "e\u0301", "😀", "[/red]", "{x}", "{order_id}", "=1+1", "<b>", "%s", "x" * 300, "ready", "READY"),
    *("order.ready", "ok", "draft", "order", "cancelled", "EUR", "eur", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
)
NUMBERS: tuple[Any, ...] = (0, 1, -1, 17, 2**31, 2**63, 2**64, 10**400, 0.1, -0.0, 1e300, 5e-324)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [0] * 50, {"a": {"b": {}}})
TOKENS = (
    *(b"", b"0", b"-0", b"-", b"1e400", b"1E+99999999999", b"0.", b"NaN", b"Infinity", b"9" * 5000, b"null", b"true"),
    *(b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"\\u006f", b"{", b"}", b"[", b"]", b",", b":", b"//", b"/**/", b";"),
    *(b"[" * 70, b"{}" * 5, b"[" * 2000, b'{"a":' * 2000, b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"\x1b[2J", b"\r\n", b"\n", b"\t", "\u202e".encode(), "\u0661".encode(), "\uff07".encode(), b"<", b"%", b"="),
)


def fuzz(name: str, make: Callable[[Random], T], check: Callable[[T], object], examples: int = EXAMPLES) -> float:
    """Check many examples; the first that fails is shown with its number. Returns the CPU seconds of the slowest."""
    slowest, which = 0.0, 0
    for number in range(examples):
        example = make(Random(f"{name} {number}"))
        begun = time.process_time()
        try:
            check(example)
        except Exception as error:
            raise AssertionError(f"{name}, example {number}: {example!r}"[:5000]) from error
        took = time.process_time() - begun
        if took > slowest:
            slowest, which = took, number
    assert slowest < SLOWEST, f"{name}, example {which} took {slowest:.2f} s: {make(Random(f'{name} {which}'))!r}"[
        :5000
    ]
    return slowest


def value(rng: Random, depth: int = 3) -> Any:
    """Any JSON value, most likely an odd one."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(WORDS)
    if kind == 3:
        return rng.choice(NUMBERS)
    if kind == 4 or not depth:
        return rng.choice(OTHERS)
    if kind == 5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice(WORDS): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return "".join(rng.choice(WORDS)[:3] for _ in range(rng.randrange(4)))


def changed(rng: Random, document: Any, rate: float = 0.15) -> Any:
    """The document with some of its values, names and members replaced, doubled in lists, or left out."""
    if rng.random() < rate:
        return value(rng)
    if isinstance(document, dict):
        made = {}
        for name, member in document.items():
            if rng.random() < rate / 3:
                continue
            called = rng.choice((name, name.upper(), f"{name}\0", f"{name}\u0301", rng.choice(WORDS)))
            made[called if rng.random() < rate / 3 else name] = changed(rng, member, rate)
        return made
    if isinstance(document, list):
        members = [changed(rng, member, rate) for member in document]
        return members * rng.choice((1, 1, 1, 2, 30))
    return document


def mangled(rng: Random, raw: bytes) -> bytes:
    """The bytes with up to three wounds: bits, cuts, pieces doubled or moved, odd tokens, members doubled."""
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3))):
        at, end = sorted((rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)))
        match rng.randrange(7):
            case 0 if raw:
                at = min(at, len(raw) - 1)
                raw = raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
            case 1:
                raw = raw[:at]
            case 2:
                raw = raw[:at] + raw[end:]
            case 3:
                raw = raw[:end] + raw[at:]
            case 4:
                raw = raw[:at] + rng.choice(TOKENS) + raw[at + rng.randrange(3) :]
            case 5:
                raw = _member_doubled(rng, raw)
            case _:
                raw = raw[:at] + raw[at:].replace(rng.choice((b":", b",", b'"', b"1")), rng.choice(TOKENS), 1)
    return raw


def _member_doubled(rng: Random, raw: bytes) -> bytes:
    parts = raw.split(b",")
    member = rng.choice(parts).strip(b"{}[] ")
    parts.insert(rng.randrange(len(parts)), member)
    return b",".join(parts)


def document(rng: Random, seeds: Sequence[Any]) -> bytes:
    """One of the documents as JSON, changed and mangled."""
    seed = rng.choice(seeds)
    if isinstance(seed, bytes):
        return mangled(rng, seed)
    text = json.dumps(changed(rng, seed, rng.choice((0.0, 0.05, 0.2))), ensure_ascii=rng.random() < 0.5)
    return mangled(rng, text.encode("utf-8", "surrogatepass"))
