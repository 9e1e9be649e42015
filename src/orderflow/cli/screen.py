"""One order's card on a screen: sections of short lines, whole command lines to copy.

It never looks anything up, and never shows more than the card holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderflow.cli import means
from orderflow.cli.headline import clock, when
from orderflow.cli.means import span

ATTEMPTS_PRINTED: Final = 5
_LABEL: Final = "bold"
_COMMAND: Final = "cyan"
_FAINT: Final = "dim"
Line = str | Text


def printed(found: dict[str, Any], console: Console, sections: Sequence[str]) -> None:
    """The named sections of a card, for 80 columns or more, or a pipe."""
    now = found["now"]
    name = Text(f"{found['store']}/{found['order_id']}", style=_LABEL)
    console.print(name.append(f"   at {clock(now, now)} UTC", style="not bold dim"))
    means.show(Text(found["headline"], style=_mood(found)), console)
    console.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold")
    for section in sections:
        for number, line in enumerate(_SECTIONS[section](found, now)):
            grid.add_row("" if number else section, line)
    means.show(grid, console)
    helpful = list(commands(found))
    if helpful:
        console.print(Text("\nwhat helps", style=_LABEL))
        for text in helpful:
            console.print(Text(f"  {text}", style=_COMMAND), soft_wrap=True)  # whole, to be copied


def commands(found: dict[str, Any]) -> Iterator[str]:
    """The command lines that help, each once: first those that are needed."""
    waiting = sorted(found["attention"], key=lambda one: one["settling"])
    lines = [line for one in (*waiting, *found["around"]) for line in one["commands"]]
    yield from dict.fromkeys(lines)


def _mood(found: dict[str, Any]) -> str:
    if found["needs_you"]:
        return "bold red"
    return "yellow" if found["holds"] or found["under_way"] else "green"


def _status(found: dict[str, Any], now: datetime) -> list[Line]:
    since = f" since {when(found['status_since'], now)}" if found["status_since"] else ""
    sure = "confirmed by details" if found["confirmed"] else "not confirmed by details"
    lines: list[Line] = [f"{found['status']}{since}; {sure}"]
    if found["total"] is not None:
        lines.append(f"{found['total']} {found['currency']} ({found['environment'] or 'environment not told'})")
    if found["cancel_reason"]:
        lines.append(f"cancellation asked for: {found['cancel_reason']}")
    ending = found["cancelled"]
    if ending is not None:
        why = f": {ending['reason']}" if ending["reason"] else ""
        at = f" at {clock(ending['at'], now)}" if ending["at"] else ""
        lines.append(f"cancelled{at} by {ending['by'] or 'nobody named'}{why}, says Glopal")
    return lines


def _exceptions(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    """By the id that `exceptions show` takes. What Glopal is still being asked about may end by itself."""
    for one in found["attention"]:
        if one["id"] is not None:
            yield one["id"]
            settling = ", may end by itself" if one["settling"] else ""
            yield _faint(f"{one['class']}, since {when(one['since'], now)}, with {one['owner']}{settling}")


def _refunds(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    """Each of ours and of Glopal's, then what is left."""
    del now
    for one in found["refunds"]:
        name = f"{one['name']}: " if one["ours"] else ""
        amount = "an amount that cannot be read" if one["amount"] is None else f"{one['amount']:f}"
        currency = one["currency"] or found["currency"] or ""
        by = f", by {one['by']}" if one["by"] else ""
        why = f" ({one['reason']})" if one["reason"] else ""
        yield f"{name}{amount} {currency}{by}{why}: {one['outcome']}" + (", as settled" if one["settled"] else "")
        if one["glopal_amount"] is not None:
            claim = f", claim {one['claim']}" if one["claim"] else ""
            yield _faint(f"Glopal's share {one['glopal_amount']:f}{claim}")
        if one["at_glopal"]:
            yield _faint(f"Glopal's own id of it: {one['at_glopal']}")
    if found["refunds"]:
        rest = found["left_to_refund"]
        yield "what is left cannot be told" if rest is None else f"{rest:f} {found['currency'] or ''} are left"


