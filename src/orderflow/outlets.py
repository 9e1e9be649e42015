"""Ways out of orderflow that are no destination of orders: a program, an address. Seals and alerts leave by them.

It never tries twice, never hands on a secret of ours, and never calls something taken that may not have been.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from orderflow.glopal.client import Endpoint
from orderflow.glopal.replies import Reply

SECONDS: Final = 30.0
"""A program that runs for longer has not taken it."""


class NotTakenError(Exception):
    """It was not taken, or nobody knows. The text holds nothing secret, and nothing of an answer but its code."""


def run(words: Sequence[str], raw: bytes, told: Mapping[str, str]) -> None:
    """A program that gets `raw` on its standard input, and `told` in its environment; only exit code 0 means taken.

    Raises `NotTakenError`.
    """
    # Its own surroundings, without what may be a secret of ours.
    around = {name: value for name, value in os.environ.items() if not name.startswith("ORDERFLOW_")}
    try:
        done = subprocess.run(
            list(words), input=raw, capture_output=True, timeout=SECONDS, check=False, env=around | dict(told)
        )
    except subprocess.TimeoutExpired:
        raise NotTakenError(f"{words[0]} did not end within {SECONDS:.0f} s") from None
    except OSError as error:
        raise NotTakenError(f"{words[0]} cannot be run ({error.strerror})") from None
    if done.returncode:
        raise NotTakenError(f"{words[0]} ended with {done.returncode}")


def send(endpoint: Endpoint, method: str, target: str, raw: bytes, headers: Mapping[str, str]) -> None:
    """One request to an HTTP server; any 2xx means taken. Raises `NotTakenError`."""
    got = endpoint.exchange(method, target, body=raw, headers=headers)
    if not isinstance(got, Reply):
        raise NotTakenError(got.reason)
    if not 200 <= got.status < 300:
        raise NotTakenError(f"the answer was {got.summary}")
