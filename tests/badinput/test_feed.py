"""Bad events and bad pages through intake, read models, planner and relay: everybody else's orders flow."""

import json
import re
from datetime import datetime

import pytest
import sqlalchemy as sa
from tests.badinput.corpus import CONCERNED, EVENTS, PAGES, BadEvent, BadPage
from tests.intake.feeds import cursor, pauses
from tests.relay.stage import VAULT, Stage

from orderflow import intake
from orderflow.app import PROJECTIONS
from orderflow.domain.events import HoldReason, Malformed, Reported, Unrecognised
from orderflow.domain.machine import Status
from orderflow.projections import beside, catch_up
from orderflow.sandbox import Request, Response
from orderflow.store import log, progress
from orderflow.store.log import INTAKE
from orderflow.store.vault import key, unseal
from orderflow.store.verify import verify

OTHERS = ("1-1", "2-2")


def set_scene(stage: Stage, bad: list[bytes]) -> None:
    """Orders before and behind the bad events, which stand on the feed's first page."""
    for order_id in (OTHERS[0], CONCERNED, OTHERS[1]):
        stage.place(id=order_id)
        stage.ready(order_id)
    stage.feed = intake.Feed(stage.store, stage.feed.client, (), 100)

    def splice(request: Request) -> Response | None:
        if not request.path.startswith("/v2/events/") or any(name == "after_event_id" for name, _ in request.query):
            return None
        answer = stage.glopal.handle(request)
        at = answer.body.index(b'{"event_id"')
        end = answer.body.index(b'{"event_id"', at + 1)
        return Response(200, answer.body[:end] + b",".join([*bad, b""]) + answer.body[end:])

    stage.to_glopal.instead = splice


def records(engine: sa.Engine, store: str) -> list[log.Record]:
    with engine.begin() as conn:
        return log.read(conn, store, 0, 10_000)


def body(engine: sa.Engine, store: str, record: log.Record) -> bytes:
    """What was kept of an event, opened."""
    with engine.begin() as conn:
        found = log.body(conn, store, record.position)
        assert found is not None
        event_id, sealed = found
        return unseal(key(conn, VAULT, store, record.order_id, sealed.key), sealed.data, event_id, "body")


def whole(stage: Stage) -> None:
    """The log is what was written, and every read model is what it is when made anew."""
    with stage.engine.begin() as conn:
        end = max(verify(conn, stage.store), default=0)
        assert catch_up(conn, stage.store, PROJECTIONS, stage.policy) == end
    for projection in PROJECTIONS:
        found = beside.compare(stage.engine, stage.store, projection, stage.policy, lambda _: None)
        assert (found.position, found.count) == (end, 0)


@pytest.mark.parametrize("entry", EVENTS, ids=lambda entry: f"{entry.family}-{entry.name}")
def test_a_bad_event(stage, entry: BadEvent):
    """Kept with its bytes where it belongs."""
    here = stage()
    set_scene(here, [entry.raw])
    pulled = intake.pull(here.engine, VAULT, here.feed)
    assert (pulled.stopped, pulled.new) == ("", 7)
    assert cursor(here.engine, here.store)[0] == 1
    assert pauses(here.engine, here.store) == {}
    [kept] = [r for r in records(here.engine, here.store) if body(here.engine, here.store, r) == entry.raw]
    told(here, entry, kept)
    for order_id in OTHERS:
        assert (here.order(order_id).status, here.order(order_id).holds) == (Status.READY, ())


def told(stage: Stage, entry: BadEvent, kept: log.Record) -> None:
    """What became of it is what the entry says, and quotes nothing but names."""
    event = stage.history(kept.order_id)[kept.version - 1]
    held = [hold.reason for hold in stage.order(CONCERNED).holds]
    if entry.becomes in {"held", "intake"}:
        assert isinstance(event, Malformed), event
        assert kept.order_id == (CONCERNED if entry.becomes == "held" else INTAKE)
        assert held == ([HoldReason.MALFORMED] if entry.becomes == "held" else [])
        assert entry.told in event.problem
        quoted(event.problem, entry.raw)
        return
    assert kept.order_id == entry.order
    assert held == []
    if entry.becomes == "taken":
        assert isinstance(event, Reported)
        assert event.occurred_at == (None if entry.at is None else datetime.fromisoformat(entry.at))
    else:
        assert isinstance(event, Unrecognised)
        assert event.name == json.loads(entry.raw)["event_name"]


