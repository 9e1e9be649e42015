"""A seal is a checkpoint in a signed note, and is read only as it is written."""

from base64 import b64decode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orderflow.audit import note
from orderflow.audit.keys import new_key
from orderflow.audit.note import NoteError, PublicKey, Seal
from orderflow.audit.seals import signer

from .sealed import OTHER, SIGNER

SEAL = Seal(
    note.origin_of("Acme EU", b"\1" * 32), 12, b"r" * 32, 1, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), b"c" * 32
)
RAW = note.signed(SEAL, SIGNER.key)


def test_the_text_is_what_the_reference_shows():
    assert RAW.decode().split("— ")[0] == (
        "orderflow/Acme%20EU/0101010101010101\n"
        "12\n"
        "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n"
        "epoch 1\n"
        "time 2026-01-02T03:04:05.000006Z\n"
        "chain Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M=\n"
        "\n"
    )
    assert note.opened(RAW, [SIGNER.public]) == SEAL
    assert SEAL.store == "Acme EU"
    assert note.signed(SEAL, SIGNER.key) == RAW


def test_key_ids_are_those_of_signed_notes():
    """The example of golang.org/x/mod/sumdb/note, whose key and signature are not ours."""
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    key = note.public_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    signature = b64decode(line)
    assert key.origin == "PeterNeumann"
    assert signature[:4] == note.key_id("PeterNeumann", key.raw)
    Ed25519PublicKey.from_public_bytes(key.raw).verify(signature[4:], text.encode())


def test_a_pinned_key_may_pin_its_log():
    pinned = note.public_key(note.verifier_key(SEAL.origin, SIGNER.public))
    assert pinned == PublicKey(SIGNER.public.raw, SEAL.origin)
    assert note.opened(RAW, [pinned]) == SEAL
    with pytest.raises(NoteError, match="the pinned key is of another log"):
        note.opened(RAW, [PublicKey(SIGNER.public.raw, "orderflow/other/0101010101010101")])


def test_a_signature_under_another_name_is_none():
    """The same key, the same text, but signed as somebody else."""
    name = "orderflow/acme/0000000000000000"
    forged = RAW.decode().replace(f"— {SEAL.origin}", f"— {name}").encode()
    with pytest.raises(NoteError, match="not signed by the pinned key"):
        note.opened(forged, [SIGNER.public])


def test_witnesses_may_sign_besides():
    witness = RAW.decode().split("\n\n")[1].replace(SEAL.origin, "witness.example.com")
    assert note.opened(RAW + witness.encode(), [SIGNER.public]) == SEAL
    assert note.opened(RAW.replace(b"\n\n", b"\n\n" + witness.encode()), [SIGNER.public]) == SEAL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n13\n"),
        ("\n12\n", "\n1٢\n"),
        ("epoch 1", "epoch 01"),
        ("epoch 1\n", "epoch 1\nextra 1\n"),
        ("epoch 1\n", ""),
        ("05.000006Z", "05.000006+00:00"),
        ("2026-01-02", "2026-02-30"),
        ("nI=\n", "nJ=\n"),  # the same bytes, written in another way
        ("Acme%20EU", "Acme%20eu"),
        ("Acme%20EU", "%41cme%20EU"),
        ("orderflow/", "Orderflow/"),
        ("\n\n— ", "\n\n- "),
        ("\n\n", "\n"),
        ("\n", "\r\n"),
    ],
)
def test_nothing_is_read_in_two_ways(old, new):
    assert old in RAW.decode()
    with pytest.raises(NoteError):
        note.opened(RAW.decode().replace(old, new).encode(), [SIGNER.public])


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xff", b"x" * 100_000, RAW[:-1], RAW[: len(RAW) // 2], RAW + b"\n"])
def test_what_is_no_seal(raw):
    with pytest.raises(NoteError):
        note.opened(raw, [SIGNER.public])


def test_other_keys_do_not_count():
    with pytest.raises(NoteError, match="not signed by the pinned key"):
        note.opened(RAW, [OTHER.public])
    with pytest.raises(NoteError):
        note.opened(RAW, [])
    assert note.opened(RAW, [OTHER.public, SIGNER.public]) == SEAL


@pytest.mark.parametrize(
    "text", ["", "x", "QUJD", "a+b+c", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
)
def test_what_is_no_public_key(text):
    with pytest.raises(NoteError, match="no public key"):
        note.public_key(text)


def test_a_key_file_is_ours_alone_and_never_overwritten(tmp_path):
    made = new_key(tmp_path / "seal.key")
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600
    assert signer((tmp_path / "seal.key").read_text().strip()).public == made
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "seal.key")


@pytest.mark.parametrize("secret", ["", "short", "QUJD", "ä" * 44])
def test_what_is_no_sealing_key(secret):
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        signer(secret)
    assert not secret or secret not in str(caught.value)
