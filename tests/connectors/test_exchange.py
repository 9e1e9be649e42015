"""Frozen requests come back as they were, whatever is in them."""

from hypothesis import given
from hypothesis import strategies as st

from orderflow.connectors import Refused
from orderflow.connectors.exchange import Outbound, thawed

TEXTS = st.text(max_size=20)


@given(st.sampled_from(["GET", "POST"]), TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_freezing_and_thawing(method: str, target: str, body: str, expects: dict[str, str]) -> None:
    outbound = Outbound(method, target, body.encode(), expects)
    assert thawed(outbound.frozen()) == outbound
    assert Outbound(method, target, body.encode(), dict(reversed(expects.items()))).frozen() == outbound.frozen()


@given(st.binary(max_size=100))
def test_anything_else_is_refused(request: bytes) -> None:
    assert isinstance(thawed(request), Refused)
