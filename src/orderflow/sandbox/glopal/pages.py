"""The event feed of the fake Glopal over the wire: what a query asks for, and the page and links that answer it.

STATED (3.1): repeatable `event`, exclusive `after_event_id`, 20 by default; the other names are ASSUMED.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from orderflow.sandbox.glopal.feed import Entry, Feed, UnknownCursor
from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.refusals import refusal
from orderflow.sandbox.glopal.world import Store, World
from orderflow.sandbox.wire import Json, Request, Response, render

_OVERLAP: Final = 2  # events that an overlapping page repeats
_EMITTED: Final = frozenset(
    {"order.received", "order.ready", "order.cancelled", "return.requested", "return.authorized", "return.cancelled"}
)
_EMITTED_BY_SWITCH: Final = frozenset({"order.accepted", "order.completed"})


@dataclass(slots=True)
class _Window:
    """Which part of the feed is asked for."""

    limit: int
    names: set[str] = field(default_factory=set)
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    """The events shown, and the ends of what was looked through for them."""

    shown: list[Entry]
    first: str | None
    last: str | None


def events(world: World, name: str, request: Request, now: datetime) -> Response:
    """One page."""
    options, store = world.options, world.stores[name]
    window = _window(options, request)
    if isinstance(window, str):
        return refusal(options, 400, "invalid_request", window)
    try:
        page = _page(store, window, options, now)
    except UnknownCursor:
        return refusal(options, 400, "invalid_cursor", "the cursor is not a valid event id")
    store.asked += 1
    texts = ",".join([world.event_text(store, entry) for entry in page.shown])
    return Response(200, f'{{{_links(options, request, page, window)}"events":[{texts}]}}'.encode())


def _window(options: GlopalOptions, request: Request) -> _Window | str:
    """What the query asks for, or what is wrong with it."""
    window = _Window(min(options.page_default, options.page_cap))
    for key, value in request.query:
        if key == "event":
            if options.unknown_event == "refused" and value not in _emitted(options):
                return f"there are no events {value}"
            window.names.add(value)
        elif key == "after_event_id":
            if not value and options.empty_cursor == "rejected":
                return "after_event_id must be a valid event id"
            window.after = value or None
        elif key == "before_event_id":
            window.before = value or None
        elif key == options.limit_name:
            if not value.isascii() or not value.isdecimal() or int(value) < 1:
                return f"{key} must be a positive integer"
            window.limit = min(int(value), options.page_cap)
        elif options.unknown_query == "refused":
            return f"there is no parameter {key}"
    if window.after and window.before:
        return "only one cursor at a time"
    if not window.names and options.event_filter == "required":
        return "name at least one event"
    return window


def _emitted(options: GlopalOptions) -> frozenset[str]:
    return _EMITTED | _EMITTED_BY_SWITCH if options.emit_accepted_completed else _EMITTED


def _page(store: Store, window: _Window, options: GlopalOptions, now: datetime) -> _Page:
    if window.before:
        return _whole(store.feed.before(window.before, window.names, window.limit, now))
    limit = window.limit
    if options.pages == "shrinking":
        limit = max(1, limit >> store.asked % limit.bit_length())  # half as long each time, then all over again
    if options.filtering == "after the cut":
        return _sifted(store.feed, window, limit, now)
    repeated = _repeated(store.feed, window, limit, now) if options.pages == "overlapping" else []
    return _whole(repeated + store.feed.after(window.after, window.names, limit - len(repeated), now))


def _whole(shown: list[Entry]) -> _Page:
    return _Page(shown, shown[0].event_id, shown[-1].event_id) if shown else _Page([], None, None)


def _sifted(feed: Feed, window: _Window, limit: int, now: datetime) -> _Page:
    """The next events of any name, of which only those asked for are shown: maybe none, although more are behind."""
    raw = feed.after(window.after, (), limit, now)
    shown = [entry for entry in raw if not window.names or entry.name in window.names]
    while shown and feed.stands_before(shown[-1], window.after):
        shown.pop()  # a repeat, unmasked by the sifting: as a cursor it would lead back
    return _Page(shown, raw[0].event_id if raw else None, raw[-1].event_id if raw else None)


def _repeated(feed: Feed, window: _Window, limit: int, now: datetime) -> list[Entry]:
    """What an overlapping page shows once more, though the cursor is exclusive; never all that the page can hold."""
    if window.after is None or limit == 1:
        return []
    cursor = feed.at(window.after, now)
    if window.names and cursor.name not in window.names:
        return []  # nothing shown before the cursor could stand for it, should the page hold nothing else
    many = min(_OVERLAP, limit - 1)
    return [*(feed.before(window.after, window.names, many - 1, now) if many > 1 else []), cursor]


def _links(options: GlopalOptions, request: Request, page: _Page, window: _Window) -> str:
    """The member `links` with a comma behind it (SAMPLE names, UNKNOWN values, 3.2)."""
    if options.links == "absent":
        return ""
    base = f"{_root(options, request)}{request.path}?"
    if options.limit_name != "none":
        base += f"{options.limit_name}={window.limit}&"
    base += "".join([f"event={quote(value)}&" for key, value in request.query if key == "event"])
    last = page.last or window.after
    ended = last is None or (options.links == "null at the end" and page.last is None)
    following = None if ended or last is None else f"{base}after_event_id={quote(last)}"
    previous = None if page.first is None else f"{base}before_event_id={quote(page.first)}"
    current = f"{base}after_event_id={quote(window.after)}" if window.after else base.rstrip("?&")
    if options.links == "always present":
        following, previous = following or current, previous or current
    links: Json = {"next": following, "current": current, "previous": previous}
    return f'"links":{render(links)},'


def _root(options: GlopalOptions, request: Request) -> str:
    match options.links:
        case "relative":
            return ""
        case "another host":  # a client that follows it with its key gives the key away
            return "http://elsewhere.invalid"
        case _:
            return f"http://{request.headers.get('host', 'glopal.sandbox')}"
