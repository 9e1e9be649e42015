"""What the connector and the engine make of a real Medusa: the eight checks, and what only Medusa does."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from tests.relay.stage import COUNTS, SETTLES, Stage, Wire
from tests.shops.bring_up import Row, Running, running
from tests.shops.buying import BOOTS, STORE, details, fresh_id, members
from tests.shops.conftest import NewStage
from tests.shops.forwarding import forwarding
from tests.shops.medusa import MEDUSA, api
from tests.shops.test_medusa_conformance import place

from orderflow.connectors import Delivered, Found, FreezeError, Missing, Refused, Result, Retry, Subject, Task, View
from orderflow.connectors.medusa import Medusa
from orderflow.domain.events import Destination, Effect, ShopState
from orderflow.domain.machine import Status

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]


_OPEN: list[Medusa] = []


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def connected(shop: Running, key: str = "", **options: Any) -> Medusa:
    """A connector that is closed when the test ends."""
    _OPEN.append(Medusa(shop.base_url, key or shop.key, place(shop), **options))
    return _OPEN[-1]


class Hand:
    """One order and the shop, by the connector alone."""

    def __init__(self, shop: Running, given: dict[str, Any] = BOOTS, **options: Any) -> None:
        self.shop, self.order_id = shop, fresh_id()
        self.reference = f"glopal:{STORE}:{self.order_id}"
        self.details = details(self.order_id, given)
        self.connector = connected(shop, **options)

    def frozen(self, effect: Effect, target: str = "", seen: ShopState | None = None) -> bytes:
        return self.connector.freeze(
            Task(effect, STORE, self.order_id, self.reference, target, seen, details=self.details)
        )

    def do(self, effect: Effect, target: str = "", seen: ShopState | None = None) -> Result:
        return self.connector.send(self.frozen(effect, target, seen), key="k", in_time=lambda: True)

    def draft(self) -> str:
        result = self.do(Effect.DRAFT)
        assert isinstance(result, Delivered), result
        assert result.sighting is not None
        return result.sighting.shop_id

    def seen(self, *known: str) -> list[tuple[str, ShopState, bool]]:
        sight = self.connector.find(Subject(STORE, self.order_id, self.reference, known))
        assert isinstance(sight, Found), sight
        return [(one.shop_id, one.state, one.promoted) for one in sight.sightings]

    def by_hand(self, method: str, path: str) -> Any:
        return api(self.shop.base_url, self.shop.key, method, path)


class River:
    """A store whose shop is the real one, in virtual time."""

    def __init__(self, stage: Stage, shop: Running) -> None:
        self.stage, self.shop = stage, shop
        self.wire = Wire(forwarding(shop.base_url))
        stage.connectors[Destination.SHOP] = Medusa(
            "http://shop.test", shop.key, place(shop), settle_window=SETTLES, transport=self.wire
        )

    def place(self, given: dict[str, Any] = BOOTS) -> str:
        return self.stage.place(id=fresh_id(), **given)

    def made(self, order_id: str) -> list[Row]:
        reference = f"glopal:{self.stage.store}:{order_id}"
        return [row for row in self.shop.ledger() if row.reference == reference]


# --- 1: found, and not made twice -----------------------------------------------------------------------------------


def test_what_was_made_is_found_and_its_repeat_is_read_back(medusa: Running) -> None:
    hand = Hand(medusa)
    shop_id = hand.draft()
    assert hand.seen() == [(shop_id, ShopState.DRAFT, False)]
    again = hand.do(Effect.DRAFT)
    assert isinstance(again, Refused)  # "already exists" is one of the four things that 400 means: the relay reads
    assert again.reason == "400 invalid_data"
    assert hand.seen() == [(shop_id, ShopState.DRAFT, False)]


def test_an_effect_delivered_twice_makes_one_draft(stage: NewStage, medusa: Running) -> None:
    """The second worker knows nothing of the first one's success: its 400 is read back, and found."""
    it = River(stage(), medusa)
    order_id = it.place()
    call = it.stage.call("draft")
    it.stage.connectors[Destination.SHOP].send(call.request or b"", key="k", in_time=lambda: True)
    it.stage.finish(call)
    it.stage.rest()
    [row] = it.made(order_id)
    own = it.stage.order(order_id).shop.own
    assert own is not None
    assert (own.shop_id, own.number, own.state) == (row.id, row.number, ShopState.DRAFT)


