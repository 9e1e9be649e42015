"""A feed comes into the log whole, once, and without an end: page and cursor together, or neither."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from orderflow import intake
from orderflow.domain.machine import Status
from orderflow.glopal.client import Closed, InvalidCursor, Later, RawPage
from orderflow.glopal.codec import read_page
from orderflow.intake import Pulled
from orderflow.sandbox import Emission, GlopalOptions
from orderflow.store import log, progress

from .feeds import (
    EMPTY,
    VAULT,
    World,
    body_at,
    cursor,
    event,
    order,
    page,
    pauses,
    scripted,
    stored,
    verified,
)


def pull_all(engine: sa.Engine, feed: intake.Feed) -> int:
    """Until there is no more; how many were new."""
    new = 0
    for _ in range(1000):
        pulled = intake.pull(engine, VAULT, feed)
        new += pulled.new
        if not pulled.more:
            return new
    raise AssertionError("the pull does not end")


def test_a_whole_feed(app, store):
    """Every event once and in the feed's order, each with its own bytes, and the orders at their status."""
    world = World()
    feed = world.feed(store, page_size=7)
    placed = [world.glopal.place(store) for _ in range(20)]
    for order_id in placed[:10]:
        world.glopal.ready(store, order_id)
    world.glopal.cancel(store, placed[0])
    assert pull_all(app, feed) == 31
    assert [(o, t) for o, t, _ in stored(app, store)] == [
        *((o, "OrderReceived") for o in placed),
        *((o, "OrderReady") for o in placed[:10]),
        (placed[0], "OrderCancelled"),
    ]
    assert order(app, store, placed[0]).status is Status.CANCELLED
    assert order(app, store, placed[1]).status is Status.READY
    assert order(app, store, placed[15]).status is Status.RECEIVED
    assert json.loads(body_at(app, store, 1))["event_id"] == stored(app, store)[0][2]
    assert verified(app, store) == 31
    assert pull_all(app, feed) == 0


def test_bodies_are_the_very_bytes(app, store):
    """Odd spacing, long decimals, escapes and unknown members of an element come back byte for byte."""
    odd = b'"x":19.990000000000000001,"n":"\\u00e9\xc3\xa9" }'
    raw = b'{ "event_id":"e1" ,"event_name":"order.received","order_id":"1-1",' + odd
    intake.pull(app, VAULT, scripted(store, page(raw, event("e2"))))
    assert body_at(app, store, 1) == raw


def test_a_page_and_its_cursor_go_together(app, store, monkeypatch):
    """If the page cannot be recorded the cursor stays; nothing is lost between them."""

    def fails(*_: object) -> None:
        raise RuntimeError("died in between")

    feed = scripted(store, page(event("e1")))
    with monkeypatch.context() as patch:
        patch.setattr(log, "append", fails)
        with pytest.raises(RuntimeError):
            intake.pull(app, VAULT, feed)
    assert cursor(app, store) == (0, None)
    assert stored(app, store) == []
    assert intake.pull(app, VAULT, feed).new == 1
    assert cursor(app, store) == (1, "e1")


def test_what_was_seen_collapses(app, store):
    """The same event in one page, on the next page, and rendered with other ids meanwhile: one event."""
    first, again = event("e1"), event("e1", external={"order_id": "s1"}, new_member=1)
    feed = scripted(store, page(first, first, event("e2")), page(again, event("e3")), EMPTY)
    assert pull_all(app, feed) == 3
    assert [source_id for _, _, source_id in stored(app, store)] == ["e1", "e2", "e3"]
    assert order(app, store, "1-1").holds == ()


def test_repeated_emissions(app, store):
    """Glopal lists the same event several times: it is recorded once."""
    world = World(GlopalOptions(emission=lambda _: Emission(copies=3)))
    feed = world.feed(store, page_size=4)
    for _ in range(10):
        world.glopal.place(store)
    pull_all(app, feed)
    assert Counter(source_id for _, _, source_id in stored(app, store)).most_common(1)[0][1] == 1
    assert len(stored(app, store)) == 10


def test_an_end_that_names_the_cursor_again(app, store):
    """A feed whose last page repeats the cursor's own event is at its end, not in a circle; late company is taken."""
    feed = scripted(store, page(event("e1")), page(event("e1")), page(event("e0"), event("e1")), page(event("e1")))
    assert intake.pull(app, VAULT, feed).more
    assert intake.pull(app, VAULT, feed) == Pulled(seen=1, new=0, more=False)
    assert intake.pull(app, VAULT, feed) == Pulled(seen=2, new=1, more=False)
    assert cursor(app, store) == (1, "e1")


def test_an_empty_feed(app, store):
    """Nothing to do, nothing written."""
    assert intake.pull(app, VAULT, scripted(store, EMPTY)) == Pulled()
    assert cursor(app, store) == (0, None)


