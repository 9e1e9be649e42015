"""What headers say of a rate limit, in each dialect, and that nonsense says nothing."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.connectors import Found, Retry, Subject
from orderflow.connectors.glopal import Glopal
from orderflow.connectors.rate_headers import rest
from orderflow.connectors.shop import Shop
from orderflow.glopal.client import Client

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
        ({"ratelimit-remaining": "9", "ratelimit-reset": "30"}, 3.0),
        ({"ratelimit-remaining": "500", "ratelimit-reset": "30"}, 0.0),
        ({"ratelimit-remaining": "0, 0;w=60", "ratelimit-reset": "12"}, 12.0),
        ({"ratelimit": '"default";r=0;t=8'}, 8.0),
        ({"ratelimit": '"burst";r=90;t=1, "daily";r=3;t=60'}, 15.0),
        ({"ratelimit": "limit=100, remaining=0, reset=7"}, 7.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"}, 20.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 20:.0f}"}, 20.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{(NOW + 20) * 1000:.0f}"}, 20.0),
        ({"x-rate-limit-remaining": "1", "x-rate-limit-reset": "20"}, 10.0),
        ({"x-rate-limit-requests-left": "0", "x-rate-limit-time-reset-ms": "15000"}, 15.0),
        ({"x-rate-limit-requests-left": "149", "x-rate-limit-time-reset-ms": "15000"}, 0.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000"}, 3600.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW - 5:.0f}"}, 0.0),
        ({"x-ratelimit-remaining": "0"}, 0.0),
        ({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_each_dialect(headers, seconds) -> None:
    assert rest(200, headers, 0.0, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(("status", "seconds"), [(429, 40.0), (503, 40.0), (200, 0.0), (409, 0.0)])
def test_retry_after_counts_where_it_is_about_everybody(status, seconds) -> None:
    assert rest(status, {"retry-after": "40"}, 40.0, NOW) == seconds


@given(
    st.dictionaries(
        st.sampled_from(["ratelimit", "ratelimit-remaining", "ratelimit-reset", "x-ratelimit-reset", "retry-after"]),
        st.text(max_size=30) | st.integers().map(str) | st.floats().map(str),
    ),
    st.sampled_from([200, 429, 503]),
)
def test_nonsense_is_never_more_than_an_hour(headers, status) -> None:
    assert 0.0 <= rest(status, headers, 0.0, NOW) <= 3600.0


class Answers(httpx.BaseTransport):
    """Always the same answer."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, content=self.body, request=request)


SUBJECT = Subject("s", "1-2", "glopal:s:1-2")
LOW = {"x-rate-limit-requests-left": "0", "x-rate-limit-time-reset-ms": "5000"}


def test_the_shop_says_it_with_every_answer() -> None:
    """A look-up that found something, and a write that was turned away."""
    shop = Shop("http://shop.test", "k", transport=Answers(200, b'{"orders": []}', LOW))
    assert shop.find(SUBJECT) == Found((), status=200, rest=5.0)
    shut = Shop("http://shop.test", "k", transport=Answers(503, b"", {"retry-after": "9"}))
    assert shut.find(SUBJECT).rest == 9.0


def test_glopal_says_it_with_every_answer() -> None:
    """A GET as well as a write."""
    client = Client("http://glopal.test", "s", "GL.k", transport=Answers(429, b"{}", {"retry-after": "7"}))
    seen = Glopal(client).find(SUBJECT)
    assert isinstance(seen, Retry)
    assert (seen.after, seen.rest, seen.burnt) == (7.0, 7.0, False)
