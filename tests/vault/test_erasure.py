"""What is erased is gone for good, and only that: log, chain, money, statistics and the river go on."""

import base64
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.relay.stage import Stage
from tests.store.writing import rows, verified

from orderflow import erasure, intake
from orderflow.domain import decisions
from orderflow.domain.events import BuyerErased, DetailsFetched, Effect
from orderflow.domain.policy import StorePolicy
from orderflow.erasure import OpenIntentError, buyers, receipts
from orderflow.erasure.receipts import Receipt, RegisterError
from orderflow.glopal.codec import Good
from orderflow.orders import UnknownOrderError
from orderflow.projections.beside import rebuild
from orderflow.projections.orders import Orders
from orderflow.relay.request import frozen_requests
from orderflow.store.connect import transact
from orderflow.store.signing import SigningKey, signing_key
from orderflow.store.vault import Vault, VaultError, alive, key, keys_of, stored_at, unseal

from .conftest import NewStage

ASKED = erasure.request("ann", "asked for by letter")


def new_signer() -> SigningKey:
    return signing_key(base64.b64encode(os.urandom(32)).decode())


def erased(it: Stage, order_id: str, register: Callable[[Receipt], None] = lambda _: None) -> Receipt | None:
    return erasure.erase(it.engine, it.vault, register, it.store, order_id, ASKED)


def bodies(it: Stage, order_id: str) -> list[bytes | None]:
    """Every sealed body of the order, opened; None where that is not possible any more."""
    found: list[bytes | None] = []
    query = (
        "SELECT body, body_key, event_id FROM orderflow.events "
        "WHERE store = :s AND order_id = :o AND body IS NOT NULL ORDER BY version"
    )
    for row in rows(it.engine, query, s=it.store, o=order_id):
        with it.engine.begin() as conn:
            try:
                secret = key(conn, it.vault, it.store, order_id, row.body_key)
                found.append(unseal(secret, row.body, row.event_id, "body"))
            except VaultError:
                found.append(None)
    return found


def statistics(it: Stage) -> Any:
    query = (
        "SELECT order_id, status, currency, total, shop_order_id, external_order_id, held, attention "
        "FROM orderflow.orders WHERE store = :s ORDER BY order_id"
    )
    return rows(it.engine, query, s=it.store)


def test_nothing_opens_any_more_and_everything_else_holds(stage: NewStage) -> None:
    """Bodies, requests and replies of the order are closed; log, chain, fold, read model and others' data are not."""
    it = stage()
    mine, other = it.drafted(ready=True), it.drafted(ready=True)
    it.live(120)
    before, order, kept = statistics(it), it.order(mine), bodies(it, other)
    head = verified(it.engine, it.store)
    receipt = erased(it, mine)
    assert receipt is not None
    assert (receipt.order_id, len(receipt.keys)) == (mine, 1)
    assert set(bodies(it, mine)) == {None}
    assert bodies(it, other) == kept
    assert verified(it.engine, it.store) == head + 1
    after = it.order(mine)
    assert replace(after, position=order.position, version=order.version, last=order.last) == order
    rebuild(it.engine, it.store, Orders(), it.policy, lambda _: None)
    assert statistics(it) == before
    [fact] = it.history(mine, BuyerErased)
    assert fact == BuyerErased("ann", "asked for by letter", str(ASKED.receipt))
    [gone] = rows(stored_at(it.vault, it.engine), "SELECT wrapped, master, destroyed_at IS NOT NULL AS at "
                  "FROM orderflow_vault.keys WHERE store = :s AND order_id = :o", s=it.store, o=mine)  # fmt: skip
    assert gone == (None, None, True)
    assert it.rows(mine) == [] or all(row.request is None for row in it.rows(mine))
    for line in it.attempts(mine):
        if line.response_key is not None:
            with it.engine.begin() as conn, pytest.raises(VaultError):
                key(conn, it.vault, it.store, mine, line.response_key)


