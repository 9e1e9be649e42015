"""What is kept of every call: one line each, sealed, and nothing personal anywhere in the clear."""

import re
from uuid import UUID

import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow import relay
from orderflow.domain import decisions
from orderflow.domain.events import EffectIntended
from orderflow.sandbox import Response
from orderflow.store.vault import key, mac, unseal

BUYER = {"email": "canary-mail@example.com", "first_name": "Canaria", "last_name": "Vogel", "phone": "+4930555017"}
ADDRESS = BUYER | {"line1": "Canarienweg 17", "city": "Canaritz", "postal_code": "99999", "country": "DE"}
CANARIES = ("canary-mail", "Canaria", "Vogel", "4930555017", "Canarienweg", "Canaritz", "ring canary")


def place_canary(it: Stage) -> str:
    note = "Please ring canary"
    return it.place(customer=BUYER, billing_address=ADDRESS, shipping_address=ADDRESS, customer_note=note)


def told(it: Stage) -> str:
    """Every column of every table of both schemas as text; bytes are also shown as the text they may hold."""
    found = []
    with it.engine.begin() as conn:
        tables = conn.execute(
            sa.text("SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema ~ '^orderflow'")
        ).all()
        for schema, table in tables:
            for row in conn.execute(sa.text(f'SELECT * FROM "{schema}"."{table}"')):
                found += [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


def test_every_call_has_its_line(stage: NewStage) -> None:
    """One line per call, with kind, status, what was made of it, what was recorded for it, and who made it."""
    it = stage()
    it.to_shop.faults.script("refused", method="POST")
    it.to_shop.faults.script("cut_after", method="POST")
    order_id = it.place()
    it.live(60)
    lines = it.attempts(order_id)
    calls = len(it.to_glopal.seen) - sum(request.path.startswith("/v2/events") for request in it.to_glopal.seen)
    assert [line.kind for line in lines if line.destination == "glopal"] == ["read"] * calls
    shown = [
        (line.effect, line.kind, line.attempt, line.status, line.outcome, line.decision)
        for line in lines
        if line.destination == "shop"
    ]
    assert shown == [
        ("draft", "send", 1, None, "Retry: no connection: ConnectError", "EffectNotExecuted"),
        ("draft", "send", 2, None, "Unknown: no answer: ReadTimeout", "EffectUnknown"),
        ("draft", "look_up", 2, 200, "Found", "LookedUp, EffectDelivered"),
    ]
    assert {line.worker for line in lines} == {"a"}
    digests = [event.digest for event in it.history(order_id, EffectIntended)]
    assert [line.digest for line in lines if line.kind == "send"] == digests
    assert len({line.fence for line in lines if line.destination == "shop"}) == 3
    assert len({line.attempt_id for line in lines}) == len(lines)


def test_a_refusal_and_its_reading_back_are_one_line(stage: NewStage) -> None:
    """The line of a refused send names status and reason, and everything that was recorded because of it."""
    it = stage()
    order_id = it.drafted(ready=True)
    call = it.call("promote")
    it.shop.promote_by_hand(it.made(order_id)[0].id)
    it.finish(call)
    [line] = it.attempts(order_id, "promote")
    assert (line.kind, line.status, line.outcome) == ("send", 409, "Refused: 409 not_a_draft")
    assert line.decision == "LookedUp, EffectDelivered"


def test_replies_are_sealed(stage: NewStage) -> None:
    """What came back is kept as it came, sealed, and opens with the order's key and in its own place only."""
    it = stage()
    order_id = it.drafted()
    [line] = it.attempts(order_id, "draft")
    [made] = it.made(order_id)
    assert made.id.encode() not in line.response
    with it.engine.begin() as conn:
        opened = unseal(
            key(conn, it.relay.vault, it.store, order_id, line.response_key),
            line.response,
            line.attempt_id,
            "response",
        )
    assert made.id.encode() in opened


def test_the_frozen_request_is_sealed_and_is_what_was_sent(stage: NewStage) -> None:
    """The outbox holds the request sealed; its digest is the intent's, and its bytes are what the call carries."""
    it = stage()
    order_id = place_canary(it)
    call = it.call("draft")
    row = it.row(order_id, "draft")
    [intended] = it.history(order_id, EffectIntended)
    assert call.request is not None
    assert b"canary-mail" in call.request
    assert b"canary" not in row.request.lower()
    with it.engine.begin() as conn:
        data_key = key(conn, it.relay.vault, it.store, order_id, row.request_key)
        place = f"{call.row.key}:{call.attempt}"
        assert unseal(data_key, row.request, UUID(int=0), place) == call.request
    digest = mac(it.relay.vault, it.store, call.request).hex()
    assert digest == row.digest == intended.digest
    it.finish(call)
    assert b"canary-mail" in it.to_shop.writes[0].body


def test_nothing_personal_stands_in_the_clear(stage: NewStage) -> None:
    """After a whole life with lost replies, refusals and an open intent, no table shows the buyer, in text or bytes."""
    it = stage()
    order_id = place_canary(it)
    echo = it.to_shop.app
    it.to_shop.faults.script("error_after", method="POST")
    it.ready(order_id)
    it.live(120)
    [made] = it.made(order_id)
    it.shop.fulfil(made.id)
    it.command(order_id, decisions.Cancel("out of stock", "ann"))
    it.live(120)

    def chatty(request):
        """A shop that quotes the whole request in its refusal."""
        if request.method != "POST":
            return echo(request)
        body = b'{"error": {"code": "no", "message": "' + request.body.replace(b'"', b"'") + b'"}}'
        return Response(422, body)

    it.to_shop.app = chatty
    refused = place_canary(it)
    it.live(120)
    assert "draft was refused: 422 no" in it.exceptions(refused).values()
    it.to_shop.app = echo
    place_canary(it)
    call = it.call("draft")
    assert call.request is not None
    text = told(it)
    assert order_id in text
    assert [canary for canary in CANARIES if re.search(canary, text, re.IGNORECASE)] == []
    assert relay.perform(it.relay, call).result is not None
