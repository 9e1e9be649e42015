"""A bundle proves one order's history to somebody who has nothing but a public key; nothing that was changed passes."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from uuid import uuid4

import msgspec
import pytest
from tests.store.writing import NOON, append, entry, unit

from orderflow.audit import bundle, note, seals, tree
from orderflow.audit.bundle import Bundle, BundleError
from orderflow.audit.export import export
from orderflow.audit.note import NoteError, Seal
from orderflow.store import log
from orderflow.store.entry import Sealed

from .sealed import OTHER, SIGNER, sealed, written

KEYS = [SIGNER.public]


def bundled(app, store: str, order_id: str) -> bytes:
    signed = sealed(app, store).signed
    with app.connect() as conn:
        return export(conn, store, order_id, signed, KEYS)


def test_every_event_of_an_order_is_proved(app, store):
    body = Sealed(b"\0\xffsealed", uuid4(), b"m" * 32)
    odd = entry("1-1", clear='{"é": "\\u2028 \\" \\\\ 🙂"}', occurred_at=NOON.replace(year=1), body=body)
    append(app, store, unit(odd), unit(entry("other")), unit(entry("1-1")), unit(entry("1-1"), entry("1-1")))
    proof = bundle.check(bundled(app, store, "1-1"), KEYS)
    assert (proof.seal.store, proof.seal.size, proof.order_id) == (store, 5, "1-1")
    assert [(e.version, e.position) for e in proof.events] == [(1, 1), (2, 3), (3, 4), (4, 5)]
    assert [e.clear for e in proof.events] == [odd.clear, "{}", "{}", "{}"]
    with app.connect() as conn:
        assert [r.source_id for r in log.read_stream(conn, store, "1-1")] == [e.source_id for e in proof.events]


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 2500])
def test_paths_go_through_whole_and_broken_tiles(app, store, size):
    """Every event at and around the borders of tiles has its path, however the log was sealed."""
    rng, done = Random(size), 0
    while done < size:
        step = min(size - done, rng.randint(1, 900))
        append(app, store, *(unit(entry(f"o{done + n + 1}")) for n in range(step)))
        done += step
        assert sealed(app, store).signed.seal.size == done
    signed = sealed(app, store).signed
    with app.connect() as conn:
        for position in {1, 2, size // 2, 1024, 1025, 2048, 2049, size} & set(range(1, size + 1)):
            raw = export(conn, store, f"o{position}", signed, KEYS)
            assert [e.position for e in bundle.check(raw, KEYS, signed.seal.origin).events] == [position]


def test_an_order_without_sealed_events_has_no_bundle(app, store):
    written(app, store, 3)
    signed = sealed(app, store).signed
    written(app, store, 1, "late")
    with app.connect() as conn, pytest.raises(BundleError, match="no event that is sealed"):
        export(conn, store, "late", signed, KEYS)


def test_a_checker_needs_no_database_library(app, store, tmp_path):
    """`audit check` on a machine with nothing but the file and the key: no settings, no SQLAlchemy, no psycopg."""
    written(app, store, 4, "1-1")
    (tmp_path / "order.json").write_bytes(bundled(app, store, "1-1"))
    (tmp_path / "seal.pub").write_text(f"{SIGNER.public}\n")
    program = (
        "import sys; from orderflow.cli import main\n"
        "try: main()\n"
        "finally: print(*{'sqlalchemy', 'psycopg', 'alembic', 'httpx'} & sys.modules.keys(), end='', file=sys.stderr)"
    )
    words = ["audit", "check", "order.json", "--public-key", "seal.pub", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["store"], told["versions"], told["positions"]) == (store, 4, [1, 2, 3, 4])


# --- what was changed -----------------------------------------------------------------------------------------------


def made(size: int = 40, mine: int = 5) -> tuple[bytes, Seal]:
    """A bundle that was made without a database, after the reference: an independent writer."""
    from orderflow.store import chain  # noqa: PLC0415  only this writer uses it
    from orderflow.store.entry import Entry  # noqa: PLC0415

    rng, store = Random(7), "acme"
    previous, hashes, rows = chain.genesis(store), [], []
    at = sorted(rng.sample(range(1, size + 1), mine))
    for position in range(1, size + 1):
        own = position in at
        version = at.index(position) + 1 if own else 1
        body = Sealed(b"sealed", uuid4(), b"m" * 32) if version % 2 else None
        one = Entry(
            "1-1" if own else f"x{position}", "OrderReady", "glopal", f"g{position}", '{"a": "1.50"}', NOON, body
        )
        time = datetime(2026, 1, 1, 12, 0, position, tzinfo=UTC)
        before, previous = previous, chain.chain(previous, 1, position, version, time, chain.leaf(store, one))
        hashes.append(previous)
        if own:
            rows.append((position, version, one, time, before))
    leaves = [tree.leaf(one) for one in hashes]
    seal = Seal(note.origin_of(store, hashes[0]), size, tree.root_of(leaves), 1, NOON, hashes[-1])
    events = tuple(
        bundle.Event(
            position=position,
            version=version,
            epoch=1,
            recorded_at=bundle.in_iso(time),
            event_id=str(one.event_id),
            type=one.type,
            source=one.source,
            source_id=one.source_id,
            occurred_at=bundle.in_iso(NOON),
            clear=one.clear,
            body=bundle.in_base64(one.body.data) if one.body else None,
            body_key=str(one.body.key) if one.body else None,
            body_mac=bundle.in_base64(one.body.mac) if one.body else None,
            meta=one.meta,
            previous=bundle.in_base64(before),
            path=tuple(bundle.in_base64(node) for node in tree.path(leaves, position - 1)),
        )
        for position, version, one, time, before in rows
    )
    whole = Bundle(bundle.FORMAT, store, "1-1", note.signed(seal, SIGNER.key).decode(), events)
    return bundle.written(whole), seal


RAW, SEAL = made()


def test_what_another_writer_made_is_taken():
    proof = bundle.check(RAW, KEYS, SEAL.origin)
    assert (proof.seal, len(proof.events)) == (SEAL, 5)
    with pytest.raises(BundleError, match="not signed by the pinned key"):
        bundle.check(RAW, OTHER.trusted)


def test_a_history_without_its_end_is_taken_and_said_to_be_open():
    """What a bundle cannot prove: that nothing came later. The first n events are a true beginning."""
    document = json.loads(RAW)
    document["events"].pop()
    assert len(bundle.check(encoded(document), KEYS).events) == 4


def encoded(document: object) -> bytes:
    """As orderflow writes a bundle, whatever is in it."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def refused(raw: bytes) -> bool:
    """Refused cleanly, without another exception."""
    try:
        bundle.check(raw, KEYS)
    except BundleError:
        return True
    return False


