"""Receipts of erasures: what was destroyed, when, by whom and why, signed, one line of JSON each, in a file outside.

They never hold anything personal, and a receipt that does not verify is never acted upon.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from orderflow.store.signing import SigningKey, verified


class RegisterError(Exception):
    """A register that cannot be written, or that does not hold what was signed."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One order of one erasure. `receipt` is shared by all orders that were erased by the same command."""

    receipt: UUID
    store: str
    order_id: str
    keys: tuple[UUID, ...]
    at: datetime
    by: str
    why: str

    @classmethod
    def now(
        cls, conn: sa.Connection, store: str, order_id: str, keys: Sequence[UUID], by: str, why: str, receipt: UUID
    ) -> Receipt:
        """A receipt with the database's time."""
        at: datetime = conn.execute(sa.text("SELECT orderflow.wall_clock()")).scalar_one()
        return cls(receipt, store, order_id, tuple(keys), at, by, why)

    @property
    def signed(self) -> bytes:
        """What is signed: canonical JSON of all members, behind words that no other signature begins with."""
        return b"orderflow erasure\n" + _encode(self)

    @property
    def digest(self) -> str:
        """Names the destroyed keys: the same erasure again, of other keys, is another fact."""
        return hashlib.sha256(",".join(sorted(map(str, self.keys))).encode()).hexdigest()[:16]


class _Line(msgspec.Struct, frozen=True):
    erasure: Receipt
    public_key: str
    signature: str


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decoder: Final = msgspec.json.Decoder(_Line)


def write(path: Path, signer: SigningKey, receipt: Receipt) -> None:
    """Append a receipt to the register at `path`, signed; on return it is on disk. Raises `RegisterError`."""
    shown = [base64.b64encode(one).decode() for one in (signer.public, signer.sign(receipt.signed))]
    line = _encode(_Line(receipt, *shown)) + b"\n"
    try:
        fresh = not path.exists()
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if file.tell() and not _ends_well(path):
                line = b"\n" + line  # a line that was cut off stays alone
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            _sync_folder(path.parent)
    except OSError as error:
        raise RegisterError(f"the register {path} cannot be written: {error.strerror}; nothing was erased") from None


def read(path: Path, public: Sequence[bytes]) -> Iterator[Receipt]:
    """The receipts at `path`, each signed by one of `public`. Raises `RegisterError` naming the first bad line.

    A last line without its end was cut off while it was written, before anything was destroyed: it is left out.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RegisterError(f"the register {path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(text.split(b"\n")[:-1], start=1):
        if line:
            yield _receipt(line, public, f"{path}, line {number}")


def _receipt(line: bytes, public: Sequence[bytes], where: str) -> Receipt:
    try:
        found = _decoder.decode(line)
        key, signature = base64.b64decode(found.public_key), base64.b64decode(found.signature)
    except (msgspec.MsgspecError, ValueError):
        raise RegisterError(f"{where} is no receipt") from None
    if not verified(key, found.erasure.signed, signature):
        raise RegisterError(f"{where} is not what was signed")
    if key not in public:
        raise RegisterError(f"{where} is signed by {found.public_key}, which is not trusted")
    return found.erasure


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
