"""The comparison is silent about a clean run and names each kind of broken promise."""

from collections.abc import Callable

import pytest

from orderflow.sandbox import Row, compare, reference_of

from .world import STORE, World


class Run:
    """One order that went well: promoted in the shop, accepted by Glopal, and recorded so."""

    def __init__(self) -> None:
        self.world = World()
        self.glopal, self.shop = self.world.glopal, self.world.shop
        self.order_id = self.glopal.place(STORE)
        self.reference = reference_of(STORE, self.order_id)
        self.draft = self.world.draft(self.reference)
        self.glopal.ready(STORE, self.order_id)
        self.shop.promote_by_hand(self.draft["id"])
        self.world.accept(self.order_id, self.draft["id"], self.draft["number"])
        self.row: Row = {
            "store": STORE,
            "order_id": self.order_id,
            "status": "ACCEPTED",
            "shop_order_id": self.draft["id"],
            "shop_state": "order",
            "accept_ids": [self.draft["id"], self.draft["number"]],
            "held": False,
        }
        self.rows = [self.row]

    def differences(self, *, held_may_differ: bool = False) -> list[str]:
        found = compare(self.glopal.ledger(STORE), self.shop.ledger(), self.rows, held_may_differ=held_may_differ)
        return [difference.kind for difference in found]


def test_a_clean_run_is_clean() -> None:
    assert Run().differences() == []


def test_a_clean_withdrawal_is_clean() -> None:
    run = Run()
    run.glopal.cancel(STORE, run.order_id, by="merchant")
    run.shop.cancel_by_hand(run.draft["id"])
    run.row["status"], run.row["shop_state"] = "CANCELLED", "gone"
    assert run.differences() == []


def wrong_status(run: Run) -> None:
    run.glopal.complete(STORE, run.order_id)


def missing(run: Run) -> None:
    run.rows.clear()


def unknown(run: Run) -> None:
    run.rows.append({**run.row, "order_id": "9-9"})


def promoted_twice(run: Run) -> None:
    second = run.world.draft(run.reference)
    run.shop.promote_by_hand(second["id"])
    run.shop.cancel_by_hand(second["id"])  # even if it was withdrawn again


def accepted_twice(run: Run) -> None:
    second = run.world.draft(run.reference)
    run.shop.promote_by_hand(second["id"])
    assert run.world.accept(run.order_id, second["id"], second["number"]) == 400


def other_ids_recorded(run: Run) -> None:
    run.row["accept_ids"] = None


def alive(run: Run) -> None:
    run.glopal.cancel(STORE, run.order_id)
    run.row["status"] = "CANCELLED"


def stray_draft(run: Run) -> None:
    run.world.draft(run.reference)


def other_order_recorded(run: Run) -> None:
    run.row["shop_order_id"] = "ord_nonsense"


def wrong_shop_state(run: Run) -> None:
    run.row["shop_state"] = "draft"


def foreign(run: Run) -> None:
    run.world.draft("glopal:acme:nobody")


def unfounded(run: Run) -> None:
    other = run.glopal.place(STORE)
    draft = run.world.draft(reference_of(STORE, other))
    run.world.accept(other, draft["id"], draft["number"])  # of a draft, which is promoted too late
    run.world.clock.pass_(1)
    run.shop.promote_by_hand(draft["id"])
    run.rows.append(
        {
            **run.row,
            "order_id": other,
            "status": "RECEIVED",
            "shop_order_id": draft["id"],
            "accept_ids": [draft["id"], draft["number"]],
        }
    )


@pytest.mark.parametrize(
    ("break_", "kinds"),
    [
        (wrong_status, ["status"]),
        (missing, ["missing_order"]),
        (unknown, ["unknown_order"]),
        (promoted_twice, ["two_promoted"]),
        (accepted_twice, ["stray_order", "two_accepts", "two_promoted"]),
        (other_ids_recorded, ["accept_ids"]),
        (alive, ["alive_though_cancelled"]),
        (stray_draft, ["stray_draft"]),
        (other_order_recorded, ["shop_state", "stray_order"]),
        (wrong_shop_state, ["shop_state"]),
        (foreign, ["foreign_reference"]),
        (unfounded, ["accept_unfounded"]),
    ],
)
def test_each_broken_promise_is_named(break_: Callable[[Run], None], kinds: list[str]) -> None:
    run = Run()
    break_(run)
    assert run.differences() == kinds


def test_what_has_left_may_live_on_and_so_may_what_is_held() -> None:
    run = Run()
    alive(run)
    run.row["held"] = True
    assert run.differences(held_may_differ=True) == []
    assert run.differences() == ["alive_though_cancelled"]
    run.shop.fulfil(run.draft["id"])
    assert run.differences() == []


def test_foreign_acceptance_is_not_ours() -> None:
    world = World()
    order_id = world.glopal.place(STORE)
    world.glopal.ready(STORE, order_id)
    world.glopal.accept_elsewhere(STORE, order_id, "9", "00009")
    row: Row = {
        "store": STORE,
        "order_id": order_id,
        "status": "ACCEPTED",
        "shop_order_id": None,
        "shop_state": None,
        "accept_ids": None,
        "held": False,
    }
    assert compare(world.glopal.ledger(STORE), world.shop.ledger(), [row]) == []
