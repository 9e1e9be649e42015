"""What is drawn for many at once is as good as drawn one by one, and nothing of it is given twice."""

from uuid import uuid4

import pytest

from orderflow.store import chance
from orderflow.store.vault import seal_all, unseal
from orderflow.store.vault.keys import Key

from .writing import VAULT


def test_pieces_have_their_size_and_never_come_twice():
    drawn = [piece for _ in range(50) for piece in chance.pieces(20, 12)]
    assert {len(piece) for piece in drawn} == {12}
    assert len(set(drawn)) == 1000
    assert chance.pieces(0, 12) == []


def test_ids_are_those_of_uuid4():
    drawn = chance.ids(1000)
    assert len(set(drawn)) == 1000
    assert {(one.version, one.variant) for one in drawn} == {(4, uuid4().variant)}


@pytest.mark.parametrize("number", [0, 1, 100])
def test_what_is_sealed_together_has_nonces_of_its_own(number):
    """Under one key a nonce may never be used twice; each opens with its own event only."""
    key, events = Key("acme", "a", uuid4(), bytes(32)), chance.ids(number)
    sealed = seal_all(VAULT, "acme", [(key, b"the same", event) for event in events], "body")
    assert len({one.data[:12] for one in sealed}) == number
    assert [unseal(key, one.data, event, "body") for one, event in zip(sealed, events, strict=True)] == [
        b"the same"
    ] * number