def test_a_page_recorded_by_another_puller(app, store):
    """R11: who comes second with the same page writes nothing, and goes on from where the other came to."""
    slow = scripted(store, page(event("e1"), event("e2")))
    ask = slow.client.events

    def overtaken(*arguments):
        raw = ask(*arguments)
        intake.pull(app, VAULT, scripted(store, page(event("e1"), event("e2"))))
        return raw

    slow.client.events = overtaken
    assert intake.pull(app, VAULT, slow) == Pulled(seen=2, new=0, more=True)
    assert cursor(app, store) == (1, "e2")
    assert len(stored(app, store)) == 2


def test_an_outdated_page_never_moves_the_cursor_back(app, store):
    """A puller that was suspended with an old page in its hands finds the cursor moved, whatever its page holds."""
    slow = scripted(store, page(event("e1")))
    ask = slow.client.events

    def overtaken(*arguments):
        raw = ask(*arguments)
        pull_all(app, scripted(store, page(event("e1")), page(event("e2")), page(event("e3")), EMPTY))
        return raw

    slow.client.events = overtaken
    assert intake.pull(app, VAULT, slow).new == 0
    assert cursor(app, store) == (3, "e3")


def test_many_pullers_at_once(app, store):
    """Four pullers of one store: every event once, in the feed's order, and the cursor moved once a page."""
    world = World()
    feed = world.feed(store, page_size=5)
    for _ in range(60):
        world.glopal.place(store)
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda _: pull_all(app, feed), range(4)))
    assert sum(new) == 60
    everything = read_page(world.client(store).events(None, (), 100).raw)
    assert [source_id for _, _, source_id in stored(app, store)] == [one.event_id for one in everything.elements]
    assert cursor(app, store) == (12, everything.last_id)
    assert verified(app, store) == 60


# --- when Glopal does not answer as usual ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_glopal_is_busy(app, store, status):
    """Overloaded or broken: wait at least as long as asked, lose nothing, pause nothing, go on."""
    world = World()
    feed = world.feed(store)
    world.glopal.place(store)
    world.wire.status, world.wire.headers = status, {"retry-after": "7"}
    pulled = intake.pull(app, VAULT, feed)
    assert (pulled.wait, pulled.more, pulled.stopped) == (7.0, False, "")
    world.wire.status = None
    assert pauses(app, store) == {}
    assert pull_all(app, feed) == 1


def test_glopal_is_away(app, store):
    """No connection: wait, at least a second."""
    world = World()
    feed = world.feed(store)
    world.wire.down = True
    assert intake.pull(app, VAULT, feed).wait >= 1.0
    assert intake.reread(app, VAULT, feed).wait >= 1.0
    assert pauses(app, store) == {}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_glopal_turns_us_away(app, store, status):
    """A person must mend the configuration: this store's pull pauses with the reason, and is not tried again."""
    world = World()
    feed, other = world.feed(store), world.feed(f"{store}-2")
    world.wire.status = status
    assert str(status) in intake.pull(app, VAULT, feed).stopped
    world.wire.status = None
    asked = world.wire.asked
    assert intake.pull(app, VAULT, feed) == Pulled(stopped="paused")
    assert intake.reread(app, VAULT, feed) == Pulled(stopped="paused")
    assert world.wire.asked == asked
    assert str(status) in pauses(app, store)["pull"]
    assert intake.pull(app, VAULT, other).stopped == ""


def test_an_invalid_cursor_stops_loudly(app, store):
    """Glopal does not know our cursor: nothing begins anew by itself. Resumed, it goes on from the same cursor."""
    feed = scripted(store, page(event("e1")), InvalidCursor("400"), page(event("e2")), EMPTY)
    intake.pull(app, VAULT, feed)
    assert "'e1'" in intake.pull(app, VAULT, feed).stopped
    assert "'e1'" in pauses(app, store)["pull"]
    assert cursor(app, store) == (1, "e1")
    assert intake.pull(app, VAULT, feed).stopped == "paused"
    with app.begin() as conn:
        progress.resume(conn, store, "pull")
    assert pull_all(app, feed) == 1
    assert feed.client.cursors == [None, "e1", "e1", "e2"]


def test_a_store_that_is_gone_at_glopal(app, store):
    """The real client and the fake: a cursor that the feed does not hold is refused, and pauses the pull."""
    world = World()
    feed = world.feed(store)
    with app.begin() as conn:
        progress.move_cursor(conn, store, 0, "01AAAAAAAAAAAAAAAAAAAAAAAA")
    assert intake.pull(app, VAULT, feed).stopped
    assert list(pauses(app, store)) == ["pull"]
    assert cursor(app, store) == (1, "01AAAAAAAAAAAAAAAAAAAAAAAA")