def test_bytes_that_were_changed_are_refused():
    """20 000 files with one byte changed, taken away, doubled or exchanged: not one is taken."""
    rng, passed = Random(1), []
    for _ in range(20_000):
        raw = bytearray(RAW)
        at, other = rng.randrange(len(raw)), rng.randrange(len(raw))
        match rng.randrange(5):
            case 0:
                raw[at] = rng.randrange(256)
            case 1:
                raw[at] ^= 1 << rng.randrange(8)
            case 2:
                del raw[at : at + rng.randint(1, 60)]
            case 3:
                raw[at:at] = raw[other : other + rng.randint(1, 60)]
            case _:
                raw[at], raw[other] = raw[other], raw[at]
        if bytes(raw) != RAW and not refused(bytes(raw)):
            passed.append(bytes(raw))
    assert passed == []


def test_documents_that_were_changed_are_refused():
    """8 000 documents with one value changed, and written as orderflow writes them: not one says something else."""
    rng, said, accepted = Random(2), json.loads(RAW), 0
    for _ in range(8_000):
        document = json.loads(RAW)
        change(document, rng)
        if document == said:
            continue
        raw = encoded(document)
        if not refused(raw):
            accepted += 1
            assert is_a_beginning(document, said), document
    assert accepted < 800  # those that leave out the end, and nothing else