def test_the_river_goes_on(stage: NewStage) -> None:
    """What comes after is sealed under a key of its own, and an order that was drafted is promoted and accepted."""
    it = stage()
    order_id = it.drafted()
    receipt = erased(it, order_id)
    assert receipt is not None
    it.ready(order_id)
    it.live(600)
    assert [entry.state for entry in it.made(order_id)] == ["order"]
    assert it.at_glopal(order_id).status == "ACCEPTED"
    assert it.exceptions(order_id) == {}
    with it.engine.begin() as conn:
        [(_, fresh)] = alive(conn, it.vault, it.store, order_id)
    assert fresh not in receipt.keys
    opened = bodies(it, order_id)
    assert opened[0] is None
    assert opened[-1] is not None


def test_a_draft_that_is_still_to_be_made_waits_for_a_person(stage: NewStage) -> None:
    """There are no details to build it from: an exception that says so, no crash; a fetch and a retry make it."""
    it = stage(policy=StorePolicy(shadow=True))
    order_id = it.place()
    it.live(60)
    assert it.row(order_id, "draft").request is not None
    erased(it, order_id)
    assert it.row(order_id, "draft").request is None
    with it.engine.begin() as conn:
        assert frozen_requests(conn, it.vault, it.store, order_id) == []
    it.policy = StorePolicy()
    it.relay = it.worker("b")
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "go"))
    it.live(60)
    assert it.made(order_id) == []
    assert "were erased" in " ".join(it.exceptions(order_id).values())
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "again"))
    it.live(60)
    it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "now"))
    it.live(60)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]


@pytest.mark.parametrize("moment", ["intended", "unknown"])
def test_it_refuses_while_a_call_is_under_way(stage: NewStage, moment: str) -> None:
    """And writes no receipt. Once the outcome is known, it goes."""
    it, told = stage(), []
    order_id = it.place()
    if moment == "unknown":
        it.to_shop.faults.script("cut_before", method="POST")
    call = it.call("draft")
    if moment == "unknown":
        it.finish(call)
    with pytest.raises(OpenIntentError, match="has a call under way"):
        erased(it, order_id, told.append)
    assert told == []
    assert None not in bodies(it, order_id)
    if moment == "intended":
        it.finish(call)
    it.live(300)
    assert erased(it, order_id, told.append) in told


def test_the_same_erasure_again_does_nothing(stage: NewStage) -> None:
    """Nothing is left, so nothing is written; an order that nobody knows is said so."""
    it, told = stage(), []
    order_id = it.drafted()
    assert erased(it, order_id, told.append) is not None
    head = verified(it.engine, it.store)
    assert erased(it, order_id, told.append) is None
    assert (len(told), verified(it.engine, it.store)) == (1, head)
    with pytest.raises(UnknownOrderError):
        erased(it, "nobody", told.append)


def test_the_receipt_is_there_before_a_key_is_gone(stage: NewStage) -> None:
    """A register that cannot be written saves the keys."""
    it = stage()
    order_id = it.drafted()

    def full(_: Receipt) -> None:
        raise RegisterError("disk full")

    with pytest.raises(RegisterError):
        erased(it, order_id, full)
    assert None not in bodies(it, order_id)
    seen = []
    erased(it, order_id, lambda _: seen.append(None not in bodies(it, order_id)))
    assert seen == [True]