@pytest.mark.parametrize("answer", [Later(0.0, "busy"), Closed("401"), InvalidCursor("400")])
def test_a_reread_that_gets_no_answer(app, store, answer):
    """The trailing re-read waits or stops for the same reasons."""
    feed = scripted(store, page(event("e1")), answer)
    intake.pull(app, VAULT, feed)
    again = intake.reread(app, VAULT, feed)
    assert (again.wait >= 1.0) == isinstance(answer, Later)
    assert bool(again.stopped) == (not isinstance(answer, Later)) == ("pull" in pauses(app, store))


@pytest.mark.parametrize(
    ("answer", "heard"), [(EMPTY, True), (Later(0.0, "busy"), False), (Closed("401"), False), (b"{", False)]
)
def test_silence_is_told_from_not_being_heard(app, store, answer, heard):
    """A feed with nothing new was pulled; one that did not answer, turned us away or made no sense was not."""
    intake.pull(app, VAULT, scripted(store, answer))
    with app.begin() as conn:
        assert (progress.last_pull(conn, store) is not None) == heard


# --- the trailing re-read -------------------------------------------------------------------------------------------


def age(owner: sa.Engine, store: str, minutes: float, upto: int) -> None:
    """Let the cursors up to number `upto` be so old."""
    with owner.begin() as conn:
        conn.execute(
            sa.text(
                "UPDATE orderflow.cursors SET moved_at = clock_timestamp() - make_interval(mins => :minutes) "
                "WHERE store = :store AND seq <= :upto"
            ),
            {"minutes": minutes, "store": store, "upto": upto},
        )


def test_what_appears_below_the_cursor_is_found(app, owner, store):
    """An event that becomes visible late, at a place the cursor has passed, is found by reading the window again."""
    world = World()
    feed = world.feed(store, page_size=3)
    first = [world.glopal.place(store) for _ in range(5)]
    late = world.glopal.place(store, emission=Emission(delay=timedelta(minutes=5), backdated=True))
    rest = [world.glopal.place(store) for _ in range(5)]
    assert pull_all(app, feed) == 10
    before = cursor(app, store)
    age(owner, store, 60, upto=1)
    assert intake.reread(app, VAULT, feed).new == 0
    world.now += timedelta(minutes=6)
    assert pull_all(app, feed) == 0, "reading forward never sees it"
    again = intake.reread(app, VAULT, feed)
    assert again.new == 1
    assert cursor(app, store) == before
    assert [o for o, _, _ in stored(app, store)] == [*first, *rest, late]
    assert intake.reread(app, VAULT, feed).new == 0
    assert pull_all(app, feed) == 0


def test_a_reread_stops_at_the_cursor_and_leaves_it(app, store):
    """It reads page after page up to where the pull has come to, and moves nothing."""
    feed = scripted(store, page(event("e1")), page(event("e2")), page(event("e3")), EMPTY)
    pull_all(app, feed)
    feed.client.answers = [page(event("e1")), page(event("e2")), page(event("e3"), event("e4")), page(event("e5"))]
    feed.client.cursors.clear()
    assert intake.reread(app, VAULT, feed) == Pulled(seen=4, new=1)
    assert feed.client.cursors == [None, "e1", "e2"]
    assert cursor(app, store) == (3, "e3")


def test_a_reread_of_nonsense_ends(app, store):
    """Pages that cannot be read, or lead nowhere, end the re-read; the pull itself will say so."""
    for nonsense in (b"<html>", EMPTY, page({}), page(event("e1"))):
        feed = scripted(store, nonsense)
        assert intake.reread(app, VAULT, feed, limit=5).stopped == ""
        assert len(feed.client.cursors) <= 2
    assert cursor(app, store) == (0, None)


def linked(link: str, *events: object) -> bytes:
    return json.dumps({"links": {"next": link}, "events": events}).encode()


def test_behind_an_empty_page_there_may_be_more(app, store):
    """Where Glopal filters what it has cut already, the link to the next page leads past what it hid."""
    feed = scripted(store, linked("/x?after_event_id=e7&event=a"), page(event("e8")), linked("?after_event_id=e8"))
    assert [pulled.new for pulled in (intake.pull(app, VAULT, feed) for _ in range(3))] == [0, 1, 0]
    assert feed.client.cursors == [None, "e7", "e8"]
    assert cursor(app, store) == (2, "e8")


@pytest.mark.parametrize(
    "link",
    [
        "",
        "/x",
        "?after_event_id=",
        "?after_event_id=a%20b",
        "?after_event_id=a&after_event_id=b",
        "http://[",
        "?" + "&" * 500,
    ],
)
def test_a_link_that_names_no_cursor_leads_nowhere(app, store, link):
    feed = scripted(store, linked(link))
    assert not intake.pull(app, VAULT, feed).more
    assert cursor(app, store) == (0, None)


def test_raw_pages_are_not_shown():
    """What came from Glopal is not in any text form of the objects that carry it."""
    assert "canary" not in repr(RawPage(b"canary"))
