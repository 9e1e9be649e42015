"""A seal as a text that anyone can check: a checkpoint in a signed note, with ed25519.

It never signs by itself, and reads nothing that is not written exactly as it would write it.

The formats are C2SP's: https://c2sp.org/tlog-checkpoint (origin, size, root, and our three extension lines `epoch`,
`time`, `chain`) in https://c2sp.org/signed-note. Signature lines of others (witnesses) may follow ours.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

from orderflow.audit.tree import HASH
from orderflow.store.signing import SigningKey, verified

LARGEST: Final = 16 * 1024
"""Bytes of a note: ours have about 400; the rest is room for witnesses."""
LARGEST_SIZE: Final = 2**63 - 1
_ED25519: Final = b"\x01"
_KEY: Final = 32
_LINES: Final = re.compile(
    r"(?P<origin>orderflow/[A-Za-z0-9_.~%-]+/[0-9a-f]{16})\n"
    r"(?P<size>[1-9][0-9]{0,18})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"epoch (?P<epoch>[1-9][0-9]{0,8})\n"
    r"time (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)\n"
    r"chain (?P<chain>[A-Za-z0-9+/]{43}=)\n"
)
_SIGNATURE: Final = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")


class NoteError(Exception):
    """This is no seal, or nobody signed it who is trusted. The text says which."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What is signed: at `time`, the log `origin` had `size` entries, this Merkle root and this last chain hash."""

    origin: str
    size: int
    root: bytes
    epoch: int
    time: datetime
    chain: bytes

    @property
    def store(self) -> str:
        """The store whose log this is."""
        return unquote(self.origin.split("/")[1])

    @property
    def text(self) -> str:
        """The checkpoint: what the signature is over."""
        time = f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        return (
            f"{self.origin}\n{self.size}\n{_in_base64(self.root)}\n"
            f"epoch {self.epoch}\ntime {time}\nchain {_in_base64(self.chain)}\n"
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A seal and the signatures below it. Nothing is checked yet: `opened` does that."""

    seal: Seal
    signatures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who may sign: an ed25519 key, and the only origin that it may sign for, if one was pinned."""

    raw: bytes
    origin: str | None = None

    def __str__(self) -> str:
        """In base64, as it is printed and pinned."""
        return _in_base64(self.raw)


def origin_of(store: str, first: bytes) -> str:
    """The name of one log: its store, and the chain hash of its first event, which no other log has."""
    return f"orderflow/{quote(store, safe='')}/{first.hex()[:16]}"


def signed(seal: Seal, key: SigningKey) -> bytes:
    """The seal as a signed note. The same seal under the same key gives the same bytes."""
    signature = key_id(seal.origin, key.public) + key.sign(seal.text.encode())
    return f"{seal.text}\n— {seal.origin} {_in_base64(signature)}\n".encode()


def opened(raw: bytes, keys: Iterable[PublicKey]) -> Seal:
    """The seal in a note that one of `keys` signed. Raises `NoteError`."""
    note = read(raw)
    given = list(keys)
    if any(_signed_by(note, key) for key in given):
        return note.seal
    if any(key.origin not in {None, note.seal.origin} for key in given):
        raise NoteError(f"it is a seal of {note.seal.origin}, and the pinned key is of another log")
    raise NoteError("it is not signed by the pinned key")


def read(raw: bytes) -> Note:
    """A note, unchecked. Raises `NoteError` for what is none."""
    if len(raw) > LARGEST:
        raise NoteError("it is too long for a seal")
    try:
        text, _, below = raw.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise NoteError("it is no text") from None
    lines = _LINES.fullmatch(f"{text}\n")
    if lines is None:
        raise NoteError("its text is not that of a seal")
    signatures = tuple(_signatures(below))
    try:
        time = datetime.strptime(lines["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        root, chain = hash_of(lines["root"]), hash_of(lines["chain"])
    except ValueError:
        raise NoteError("its time or one of its hashes cannot be") from None
    seal = Seal(lines["origin"], int(lines["size"]), root, int(lines["epoch"]), time, chain)
    if seal.size > LARGEST_SIZE or seal.text != f"{text}\n" or quote(seal.store, safe="") != seal.origin.split("/")[1]:
        raise NoteError("its text is not that of a seal")
    return Note(seal, signatures)


def _signatures(below: str) -> Iterator[tuple[str, bytes]]:
    if not below.endswith("\n"):
        raise NoteError("it has no signature")
    for line in below[:-1].split("\n"):
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise NoteError("it has a line that is no signature")
        try:
            raw = b64decode(found["signature"], validate=True)
            if _in_base64(raw) != found["signature"]:  # base64 has spare bits, and a seal is one text only
                raise NoteError("it has a line that is no signature")
            yield found["name"], raw
        except ValueError:
            raise NoteError("it has a line that is no signature") from None


def _signed_by(note: Note, key: PublicKey) -> bool:
    """By `key`, under the name of the log itself. A good signature under another name is none."""
    origin = note.seal.origin
    if key.origin not in {None, origin}:
        return False
    wanted = key_id(origin, key.raw)
    for name, signature in note.signatures:
        named = name == origin and signature[: len(wanted)] == wanted
        if named and verified(key.raw, note.seal.text.encode(), signature[len(wanted) :]):
            return True
    return False


def key_id(name: str, raw: bytes) -> bytes:
    """The four bytes in front of a signature that tell whose it is."""
    return sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]


def verifier_key(origin: str, key: PublicKey) -> str:
    """The key of one log in the form that tools for signed notes take: name, key id, type and key."""
    return f"{origin}+{key_id(origin, key.raw).hex()}+{_in_base64(_ED25519 + key.raw)}"


def public_key(text: str) -> PublicKey:
    """A public key: 32 bytes in base64, or what `verifier_key` made, which pins the origin too. Raises `NoteError`."""
    name, plus, rest = text.strip().partition("+")
    if plus and re.fullmatch(r"[0-9a-f]{8}\+.+", rest):
        kind = _bytes(rest[9:])
        if kind[:1] != _ED25519 or len(kind) != 1 + _KEY or key_id(name, kind[1:]).hex() != rest[:8]:
            raise NoteError("this is no public key: its parts do not belong together")
        return PublicKey(kind[1:], name)
    raw = _bytes(text.strip())
    if len(raw) != _KEY:
        raise NoteError(f"this is no public key: it has {len(raw)} bytes, not {_KEY}")
    return PublicKey(raw)


def hash_of(text: str) -> bytes:
    """A hash in base64, written in the one way there is. Raises ValueError."""
    raw = b64decode(text, validate=True)
    if len(raw) != HASH or _in_base64(raw) != text:
        raise ValueError("no hash")
    return raw


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise NoteError("this is no public key: it is not in base64") from None


def _in_base64(raw: bytes) -> str:
    return b64encode(raw).decode()
