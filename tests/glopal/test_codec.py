"""Pages are cut into events without altering a byte, and nothing in them can stop the reader."""

import json
from datetime import UTC, datetime

import pytest

from orderflow.domain.machine import Report
from orderflow.glopal.codec import Bad, Good, Page, Unparsable, clear_of, read_page, report_of

EVENT = {
    "event_id": "47CE0V5XR9CAWJ2Y",
    "event_name": "order.ready",
    "event_at": "2025-07-02T07:37:45.854Z",
    "order_id": "310678-936140",
    "external": {"order_id": "92", "order_number": "00092"},
    "entity_id": None,
}


def page(*elements: str) -> bytes:
    return ('{"links":{"next":null}, "events" : [' + " ,".join(elements) + "]}").encode()


def read(*elements: str) -> tuple[Good | Bad, ...]:
    result = read_page(page(*elements))
    assert isinstance(result, Page), result
    return result.elements


def one(**members: object) -> Good | Bad:
    event = {name: value for name, value in (EVENT | members).items() if value is not ...}
    (element,) = read(json.dumps(event))
    return element


def test_an_event_keeps_its_own_bytes() -> None:
    odd = json.dumps(EVENT, indent=3).replace("}", ' , "amount": 19.990000000000000001, "more": [1e400]}', 1)
    good, also = read(odd, json.dumps(EVENT | {"event_id": "B"}))
    assert isinstance(good, Good)
    assert good.raw == odd.encode()
    assert good.event_at == datetime(2025, 7, 2, 7, 37, 45, 854000, tzinfo=UTC)
    assert also.event_id == "B"


def test_the_cursor_is_the_last_id_that_can_be_read() -> None:
    result = read_page(page(json.dumps(EVENT), "5", '{"event_id":"LAST","order_id":"~x"}', '{"event_id":""}'))
    assert isinstance(result, Page)
    assert result.last_id == "LAST"
    assert read_page(b'{"events":[]}') == Page((), None)


