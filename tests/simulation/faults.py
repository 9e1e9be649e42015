"""Which faults there are, where each of them applies, and how often each really fired: the table of a campaign.

A fault counts as fired only when it changed what somebody saw or did; that it was switched on proves nothing.
The names are those of the fault matrix that the simulation was built from: N (network), E (events), P (processes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

STAGES: Final = ("fetch", "draft", "promote", "accept", "withdraw")
"""The five effects that every fault is asked about."""
BESIDES: Final = ("feed", "look-up", "cancel")
"""Counted as well, where it happens: reading the feed, looking up in the shop, cancelling at Glopal."""
WRITES: Final = STAGES[1:]

FAULTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "N01": ("no connection: provably not sent", STAGES),
    "N03": ("cut before the other side acted", STAGES),
    "N04": ("executed, the reply is lost", STAGES),
    "N05": ("cut, and executed seconds to hours later", WRITES),
    "N06": ("executed, the reply drips until the deadline", STAGES),
    "N07": ("executed, the reply is truncated", STAGES),
    "N08": ("200 with HTML or nothing in it, executed or not", STAGES),
    "N09": ("200 with an unknown member, an unknown word, or a member missing", STAGES),
    "N10": ("429 with a Retry-After, sane or odd", STAGES),
    "N11": ("executed, answered with 500", WRITES),
    "N12": ("5xx, not executed", STAGES),
    "N13": ("another 4xx", STAGES),
    "N14": ("401 or 403: the credentials are turned away", STAGES),
    "N15": ("a redirect to another host", STAGES),
    "N16": ("the shop's search, or Glopal's GET, shows what was before", ("fetch", "draft", "promote", "withdraw")),
    "N17": ("the reply is about another order", ("fetch", "draft", "promote", "withdraw")),
    "N18": ("an outage of minutes to six hours", STAGES),
    "E01": ("the same event twice", ("feed",)),
    "E02": ("the same event id with other contents", ("feed",)),
    "E03": ("events out of order", ("feed", *WRITES)),
    "E04": ("pages that overlap, shrink or come empty", ("feed",)),
    "E05": ("an event appears below the cursor", ("feed",)),
    "E06": ("event ids in no order", ("feed",)),
    "E07": ("an event that nobody knows", ("feed",)),
    "E08": ("an event, or details, that cannot be read", ("feed", "fetch")),
    "P01": ("the process is killed: before, during or after the call, or at a commit", STAGES),
    "P02": ("the process is asked to end, and ends what it has begun", WRITES),
    "P03": ("the process is suspended beyond its lease, and goes on", WRITES),
    "P04": ("an exception inside a handler", WRITES),
    "P05": ("a call is abandoned while it waits for the network", STAGES),
    "P06": ("two workers hold the same order", WRITES),
}
"""Of each fault: what happens, and where it has to fire."""

ELSEWHERE: Final = {
    "N02": "TLS that fails is tested over real sockets: every connector's conformance suite",
    "N17 at accept": "Glopal's answer to an accept names no order",
    "E at the stages": "how often the odd event came while that effect was due or under way; it has to for E03 only",
}


class Fired(Counter[tuple[str, str]]):
    """(fault, stage) -> how often it fired."""

    def fire(self, fault: str, stage: str) -> None:
        """Once more."""
        self[fault, stage] += 1


def never(fired: Counter[tuple[str, str]]) -> list[str]:
    """The cells that apply and never fired, as `N04 at draft`."""
    cells = ((fault, stage) for fault, (_, stages) in FAULTS.items() for stage in stages)
    return [f"{fault} at {stage}" for fault, stage in cells if not fired[fault, stage]]


def table(fired: Counter[tuple[str, str]]) -> str:
    """What fired how often, as Markdown; `·` where the fault does not apply, or did not happen where it need not."""
    columns = (*STAGES, *BESIDES)
    lines = [f"| | fault | {' | '.join(columns)} |", f"| --- | --- |{' ---: |' * len(columns)}"]
    for fault, (text, stages) in FAULTS.items():
        cells = (_cell(fired[fault, stage], applies=stage in stages) for stage in columns)
        lines.append(f"| {fault} | {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(count: int, *, applies: bool) -> str:
    return f"{count:,}".replace(",", " ") if count or applies else "·"


def total(fired: Counter[tuple[str, str]], letters: Iterable[str] = "NEP") -> int:
    """How many faults fired, of these families."""
    return sum(count for (fault, _), count in fired.items() if fault[0] in letters)
