"""What is personal opens only in its own place, with its own key, under its own master key, and stands nowhere else."""

import base64
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa

from orderflow import intake, orders
from orderflow.domain.decisions import Note
from orderflow.glopal.codec import Bad, Good
from orderflow.store import outbox
from orderflow.store.vault import (
    VaultError,
    key,
    keys_of,
    mac,
    master_key,
    new_master_key,
    open_vault,
    seal,
    unseal,
)

from . import rows as outbox_rows
from .writing import VAULT, rows

EVENT = uuid4()


@pytest.fixture
def secret(app, store):
    """The key of order `a`."""
    with app.begin() as conn:
        return keys_of(conn, VAULT, store, ["a"])["a"]


def test_what_was_sealed_opens_in_its_place(secret):
    """Any bytes come back exactly, also none at all; the same ones never look the same twice."""
    for plain in (b"", b"x", bytes(range(256)) * 1000):
        sealed = seal(VAULT, secret, plain, EVENT, "body")
        assert unseal(secret, sealed.data, EVENT, "body") == plain
        assert sealed.key == secret.key_id
        assert sealed.data != seal(VAULT, secret, plain, EVENT, "body").data


@pytest.mark.parametrize("moved", ["store", "order", "event", "field", "key", "altered", "shortened", "emptied"])
def test_it_opens_nowhere_else(app, secret, store, moved):
    """Sealed bytes are bound to store, order, event, field and key: put anywhere else, or altered, they do not open."""
    data = seal(VAULT, secret, b"plain", EVENT, "body").data
    event, name, at = EVENT, "body", secret
    match moved:
        case "store":
            at = replace(secret, store="other")
        case "order":
            at = replace(secret, order_id="b")
        case "event":
            event = uuid4()
        case "field":
            name = "request"
        case "key":
            at = replace(secret, key_id=uuid4())
        case "altered":
            data = data[:-1] + bytes([data[-1] ^ 1])
        case "shortened":
            data = data[:20]
        case "emptied":
            data = b""
    with pytest.raises(VaultError, match="is not what was sealed"):
        unseal(at, data, event, name)


def test_places_cannot_be_run_together(secret):
    """`a` + `bc` is not `ab` + `c`."""
    data = seal(VAULT, secret, b"plain", EVENT, "body").data
    with pytest.raises(VaultError):
        unseal(
            replace(secret, store=secret.store[:-1], order_id=secret.store[-1] + secret.order_id), data, EVENT, "body"
        )


def test_another_master_key_opens_nothing(app, secret, store):
    """Neither a data key nor, with it, any body; and its MACs say nothing."""
    stranger = open_vault(b"x" * 32)
    with app.begin() as conn:
        with pytest.raises(VaultError, match="does not open with this master key"):
            keys_of(conn, stranger, store, ["a"])
        with pytest.raises(VaultError, match="does not open with this master key"):
            key(conn, stranger, store, "a", secret.key_id)
    assert mac(VAULT, store, b"x") != mac(stranger, store, b"x")


def test_a_wrapped_key_opens_in_its_row_only(app, owner, secret, store):
    """A wrapped key that was copied to another order's row does not open there."""
    with owner.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO orderflow_vault.keys (store, order_id, key_id, wrapped) "
                "SELECT store, 'thief', key_id, wrapped FROM orderflow_vault.keys WHERE store = :s AND order_id = 'a'"
            ),
            {"s": store},
        )
    with app.begin() as conn, pytest.raises(VaultError):
        keys_of(conn, VAULT, store, ["thief"])


def test_a_destroyed_key_is_gone(app, secret, store):
    """Nothing sealed with it opens any more; what comes later gets a key of its own."""
    with app.begin() as conn:
        assert key(conn, VAULT, store, "a", secret.key_id) == secret
        conn.execute(
            sa.text("UPDATE orderflow_vault.keys SET wrapped = NULL, destroyed_at = now() WHERE store = :s"),
            {"s": store},
        )
    with app.begin() as conn:
        with pytest.raises(VaultError, match="destroyed"):
            key(conn, VAULT, store, "a", secret.key_id)
        with pytest.raises(VaultError, match="never here"):
            key(conn, VAULT, store, "a", uuid4())
        fresh = keys_of(conn, VAULT, store, ["a"])["a"]
    assert fresh.key_id != secret.key_id
    assert fresh.secret != secret.secret