@pytest.mark.parametrize("external", [None, ..., {}, {"order_id": None}, [], "x", 5])
def test_external_is_nobodys_business_here(external: object) -> None:
    assert isinstance(one(external=external), Good)


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2025-07-02T07:37:45Z", 45),
        ("2025-07-02T07:37:45.854123456Z", 45),
        ("2025-07-02T09:37:45+02:00", 45),
        ("2025-07-02 07:37:45.8", 45),
        ("yesterday", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_times(text: str, second: int | None) -> None:
    event = one(event_at=text)
    assert isinstance(event, Good)
    assert event.event_at_text == text
    assert (event.event_at and event.event_at.astimezone(UTC).timetuple()[:6]) == (
        None if second is None else (2025, 7, 2, 7, 37, second)
    )


@pytest.mark.parametrize("member", ["event_at", "entity_id", "external"])
def test_what_may_be_absent(member: str) -> None:
    assert isinstance(one(**{member: ...}), Good)
    assert isinstance(one(**{member: None}), Good)


BAD_IDS = ["", " ", "a b", "a\nb", "a\0b", "x" * 201, "\u202eabc", "\ud800", 5, None, True, 1.5, [], {}, ...]


@pytest.mark.parametrize("bad", BAD_IDS, ids=range(len(BAD_IDS)))
@pytest.mark.parametrize("member", ["event_id", "order_id", "event_name"])
def test_bad_ids(member: str, bad: object) -> None:
    element = one(**{member: bad})
    assert isinstance(element, Bad)
    assert element.problem.startswith(member)
    assert element.order_id == (None if member == "order_id" else EVENT["order_id"])
    assert element.event_id == (None if member == "event_id" else EVENT["event_id"])


@pytest.mark.parametrize("bad", ["a/b", "a\\b", "..", ".", "~intake", "/"])
def test_order_ids_become_paths_and_streams(bad: str) -> None:
    element = one(order_id=bad)
    assert isinstance(element, Bad)
    assert element.order_id is None


@pytest.mark.parametrize("fit", ["3S7Z7N5X-Q4PSJMC1", "a~b", "é", "山", "a%2Fb", "?#", "x" * 200])
def test_order_ids_have_no_pattern(fit: str) -> None:
    assert isinstance(one(order_id=fit), Good)


def test_entities_matter_on_returns_only() -> None:
    assert isinstance(one(event_name="return.requested", entity_id=4), Bad)
    good = one(event_name="return.requested", entity_id="4")
    assert isinstance(good, Good)
    assert good.entity_id == "4"
    ignored = one(entity_id={"any": "thing"})
    assert isinstance(ignored, Good)
    assert ignored.entity_id is None


@pytest.mark.parametrize("member", ["event_id", "order_id", "event_name", "event_at", "entity_id"])
def test_a_name_that_stands_twice(member: str) -> None:
    text = json.dumps(EVENT)
    (element,) = read(text[:-1] + f',"{member}":"other","{member}":"again"}}')
    assert isinstance(element, Bad)
    assert "twice" in element.problem


@pytest.mark.parametrize("member", ["event_id", "order_id", "event_name", "event_at", "entity_id"])
@pytest.mark.parametrize("at", [{}, {"event_at": None}, {"event_at": EVENT["event_at"]}], ids=["no", "null", "a"])
def test_twice_is_seen_with_a_time_or_without(member: str, at: dict[str, str | None]) -> None:
    """Once more than it has, at the end or at the beginning, as a text or null."""
    text = json.dumps({name: value for name, value in EVENT.items() if name != "event_at"} | {"entity_id": "7"} | at)
    for more in ('"other"', "null"):
        twice = 2 if member in {"event_at"} - at.keys() else 1
        for doubled in (
            text[:-1] + f',"{member}":{more}' * twice + "}",
            "{" + f'"{member}":{more},' * twice + text[1:],
        ):
            (element,) = read(doubled)
            assert isinstance(element, Bad)
            assert "twice" in element.problem


def test_what_only_looks_doubled_is_fine() -> None:
    text = json.dumps(EVENT | {"external": {"order_id": "order_id", "event_id": "event_id"}, "event_type": 1})
    (element,) = read(text)
    assert isinstance(element, Good)


@pytest.mark.parametrize(
    "poison",
    [
        '{"a":NaN}',
        '{"a":Infinity}',
        '"\\ud800"',
        '{"event_id":"p\\udc00"}',
        "9" * 6000,
        "null",
        "[[]]",
        '{"a":"' + "x" * 100_000 + '"}',
    ],
)
def test_one_odd_element_does_not_spoil_the_page(poison: str) -> None:
    before, bad, after = read(json.dumps(EVENT), poison, json.dumps(EVENT | {"event_id": "B"}))
    assert isinstance(before, Good)
    assert isinstance(after, Good)
    assert isinstance(bad, Bad)
    assert bad.raw == poison.encode()


def test_an_odd_unknown_member_does_not_spoil_the_event() -> None:
    text = json.dumps(EVENT)[:-1] + ',"note":"\\ud83d"}'
    (element,) = read(text)
    assert isinstance(element, Good)
    assert element.raw == text.encode()


def test_bytes_that_are_no_text_come_out_as_they_were() -> None:
    raw = b'{"events":[{"event_id":"\xff\xfe","x":NaN}]}'
    result = read_page(raw)
    assert isinstance(result, Page)
    assert result.elements[0].raw == b'{"event_id":"\xff\xfe","x":NaN}'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"events":null}',
        b'{"events":{}}',
        b'{"events":[1,]}',
        b'{"events":[1]',
        b'{"events":[1]}x',
        b'{"events":[1]}{"events":[2]}',
        b"<html>",
        b"\xff\xfe{\x00",
        b"\x1f\x8b\x08",
        b"{" * 100_000,
        b'{"events":[NaN}',
        b"{'events':[]}",
        b'{"events":[]} // end',
    ],
    ids=range(17),
)
def test_what_is_no_page(raw: bytes) -> None:
    assert isinstance(read_page(raw), Unparsable)


def test_what_is_nested_too_deeply_is_no_event() -> None:
    """Up to Python 3.13 the whole page is refused, from 3.14 on, which allows more, the one element."""
    match read_page(b'{"events":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}"):
        case Page(elements):
            assert [type(element) for element in elements] == [Bad]
        case Unparsable():
            pass


def test_a_byte_order_mark_is_passed_over() -> None:
    assert isinstance(read_page(b"\xef\xbb\xbf" + page(json.dumps(EVENT))), Page)


def test_what_may_stand_in_clear() -> None:
    assert clear_of(one(secret="Ada Muster")) == {
        "name": "order.ready",
        "entity_id": None,
        "event_at": "2025-07-02T07:37:45.854Z",
    }
    assert "Ada" not in str(clear_of(one(event_id={"Ada": "Ada"})))
    assert "Ada" not in repr(one(secret="Ada Muster"))


def test_reports() -> None:
    assert report_of("order.cancelled") is Report.CANCELLED
    assert [report_of(f"order.{word}") for word in ("received", "ready", "accepted", "completed")] == [
        Report.RECEIVED,
        Report.READY,
        Report.ACCEPTED,
        Report.COMPLETED,
    ]
    for other in ("return.requested", "order.canceled", "ORDER.READY", "order.", "", "order.refunded"):
        assert report_of(other) is None
