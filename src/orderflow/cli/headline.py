"""One plain sentence about an order: where it stands, what stops it, whose turn it is, and whether it needs you.

It never looks anything up: it reads a card.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orderflow.cli.means import span


def headline(found: dict[str, Any], now: datetime) -> str:
    """The sentence for one card."""
    since = f" since {clock(found['status_since'], now)}" if found["status_since"] else ""
    return f"{found['status']}{since}{_held(found)}; {_turn(found, now)}"


def needs_you(found: dict[str, Any]) -> bool:
    """Does anything wait for a person?"""
    stopped = any(one["stops"] and one["kind"] != "out_of_scope" for one in found["around"])
    return stopped or any(not one["settling"] for one in found["attention"])


def clock(time: datetime, now: datetime) -> str:
    """A time of day, with the day unless it is today's; UTC."""
    if time.date() == now.date():
        return f"{time:%H:%M:%S}"
    return f"{time:%m-%d %H:%M}" if time.year == now.year else f"{time:%Y-%m-%d %H:%M}"


def when(time: datetime, now: datetime) -> str:
    """A time with its distance: `19:50:12, in 3 min` or `19:50:12, 3 min ago`."""
    distance = f"in {span(time - now)}" if time > now else f"{span(now - time)} ago"
    return f"{clock(time, now)}, {distance}"


def _held(found: dict[str, Any]) -> str:
    reasons = [hold["reason"] for hold in found["holds"]]
    return f", held by {' and '.join(reasons)}" if reasons else ""


def _turn(found: dict[str, Any], now: datetime) -> str:
    people = [one for one in found["attention"] if not one["settling"]]
    if people:
        more = f", and {len(people) - 1} more" if len(people) > 1 else ""
        return f"needs you: {people[0]['text']}{more}"
    stops = next((one for one in found["around"] if one["stops"]), None)
    if stops is not None:
        return stops["text"] if stops["kind"] == "out_of_scope" else f"needs you: {stops['text']}"
    if not found["waiting"]:
        return "nothing more is to come"
    return f"waits for {_wait(found['waiting'][0], now)}; nothing needs you"


def _wait(one: dict[str, Any], now: datetime) -> str:
    if one["next_at"] is None:
        return str(one["what"])
    at = "now" if one["next_at"] <= now else f"at {when(one['next_at'], now)}"
    return f"{one['what']} ({at}: {one['step']})"