@pytest.mark.parametrize(
    "change", ["SET destroyed_at = now()", "SET wrapped = NULL", "SET wrapped = NULL, destroyed_at = NULL"]
)
def test_half_destroyed_keys_are_refused(app, secret, store, change):
    """The database knows only whole keys and destroyed ones."""
    with pytest.raises(sa.exc.IntegrityError, match="keys_destroyed"), app.begin() as conn:
        conn.execute(sa.text(f"UPDATE orderflow_vault.keys {change} WHERE store = :s"), {"s": store})


def test_many_at_once_get_one_key(app, store):
    """Whoever asks first makes the key of an order; sixteen at the same time get the same one, whatever their order."""

    def ask(number: int) -> dict:
        wanted = [f"o{n}" for n in range(5)]
        with app.begin() as conn:
            return keys_of(conn, VAULT, store, wanted if number % 2 else reversed(wanted))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert len({found.secret for found in answers[0].values()}) == 5


@pytest.mark.parametrize("plain", [b"", b"x", b"a long one " * 1000])
def test_a_mac_is_an_hmac(plain):
    """RFC 2104 over store and bytes, as the standard library has it."""
    said = len("acme").to_bytes(4, "big") + b"acme" + plain
    assert mac(VAULT, "acme", plain) == hmac.digest(VAULT.current.founding, said, "sha256")


def test_macs_tell_equality_and_nothing_more():
    """Equal bytes of one store have equal MACs; those of another store do not, nor do others' bytes."""
    assert mac(VAULT, "acme", b"x") == mac(VAULT, "acme", b"x")
    assert len({mac(VAULT, store, plain) for store, plain in (("s", b"x"), ("s", b"y"), ("t", b"x"), ("sx", b""))}) == 4


def test_nothing_secret_is_shown(secret):
    """Keys and the vault can be printed, logged and compared without showing a byte of themselves."""
    shown = f"{secret!r} {VAULT!r} {secret} {VAULT}"
    for bytes_ in (secret.secret, VAULT.current.wrapping, VAULT.current.founding):
        for form in (repr(bytes_), bytes_.hex(), base64.b64encode(bytes_).decode()):
            assert form not in shown


def test_a_master_key_file(tmp_path):
    """A new one is readable by its owner only, is never overwritten, and opens a vault."""
    path = tmp_path / "master.key"
    new_master_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_vault(master_key(path)) == open_vault(master_key(path))
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        new_master_key(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", [None, b"not base64!", b"\xff\xfe", b"YWJj YWJj"])
def test_an_unreadable_master_key_file_is_named(tmp_path, text):
    """The error names the file, and quotes nothing of it."""
    path = tmp_path / "master.key"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(VaultError, match=r"master\.key") as caught:
        master_key(path)
    assert caught.value.__cause__ is None
    assert "not base64" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_master_key_of_another_size_is_refused(size):
    """32 bytes, or nothing is opened."""
    with pytest.raises(VaultError, match="32 bytes"):
        open_vault(b"k" * size)


CANARY = b"Zoe.Canary@example.org"


def test_no_plain_byte_stands_in_the_database(app, owner, store):
    """Bodies of events, bad elements, notes and frozen requests are sealed, whatever table they stand in."""
    elements = [
        Good("e1", "order.received", "a", None, None, None, b'{"buyer":"' + CANARY + b'"}'),
        Bad(None, None, "the event is no object", CANARY),
        Bad("a", "e2", "event_at is no text", CANARY),
    ]
    with app.begin() as conn:
        assert intake.record(conn, VAULT, store, elements) == 3
    orders.handle(app, VAULT, store, "a", Note("ann"), "n1", body=CANARY)
    with app.begin() as conn:
        data_key = keys_of(conn, VAULT, store, ["a"])["a"]
        sealed = seal(VAULT, data_key, CANARY, EVENT, "request")
        now = datetime.now(UTC)
        place = outbox.Key(store, "a", "shop", "draft", 0)
        outbox_rows.plan(conn, place, reads=False, next_at=now)
        digest = mac(VAULT, store, CANARY).hex()
        outbox_rows.change(conn, place, request=sealed.data, request_key=sealed.key, digest=digest)
    stored = _every_text(owner)
    assert len(stored) > 10
    for form in (CANARY.decode(), CANARY.hex(), base64.b64encode(CANARY).decode()[:-4]):
        assert not [text for text in stored if form.lower() in text.lower()]
    assert any("ann" in text for text in stored), "the scan reads what it should"


def _every_text(owner: sa.Engine) -> list[str]:
    """Every row of every table as text; bytes are shown in hexadecimal."""
    tables = rows(
        owner,
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables "
        "WHERE table_schema IN ('orderflow', 'orderflow_vault')",
    )
    return [row[0] for (table,) in tables for row in rows(owner, f"SELECT t::text FROM {table} t")]
