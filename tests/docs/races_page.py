"""docs/reference/races.md, from the pure core: every race between news and an effect, played to its end.

tests/relay/test_races.py plays the same races on the real engine and compares the ends.
"""

from typing import Final

from tests.domain.races import CELLS, EFFECTS, STARTS, Cell, Course, News, Stage, courses

from orderflow.domain.events import Effect
from orderflow.domain.machine import Status

BODY: Final = """\
# Races

Something happens at Glopal, or a person decides something, just while orderflow is changing the world for the same
order. This page lists every such race and how it ends: four effects, five moments, six kinds of news. It is computed
from the rules in `domain/`; each race is also played by the test suite on the real relay, with a real database and
the sandbox; both must end alike.

How to read it:

- **moment**: *planned* is due and not begun; *intended* has its intent recorded and not a byte sent; *in flight* has
  been executed by the other side, which has not answered yet; *unknown* has been executed, and the answer is lost;
  *done* is recorded as delivered.
- **at once**: what recording the news does.
- **next**: what is due the moment after. An effect that is under way is not due: it is waited for, or looked up.
- **writes**: everything that was intended for the order over its whole life, in order.
- **ends**: the shop's orders and Glopal's status, 27 hours later; then the exception that a person is shown, if any.

{kinds}

Of {cells} cells, {impossible} cannot be. In all others there is one order in the shop at the most, and one set of ids
at Glopal; what is cancelled has nothing left in the shop; nothing is left unknown.
"""

_NEWS: Final = {
    News.RECEIVED: "`order.received` comes, repeated or late",
    News.READY: "`order.ready` comes: true if the order was only received, else repeated or late",
    News.CANCELLED: "Glopal cancels and reports it; of a cancelled order, the report is repeated",
    News.ELSEWHERE: "somebody else accepts the order with other ids",
    News.OPERATOR: "a person gives `orderflow orders cancel`",
    News.STALE: "fresh details show what was before: the GET lags",
}

_TITLES: Final = {
    Effect.DRAFT: "A draft is being made",
    Effect.PROMOTE: "The draft is being promoted",
    Effect.ACCEPT: "Glopal is being told that we accept",
    Effect.WITHDRAW: "The draft of a cancelled order is being withdrawn",
}


def page() -> str:
    """The whole page."""
    played = dict(courses())
    kinds = "\n".join(["| news | |", "| --- | --- |", *(f"| *{news}* | {text} |" for news, text in _NEWS.items())])
    impossible = sum(isinstance(course, str) for course in played.values())
    body = BODY.format(kinds=kinds, cells=len(CELLS), impossible=impossible)
    return "\n".join([body, *(_section(effect, played) for effect in EFFECTS)])


def _section(effect: Effect, played: dict[Cell, Course | str]) -> str:
    lines = [
        f"## {_TITLES[effect]}",
        "",
        f"{_BEGINS[effect]} Glopal says {STARTS[effect]}.",
        "",
        "| moment | news | at once | next | writes | ends |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for stage in Stage:
        for news in News:
            course = played[Cell(effect, stage, news)]
            rest = f"cannot be: {course} | | |" if isinstance(course, str) else _course(course)
            lines.append(f"| {stage} | {news} | {rest} |")
    return "\n".join([*lines, ""])


_BEGINS: Final = {
    Effect.DRAFT: "Nothing stands in the shop yet.",
    Effect.PROMOTE: "A draft stands in the shop.",
    Effect.ACCEPT: "A promoted order stands in the shop.",
    Effect.WITHDRAW: "A draft stands in the shop.",
}


def _course(course: Course) -> str:
    end = course.end
    writes = ", ".join(end.writes) or "none"
    shop = ", ".join(end.shop) or "nothing"
    told = f"; **{', '.join(end.exceptions)}**" if end.exceptions else ""
    of = f" ({end.accepted} ids)" if end.accepted and end.status is not Status.CANCELLED else ""
    return f"{course.at_once} | {', '.join(course.next) or '–'} | {writes} | {shop}; {end.status}{of}{told}"