def test_four_creates_at_once_make_one_draft(medusa: Running) -> None:
    hand = Hand(medusa)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: hand.do(Effect.DRAFT), range(4)))
    assert sum(isinstance(one, Delivered) for one in results) == 1
    assert len(hand.seen()) == 1


# --- 2: promotion ---------------------------------------------------------------------------------------------------


def test_promotion_keeps_id_and_number(medusa: Running) -> None:
    hand = Hand(medusa)
    drafted = hand.do(Effect.DRAFT)
    assert isinstance(drafted, Delivered)
    assert drafted.sighting is not None
    promoted = hand.do(Effect.PROMOTE, drafted.sighting.shop_id)
    assert isinstance(promoted, Delivered), promoted
    assert promoted.sighting is not None
    assert promoted.sighting.number == drafted.sighting.number
    assert hand.seen() == [(drafted.sighting.shop_id, ShopState.ORDER, True)]
    assert isinstance(hand.do(Effect.PROMOTE, drafted.sighting.shop_id), Refused)


def test_a_promotion_repeated_settles_as_delivered(stage: NewStage, medusa: Running) -> None:
    it = River(stage(), medusa)
    order_id = it.place()
    it.stage.rest()
    it.stage.ready(order_id)
    call = it.stage.call("promote")
    first = it.stage.connectors[Destination.SHOP].send(call.request or b"", key="k", in_time=lambda: True)
    assert isinstance(first, Delivered)
    it.stage.finish(call)
    it.stage.rest()
    assert it.stage.names(order_id, "promote") == ["EffectIntended", "LookedUp", "EffectDelivered"]
    [row] = it.made(order_id)
    assert it.stage.at_glopal(order_id).ids == (row.id, row.number)


# --- 3: withdrawal --------------------------------------------------------------------------------------------------


def test_a_draft_is_deleted_and_an_order_cancelled(medusa: Running) -> None:
    hand = Hand(medusa)
    shop_id = hand.draft()
    for _ in range(2):  # the second time it is gone already
        assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.DRAFT), Delivered)
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, False)]
    shop_id = hand.draft()
    hand.do(Effect.PROMOTE, shop_id)
    assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER), Delivered)
    assert isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.ORDER), Refused)
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, True)]


def test_a_draft_cancelled_by_hand_is_not_promoted(medusa: Running) -> None:
    """Medusa would bring it back to life."""
    hand = Hand(medusa)
    shop_id = hand.draft()
    hand.by_hand("POST", f"/admin/orders/{shop_id}/cancel")
    refused = hand.do(Effect.PROMOTE, shop_id)
    assert isinstance(refused, Refused)
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, False)]


def test_a_draft_cancelled_while_it_is_promoted_is_cancelled_again(medusa: Running) -> None:
    """The hand comes between our look and Medusa's promotion: `in_time` is asked right there."""
    hand = Hand(medusa)
    shop_id = hand.draft()
    asked: list[None] = []

    def in_time() -> bool:
        if not asked:
            hand.by_hand("POST", f"/admin/orders/{shop_id}/cancel")
        asked.append(None)
        return True

    refused = hand.connector.send(hand.frozen(Effect.PROMOTE, shop_id), key="k", in_time=in_time)
    assert isinstance(refused, Refused), refused
    assert refused.reason == "the draft was cancelled in the shop"
    assert hand.seen(shop_id) == [(shop_id, ShopState.GONE, True)]


def test_delete_and_promote_at_once_leave_one_truth(medusa: Running) -> None:
    """Medusa answers 200 with nothing in it, 404 or the order: whatever is delivered stands."""
    for _ in range(3):
        hand = Hand(medusa)
        shop_id = hand.draft()
        with ThreadPoolExecutor(2) as pool:
            promoting = pool.submit(hand.do, Effect.PROMOTE, shop_id)
            deleting = pool.submit(hand.do, Effect.WITHDRAW, shop_id, ShopState.DRAFT)
        [(_, state, _)] = hand.seen(shop_id)
        assert isinstance(deleting.result(), Delivered) == (state is ShopState.GONE)
        if state is ShopState.ORDER:
            assert isinstance(promoting.result(), Delivered)


def test_a_promoted_order_is_not_deleted(medusa: Running) -> None:
    """Medusa answers 500: unknown, and a look-up shows the order."""
    hand = Hand(medusa)
    shop_id = hand.draft()
    hand.do(Effect.PROMOTE, shop_id)
    assert not isinstance(hand.do(Effect.WITHDRAW, shop_id, ShopState.DRAFT), Delivered)
    assert hand.seen(shop_id) == [(shop_id, ShopState.ORDER, True)]


