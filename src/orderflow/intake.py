"""Intake pulls Glopal's feed into the log: a page and the cursor behind it in one transaction.

It never interprets a report, never moves the cursor back, and never skips anything without a stored row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa

from orderflow import codec
from orderflow.domain.events import EvidenceFound, Malformed
from orderflow.domain.machine import VERSION
from orderflow.glopal.client import Client, Closed, InvalidCursor, Later
from orderflow.glopal.codec import Bad, Good, Page, Unparsable, clear_of, read_page
from orderflow.glopal.links import behind
from orderflow.store import chance, log, progress
from orderflow.store.connect import transact
from orderflow.store.entry import Entry, Sealed
from orderflow.store.log import INTAKE, Duplicate, Unit
from orderflow.store.progress import CursorMovedError
from orderflow.store.vault import Key, Vault, keys_of, seal, seal_all

SOURCE: Final = "glopal"
_FULL: Final = 20
"""Glopal's stated page size: behind a page with fewer events there are none, so it is no obstacle."""
_META: Final = msgspec.json.encode({"machine": VERSION}).decode()
_AGAIN: Final = 5.0
"""Seconds until an unusable page is asked for again."""
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Feed:
    """One store's feed. `trailing`: how far back late events below the cursor are looked for.

    `patience`: for so long after the last good answer one that is no page, a proxy's for example, is asked for again
    before the pull pauses.
    """

    store: str
    client: Client
    names: tuple[str, ...]
    page_size: int = 100
    trailing: timedelta = timedelta(minutes=15)
    patience: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull brought: `new` events of `seen`; `more` if the next page may hold some; or when to try again."""

    seen: int = 0
    new: int = 0
    more: bool = False
    wait: float = 0.0
    stopped: str = ""


def pull(engine: sa.Engine, vault: Vault, feed: Feed) -> Pulled:
    """Fetch and record one page after the cursor.

    An invalid cursor, an unparsable page and refused credentials pause the store's pull with the reason; nothing
    starts again at the beginning by itself.
    """
    with engine.begin() as conn:
        if "pull" in progress.paused(conn, feed.store):
            return Pulled(stopped="paused")
        number, cursor = progress.cursor_of(conn, feed.store)
    raw = _ask(engine, feed, cursor)
    if isinstance(raw, Pulled):
        return raw
    page = read_page(raw)
    if isinstance(page, Unparsable):
        return _poisoned(engine, vault, feed, raw, page.problem)
    last_id = behind(page, raw, feed.client.cursor_name)
    if last_id is None and len(page.elements) >= min(feed.page_size, _FULL):
        return _poisoned(engine, vault, feed, raw, "no element of the page has an event id to go on from")
    if last_id is None or last_id == cursor:  # nothing to go on from until more events come
        return replace(_silent(engine, feed), seen=len(page.elements), new=_again(engine, vault, feed, page))
    try:
        new = transact(engine, lambda conn: _take(conn, vault, feed, page, number, last_id))
    except CursorMovedError:
        return Pulled(seen=len(page.elements), more=True)  # another puller was quicker: nothing is lost
    return Pulled(seen=len(page.elements), new=new, more=True)


def reread(engine: sa.Engine, vault: Vault, feed: Feed, limit: int = 50) -> Pulled:
    """Read the trailing window once more, for events that appeared below the cursor. The cursor stays where it is."""
    with engine.begin() as conn:
        if "pull" in progress.paused(conn, feed.store):
            return Pulled(stopped="paused")
        cursor = progress.cursor_before(conn, feed.store, feed.trailing)
        _, end = progress.cursor_of(conn, feed.store)
    seen = new = 0
    for _ in range(limit):
        raw = _ask(engine, feed, cursor)
        if isinstance(raw, Pulled):
            return replace(raw, seen=seen, new=new)
        page = read_page(raw)
        if isinstance(page, Unparsable):
            break
        next_id = behind(page, raw, feed.client.cursor_name)
        new += _again(engine, vault, feed, page)
        seen += len(page.elements)
        if next_id in (None, cursor) or end in {next_id, *(element.event_id for element in page.elements)}:
            break
        cursor = next_id
    return Pulled(seen=seen, new=new)


def _ask(engine: sa.Engine, feed: Feed, cursor: str | None) -> bytes | Pulled:
    answer = feed.client.events(cursor, feed.names, feed.page_size)
    if isinstance(answer, Later):
        return Pulled(wait=max(answer.after, 1.0))
    if isinstance(answer, InvalidCursor | Closed):
        reason = answer.reason if isinstance(answer, Closed) else f"Glopal does not know the cursor {cursor!r}"
        return _stop(engine, feed, reason)
    return answer.raw


def _silent(engine: sa.Engine, feed: Feed) -> Pulled:
    """Nothing new; but that Glopal was asked is news. (Where a cursor moves, it says so by itself.)"""
    transact(engine, lambda conn: progress.note_pull(conn, feed.store))
    return Pulled()


def _stop(engine: sa.Engine, feed: Feed, reason: str) -> Pulled:
    transact(engine, lambda conn: progress.pause(conn, feed.store, "pull", reason, "orderflow"))
    return Pulled(stopped=reason)


def _poisoned(engine: sa.Engine, vault: Vault, feed: Feed, raw: bytes, problem: str) -> Pulled:
    """Keep the bytes of a page that cannot be used, and stop loudly; or ask again, while patience lasts.

    Until then nothing is lost: the cursor stays where it is.
    """

    def keep(conn: sa.Connection) -> Pulled:
        if progress.pulled_within(conn, feed.store, feed.patience):
            return Pulled(wait=_AGAIN)
        progress.pause(conn, feed.store, "pull", f"unusable page: {problem}", "orderflow")
        key = keys_of(conn, vault, feed.store, [INTAKE])[INTAKE]
        kind, clear = codec.encode(Malformed(problem))
        entry = _entry(vault, key, INTAKE, kind, f"page {hashlib.sha256(raw).hexdigest()}", clear, raw)
        log.append(conn, feed.store, [Unit((entry,))])
        return Pulled(stopped=problem)

    return transact(engine, keep)


# --- recording ------------------------------------------------------------------------------------------------------


def _take(conn: sa.Connection, vault: Vault, feed: Feed, page: Page, number: int, last_id: str) -> int:
    """The cursor first (whoever loses the race writes nothing), the log last (its lock is held to the commit)."""
    progress.move_cursor(conn, feed.store, number, last_id)
    return record(conn, vault, feed.store, page.elements)


def _again(engine: sa.Engine, vault: Vault, feed: Feed, page: Page) -> int:
    """A page whose cursor does not move: seen before, save for what came late."""
    if not page.elements:
        return 0
    return transact(engine, lambda conn: record(conn, vault, feed.store, page.elements))


def record(conn: sa.Connection, vault: Vault, store: str, elements: Sequence[Good | Bad]) -> int:
    """Record the elements of a page, each as a fact of its own. Returns how many were new.

    The same source id with the same name, order, entity and time is a duplicate; with any other of those it is kept
    as evidence, and every order that it was said of is held.
    """
    keys = keys_of(conn, vault, store, streams(elements))
    return sum(recorded(conn, vault, facts(vault, keys, store, elements)))


def streams(elements: Sequence[Good | Bad]) -> list[str]:
    """The stream that each element belongs to."""
    return [element.order_id or INTAKE for element in elements]


@dataclass(frozen=True, slots=True)
class Facts:
    """Elements that are sealed, hashed and packed: what is left to do needs the database."""

    store: str
    keys: Mapping[str, Key]
    elements: Sequence[Good | Bad]
    entries: Sequence[Entry]
    given: log.Prepared


def facts(vault: Vault, keys: Mapping[str, Key], store: str, elements: Sequence[Good | Bad]) -> Facts:
    """Everything of `record` that can be done without the database, once the keys of all streams are there."""
    of, ids = streams(elements), chance.ids(len(elements))
    plain = [(keys[stream], element.raw, event_id) for stream, element, event_id in zip(of, elements, ids, strict=True)]
    bodies = seal_all(vault, store, plain, "body")
    entries = [*map(_fact, of, elements, bodies, ids)]
    return Facts(store, keys, elements, entries, log.prepared(store, log.one_each(entries)))


def recorded(conn: sa.Connection, vault: Vault, ready: Facts) -> tuple[int, int]:
    """Append them; how many were new, and how many events of evidence came of the others."""
    if not ready.entries:
        return 0, 0
    results = log.written(conn, ready.given)
    evidence: list[Entry] = []
    for entry, element, result in zip(ready.entries, ready.elements, results, strict=True):
        if isinstance(result, Duplicate) and (result.order_id, result.clear) != (entry.order_id, entry.clear):
            evidence.append(_evidence(vault, ready.keys[entry.order_id], entry, element))
            if result.order_id != entry.order_id:
                evidence.append(_pointer(entry, result.order_id))
    return _written(results), _written(log.append(conn, ready.store, log.one_each(evidence)))


def _written(results: Sequence[log.Result]) -> int:
    return sum(isinstance(result, log.Appended) for result in results)


def _fact(stream: str, element: Good | Bad, body: Sealed, event_id: UUID) -> Entry:
    if isinstance(element, Good):
        kind = codec.type_of(element.name)
        clear = _encode(clear_of(element)).decode()
        return Entry(stream, kind, SOURCE, element.event_id, clear, element.event_at, body, _META, event_id)
    kind, clear = codec.encode(Malformed(element.problem))
    source_id = f"{element.event_id or ''} {hashlib.sha256(element.raw).hexdigest()}"
    return Entry(stream, kind, SOURCE, source_id, clear, None, body, _META, event_id)


def _evidence(vault: Vault, key: Key, entry: Entry, element: Good | Bad) -> Entry:
    """The second contents of a source id, as an event of its own whose id names those contents."""
    digest = hashlib.sha256(f"{entry.order_id}\0{entry.clear}".encode()).hexdigest()
    kind, clear = codec.encode(EvidenceFound(entry.source_id))
    return _entry(vault, key, entry.order_id, kind, f"{entry.source_id} {digest}", clear, element.raw)


def _pointer(entry: Entry, order_id: str) -> Entry:
    """In the stream of the order that the source id named first: it was also said of another one."""
    kind, clear = codec.encode(EvidenceFound(entry.source_id))
    return Entry(order_id, kind, SOURCE, f"{entry.source_id} also {entry.order_id}", clear, meta=_META)


def _entry(vault: Vault, key: Key, stream: str, kind: str, source_id: str, clear: str, raw: bytes) -> Entry:
    event_id = uuid4()
    return Entry(stream, kind, SOURCE, source_id, clear, None, seal(vault, key, raw, event_id, "body"), _META, event_id)
