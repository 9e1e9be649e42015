"""One store's event feed: a list of places that only grows, and pages cut from it by an exclusive forward cursor.

A place is never taken away or moved; what is late is late because its entry becomes visible late.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at one or more places of a feed; `head` and `tail` are the JSON text around the external ids.

    `event_id` is None for a malformed element that shows none.
    """

    event_id: str | None
    name: str
    head: str
    tail: str
    external: str  # as it was at emission
    order_id: str | None
    visible_at: datetime


class UnknownCursor(Exception):
    """The cursor names no visible event of this store."""


class Feed:
    """Entries in feed order. Not thread-safe: its owner holds the lock."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._places: dict[str, int] = {}

    def append(self, entry: Entry) -> None:
        """Give the entry the last place."""
        if entry.event_id is not None:
            self._places.setdefault(entry.event_id, len(self.entries))
        self.entries.append(entry)

    def after(self, cursor: str | None, names: Collection[str], limit: int, now: datetime) -> list[Entry]:
        """At most `limit` visible entries behind the cursor (None: from the start), only of `names` unless empty.

        A page never ends on a repeat of an event that stands further up: the client will name the page's last event
        as its cursor, and a cursor that stands at two places would lead it to skip events or to read in circles.
        """
        entries = self.entries
        page: list[Entry] = []
        repeats: list[Entry] = []
        for index in range(self._place(cursor, now) + 1, len(entries)):
            entry = entries[index]
            if entry.visible_at > now or (names and entry.name not in names):
                continue
            if entry.event_id is not None and self._places[entry.event_id] != index:  # it stands further up, too
                if page and not repeats and page[-1].event_id == entry.event_id and len(page) < limit:
                    page.append(entry)  # right behind itself: the cursor is the same
                else:
                    repeats.append(entry)
                continue
            if len(page) >= limit:
                break
            page.extend(repeats[: limit - len(page) - 1])
            repeats.clear()
            page.append(entry)
        return page

    def before(self, cursor: str, names: Collection[str], limit: int, now: datetime) -> list[Entry]:
        """The nearest `limit` visible entries in front of the cursor, in feed order (ASSUMED, reference 3.1)."""
        page: list[Entry] = []
        for index in range(self._place(cursor, now) - 1, -1, -1):
            entry = self.entries[index]
            if entry.visible_at <= now and (not names or entry.name in names):
                page.append(entry)
                if len(page) == limit:
                    break
        page.reverse()
        return page

    def at(self, cursor: str, now: datetime) -> Entry:
        """The entry that the cursor names. Raises `UnknownCursor`."""
        return self.entries[self._place(cursor, now)]

    def stands_before(self, entry: Entry, cursor: str | None) -> bool:
        """Whether the entry first stood at the cursor's place or further up."""
        if entry.event_id is None or cursor is None:
            return False
        return self._places[entry.event_id] <= self._places[cursor]

    def _place(self, cursor: str | None, now: datetime) -> int:
        if cursor is None:
            return -1
        place = self._places.get(cursor)
        if place is None or self.entries[place].visible_at > now:
            raise UnknownCursor(cursor)
        return place
