"""What every connector must prove before it is let loose on the world.

A newcomer subclasses `Conformance` and gives one fixture, `rig`; docs/how-to/add-a-connector.md tells how.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

import httpx
import pytest

from orderflow.connectors import (
    Connector,
    Delivered,
    Found,
    Refused,
    Result,
    Retry,
    Sight,
    Subject,
    Task,
    Unknown,
    Unreadable,
)
from orderflow.domain.events import Effect
from orderflow.sandbox import App, Request, Response

from .benches import Bench, bench, blurt, drip


class Closable(Connector, Protocol):
    """A connector that can let go of its connections."""

    def close(self) -> None: ...


class Connect(Protocol):
    """Makes the connector for an address; `transport` takes the network's place where it is not None."""

    def __call__(self, base_url: str, transport: httpx.BaseTransport | None, total_seconds: float) -> Connector: ...


@dataclass(frozen=True)
class Rig:
    """One destination, faked.

    `task` is a write that the fake executes; `executed` counts those it has executed, ever. `seen(sight, result)` says
    whether a look-up shows what the delivered result did. `repeatable`: sent twice, it is executed once and answered
    alike. `elsewhere` is an answer to a look-up that shows somebody else's order. `personal` are texts of the buyer.
    `writes` tells the request that makes the difference, of a connector that reads before it writes.
    """

    app: App
    connect: Connect
    key: str
    task: Task
    executed: Callable[[], int]
    seen: Callable[[Found, Delivered], bool]
    repeatable: bool
    elsewhere: bytes
    personal: tuple[str, ...]
    writes: Callable[[Request], bool] = lambda _request: True

    @property
    def subject(self) -> Subject:
        return Subject(self.task.store, self.task.order_id, self.task.reference)


PERSONAL = "Ada Muster ada@example.com"
MESSAGE = f'{{"error":{{"code":"some_code","message":"{PERSONAL}"}}}}'.encode()
JUNK = (
    b"",
    b"<html>maintenance</html>",
    b"{}",
    b"null",
    b"[]",
    b'"ok"',
    b"\xff\xfe",
    b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"id":1e999999999,"status":NaN}',
    b'{"id":"\\ud800","number":"\\ud800","state":"draft"}',
    b'{"id":"","state":"draft","status":null}',
    b'{"id":5,"state":{"a":1},"status":["ok"]}',
    b'{"status":"OK","id":"..","state":"draft","reference":"x"}',
    b'{"status":"ok","status":"no"}',
)

