"""Whatever the feed holds, nothing is skipped without a stored row, and nobody else is stopped by it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from orderflow import intake
from orderflow.domain.events import EvidenceFound, HoldReason, Malformed, Reported, Unrecognised
from orderflow.domain.machine import Report, Status
from orderflow.store import progress
from orderflow.store.log import INTAKE

from .feeds import (
    EMPTY,
    VAULT,
    body_at,
    cursor,
    event,
    events_of,
    order,
    page,
    pauses,
    scripted,
    stored,
    verified,
)

HOUR = timedelta(hours=1)


def pull(engine, store, *pages, page_size=100):
    feed = scripted(store, *pages, page_size=page_size)
    return [intake.pull(engine, VAULT, feed) for _ in pages]


# --- the same id with other contents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"name": "order.cancelled"}, id="name"),
        pytest.param({"order_id": "2-2"}, id="order"),
        pytest.param({"entity_id": "r1"}, id="entity"),
        pytest.param({"event_at": "2026-01-01T00:00:01.000Z"}, id="time"),
        pytest.param({"event_at": None}, id="no-time"),
    ],
)
def test_evidence(app, store, other):
    """One event id with two contents: both are kept, the order that the second names is held, the first is believed."""
    changed = event("e1", **other)
    for_order = changed["order_id"]
    pull(app, store, page(event("e1")), page(changed, event("e2", order_id="3-3")), EMPTY)
    assert cursor(app, store) == (2, "e2")
    assert events_of(app, store, for_order)[-1] == EvidenceFound("e1")
    held = order(app, store, for_order).holds
    assert [hold.reason for hold in held] == [HoldReason.EVIDENCE]
    assert order(app, store, "1-1").status is Status.RECEIVED
    assert order(app, store, "3-3").holds == ()
    position = held[0].position
    assert json.loads(body_at(app, store, position)) == changed
    assert json.loads(body_at(app, store, 1)) == event("e1")


def test_evidence_within_one_page(app, store):
    """Both contents on one page: the same."""
    pull(app, store, page(event("e1"), event("e1", name="order.ready"), event("e2")))
    assert [kind for _, kind, _ in stored(app, store)] == ["OrderReceived", "OrderReceived", "EvidenceFound"]
    assert order(app, store, "1-1").status is Status.RECEIVED
    assert order(app, store, "1-1").hold(HoldReason.EVIDENCE)


def test_evidence_is_kept_once(app, store):
    """The same second contents again write nothing; third contents are kept as well."""
    second, third = event("e1", name="order.ready"), event("e1", name="order.cancelled")
    pull(app, store, page(event("e1")), page(second, event("e2")), page(second, event("e3")), page(third, event("e4")))
    assert [kind for _, kind, _ in stored(app, store)].count("EvidenceFound") == 2


# --- elements that are no events ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"17", id="a-number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'"\\ud800"', id="a-surrogate"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready"}', id="no-order"),
        pytest.param(b'{"event_id":17,"event_name":"order.ready","order_id":17}', id="numbers-for-ids"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"~intake"}', id="our-own-stream"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"~"}', id="a-tilde"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":""}', id="no-letter"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"../x"}', id="a-path"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"a b"}', id="a-space"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"a\\nb"}', id="a-newline"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"a\\u0000b"}', id="a-nul"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"\\udcff"}', id="a-lone-surrogate"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"a\\u202eb"}', id="a-direction-mark"),
        pytest.param(b'{"event_id":"e9","event_name":"order.ready","order_id":"' + b"9" * 10_000 + b'"}', id="10-kB"),
        pytest.param(b'{"order_id":"1-1","order_id":"2-2","order_id":"3-3"}', id="three-orders"),
        pytest.param(
            b'{"event_id":"e9","event_name":"order.ready","order_id":"1-1","order_id":"2-2"}', id="two-orders"
        ),
        pytest.param(
            b'{"event_id":"e9","event_name":"order.ready","order_id":"1-1","order\\u005fid":"2"}', id="escaped"
        ),
    ],
)
def test_an_element_that_names_no_order(app, store, bad):
    """It is kept in ~intake with its bytes, as an anomaly, and the cursor moves on over it."""
    pull(app, store, page(event("e1"), bad, event("e2", name="order.ready")))
    assert cursor(app, store) == (1, "e2")
    assert [(o, kind) for o, kind, _ in stored(app, store)] == [
        ("1-1", "OrderReceived"),
        (INTAKE, "Malformed"),
        ("1-1", "OrderReady"),
    ]
    assert body_at(app, store, 2) == bad
    assert order(app, store, "1-1").holds == ()
    assert pauses(app, store) == {}
    assert verified(app, store) == 3


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(event(None), id="no-id"),
        pytest.param(event("x" * 10_000), id="10-kB-id"),
        pytest.param(event("a\0b"), id="a-nul"),
        pytest.param(event("\ud800"), id="a-lone-surrogate"),
        pytest.param(event("a\nb"), id="a-newline"),
        pytest.param(event(["e9"]), id="a-list-for-an-id"),
        pytest.param(event("e9", name=None), id="no-name"),
        pytest.param(event("e9", name="x" * 10_000), id="10-kB-name"),
        pytest.param(event("e9", name="return.requested", entity_id=7), id="a-number-for-an-entity"),
        pytest.param(event("e9", event_at=17), id="a-number-for-a-time"),
        pytest.param(event("e9", event_at="\0"), id="a-nul-for-a-time"),
    ],
)
def test_an_element_that_names_an_order(app, store, bad):
    """It is kept with the order it names, which is held until details can be read; the cursor moves on over it."""
    pull(app, store, page(bad, event("e2", order_id="2-2")))
    assert cursor(app, store) == (1, "e2")
    [found] = events_of(app, store, "1-1")
    assert isinstance(found, Malformed)
    assert found.problem
    assert "x" * 100 not in found.problem
    assert [hold.reason for hold in order(app, store, "1-1").holds] == [HoldReason.MALFORMED]
    assert json.loads(body_at(app, store, 1)) == bad
    assert order(app, store, "2-2").status is Status.RECEIVED
    assert verified(app, store) == 2


def test_a_bad_element_is_kept_once(app, store):
    """However often it is read, and by whatever id it may have."""
    bad = b'{"event_id":"e1","order_id":"1-1"}'
    pull(app, store, page(bad, event("e2")), page(bad, event("e3")), page(bad, b"17", b"17", event("e4")))
    assert [kind for _, kind, _ in stored(app, store)].count("Malformed") == 2


def test_an_unknown_name_changes_nothing(app, store):
    """A name that this version does not know is kept with the order, which goes on undisturbed."""
    pull(app, store, page(event("e1"), event("e2", name="order.painted")))
    assert events_of(app, store, "1-1")[-1] == Unrecognised("order.painted")
    assert order(app, store, "1-1").holds == ()
    assert order(app, store, "1-1").status is Status.RECEIVED


def test_a_time_that_is_none(app, store):
    """An event with a time that cannot be read is an event all the same, without a time."""
    pull(app, store, page(event("e1", event_at="yesterday")))
    assert events_of(app, store, "1-1") == [Reported(Report.RECEIVED, None)]


def test_a_bad_element_at_the_end_of_the_feed(app, store):
    """With nothing behind it there is no id to go on from: it is kept, the pull is not paused, and goes on later."""
    bad = b'{"order_id":"1-1"}'
    first, second, third, fourth = pull(
        app, store, page(event("e1"), bad), page(bad), page(bad), page(bad, event("e2", name="order.ready"))
    )
    assert (first.new, first.more) == (2, True)
    assert (second.new, second.more, second.stopped) == (0, False, "")
    assert (third.new, third.more, third.stopped) == (0, False, "")
    assert fourth.new == 1
    assert cursor(app, store) == (2, "e2")
    assert pauses(app, store) == {}


@pytest.mark.parametrize("page_size", [3, 100])
def test_a_full_page_without_an_id(app, store, page_size):
    """There may be more behind it that nobody would ever see: that stops loudly, with the bytes."""
    raw = page(*[b'{"order_id":"1-1"}'] * min(page_size, 20))
    [found] = pull(app, store, raw, page_size=page_size)
    assert "event id" in found.stopped
    assert body_at(app, store, 1) == raw
    assert list(pauses(app, store)) == ["pull"]


# --- pages that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>Zoe.Canary</html>", id="html"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"events": {}}', id="no-list"),
        pytest.param(b'{"events": [', id="cut-off"),
        pytest.param(b'{"events": ' + b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe\x00", id="no-text"),
        pytest.param(b'{"status":"ok"}', id="no-events"),
    ],
)
def test_an_unusable_page_stops_its_store_alone(app, store, raw):
    """Its bytes are kept, the pull of that store pauses with the reason, the cursor stays, other stores go on."""
    feed = scripted(store, page(event("e1")), raw, page(event("e2")), EMPTY)
    intake.pull(app, VAULT, feed)
    stopped = intake.pull(app, VAULT, feed)
    assert stopped.stopped
    assert cursor(app, store) == (1, "e1")
    assert pauses(app, store)["pull"].startswith("unusable page: ")
    assert "Canary" not in pauses(app, store)["pull"]
    assert stored(app, store)[-1][:2] == (INTAKE, "Malformed")
    assert body_at(app, store, 2) == raw
    assert len(feed.client.cursors) == 2
    assert intake.pull(app, VAULT, feed).stopped == "paused"
    assert len(feed.client.cursors) == 2, "a paused feed is not asked"
    assert intake.pull(app, VAULT, scripted(f"{store}-2", page(event("e1")))).new == 1
    with app.begin() as conn:
        assert progress.resume(conn, store, "pull")
    assert intake.pull(app, VAULT, feed).new == 1
    assert cursor(app, store) == (2, "e2")


def test_for_a_while_an_unusable_page_is_asked_for_again(app, store):
    """A proxy's page is gone in a minute; what was never heard, or stays so, stops the pull."""
    feed = replace(
        scripted(store, b"<html>", page(event("e1")), b"<html>", page(event("e2")), b"<html>"), patience=HOUR
    )
    assert intake.pull(app, VAULT, feed).stopped, "never pulled with success"
    with app.begin() as conn:
        assert progress.resume(conn, store, "pull")
    assert intake.pull(app, VAULT, feed).new == 1
    asked = intake.pull(app, VAULT, feed)
    assert (asked.stopped, asked.more, asked.wait) == ("", False, 5.0)
    assert (cursor(app, store), pauses(app, store)) == ((1, "e1"), {})
    assert intake.pull(app, VAULT, feed).new == 1
    assert intake.pull(app, VAULT, replace(feed, patience=timedelta(0))).stopped, "patience is over"


def test_the_same_unusable_page_is_kept_once(app, store):
    """Resumed too early, it pauses again; its bytes need no second row."""
    feed = scripted(store, b"<html>")
    for _ in range(3):
        assert intake.pull(app, VAULT, feed).stopped
        with app.begin() as conn:
            assert progress.resume(conn, store, "pull")
    assert len(stored(app, store)) == 1