def is_a_beginning(document: dict, said: dict) -> bool:
    """The same history without its end, under the same seal: true, and no more than it says."""
    events = document["events"]
    same = {k: v for k, v in document.items() if k != "events"} == {k: v for k, v in said.items() if k != "events"}
    return same and 0 < len(events) < len(said["events"]) and events == said["events"][: len(events)]


def change(document: dict, rng: Random) -> None:
    """One change somewhere, in the spirit of somebody who knows the format."""
    events = document["events"]
    event, other = rng.choice(events), rng.choice(events)
    name = rng.choice(list(event))
    moves: list[Callable[[], object]] = [
        lambda: event.__setitem__(name, other[name]),
        lambda: event.__setitem__(name, mutated(event[name], rng)),
        lambda: event.__setitem__(name, rng.choice([None, "", 0, -1, 2**63, [], {}, True, 1.5, "\x00", "A" * 5000])),
        lambda: document.__setitem__("events", rng.sample(events, rng.randint(0, len(events)))),
        lambda: events.insert(rng.randint(0, len(events)), dict(other)),
        lambda: events.pop(rng.randrange(len(events))),
        lambda: event.pop(name),
        lambda: event.__setitem__("more", 1),
        lambda: document.__setitem__(
            key := rng.choice(["format", "store", "order_id", "seal"]), mutated(document[key], rng)
        ),
        lambda: event["path"].insert(rng.randint(0, len(event["path"])), rng.choice(other["path"])),
        lambda: event["path"].pop(rng.randrange(len(event["path"]))),
        lambda: rng.shuffle(event["path"]),
    ]
    rng.choice(moves)()


def mutated(value: object, rng: Random) -> object:
    match value:
        case int():
            return value + rng.choice([-1, 1, 2**31, 2**63, -(2**63)])
        case str() if value:
            at = rng.randrange(len(value))
            return value[:at] + rng.choice(["", "A", "=", "0", "é", "\n", "Z", "%", " "]) + value[at + 1 :]
        case list() if value:
            return [mutated(value[0], rng), *value[1:]]
        case _:
            return "AAAA"


def test_seals_that_were_changed_are_refused():
    """20 000 notes with one to three changes: none is taken for another seal, and none ends in another error."""
    raw, rng = note.signed(SEAL, SIGNER.key), Random(3)
    letters = [b"A", b"=", b"0", b"9", b"\n", b" ", b"\xff", b"+", "— ".encode()]
    for _ in range(20_000):
        changed = bytearray(raw)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(changed))
            changed[at : at + rng.randint(0, 3)] = b"".join(rng.choices(letters, k=rng.randint(0, 2)))
        with suppress(NoteError):
            assert note.opened(bytes(changed), KEYS) == SEAL


def test_rubbish_is_refused():
    deep = b"[" * 100_000
    for raw in (b"", b"{}", b"null", b"[]", deep, b'{"a":' * 5000, b"\xff" * 100, RAW + RAW, RAW[:-1], RAW + b" "):
        assert refused(raw)
    twice = RAW.replace(b'"store": "acme"', b'"store": "other",\n "store": "acme"')
    assert twice != RAW
    assert refused(twice)  # which of them counts depends on who reads


def test_a_signature_of_ours_over_something_else_helps_nobody():
    """A valid seal of the same key and log, but of another size."""
    smaller = Seal(SEAL.origin, 4, SEAL.root, 1, NOON, SEAL.chain)
    document = json.loads(RAW) | {"seal": note.signed(smaller, SIGNER.key).decode()}
    with pytest.raises(BundleError, match="is not at position"):
        bundle.check(encoded(document), KEYS)
    elsewhere = seals.signer(base64.b64encode(b"x" * 32).decode())
    document["seal"] = note.signed(SEAL, elsewhere.key).decode()
    with pytest.raises(BundleError, match="not signed by the pinned key"):
        bundle.check(encoded(document), KEYS)
