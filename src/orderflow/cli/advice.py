"""Exceptions as people read them: what is wrong, and the exact command lines that help.

It never decides what is wrong; `domain.attention` does.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Protocol


class Helped(Protocol):
    """An exception, from wherever it comes: what helps, without program name, store and order."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Verb and arguments of each."""
        ...


def command_lines(one: Helped, store: str, order_id: str, command: str = "orderflow") -> Iterator[str]:
    """What to type; `command` is how orderflow was called."""
    order = shlex.quote(f"{store}/{order_id}")
    for wanted in one.commands:
        verb, _, rest = wanted.partition(" ")
        match verb:
            case "release" | "retry":
                yield f'{command} {verb} {order} {rest} --why "..."'
            case "cancel":
                yield f'{command} cancel {order} --reason "..."'
            case "accept":
                yield f'{command} accept {order} --id {shlex.quote(rest)} --number "..."'
            case "reconcile":
                yield f"{command} reconcile {shlex.quote(store)} {shlex.quote(order_id)}"
            case "refund":
                yield f'{command} refund make {order} --amount "..." --reason "..."'
            case "settle":
                name, _, answer = rest.rpartition(" ")
                yield f'{command} refund settle {order} {shlex.quote(name)} {answer} --why "..."'
            case _:
                yield f"{command} {verb} {order} {rest}".rstrip()
