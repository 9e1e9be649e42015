"""Exceptions as people read them: what is wrong, and the exact command lines that help.

It never decides what is wrong; `domain.attention` does.
"""

from __future__ import annotations

from collections.abc import Iterator

from orderflow.domain.attention import Attention


def command_lines(one: Attention, store: str, order_id: str, command: str = "orderflow") -> Iterator[str]:
    """What to type; `command` is how orderflow was called. What only Glopal's own pages offer is said in words."""
    for wanted in one.commands:
        verb, *rest = wanted.split()
        match verb:
            case "release" | "retry":
                yield f'{command} {verb} {store} {order_id} {" ".join(rest)} --why "..."'
            case "cancel":
                yield f'{command} cancel {store} {order_id} --reason "..."'
            case "refund":
                yield "(refund the buyer in Glopal's Merchant Account)"
            case _:
                yield f"{command} {verb} {store} {order_id} {' '.join(rest)}".rstrip()
