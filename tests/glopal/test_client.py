"""The client against the sandbox, against hostile answers, and against the clock."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow import sandbox
from orderflow.glopal.client import Client, Closed, Endpoint, InvalidCursor, Later, RawPage
from orderflow.glopal.codec import Page, read_page
from orderflow.glopal.replies import Broken, NotSent, Reply
from orderflow.glopal.route_settings import routes
from orderflow.sandbox import GlopalOptions

KEY = "GL.very-secret"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def glopal() -> sandbox.Glopal:
    return sandbox.Glopal(clock=now, rng=Random(1), key=KEY)


@pytest.fixture
def client(glopal: sandbox.Glopal) -> Iterator[Client]:
    with sandbox.serve(glopal.handle) as server:
        client = Client(server.url, "acme", KEY)
        yield client
        client.close()


def page(result: object) -> Page:
    assert isinstance(result, RawPage), result
    read = read_page(result.raw)
    assert isinstance(read, Page)
    return read


def test_the_feed_is_read_page_by_page(glopal: sandbox.Glopal, client: Client) -> None:
    orders = [glopal.place("acme") for _ in range(5)]
    glopal.ready("acme", orders[0])
    seen: list[str] = []
    cursor = None
    while (got := page(client.events(cursor, [], limit=2))).elements:
        seen += [str(element.event_id) for element in got.elements]
        cursor = got.last_id
    assert len(seen) == len(set(seen)) == 6
    assert [e.order_id for e in page(client.events(None, ["order.ready"], None)).elements] == [orders[0]]


def test_cursors(glopal: sandbox.Glopal, client: Client) -> None:
    glopal.open("acme")
    assert client.events("nonsense", []) == InvalidCursor("400 invalid_cursor")
    glopal.options = GlopalOptions(event_filter="required", empty_cursor="rejected")
    assert isinstance(client.events(None, []), Closed)
    page(client.events(None, ["order.ready"]))


def test_the_empty_cursor_is_named_only_when_asked_for() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=b'{"events":[]}')

    for empty in (False, True):
        client = Client("https://glopal.test/", "a/ü", KEY, empty_cursor=empty, transport=httpx.MockTransport(handler))
        page(client.events(None, ["x"]))
    assert asked == [
        "https://glopal.test/v2/events/a%2F%C3%BC?event=x",
        "https://glopal.test/v2/events/a%2F%C3%BC?event=x&after_event_id=",
    ]


def test_keys_and_stores(glopal: sandbox.Glopal, client: Client) -> None:
    assert client.events(None, []) == Closed("403 forbidden")
    stranger = Client(client.endpoint._base, "acme", "GL.other")
    assert stranger.events(None, []) == Closed("401 unauthorized")
    stranger.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Later) for status in (204, 408, 425, 429, 500, 503, 599)),
        *((status, Closed) for status in (301, 308, 400, 401, 403, 404, 405, 410)),
    ],
)
def test_statuses(status: int, kind: type) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"retry-after": "12", "location": "https://trap.test"}, content=b"Ada")

    result = Client("https://glopal.test", "acme", KEY, transport=httpx.MockTransport(handler)).events(None, [])
    assert isinstance(result, kind)
    if isinstance(result, Later):
        assert result.after == 12
    assert "Ada" not in repr(result)


def test_nobody_at_home() -> None:
    with sandbox.serve(lambda _: sandbox.Response(200)) as server:
        url = server.url
    client = Client(url, "acme", KEY, connect_seconds=1)
    assert isinstance(client.events(None, []), Later)
    assert isinstance(client.order("1-1"), NotSent)
    client.close()


def test_ids_arrive_as_they_are(glopal: sandbox.Glopal, client: Client) -> None:
    odd = "ü%2F?#&=+ ~;"
    glopal.place("acme", id=odd)
    got = client.order(odd)
    assert isinstance(got, Reply)
    assert got.status == 200


def test_other_routes(glopal: sandbox.Glopal, client: Client) -> None:
    order = glopal.place("acme")
    wrong = Client(client.endpoint._base, "acme", KEY, routes=routes({"order": {"path": "/v3/{store_id}/{order_id}"}}))
    got = wrong.order(order)
    assert isinstance(got, Reply)
    assert got.status == 404
    wrong.close()


@pytest.mark.parametrize(
    "url",
    [
        *("", "glopal.test", "ftp://glopal.test", "https://", "http://[::1", "https://\0"),
        *("https://user:pass@glopal.test", "https://x.test/?a=b", "https://x.test/#f"),
    ],
)
def test_addresses_that_cannot_be(url: str) -> None:
    with pytest.raises(ValueError, match="base URL") as caught:
        Endpoint(url, KEY)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "GL.a b", "GL.a\n", "GL.ü", "GL.\r\nx: y"])
def test_keys_that_cannot_be(key: str) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        Endpoint("https://glopal.test", key)
    assert "GL." not in str(caught.value)


def test_the_key_is_nowhere_but_in_its_header() -> None:
    client = Client("https://glopal.test", "acme", KEY)
    assert KEY not in repr(client) + str(client) + repr(client.endpoint)
    client.close()


def test_the_key_goes_bare_in_a_header_of_its_own() -> None:
    seen: list[sandbox.Request] = []

    def app(request: sandbox.Request) -> sandbox.Response:
        seen.append(request)
        return sandbox.Response(200, b"{}")

    with sandbox.serve(app) as server:
        endpoint = Endpoint(server.url, KEY, key_header="x-access-token")
        endpoint.exchange("GET", "/")
        endpoint.close()
    assert seen[0].headers["x-access-token"] == KEY
    assert "authorization" not in seen[0].headers


def test_cookies_are_not_kept() -> None:
    seen: list[httpx.Headers] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, headers={"set-cookie": "a=b"}, content=b"{}")

    line = Endpoint("https://glopal.test", KEY, transport=httpx.MockTransport(handler))
    line.exchange("GET", "/")
    line.exchange("GET", "/")
    assert "cookie" not in seen[1]
    assert seen[1]["authorization"] == f"Bearer {KEY}"


def test_a_traced_transport_of_httpx_serves_too(glopal: sandbox.Glopal) -> None:
    order = glopal.place("acme")
    with sandbox.serve(glopal.handle) as server:
        client = Client(server.url, "acme", KEY, transport=httpx.HTTPTransport(trust_env=False))
        asked: list[int] = []
        got = client.call("GET", client.target("order", order), in_time=lambda: bool(asked.append(1)) or True)
        assert isinstance(got, Reply)
        assert asked == [1]
        assert client.call("GET", "/", in_time=lambda: False) == NotSent("it was too late to send", late=True)
        server.stop()
        assert isinstance(client.order(order), NotSent | Broken)
        client.close()


def test_an_odd_transport_is_no_reason_to_fall() -> None:
    class Odd(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise RuntimeError(request.headers["authorization"])

    got = Endpoint("https://glopal.test", KEY, transport=Odd()).exchange("POST", "/", body=b"{}")
    assert got == Broken("no answer: RuntimeError")


@given(st.binary(max_size=60))
def test_retry_after_is_a_number_of_seconds_whatever_it_says(text: bytes) -> None:
    assert 0 <= Reply(429, {"retry-after": text.decode("latin-1")}, b"").retry_after <= 3600


@given(st.binary(max_size=200))
def test_codes_are_short_words(body: bytes) -> None:
    code = Reply(400, {}, body).code
    assert code is None or (len(code) <= 64 and code.isascii() and code.isprintable())


def test_many_threads_share_a_line() -> None:
    with sandbox.serve(lambda request: sandbox.Response(200, request.body)) as server:
        line = Endpoint(server.url, KEY)

        def echoed(number: int) -> bool:
            body = str(number).encode()
            got = line.exchange("POST", "/", body=body)
            return isinstance(got, Reply) and got.body == body

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(echoed, range(800)))
        line.close()


def test_a_connection_that_went_stale_is_not_used() -> None:
    with sandbox.serve(lambda _: sandbox.Response(200, b"{}")) as server:
        line = Endpoint(server.url, KEY)
        for _ in range(3):
            assert isinstance(line.exchange("POST", "/", body=b"{}"), Reply)
            server.stop()
            assert isinstance(line.exchange("POST", "/", body=b"{}"), NotSent)
            server.start()
        line.close()
