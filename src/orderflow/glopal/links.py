"""The cursor that a page's link to the next one holds, for pages that show nothing to go on from.

It never follows the link itself: its host, its path and all else in it are Glopal's business.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from orderflow.glopal.codec import Page
from orderflow.glopal.jsontext import parse, problem_of_text


def behind(page: Page, raw: bytes, parameter: str) -> str | None:
    """The cursor behind a page: its last event, or, if it shows none, what its link to the next one says."""
    return page.last_id if page.elements else onward(raw, parameter)


def onward(page: bytes, parameter: str) -> str | None:
    """The value of `parameter` in `links.next`; None where there is none that could be a cursor.

    SAMPLE: there are links. ASSUMED: `next` names the last event that was looked at, also where a filter hid it, so
    that a page may be empty although there are events behind it.
    """
    match parse(page):
        case {"links": {"next": str(link)}}:
            return _cursor(link, parameter)
        case _:
            return None


def _cursor(link: str, parameter: str) -> str | None:
    try:
        found = [value for name, value in parse_qsl(urlsplit(link).query, max_num_fields=100) if name == parameter]
    except ValueError:
        return None
    sound = len(found) == 1 and problem_of_text(found[0]) is None and " " not in found[0]
    return found[0] if sound else None
