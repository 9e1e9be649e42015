"""A shop whose real order has another id than its draft had: we go by the draft's, Glopal is told the order's."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from orderflow.domain.attention import attention
from orderflow.domain.decisions import Accept, IllegalTransition, decide
from orderflow.domain.due import accept_ids, effects_due
from orderflow.domain.events import AcceptRequested, Effect, EffectDelivered, Ids, LookedUp, ShopState, Sighting
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import is_foreign
from orderflow.domain.shop import Shop

from .histories import T0
from .test_effects import DEFAULT, at, sent, with_shop, writes
from .test_illegal import then

DRAFT = Sighting("draft-7", "#D7", ShopState.DRAFT)
ORDER = Sighting("draft-7", "#1001", ShopState.ORDER, promoted=True, real_id="9001")
GONE = replace(ORDER, state=ShopState.GONE)
IDS = Ids("9001", "#1001")


def promoted() -> Order:
    order = with_shop(at(Status.READY), DRAFT)
    assert writes(order) == ["promote draft-7"]
    order = sent(order, Effect.PROMOTE, "draft-7")
    return then(order, EffectDelivered(Effect.PROMOTE, 0, 1, ORDER))


def test_the_order_is_accepted_with_its_own_id() -> None:
    order = promoted()
    assert order.shop.recorded == "draft-7"
    [accept] = [due for due in effects_due(order, DEFAULT) if due.effect is Effect.ACCEPT]
    assert (accept.target, accept.ids) == ("9001", IDS)
    assert not attention(order, DEFAULT)


def test_what_glopal_shows_then_is_ours() -> None:
    order = promoted()
    accepted = replace(order, status=Status.ACCEPTED, external=IDS)
    assert not is_foreign(accepted, DEFAULT)
    assert is_foreign(replace(accepted, external=Ids("draft-7", "#1001")), DEFAULT)


def test_it_is_withdrawn_by_the_id_that_we_go_by() -> None:
    cancelled = replace(at(Status.CANCELLED), shop=promoted().shop)
    assert writes(cancelled) == ["withdraw draft-7"]


def test_a_person_names_the_orders_own_id() -> None:
    order = promoted()
    assert decide(order, Accept(IDS, "ann")) == (AcceptRequested(IDS, "ann"),)
    with pytest.raises(IllegalTransition, match="our shop order is 9001"):
        decide(order, Accept(Ids("draft-7", "#1001"), "ann"))


def test_ids_asked_for_stay_whatever_is_seen_later() -> None:
    """Never two sets of ids: once known, the real order's id does not change, and what was asked for wins."""
    order = then(promoted(), AcceptRequested(IDS, "orderflow"))
    other = replace(ORDER, real_id="9002")
    order = then(order, LookedUp(Effect.REAP, 0, 0, T0, (other,)))
    assert order.shop.own == ORDER
    assert accept_ids(order, DEFAULT) == IDS


def test_it_is_learnt_in_any_order() -> None:
    for seen in permutations([DRAFT, ORDER, replace(ORDER, real_id=""), GONE]):
        shop = Shop()
        for sighting in seen:
            shop = shop.sight((sighting,))
        assert shop.own == GONE