def test_what_is_recorded_at_the_same_time_can_be_read(stage: NewStage, vault: Vault) -> None:
    """A page that has its key waits no one out, but the erasure waits for it: no body under a dead key afterwards."""
    it = stage()
    order_id = it.drafted()
    held, go = threading.Event(), threading.Event()

    def page(conn: sa.Connection) -> None:
        keys_of(conn, vault, it.store, [order_id])
        held.set()
        go.wait(10)
        late = Good("late", "order.ready", order_id, None, None, None, b'{"id":"late"}')
        intake.record(conn, vault, it.store, [late])

    recording = threading.Thread(target=partial(transact, it.engine, page))
    recording.start()
    assert held.wait(10)
    done: list[Receipt | None] = []
    erasing = threading.Thread(target=lambda: done.append(erased(it, order_id)))
    erasing.start()
    erasing.join(0.3)
    assert erasing.is_alive(), "it waits for whoever holds a key"
    go.set()
    recording.join(10)
    erasing.join(10)
    [receipt] = done
    assert receipt is not None
    assert set(bodies(it, order_id)) == {None}, "what came before the erasure is erased with the rest"
    with it.engine.begin() as conn:
        assert alive(conn, vault, it.store, order_id) == []


def test_many_pages_and_erasures_at_once(stage: NewStage, vault: Vault) -> None:
    """Whatever comes after an order's erasure in the log opens; whatever came before it does not."""
    it = stage()
    order_id = it.drafted()
    stop = threading.Event()

    def write(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            event = Good(f"{number}-{turn}", "order.ready", order_id, None, None, None, b"{}")
            transact(it.engine, lambda conn, event=event: intake.record(conn, vault, it.store, [event]))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for one in writers:
        one.start()
    try:
        for _ in range(5):
            erased(it, order_id)
    finally:
        stop.set()
        for one in writers:
            one.join(20)
    last = max(r.version for r in it.records(order_id) if r.type == "BuyerErased")
    query = "SELECT version FROM orderflow.events WHERE store = :s AND order_id = :o AND body IS NOT NULL ORDER BY 1"
    versions = [row.version for row in rows(it.engine, query, s=it.store, o=order_id)]
    opened = bodies(it, order_id)
    assert {version > last for version, plain in zip(versions, opened, strict=True) if plain is None} == {False}
    assert all(version < last for version, plain in zip(versions, opened, strict=True) if plain is None)
    assert all(plain is not None for version, plain in zip(versions, opened, strict=True) if version > last)


# --- the register ---------------------------------------------------------------------------------------------------


def test_receipts_come_back_as_they_were_signed(stage: NewStage, tmp_path: Path) -> None:
    """Line by line; a line that was cut off while being written is none, and hides none."""
    it, mine, path = stage(), new_signer(), tmp_path / "register.jsonl"
    first, second = it.drafted(), it.drafted()
    write = partial(receipts.write, path, mine)
    one = erased(it, first, write)
    path.write_bytes(path.read_bytes() + b'{"erasure":{"rec')
    assert list(receipts.read(path, [mine.public])) == [one]
    two = erased(it, second, write)
    with pytest.raises(RegisterError, match="line 2 is no receipt"):
        list(receipts.read(path, [mine.public]))
    path.write_bytes(b"\n".join(line for line in path.read_bytes().split(b"\n") if not line.endswith(b"rec")))
    assert list(receipts.read(path, [mine.public])) == [one, two]


@pytest.mark.parametrize("change", ["store", "key", "why", "signature", "signer"])
def test_a_receipt_that_was_altered_is_refused(stage: NewStage, tmp_path: Path, change: str) -> None:
    """It names line and reason, and nothing is destroyed by it."""
    it, mine, path = stage(), new_signer(), tmp_path / "register.jsonl"
    receipt = erased(it, it.drafted(), partial(receipts.write, path, mine))
    assert receipt is not None
    text, trusted = path.read_text(), [mine.public]
    match change:
        case "store":
            text = text.replace(it.store, it.store + "x")
        case "key":
            text = text.replace(str(receipt.keys[0]), str(ASKED.receipt))
        case "why":
            text = text.replace("letter", "phone")
        case "signature":
            text = text.replace('"signature":"', '"signature":"AAAA')
        case "signer":
            trusted = [new_signer().public]
    path.write_text(text)
    with pytest.raises(RegisterError, match=r"register\.jsonl, line 1 is"):
        list(receipts.read(path, trusted))


def test_after_a_restore_it_is_erased_again(stage: NewStage) -> None:
    """A database from before the erasure has the key again; the register tells, and destroys it once more."""
    it, told = stage(), []
    order_id = it.drafted()
    there = stored_at(it.vault, it.engine)
    [row] = rows(there, "SELECT * FROM orderflow_vault.keys WHERE store = :s AND order_id = :o", s=it.store, o=order_id)
    receipt = erased(it, order_id, told.append)
    assert erasure.returned(it.engine, it.vault, told) == []
    it.live(60)  # an event after the erasure has a key of its own, which the receipt does not name
    with there.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow_vault.keys SET destroyed_at = now(), wrapped = NULL, master = NULL "
                             "WHERE store = :s AND order_id = :o AND destroyed_at IS NULL"),
                     {"s": it.store, "o": order_id})  # fmt: skip
        conn.execute(
            sa.text("UPDATE orderflow_vault.keys SET wrapped = :w, master = :m, destroyed_at = NULL WHERE key_id = :k"),
            {"w": row.wrapped, "m": row.master, "k": row.key_id},
        )
    assert None not in bodies(it, order_id)[:1]
    assert erasure.returned(it.engine, it.vault, told) == [receipt]
    assert erasure.reapply(it.engine, it.vault, told) == 1
    assert erasure.returned(it.engine, it.vault, told) == []
    assert bodies(it, order_id)[0] is None
    assert erasure.reapply(it.engine, it.vault, told) == 0
    assert len(it.history(order_id, BuyerErased)) == 1
    assert isinstance(verified(it.engine, it.store), int)


