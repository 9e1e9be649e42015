"""One order's events with the proof that they stand in a sealed log: a file that is checked offline.

It never needs a database, a setting or a secret, and takes no file that is not written exactly as it would be exported:
so nothing in it can be read in two ways.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from orderflow.audit import note, tree
from orderflow.audit.note import NoteError, PublicKey, Seal
from orderflow.store import chain
from orderflow.store.entry import Entry, Sealed

FORMAT: Final = "orderflow bundle 1"
_HIGHEST: Final = 2**63 - 1
_Count = Annotated[int, Meta(ge=1, le=_HIGHEST)]
_Epoch = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class BundleError(Exception):
    """The file does not prove what it says. The text says what is wrong, and never quotes contents."""


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """Every column of an event, the hash before it, and the way to the root. Bytes are in base64, times in ISO 8601."""

    position: _Count
    version: _Count
    epoch: _Epoch
    recorded_at: str
    event_id: str
    type: str
    source: str
    source_id: str
    occurred_at: str | None
    clear: str
    body: str | None
    body_key: str | None
    body_mac: str | None
    meta: str
    previous: str
    path: tuple[str, ...]


class Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    format: str
    store: str
    order_id: str
    seal: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good bundle proves: these events, from version 1 on, stand in the log that `seal` was signed for."""

    seal: Seal
    order_id: str
    events: tuple[Event, ...]


def written(bundle: Bundle) -> bytes:
    """The file of a bundle: the one way to write it."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def check(raw: bytes, keys: Sequence[PublicKey], origin: str | None = None) -> Proof:
    """Check a bundle against pinned keys, and against the pinned `origin` if one is given. Raises `BundleError`."""
    try:
        bundle = msgspec.json.decode(raw, type=Bundle)
        same = written(bundle) == raw
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BundleError("this is no bundle") from None
    if bundle.format != FORMAT or not same:
        raise BundleError("this is no bundle as orderflow writes them: export it again, and leave the file as it is")
    try:
        seal = note.opened(bundle.seal.encode(), keys)
    except NoteError as error:
        raise BundleError(f"its seal does not count: {error}") from None
    if origin is not None and seal.origin != origin:
        raise BundleError(f"it is of another log: {seal.origin}")
    if seal.store != bundle.store:
        raise BundleError(f"its seal is of store {seal.store}")
    if not bundle.events:
        raise BundleError("it holds no event")
    _check_events(bundle, seal)
    return Proof(seal, bundle.order_id, bundle.events)


def _check_events(bundle: Bundle, seal: Seal) -> None:
    before: Event | None = None
    before_hash = b""
    for version, event in enumerate(bundle.events, start=1):
        if event.version != version:
            raise BundleError(f"version {version} is missing: its place is taken by {event.version}")
        if before is not None and event.position <= before.position:
            raise BundleError(f"version {version} stands before its predecessor")
        try:
            hash_, recorded = _hash(bundle, event), _time(event.recorded_at)
            beside = [note.hash_of(one) for one in event.path]
        except (ValueError, OverflowError):
            raise BundleError(f"a column of version {version} is not written as it must be") from None
        if before is not None and recorded < _time(before.recorded_at):
            raise BundleError(f"version {version} was recorded before its predecessor")
        if not tree.includes(seal.root, seal.size, event.position - 1, hash_, beside):
            raise BundleError(f"version {version} is not at position {event.position} of the sealed log")
        neighbours = before is not None and event.position == before.position + 1
        if neighbours and event.previous != b64encode(before_hash).decode():
            raise BundleError(f"version {version} does not follow the event before it")
        if event.position == 1 and note.origin_of(bundle.store, hash_) != seal.origin:
            raise BundleError(f"version {version} is not the first event of {seal.origin}")
        before, before_hash = event, hash_


def _hash(bundle: Bundle, event: Event) -> bytes:
    """The chain hash that these columns give. Raises ValueError."""
    sealed = None
    if event.body is not None and event.body_key is not None and event.body_mac is not None:
        sealed = Sealed(_bytes(event.body), _uuid(event.body_key), _bytes(event.body_mac))
    elif (event.body, event.body_key, event.body_mac) != (None, None, None):
        raise ValueError("a body comes with its key and its MAC")
    entry = Entry(
        bundle.order_id,
        event.type,
        event.source,
        event.source_id,
        event.clear,
        None if event.occurred_at is None else _time(event.occurred_at),
        sealed,
        event.meta,
        _uuid(event.event_id),
    )
    leaf = chain.leaf(bundle.store, entry)
    previous = note.hash_of(event.previous)
    return chain.chain(previous, event.epoch, event.position, event.version, _time(event.recorded_at), leaf)


def in_base64(raw: bytes) -> str:
    """Bytes as a bundle holds them."""
    return b64encode(raw).decode()


def in_iso(time: datetime) -> str:
    """A time as a bundle holds it: UTC, to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bytes(text: str) -> bytes:
    raw = b64decode(text, validate=True)
    if in_base64(raw) != text:
        raise ValueError("no base64")
    return raw


def _uuid(text: str) -> UUID:
    found = UUID(text)
    if str(found) != text:
        raise ValueError("no UUID")
    return found


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or in_iso(found) != text:
        raise ValueError("no time")
    return found