def test_an_order_cancelled_at_glopal_leaves_nothing_alive(stage: NewStage, medusa: Running) -> None:
    it = River(stage(), medusa)
    order_id = it.place()
    it.stage.rest()
    it.stage.ready(order_id)
    it.stage.rest()
    it.stage.cancel(order_id)
    it.stage.rest()
    assert [row.state for row in it.made(order_id)] == [ShopState.GONE]
    assert it.stage.status(order_id) is Status.CANCELLED


# --- 4: lost replies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "error_after", "html_after", "empty_after"])
def test_a_lost_reply_ends_with_one_draft(stage: NewStage, medusa: Running, fault: Any) -> None:
    it = River(stage(), medusa)
    it.wire.faults.script(fault, method="POST")
    order_id = it.place()
    it.stage.rest()
    assert it.stage.names(order_id, "draft")[:2] == ["EffectIntended", "EffectUnknown"]
    it.stage.live(COUNTS + 120)
    [row] = it.made(order_id)
    own = it.stage.order(order_id).shop.own
    assert own is not None
    assert (own.shop_id, own.state) == (row.id, ShopState.DRAFT)


# --- 5: credentials -------------------------------------------------------------------------------------------------


def test_a_revoked_key_closes_the_door(medusa: Running) -> None:
    hand = Hand(medusa)
    hand.connector = connected(medusa, "sk_revoked")
    for answer in (
        hand.do(Effect.DRAFT),
        hand.connector.find(Subject(STORE, hand.order_id, hand.reference)),
        hand.connector.view("order_1"),
    ):
        assert isinstance(answer, Retry), answer
        assert answer.closed
        assert not answer.burnt


def test_a_revoked_key_pauses_the_store_not_the_order(stage: NewStage, medusa: Running) -> None:
    it = River(stage(), medusa)
    good = it.stage.connectors[Destination.SHOP]
    it.stage.connectors[Destination.SHOP] = Medusa("http://shop.test", "sk_old", place(medusa), transport=it.wire)
    order_id = it.place()
    it.stage.rest()
    it.stage.live(3600)
    assert it.made(order_id) == []
    assert len([one for one in it.wire.seen if one.method == "POST"]) == 1
    it.stage.connectors[Destination.SHOP] = good
    assert "EffectRefused" not in it.stage.names(order_id, "draft")


# --- 6: refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (members(("GONE-1", "5.00", 1)), "400 invalid_data"),
        (members(("LAST-ONE", "5.00", 2)), "400 insufficient_inventory"),
    ],
    ids=["unknown variant", "too little stock"],
)
def test_what_medusa_refuses_is_for_a_person(stage: NewStage, medusa: Running, given: Any, reason: str) -> None:
    it = River(stage(), medusa)
    there = place(medusa)
    there = type(there)(
        there.region_id, there.sales_channel_id, there.shipping_option_id, {**there.variants, "GONE-1": "variant_1"}
    )
    it.stage.connectors[Destination.SHOP] = Medusa("http://shop.test", medusa.key, there, transport=it.wire)
    order_id = it.place(given)
    it.stage.ready(order_id)
    it.stage.rest()
    assert it.stage.names(order_id, "draft") == ["EffectIntended", "LookedUp", "EffectRefused"]
    assert it.stage.exceptions(order_id) == {"parked_draft": f"draft was refused: {reason}"}
    assert it.made(order_id) == []


def test_an_unknown_region_is_unknown_then_absent(stage: NewStage, medusa: Running) -> None:
    """500 is no proof of anything: it is looked up, tried again, and given up."""
    it = River(stage(), medusa)
    there = place(medusa)
    wrong = type(there)("reg_1", there.sales_channel_id, there.shipping_option_id, there.variants)
    it.stage.connectors[Destination.SHOP] = Medusa(
        "http://shop.test", medusa.key, wrong, settle_window=SETTLES, transport=it.wire
    )
    order_id = it.place()
    it.stage.ready(order_id)
    it.stage.rest()
    assert it.stage.names(order_id, "draft")[:2] == ["EffectIntended", "EffectUnknown"]
    it.stage.live(COUNTS + 120)
    assert "EffectNotExecuted" in it.stage.names(order_id, "draft")
    assert it.made(order_id) == []