def _quotes(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    del now
    for one in found["quotes"]:
        answer = one["outcome"]
        if one["merchant"] is not None:
            answer = f"the merchant would bear {one['merchant']:f}, Glopal {one['glopal']:f}"
        yield f"{one['quote']}: {one['amount']:f} {one['currency']}: {answer}"


def _returns(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for one in found["returns"]:
        waits = "; details have not shown it yet" if one["awaits_details"] else ""
        yield f"{one['id'] or '(no id)'}: {one['state']} since {when(one['since'], now)}{waits}"
    if found["returns"]:
        yield _faint("Glopal processes returns and takes no call about them; carrier and number: its Merchant Account")


def _shop(found: dict[str, Any], now: datetime) -> list[Line]:
    del now
    lines: list[Line] = []
    for shop in found["shop_orders"]:
        number = f", number {shop['number']}" if shop["number"] else ", no number"
        lines.append(
            f"{shop['id']}{number}: {shop['state']}" + ("" if shop["recorded"] else " (beside the recorded one)")
        )
    for text, key in (("asked to accept with", "accept_asked_with"), ("Glopal shows", "glopal_shows")):
        if found[key]:
            lines.append(f"{text} {found[key]['order_id']} / {found[key]['number']}")
    return lines


def _waiting(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for one in found["waiting"]:
        yield one["what"]
        if one["next_at"] is not None:
            at = when(one["next_at"], now) if one["next_at"] > now else "now"
            yield _faint(f"{at}: {one['step']}")
        if one["until"] is not None:
            yield _faint(f"{when(one['until'], now)}: it is left to you")
        if one["then"]:
            yield _faint(f"then: {one['then']}")


def _holds(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for hold in found["holds"]:
        yield f"{hold['reason']} at position {hold['position']}: {hold['detail']}"
        yield from _proof(hold["proof"], now)


def _parked(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for one in found["parked"]:
        verb = "refused" if one["refused"] else "given up"
        target = f" of {one['target']}" if one["target"] else ""
        yield f"{one['effect']}{target}, {verb}: {one['reason']}"
        yield from _proof(one["proof"], now)


def _proof(proof: dict[str, Any] | None, now: datetime) -> Iterator[Text]:
    """The event itself: who said what, where it stands, and under which id its source knows it."""
    if proof is None:
        return
    claimed = f", its own time {clock(proof['occurred_at'], now)}" if proof["occurred_at"] else ""
    recorded = f"recorded {when(proof['recorded_at'], now)}{claimed}"
    yield _faint(f"proof: {proof['position']} {proof['type']}, {recorded}: {proof['said']}")
    if proof["source"] == "glopal":
        yield _faint(f"Glopal's own id of it: {proof['source_id']}")


def _under_way(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for slot in found["under_way"]:
        state = "to be tried again" if slot["phase"] == "again" else "outcome unknown" if slot["unknown"] else "sent"
        tries = f"attempt {slot['attempt']}, {slot['tries']} of {slot['max_attempts']} tries used"
        yield f"{slot['effect']}, {tries}, since {when(slot['since'], now)}: {state}"
        if slot["reason"]:
            yield _faint(slot["reason"])
        if slot["unknown"] and slot["phase"] == "open":
            yield _faint(f"missing counts from {when(slot['counts_from'], now)}; seen to be missing: {slot['absents']}")


def _due(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for one in found["due"]:
        target = f" of {one['target']}" if one["target"] else ""
        yield f"{one['effect']}{target}: " + (when(one["not_before"], now) if one["not_before"] > now else "now")


def _next(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    for row in found["outbox"]:
        kept, next_try = row["kept_back"], row["next_try"]
        if row["parked"]:
            at = "parked until a retry"
        elif next_try is None:
            at = f"not before {row['destination']} is resumed"
        else:
            at = when(next_try, now) if next_try > now else f"due for {span(now - next_try)}"
        does = f"look up {row['effect']}" if row["state"] != "planned" else row["effect"]
        failed = f", failed {row['failures']} times" if row["failures"] else ""
        yield f"{does}: {at}{failed}" + (f" ({row['reason']})" if row["reason"] else "")
        if kept is not None and kept["until"] is not None:
            yield _faint(f"nobody calls {row['destination']} until {clock(kept['until'], now)}: {kept['why']}")
        if row["gives_up_by"] is not None:
            yield _faint(f"left to you by {when(row['gives_up_by'], now)}, if every try fails")


def _attempts(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    kinds = {"send": "", "look_up": " looked up", "read": ""}
    for one in found["attempts"][:ATTEMPTS_PRINTED]:
        status = f" {one['status']}" if one["status"] else ""
        number = f" #{one['attempt']}" if one["attempt"] else ""
        said = f"{one['outcome']} ({one['milliseconds']:.0f} ms), so {one['decision']}"
        yield f"{clock(one['started_at'], now)}  {one['effect']}{number}{kinds[one['kind']]}{status}: {said}"
    if len(found["attempts"]) > ATTEMPTS_PRINTED:
        yield _faint(f"older ones: orderflow effects show {found['store']}/{found['order_id']}")


def _faint(text: str) -> Text:
    return Text(text, style=_FAINT)


def _around(found: dict[str, Any], now: datetime) -> Iterable[Line]:
    del now
    return [one["text"] for one in found["around"]]


_SECTIONS: Final[dict[str, Callable[[dict[str, Any], datetime], Iterable[Line]]]] = {
    "status": _status,
    "exceptions": _exceptions,
    "shop": _shop,
    "refunds": _refunds,
    "quotes": _quotes,
    "returns": _returns,
    "waits for": _waiting,
    "held": _holds,
    "parked": _parked,
    "under way": _under_way,
    "due": _due,
    "next": _next,
    "attempts": _attempts,
    "around it": _around,
}
