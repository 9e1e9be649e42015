"""How fast a command goes through many orders: `5/s`, `100/min`, `600/h`.

It never waits by itself.
"""

from __future__ import annotations

from orderflow.cli.means import Failure


def seconds_of(rate: str) -> float:
    """Seconds between two items at `rate`. Raises `Failure`."""
    number, _, unit = rate.partition("/")
    per = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}.get(unit)
    if per is None or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 10_000:
        raise Failure(f"--rate: {rate!r} is no rate; write it as in 5/s, 100/min or 600/h")
    return per / int(number)