def test_a_line_without_a_variant_is_never_sent(medusa: Running) -> None:
    with pytest.raises(FreezeError, match=r"items\[0\]: the mapping names no variant_id"):
        Hand(medusa, members(("NO-SUCH", "5.00", 1))).draft()


# --- 7: money -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "total"),
    [
        (BOOTS, "162.48"),
        (members(("WALKER-42", "0.10", 3), tax="0.20", duty="4.11", fees="1.05", discount="0.70"), "17.46"),
        (members(("MUG-01", "19.995", 2), shipping="0", total="39.98"), "39.98"),
        (members(("MUG-01", "9999999999.99", 1), shipping="0.01"), "10000000000.00"),
    ],
    ids=["boots", "all parts", "a cent that the parts miss", "much"],
)
def test_money_comes_back_exactly(medusa: Running, given: Any, total: str) -> None:
    hand = Hand(medusa, given)
    shop_id = hand.draft()
    shown = hand.connector.view(shop_id)
    assert isinstance(shown, View)
    assert (shown.total, shown.currency, shown.reference) == (Decimal(total), "EUR", hand.reference)
    [line] = given["items"]
    assert shown.lines is not None
    assert [(one.sku, one.quantity, one.unit_price) for one in shown.lines] == [
        (line["sku"], line["quantity"], line["unit_price"])
    ]


def test_a_draft_that_comes_to_another_total_is_not_delivered_and_goes(stage: NewStage, medusa: Running) -> None:
    """As by a region that adds taxes of its own: the shop takes another total for right than the buyer paid."""
    it = River(stage(), medusa)
    taxed = it.wire.app

    def with_another_price(request: Any) -> Any:
        if request.method == "POST" and request.path == "/admin/draft-orders":
            body = json.loads(request.body)
            body["items"][0]["unit_price"] = "75.00"
            request = type(request)(
                request.method, request.path, request.query, request.headers, json.dumps(body).encode()
            )
        return taxed(request)

    it.wire.app = with_another_price
    order_id = it.place()
    it.stage.ready(order_id)
    it.stage.rest()
    assert it.made(order_id) == []
    assert it.stage.exceptions(order_id) == {
        "parked_draft": "draft was refused: the shop's total is another than the order's"
    }


def test_what_medusa_would_round_is_never_sent(medusa: Running) -> None:
    with pytest.raises(FreezeError, match=r"items\[0\].unit_price has more than 15 digits"):
        Hand(medusa, members(("MUG-01", "19.999999999999999999", 1))).draft()


# --- 8: a shop that cannot search -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Any:
    """A Medusa as it comes: no display id of ours, so no search and nothing unique."""
    with running(MEDUSA, SHOP_PLAIN="1") as shop:
        yield shop


def test_a_shop_that_cannot_search_is_read_through(plain: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderflow.connectors.medusa.looking._PAGE", 2)
    hands = [Hand(plain, unique_reference=False) for _ in range(5)]
    ids = [hand.draft() for hand in hands]
    hands[1].do(Effect.PROMOTE, ids[1])
    states = [ShopState.DRAFT, ShopState.ORDER, *[ShopState.DRAFT] * 3]
    for hand, shop_id, state in zip(hands, ids, states, strict=True):
        assert hand.seen() == [(shop_id, state, state is ShopState.ORDER)]
    twice = hands[0].draft()  # nothing there refuses it: the relay's look-ups are what keeps the promise
    assert [one for one, _, _ in hands[0].seen()] == [ids[0], twice]
    assert Hand(plain, unique_reference=False).seen() == []


# --- what is shown --------------------------------------------------------------------------------------------------


def test_a_deleted_order_is_missing(medusa: Running) -> None:
    hand = Hand(medusa)
    shop_id = hand.draft()
    hand.do(Effect.WITHDRAW, shop_id, ShopState.DRAFT)
    assert isinstance(hand.connector.view(shop_id), Missing)


def test_references_that_begin_alike_are_kept_apart(medusa: Running) -> None:
    """Medusa's search matches parts of words, and wildcards."""
    hand, other = Hand(medusa), Hand(medusa)
    other.order_id, other.reference = f"{hand.order_id}_", f"{hand.reference}_"
    other.details = details(other.order_id)
    ids = [hand.draft(), other.draft()]
    assert [hand.seen()[0][0], other.seen()[0][0]] == ids
    assert [len(hand.seen()), len(other.seen())] == [1, 1]
