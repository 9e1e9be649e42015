"""Bad input as data: what may stand in a feed, and what must come of it.

Each entry is one thing that has gone wrong somewhere, or that an attacker would try; `why` says which.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

CONCERNED = "7-7"
"""The order that most bad events are about."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An element of a page. `becomes`:

    held: kept with `order`, which is held; intake: kept in ~intake; taken: an event of `order` like any other;
    unknown name: kept with `order`, which goes on undisturbed. `told` must stand in the problem (held, intake); `at` is
    the time that must be recorded for what is taken.
    """

    name: str
    family: str
    raw: bytes
    becomes: str
    told: str = ""
    why: str = ""
    order: str = CONCERNED
    at: str | None = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class BadPage:
    """A whole answer of the feed; `told` must stand in the reason of the pause, "" if it is a page like any other."""

    name: str
    raw: bytes
    told: str
    why: str


def event(more: dict[str, Any] | None = None, **members: Any) -> bytes:
    """An event about the concerned order, with `members` and `more` put over it; Ellipsis leaves one out."""
    whole = {
        "event_id": f"bad-{next(_numbers)}",
        "event_name": "order.received",
        "event_at": "2026-01-01T00:00:00.000Z",
        "order_id": CONCERNED,
        "entity_id": None,
        **members,
        **(more or {}),
    }
    kept = {name: value for name, value in whole.items() if value is not ...}
    return json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _with(text: str | bytes, **members: Any) -> bytes:
    """An event with raw bytes put behind its members."""
    extra = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return event(**members)[:-1] + b"," + extra + b"}"


def _shape(name: str, raw: bytes, becomes: str, told: str, why: str, **more: Any) -> BadEvent:
    return BadEvent(name, "shape", raw, becomes, told, why, **more)


def _id(name: str, order_id: Any, becomes: str, told: str, why: str) -> BadEvent:
    order = order_id if becomes == "taken" else CONCERNED
    return BadEvent(name, "ids", event(order_id=order_id), becomes, told, why, order)


def _time(name: str, at: Any, recorded: str | None, why: str) -> BadEvent:
    return BadEvent(name, "time", event(event_at=at), "taken", "", why, at=recorded)


def _text(name: str, word: Any, becomes: str, told: str, why: str) -> BadEvent:
    return BadEvent(name, "text", event(event_name=word), becomes, told, why)


SHAPE = [
    _shape("nan", _with('"external":NaN'), "held", "not JSON", "Python writes and reads it, nobody else does"),
    _shape("infinity", _with('"external":-Infinity'), "held", "not JSON", "as NaN"),
    _shape("huge-exponent", _with('"external":1e400'), "taken", "", "infinite for Python, exact for Postgres"),
    _shape("5000-digits", _with('"external":' + "9" * 5000), "taken", "", "Python refuses to read such an integer"),
    _shape("minus-zero", _with('"external":-0'), "taken", "", "-0 and 0 are equal and are not the same text"),
    _shape(
        "nul-unread", _with(r'"note":"a\u0000b"'), "taken", "", "Postgres takes no NUL in a text; nobody reads this"
    ),
    _shape("surrogate-unread", _with(r'"note":"\ud800"'), "taken", "", "no UTF-8 can hold it; nobody reads this one"),
    _shape("depth-64", _with('"x":' + "[" * 64 + "]" * 64), "taken", "", "as deep as anybody may nest"),
    _shape("depth-500", _with('"x":' + "[" * 500 + "]" * 500), "taken", "", "deep, in a member that nobody reads"),
    _shape("order-id-twice", _with('"order_id":"7-7"'), "held", "`order_id` stands twice", "the same twice"),
    _shape("two-order-ids", _with('"order_id":"8-8"'), "intake", "`order_id` stands twice", "readers would disagree"),
    _shape(
        "two-order-ids-escaped",
        _with(r'"order\u005fid":"8-8"'),
        "intake",
        "`order_id` stands twice",
        "the second is not to be seen in the bytes, and most readers believe it",
    ),
    _shape("two-event-ids", _with('"event_id":"other"'), "held", "`event_id` stands twice", "which one is the cursor?"),
    _shape(
        "two-names", _with('"event_name":"order.ready"'), "held", "`event_name` stands twice", "which report is it?"
    ),
    _shape("two-times", _with('"event_at":"2030-01-01T00:00:00Z"'), "held", "`event_at` stands twice", "when was it?"),
    _shape(
        "twice-unread",
        _with('"external":{"order_id":"a","order_id":"b"}'),
        "taken",
        "",
        "doubled where nobody reads: `external` is left alone, it has an `order_id` of its own",
    ),
    _shape("other-case", event(order_id=..., Order_ID="7-7"), "intake", "order_id is missing", "names have one case"),
    _shape("homoglyph", event({"\u043erder_id": "7-7"}, order_id=...), "intake", "order_id is missing", "a Cyrillic o"),
    _shape("decomposed", event({"order_id\u0301": "7-7"}, order_id=...), "intake", "order_id is missing", "NFD"),
    _shape("nul-in-name", event({"order_id\0": "7-7"}, order_id=...), "intake", "order_id is missing", "a C string?"),
    _shape("array", b'["bad","order.ready","7-7"]', "intake", "the event is no object", "positional encoding"),
    _shape("string", b'"order.ready"', "intake", "the event is no object", "the name alone"),
    _shape("nested-page", b'{"events":[]}', "intake", "event_id is missing", "a page in a page"),
    _shape(
        "null-everywhere",
        b'{"event_id":null,"event_name":null,"event_at":null,"order_id":null}',
        "intake",
        "event_name is missing; order_id is missing",
        "an empty row of a table",
    ),
    _shape("true-for-text", event(event_name=True), "held", "event_name is no text", "true for 1 for a name"),
    _shape("number-for-event-id", event(event_id=17), "held", "event_id is no text", '1 for "1"'),
    _shape("object-for-entity", event(entity_id={"id": 1}), "taken", "", "means nothing on order events"),
    _shape("proto", _with('"__proto__":{"order_id":"8-8"},"__class__":"os"'), "taken", "", "pollution elsewhere"),
    _shape("latin-1-unread", _with(b'"note":"caf\xe9"'), "taken", "", "a database read in the wrong character set"),
    _shape(
        "latin-1-name", event(event_name="X").replace(b"X", b"\xe9"), "held", "not UTF-8", "the same, where it is read"
    ),
    _shape(
        "200000-names", _with(",".join(f'"k{n}":0' for n in range(200_000))), "taken", "", "hash tables fill slowly"
    ),
    _shape("2-MB", _with('"note":"' + "a" * 2_000_000 + '"'), "taken", "", "someone put a picture into it"),
    _shape(
        "return-with-number", event(event_name="return.requested", entity_id=7), "held", "entity_id is no text", "1"
    ),
]

IDS = [
    _id("newline", "310678-936140\n", "intake", "order_id has characters", "`$` matches before it"),
    _id("leading-zeros", "007-7", "taken", "", "an id is no number"),
    _id("unicode-digits", "\uff17-\uff17", "taken", "", r"`\d` matches them: another order, and no other's"),
    _id("10000-digits", "9" * 10_000, "intake", "order_id has more than 200 characters", "an index row has its limits"),
    _id("negative", "-1", "taken", "", "somebody's `not found`"),
    _id("int64-and-1", 2**63, "intake", "order_id is no text", "a number for a text, and one too long for a bigint"),
    _id("path", "../7-7", "intake", "order_id has characters", "climbs out of the address"),
    _id("dots", "..", "intake", "order_id has characters", "percent-encoding leaves dots alone"),
    _id("percent-2f", "7%2f7", "taken", "", "decoded twice it would climb"),
    _id("query", "7?status=READY#x", "taken", "", "would end the path"),
    _id("sql", "7';drop--", "taken", "", "Bobby Tables without a blank"),
    _id("blank", "7 7", "intake", "order_id has characters", "in logs nobody sees where it ends"),
    _id("empty", "", "intake", "order_id is empty", "every other id begins with it"),
    _id("white", "\u00a0", "intake", "order_id has characters", "looks empty"),
    _id("prefix", "7", "taken", "", "begins another's id"),
    _id("extension", "7-77", "taken", "", "begins with another's id"),
    _id("our-key", "7-7:glopal:fetch:0", "taken", "", "looks like a key of our outbox"),
    _id("our-stream", "~intake", "intake", "order_id begins with ~", "the stream of what names no order"),
    _id("nul", "7-7\0", "intake", "order_id has characters", "Postgres takes no NUL"),
    _id("surrogate", "7-7\udcff", "intake", "the event is not UTF-8", "a byte that was no text, in disguise"),
    _id("zero-width", "7\u200b-7", "intake", "order_id has characters", "looks like another's"),
    _id("right-to-left", "\u202e7-7", "intake", "order_id has characters", "turns the line around"),
    _id("200-emoji", "😀" * 200, "taken", "", "the longest that fits: 800 bytes in every index"),
    _id("201-letters", "x" * 201, "intake", "order_id has more than 200 characters", "one too many"),
    _id("markup", "[red]7-7", "taken", "", "begins a colour, for some terminals' libraries"),
    BadEvent("event-id-blank", "ids", event(event_id="a b"), "held", "event_id has characters", "ours have blanks"),
    BadEvent("event-id-200-emoji", "ids", event(event_id="🙈" * 200), "taken", "", "as long as an order id may be"),
    BadEvent("event-id-quote", "ids", event(event_id='a"b'), "taken", "", "goes into the next query as the cursor"),
]

TIME = [
    _time("epoch", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00", "somebody's zero"),
    _time("year-1", "0001-01-01T00:00:00Z", None, "west of Greenwich it is before Christ, which drivers cannot read"),
    _time(
        "year-9999", "9999-12-31T23:59:59Z", None, "east of Greenwich it is the year 10000, which drivers cannot read"
    ),
    _time("year-10000", "10000-01-01T00:00:00Z", None, "five digits"),
    _time("leap-second", "2016-12-31T23:59:60Z", None, "it was, and no library knows it"),
    _time("kiritimati", "2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00+00:00", "more than twelve hours"),
    _time("no-zone", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "whose midnight? UTC is assumed"),
    _time("2038", "2038-01-19T03:14:08Z", "2038-01-19T03:14:08+00:00", "one second after 32 bits"),
    _time("tomorrow", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00+00:00", "clocks differ; never trusted for order"),
    _time("arabic-digits", "٢٠٢٦-01-01T00:00:00Z", None, r"`\d` matches them"),
    _time("words", "yesterday", None, "no time at all"),
    BadEvent("milliseconds", "time", event(event_at=1767225600000), "held", "event_at is no text", "ms for ISO"),
    BadEvent("time-nul", "time", event(event_at="\0"), "held", "event_at has characters", "stands in clear"),
    BadEvent(
        "time-long", "time", event(event_at="1" * 10_000), "held", "event_at has more than 200", "stands in clear"
    ),
    BadEvent("no-time", "time", event(event_at=None), "taken", "", "nobody promised one", at=None),
]

TEXT = [
    _text("ansi", "\x1b[2J\x1b[31morder.ready", "held", "event_name has characters", "clears the operator's screen"),
    _text("right-to-left-name", "order.\u202eydaer", "held", "event_name has characters", "reads as another word"),
    _text("zero-width-name", "order.rea\u200bdy", "held", "event_name has characters", "reads as ready"),
    _text("10-kB-name", "x" * 10_000, "held", "event_name has more than 200", "breaks every table"),
    _text("crlf", "order.ready\r\n2026 ERROR all lost", "held", "event_name has characters", "a log line of its own"),
    _text("nul-name", "order.ready\0", "held", "event_name has characters", "Postgres takes no NUL"),
    _text("blank-behind", "order.ready ", "held", "event_name has characters", "looks like ready"),
    _text("upper-case", "ORDER.READY", "unknown name", "", "names have one case"),
    _text("flags", "order.🇩🇪🏳️‍🌈", "held", "event_name has characters", "zero-width joiners"),
    _text("emoji", "order.🚀", "unknown name", "", "twice as wide as it is long"),
    _text("combining", "o" + "\u0301" * 150, "unknown name", "", "one letter, 150 accents"),
    _text("template", "{{7*7}}", "unknown name", "", "49 for template engines"),
    _text("formula", "=cmd|'/C_calc'!A0", "unknown name", "", "runs in spreadsheets"),
    _text("script", "<script>alert(1)</script>", "unknown name", "", "runs in browsers"),
    _text("percent", "%s%n%(name)s{0}", "unknown name", "", "runs in format strings"),
    _text("close-markup", "order.[/bold]", "unknown name", "", "ends a style that never began"),
    _text("open-markup", "[link=file:///etc/passwd]order[/link]", "unknown name", "", "a link nobody sees"),
    _text("emoji-code", ":smiling_imp:", "unknown name", "", "is not what it looks like afterwards"),
]

EVENTS = [*SHAPE, *IDS, *TIME, *TEXT]

_GOOD = event()

PAGES = [
    BadPage("empty-body", b"", "not JSON", "a proxy that gave up"),
    BadPage("null", b"null", "no object with a list", "a missing row"),
    BadPage("list", b"[" + _GOOD + b"]", "no object with a list", "the events without their object"),
    BadPage("no-events", b"{}", "no object with a list", "an error that calls itself 200"),
    BadPage("events-null", b'{"events":null}', "no object with a list", "nothing, said wrongly"),
    BadPage("events-object", b'{"events":{"0":' + _GOOD + b"}}", "no object with a list", "PHP's idea of a list"),
    BadPage("html", b"<html><body>maintenance</body></html>", "not JSON", "200 from a maintenance page"),
    BadPage("truncated", b'{"events":[' + _GOOD[:-9], "not JSON", "cut off, and the length was not told"),
    BadPage("two-documents", b'{"events":[]}{"events":[]}', "not JSON", "one answer behind the other"),
    BadPage("json-lines", _GOOD + b"\n" + _GOOD, "no object with a list|not JSON", "another format"),
    BadPage("comment", b'{"events":[' + _GOOD + b"]} // page 1", "not JSON", "JSON5"),
    BadPage("single-quotes", b"{'events':[]}", "not JSON", "a printed dictionary"),
    BadPage("trailing-comma", b'{"events":[' + _GOOD + b",]}", "not JSON", "JSON5"),
    BadPage("utf-16", '{"events":[]}'.encode("utf-16"), "not JSON", "what some databases export"),
    BadPage("gzip-unmarked", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "not JSON", "compressed, and not said so"),
    BadPage(
        "multipart",
        b'--b\r\nContent-Type: application/json\r\n\r\n{"events":[]}\r\n--b--',
        "not JSON",
        "wrapped as if it were an upload",
    ),
    BadPage("depth-100000", b'{"events":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply", "stack"),
    BadPage("two-lists", b'{"events":[' + _GOOD + b'],"events":[]}', "`events` twice", "the last one wins, elsewhere"),
    BadPage(
        "two-lists-escaped",
        b'{"events":[' + _GOOD + rb'],"\u0065vents":[]}',
        "`events` twice",
        "the second is not to be seen in the bytes",
    ),
    BadPage("million-events", b'{"events":[' + b"0," * 999_999 + b"0]}", "more than 10000 events", "hours of work"),
    BadPage(
        "20-without-id", b'{"events":[' + b"{}," * 19 + b"{}]}", "no element of the page has an event id", "a loop"
    ),
    BadPage("bom", b"\xef\xbb\xbf" + b'{"events":[' + event() + b"]}", "", "Windows"),
    BadPage("nan-in-links", b'{"links":NaN,"events":[' + event() + b"]}", "", "odd where nobody reads"),
    BadPage("surrogate-in-links", rb'{"links":"\ud800","events":[' + event() + b"]}", "", "odd where nobody reads"),
    BadPage("latin-1-in-links", b'{"links":"caf\xe9","events":[' + event() + b"]}", "", "odd where nobody reads"),
    BadPage("links-name-events", b'{"links":{"events":[1]},"events":[' + event() + b"]}", "", "the name, further in"),
    BadPage("no-more", b'{"events":[]}', "", "the end of the feed"),
]
