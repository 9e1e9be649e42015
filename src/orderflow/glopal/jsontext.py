"""JSON without losses: decimals keep every digit, duplicate names are refused, and rendering is canonical.

It never goes through binary floats, never raises on hostile input, and never quotes a value in a problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | Decimal | Sequence[Json] | Mapping[str, Json] | None"

LONGEST = 200
"""Characters that an id, a name or a word may have; Glopal names no limit."""

_DEEPEST = 64
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AMOUNT = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_DIGITS = 30  # before the point, and behind it


@dataclass(frozen=True, slots=True)
class NotJson:
    """The bytes are no JSON that may be trusted; `problem` says why, without any of their contents but short names."""

    problem: str


class _Duplicate(ValueError):
    pass


def parse(raw: bytes) -> Json | NotJson:
    """The value of one JSON document (a leading BOM is tolerated); numbers with a point or exponent as `Decimal`."""
    try:
        text = raw.decode("utf-8-sig")
        value: Json = _DECODER.decode(text)
    except UnicodeDecodeError:
        return NotJson("not UTF-8")
    except RecursionError:
        return NotJson("nested too deeply")
    except _Duplicate as error:
        return NotJson(str(error))
    except (ValueError, ArithmeticError):  # ArithmeticError: an exponent that even Decimal refuses
        return NotJson("not JSON")
    return NotJson("nested too deeply") if _too_deep(value, _DEEPEST) else value


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Duplicate(f"ambiguous: {f'`{twice}`' if token(twice) else 'a name'} stands twice")
    return found


def _constant(name: str) -> Json:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_pairs)


def _too_deep(value: Json, left: int) -> bool:
    if isinstance(value, dict):
        return not left or any(_too_deep(member, left - 1) for member in value.values())
    if isinstance(value, list):
        return not left or any(_too_deep(member, left - 1) for member in value)
    return False


def canonical(value: Json) -> bytes:
    """The one form of a value: names sorted, no spaces, ASCII, decimals as numbers with exactly their own digits."""
    return _render(value).encode("ascii")


def _render(value: Json) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{encode_basestring_ascii(k)}:{_render(value[k])}" for k in sorted(value)) + "}"
    return "[" + ",".join(_render(member) for member in value) + "]"


def _number(value: Decimal) -> str:
    """Plain digits where that is sane; `1E+999999999` must not become a gigabyte of zeros."""
    if not value.is_finite():
        raise ValueError("JSON has no infinity")
    return money(value) if -1000 < value.adjusted() < 1000 else str(value)


def money(value: Decimal) -> str:
    """The amount in plain digits, all of them: `19.990000000000000001`."""
    return format(value, "f")


def amount(value: Json) -> Decimal | None:
    """The amount in a JSON number or decimal string, exactly; None for anything else, also for absurd sizes."""
    if isinstance(value, str):
        return Decimal(value) if _AMOUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    exponent = exact.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DIGITS or exact.adjusted() >= _DIGITS:
        return None
    return exact


def token(value: object) -> str | None:
    """The value if it is a short machine-readable word, fit for a reason that people and logs may see; else None."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def instant(text: str) -> datetime | None:
    """The time in an ISO 8601 text as aware UTC (SAMPLE: `...45.854Z`); one without an offset counts as UTC (ASSUMED).

    None if it is no time, or none that databases in every time zone can show. More than six digits of a second are cut
    off.
    """
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if MINYEAR < time.year < MAXYEAR else None


def problem_of_text(value: Json) -> str | None:
    """What is wrong with an id, a name or a word, None if nothing: it must be a short, visible text."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return "is no text"
    if not value:
        return "is empty"
    if len(value) > LONGEST:
        return f"has more than {LONGEST} characters"
    # isprintable() is False for controls, surrogates, direction marks and every space but the plain one.
    return None if value.isprintable() else "has characters that must not be in it"