DRIPS = {
    "status": (b"", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
    "body": (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
NO_HTTP = (
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    b"HTTP/9.9 999 What\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://[broken\r\ncontent-length: 5\r\n\r\n",
    b"\x00" * 200_000,
)


def yes() -> bool:
    return True


@dataclass
class Stage:
    """A connector before its fake, with a frozen request in hand."""

    rig: Rig
    bench: Bench
    connector: Closable
    frozen: bytes

    def send(self, in_time: Callable[[], bool] = yes) -> Result:
        return self.connector.send(self.frozen, key="k1", in_time=in_time)

    def find(self) -> Sight:
        return self.connector.find(self.rig.subject)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """From now on the destination answers so, whatever it is asked."""
        self.bench.fake.instead = Response(status, body, {name.replace("_", "-"): it for name, it in headers.items()})


@contextlib.contextmanager
def connected(rig: Rig, base_url: str, seconds: float) -> Iterator[Closable]:
    """A connector over the network, which closes its connections in the end."""
    connector = rig.connect(base_url, None, seconds)
    yield connector
    connector.close()


class Conformance:
    """The suite. Each test runs within the process and over real HTTP."""

    @pytest.fixture
    def rig(self) -> Rig:
        raise NotImplementedError

    @pytest.fixture(params=["process", "http"])
    def stage(self, rig: Rig, request: pytest.FixtureRequest) -> Iterator[Stage]:
        with bench(rig.app, request.param) as made:
            connector = rig.connect(made.base_url, made.transport, 5.0)
            yield Stage(rig, made, connector, connector.freeze(rig.task))
            connector.close()

    # ---- the good case -----------------------------------------------------------------------------------------

    def test_freezing_is_repeatable_and_holds_no_credentials(self, rig: Rig) -> None:
        with connected(rig, "http://one.test", 1) as one, connected(rig, "https://other.test/base", 2) as other:
            frozen = one.freeze(rig.task)
            assert one.freeze(rig.task) == frozen
            assert other.freeze(rig.task) == frozen
        assert rig.key.encode() not in frozen

    def test_what_was_sent_is_found(self, rig: Rig, stage: Stage) -> None:
        before = rig.executed()
        result = stage.send()
        assert isinstance(result, Delivered), result
        assert rig.executed() == before + 1
        if rig.task.effect is Effect.DRAFT:
            assert result.sighting is not None
            assert result.sighting.shop_id
        sight = stage.find()
        assert isinstance(sight, Found), sight
        assert rig.seen(sight, result)

    def test_before_anything_was_sent_nothing_is_found(self, rig: Rig, stage: Stage) -> None:
        sight = stage.find()
        assert isinstance(sight, Found), sight
        assert not rig.seen(sight, Delivered())

    def test_sent_twice(self, rig: Rig, stage: Stage) -> None:
        if not rig.repeatable:
            pytest.skip("the destination does not promise it; the relay looks up instead")
        first = stage.send()
        executed = rig.executed()
        again = stage.send()
        assert isinstance(first, Delivered)
        assert isinstance(again, Delivered)
        assert again.sighting == first.sighting
        assert rig.executed() == executed

    # ---- provably not executed ---------------------------------------------------------------------------------

    def test_too_late_means_that_nothing_leaves(self, stage: Stage) -> None:
        result = stage.send(lambda: False)
        assert isinstance(result, Retry)
        assert not result.burnt
        assert not result.closed
        assert not stage.bench.fake.requests
        assert isinstance(stage.send(), Delivered)  # the connection is none the worse for it

    def test_lateness_is_asked_right_before_sending(self, stage: Stage) -> None:
        asked: list[int] = []

        def in_time() -> bool:
            asked.append(len(stage.bench.fake.requests))
            return True

        stage.send(in_time)
        assert asked == [0]

    def test_refused_connections(self, stage: Stage) -> None:
        stage.bench.refuse_connections()
        result = stage.send()
        assert isinstance(result, Retry), result
        assert not result.closed
        assert not stage.bench.fake.requests
        assert isinstance(stage.find(), Retry)

    def test_tls_that_fails_sends_nothing(self, rig: Rig) -> None:
        with blurt(b"no TLS here") as url, connected(rig, url.replace("http:", "https:"), 2.0) as connector:
            result = connector.send(connector.freeze(rig.task), key="k1", in_time=yes)
            assert isinstance(result, Retry), result
            assert not result.closed

    @pytest.mark.parametrize(
        ("header", "low", "high"),
        [
            ("", 0, 0),
            ("7", 7, 7),
            ("999999999999999999999", 3600, 3600),
            ("-5", 0, 0),
            ("soon", 0, 0),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
            ("Wed, 99 Foo 99999 07:28:00 GMT", 0, 0),
            ("in a minute", 30, 61),
        ],
    )
    def test_too_fast(self, stage: Stage, header: str, low: int, high: int) -> None:
        if header == "in a minute":
            header = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
        stage.answer(429, MESSAGE, retry_after=header)
        for result in (stage.send(), stage.find()):
            assert isinstance(result, Retry)
            assert not result.burnt
            assert not result.closed
            assert low <= result.after <= high

    @pytest.mark.parametrize("status", [401, 403, 405])
    def test_a_closed_door(self, stage: Stage, status: int) -> None:
        stage.answer(status, MESSAGE)
        for result in (stage.send(), stage.find()):
            assert isinstance(result, Retry)
            assert result.closed
            assert not result.burnt

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, stage: Stage, status: int) -> None:
        stage.answer(status, location=f"{stage.bench.base_url}/trap")
        for result in (stage.send(), stage.find()):
            assert isinstance(result, Retry)
            assert result.closed
        assert len(stage.bench.fake.requests) == 2

    # ---- refused -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [400, 402, 406, 409, 410, 413, 415, 422, 451])
    def test_refusals(self, stage: Stage, status: int) -> None:
        stage.answer(status, MESSAGE)
        result = stage.send()
        assert isinstance(result, Refused), result
        assert result.reason == f"{status} some_code"
        assert result.reply == MESSAGE

    @pytest.mark.parametrize("frozen", JUNK, ids=range(len(JUNK)))
    def test_frozen_bytes_that_are_damaged(self, stage: Stage, frozen: bytes) -> None:
        assert isinstance(stage.connector.send(frozen, key="k1", in_time=yes), Refused)
        assert not stage.bench.fake.requests

    # ---- unknown -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("fault", "executed"), [("cut_before", 0), ("cut_after", 1), ("error_after", 1)])
    def test_lost_replies(self, rig: Rig, stage: Stage, fault: str, executed: int) -> None:
        before = rig.executed()
        stage.bench.script(fault, rig.writes)
        result = stage.send()
        assert isinstance(result, Unknown), result
        assert rig.executed() == before + executed

    @pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 599])
    def test_server_errors(self, stage: Stage, status: int) -> None:
        stage.answer(status, MESSAGE, retry_after="3")
        assert isinstance(stage.send(), Unknown)
        sight = stage.find()
        assert isinstance(sight, Retry)
        assert not sight.closed

    @pytest.mark.parametrize("body", JUNK, ids=range(len(JUNK)))
    def test_a_success_that_says_nothing(self, stage: Stage, body: bytes) -> None:
        for status in (200, 201, 202, 206):
            stage.answer(status, body)
            assert isinstance(stage.send(), Unknown)
            assert isinstance(stage.find(), Retry | Unreadable)

    def test_too_long_an_answer(self, stage: Stage) -> None:
        stage.answer(200, b" " * (9 * 1024 * 1024))
        assert isinstance(stage.send(), Unknown)
        assert isinstance(stage.find(), Retry | Unreadable)

    def test_a_compressed_answer(self, stage: Stage) -> None:
        stage.answer(200, b"\x1f\x8b", content_encoding="gzip")
        assert isinstance(stage.send(), Unknown)
        assert stage.bench.fake.requests[0].headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize("place", DRIPS)
    def test_the_deadline_bounds_an_answer_that_drips(self, rig: Rig, place: str) -> None:
        head, chunk = DRIPS[place]
        with drip(head, seconds=0.05, chunk=chunk) as url, connected(rig, url, 0.5) as connector:
            frozen = connector.freeze(rig.task)
            began = time.monotonic()
            result = connector.send(frozen, key="k1", in_time=yes)
            assert isinstance(result, Unknown), result
            assert time.monotonic() - began < 2.5

    @pytest.mark.parametrize("answer", NO_HTTP, ids=range(len(NO_HTTP)))
    def test_answers_that_are_no_http(self, rig: Rig, answer: bytes) -> None:
        with blurt(answer) as url, connected(rig, url, 2.0) as connector:
            result = connector.send(connector.freeze(rig.task), key="k1", in_time=yes)
            assert isinstance(result, Unknown), result

    # ---- other people's business -------------------------------------------------------------------------------

    def test_somebody_elses_order_is_not_ours(self, rig: Rig, stage: Stage) -> None:
        stage.answer(200, rig.elsewhere)
        sight = stage.find()
        if isinstance(sight, Found):
            assert sight.sightings == ()
            assert sight.details is None
        else:
            assert isinstance(sight, Retry | Unreadable)

    @pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
    def test_nothing_secret_or_personal_is_told(
        self, rig: Rig, stage: Stage, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        stage.answer(status, MESSAGE.replace(b"some_code", PERSONAL.encode()))
        told = [repr(stage.connector), repr(rig.task), *map(repr, (stage.send(), stage.find()))]
        stage.bench.refuse_connections()
        told += [repr(stage.send()), caplog.text]
        for secret in (rig.key, PERSONAL, "secret detail", *rig.personal):
            assert not any(secret in text for text in told), secret
        assert not any(rig.key in request.path + str(request.query) for request in stage.bench.fake.requests)