def quoted(problem: str, raw: bytes) -> None:
    """A problem is made of our words and of short names: nothing of the values is in it."""
    assert problem.isascii()
    assert problem.isprintable()
    assert len(problem) < 300
    for value in re.findall(rb':\s*"([^"]{3,})"', raw):
        assert value.decode("utf-8", "replace") not in problem


@pytest.mark.parametrize("family", ["shape", "ids", "time", "text"])
def test_all_of_a_family_at_once(stage, family):
    """Among all of them, everybody else's order is fetched, drafted, promoted, accepted; the concerned one, too."""
    here = stage()
    bad = [entry for entry in EVENTS if entry.family == family]
    set_scene(here, [entry.raw for entry in bad])
    here.live(15)
    for order_id in (*OTHERS, CONCERNED):
        assert here.status(order_id) is Status.ACCEPTED, order_id
        assert [entry.state for entry in here.made(order_id)] == ["order"]
        assert here.order(order_id).holds == (), "readable details lift what a bad event caused"
    assert {entry.reference for entry in here.shop.ledger()} == {
        f"glopal:{here.store}:{order_id}" for order_id in (*OTHERS, CONCERNED)
    }, "an order that Glopal does not know gets nothing"
    whole(here)


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.name)
def test_a_bad_page(stage, entry: BadPage):
    """It is kept, and its store's pull pauses with the reason."""
    here = stage()
    here.to_glopal.instead = lambda _request: Response(200, entry.raw)
    pulled = intake.pull(here.engine, VAULT, here.feed)
    if not entry.told:
        assert pulled.stopped == ""
        assert pauses(here.engine, here.store) == {}
        return
    assert re.search(entry.told, pulled.stopped)
    assert pauses(here.engine, here.store) == {"pull": f"unusable page: {pulled.stopped}"}
    assert cursor(here.engine, here.store) == (0, None), "nothing is skipped"
    [kept] = records(here.engine, here.store)
    assert (kept.order_id, kept.type) == (INTAKE, "Malformed")
    assert body(here.engine, here.store, kept) == entry.raw
    assert intake.pull(here.engine, VAULT, here.feed).stopped == "paused"


def test_a_bad_page_stops_nobody_else(stage):
    """Orders that are known go on, and so does the other store; mended and resumed, the page is read."""
    here, other = stage(), stage("-other")
    known, theirs = here.place(), other.place()
    here.news()
    other.news()
    unknown = here.place()
    here.to_glopal.instead = lambda request: Response(200, b"<html>") if "/events/" in request.path else None
    here.ready(known)
    other.ready(theirs)
    both = here.worker("both", other)
    here.rest(both)
    other.news()
    here.rest(both)
    other.live(5)
    assert other.status(theirs) is Status.ACCEPTED
    assert [entry.state for entry in here.made(known)] == ["order"], "its details said READY"
    assert here.made(unknown) == []
    here.to_glopal.instead = lambda _request: None
    with here.engine.begin() as conn:
        assert progress.resume(conn, here.store, "pull")
    here.rest()
    assert len(here.made(unknown)) == 1


@pytest.mark.parametrize(
    ("headers", "raw", "told"),
    [
        pytest.param({"content-encoding": "gzip"}, b"\x1f\x8b", "the answer is compressed", id="gzip"),
        pytest.param({}, b'{"events":["' + b"a" * 8_400_000 + b'"]}', "longer than 8388608 bytes", id="8-MB"),
    ],
)
def test_an_answer_that_is_not_read(stage, headers, raw, told):
    """Asked again it would be the same for ever: the pull pauses and says why."""
    here = stage()
    here.to_glopal.instead = lambda _request: Response(200, raw, headers)
    assert told in intake.pull(here.engine, VAULT, here.feed).stopped
    assert told in pauses(here.engine, here.store)["pull"]
    assert records(here.engine, here.store) == []


def test_names_are_unique():
    """Each entry stands once, and says why."""
    for entries in (EVENTS, PAGES):
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
        assert all(entry.why for entry in entries)