# --- buyers ---------------------------------------------------------------------------------------------------------


def found(it: Stage, wanted: str) -> list[str]:
    with it.engine.connect() as conn:
        return [one for looked in buyers.orders_of(conn, it.vault, it.store, wanted) for one in looked.found]


def test_a_buyer_is_found_by_any_text_of_their_own(stage: NewStage) -> None:
    """By e-mail address in whatever case, by name, by phone; never by a part of one."""
    it = stage()
    ann = {"email": "Ann@example.org", "first_name": "Zoélie", "phone": "+49 30 1234"}
    theirs = [it.place(customer=ann), it.place(customer=ann)]
    other = it.place(customer={**ann, "email": "joann@example.org", "first_name": "Jo", "phone": "+49 30 12345"})
    it.rest()
    for wanted in ("ann@example.org", " ANN@EXAMPLE.ORG ", "ZOE\u0301LIE", "+49 30 1234"):
        assert found(it, wanted) == sorted(theirs)
    assert found(it, "joann@example.org") == [other]
    assert found(it, "example.org") == []
    erased(it, theirs[0])
    assert found(it, "ann@example.org") == [theirs[1]]


@pytest.mark.parametrize(
    ("plain", "is_said"),
    [
        (b'{"a":["x",{"b":"Ann@Example.org"}]}', True),
        (b'{"a":"\\u0041nn@example.org"}', True),
        (b'{"a":"joann@example.org"}', False),
        (b'{"body":"{\\"email\\":\\"ann@example.org\\"}"}', True),
        (b"mail ann@example.org now", True),
        (b"mail joann@example.org now", False),
        (b"\xff\xfe", False),
        (b'{"ann@example.org":1}', False),
    ],
)
def test_what_is_said(plain: bytes, *, is_said: bool) -> None:
    """A text of its own, however it is escaped; no part of a text, and no name of a member."""
    assert buyers.said_in(plain, "ann@example.org") is is_said


def test_details_are_still_fetched(stage: NewStage) -> None:
    """An order that lives on asks Glopal again by itself, and what it learns is sealed anew."""
    it = stage()
    order_id = it.drafted()
    erased(it, order_id)
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "look"))
    it.live(30)
    assert len(it.history(order_id, DetailsFetched)) >= 2
    assert bodies(it, order_id)[-1] is not None
