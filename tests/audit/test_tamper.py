"""Whoever changes a sealed log is found out, whatever his rights: each attack has its name and its message.

The same table stands in docs/how-to/prove-the-log.md; what is printed here must stand there.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.store.writing import NOON, append, entry, unit

from orderflow.audit import bundle
from orderflow.audit.bundle import BundleError
from orderflow.audit.export import export
from orderflow.audit.exporters import files
from orderflow.audit.sealer import seal
from orderflow.audit.seals import SealRefusedError
from orderflow.audit.whole import Standing
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
from orderflow.projections import catch_up
from orderflow.projections.orders import Orders
from orderflow.store import chain
from orderflow.store.connect import connect
from orderflow.store.entry import Entry, Sealed

from .sealed import OTHER, SIGNER, checked, sealed, sealing, tamper

STORE = "acme"
PAGE = (Path(__file__).parents[2] / "docs/how-to/prove-the-log.md").read_text()


@dataclass
class Log:
    """Twelve events of three orders, sealed after 5, 8 and 12 of them; those at 2 and 4 have bodies."""

    app: sa.Engine
    owner: sa.Engine
    folder: Path
    backup: dict[str, list[dict]] = field(default_factory=dict)

    def tamper(self, *statements: str, **values: object) -> None:
        tamper(self.owner, STORE, *statements, **values)

    def rewrite(self, first: int, *statements: str) -> None:
        """Change something, and make everything from `first` on consistent again: leaves, hashes, streams."""
        self.tamper(*statements)
        with self.owner.begin() as conn:
            conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
            rows = conn.execute(sa.text("SELECT * FROM orderflow.events WHERE store = 'acme' ORDER BY position")).all()
            previous = chain.genesis(STORE)
            for row in rows:
                if row.position >= first:
                    leaf = leaf_of(row)
                    hash_ = chain.chain(previous, 1, row.position, row.version, row.recorded_at, leaf)
                    new = {"leaf": leaf, "hash": hash_, "at": row.position}
                    conn.execute(
                        sa.text(
                            "UPDATE orderflow.events SET leaf = :leaf, hash = :hash "
                            "WHERE store = 'acme' AND position = :at"
                        ),
                        new,
                    )
                    previous = hash_
                else:
                    previous = row.hash
            conn.execute(sa.text(_STREAMS[0]), {"s": STORE})
            conn.execute(sa.text(_STREAMS[1]), {"s": STORE})

    def restore(self, position: int) -> None:
        """Back to a backup that was taken when the log ended at `position`."""
        self.tamper(
            "DELETE FROM orderflow.events WHERE store = :s AND position > :p",
            "DELETE FROM orderflow.seals WHERE store = :s AND size > :p",
            "DELETE FROM orderflow.seal_exports WHERE store = :s AND size > :p",
            *_STREAMS,
            p=position,
        )


_STREAMS = (
    "DELETE FROM orderflow.streams WHERE store = :s",
    """
    INSERT INTO orderflow.streams
    SELECT store, order_id, max(version) FROM orderflow.events WHERE store = :s GROUP BY store, order_id
    """,
)


def leaf_of(row: sa.Row) -> bytes:
    body = None if row.body is None else Sealed(row.body, row.body_key, row.body_mac)
    return chain.leaf(
        STORE,
        Entry(
            row.order_id, row.type, row.source, row.source_id, row.clear, row.occurred_at, body, row.meta, row.event_id
        ),
    )


@pytest.fixture
def log(database_url, tmp_path) -> Iterator[Log]:
    app, owner = connect(database_url), sa.create_engine(database_url)
    made = Log(app, owner, tmp_path / "seals")
    bodies = {n: Sealed(f"sealed {n}".encode(), uuid4(), b"m" * 32) for n in (2, 4)}
    given = [entry("abc"[n % 3], clear=f"[{n}]", occurred_at=NOON, body=bodies.get(n)) for n in range(1, 13)]
    for upto in ((0, 5), (5, 8), (8, 12)):
        append(app, STORE, *(unit(one) for one in given[slice(*upto)]))
        assert sealed(app, STORE, made.folder).exports == {"folder": ""}
    report = checked(app, STORE, made.folder)
    assert (report.standing, report.events, report.agreeing, report.sealed) == (Standing.WHOLE, 12, 6, 12)
    yield made
    app.dispose()
    owner.dispose()


@pytest.fixture
def rehearsal(new_database) -> Iterator[sa.Engine]:
    """Another database in which the same store has another log."""
    made = connect(new_database())
    yield made
    made.dispose()


def plain(text: str) -> str:
    """A message without what is another one each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", text)
    text = re.sub(r"\([^()]*\.seal\)|\(the database\)", "(SEAL)", text)
    text = re.sub(r"(?<=in )\S*\.seal", "SEAL", text)
    return re.sub(r"orderflow/acme/[0-9a-f]{16}", "ORIGIN", text)


# --- the attacks ----------------------------------------------------------------------------------------------------

_AT_6 = "WHERE store = :s AND position = 6"


def edited(log: Log) -> None:
    log.tamper(f"UPDATE orderflow.events SET clear = '[7]' {_AT_6}")


def edited_with_its_hashes(log: Log) -> None:
    log.tamper(f"UPDATE orderflow.events SET clear = '[7]' {_AT_6}")
    with log.owner.begin() as conn:
        row = conn.execute(sa.text(f"SELECT * FROM orderflow.events {_AT_6}"), {"s": STORE}).one()
        before = conn.execute(
            sa.text("SELECT hash FROM orderflow.events WHERE store = :s AND position = 5"), {"s": STORE}
        )
        leaf = leaf_of(row)
        hash_ = chain.chain(before.scalar_one(), 1, 6, row.version, row.recorded_at, leaf)
    log.tamper(f"UPDATE orderflow.events SET leaf = :leaf, hash = :hash {_AT_6}", leaf=leaf, hash=hash_)


def edited_and_rewritten(log: Log) -> None:
    log.rewrite(6, f"UPDATE orderflow.events SET clear = '[7]' {_AT_6}")


def time_edited_and_rewritten(log: Log) -> None:
    log.rewrite(
        12, "UPDATE orderflow.events SET recorded_at = recorded_at + interval '1 h' WHERE store=:s AND position=12"
    )


def middle_deleted(log: Log) -> None:
    log.tamper(f"DELETE FROM orderflow.events {_AT_6}")


def middle_deleted_and_closed_up(log: Log) -> None:
    log.rewrite(
        6,
        f"DELETE FROM orderflow.events {_AT_6}",
        "UPDATE orderflow.events SET position = -position WHERE store = :s AND position > 6".replace("-", "1000 + "),
        "UPDATE orderflow.events SET position = position - 1001 WHERE store = :s AND position > 1000",
        "UPDATE orderflow.events AS e SET version = n.version FROM (SELECT position, row_number() OVER "
        "(PARTITION BY order_id ORDER BY position) AS version FROM orderflow.events WHERE store = :s) AS n "
        "WHERE e.store = :s AND e.position = n.position",
    )


def tail_deleted(log: Log) -> None:
    log.tamper("DELETE FROM orderflow.events WHERE store = :s AND position > 10")


def tail_deleted_with_its_streams(log: Log) -> None:
    log.tamper("DELETE FROM orderflow.events WHERE store = :s AND position > 10", *_STREAMS)


def inserted(log: Log) -> None:
    log.tamper(
        "UPDATE orderflow.events SET position = position + 1000 WHERE store = :s AND position > 5",
        "UPDATE orderflow.events SET position = position - 999 WHERE store = :s AND position > 1000",
        """
        INSERT INTO orderflow.events
        SELECT store, 6, 'z', 1, gen_random_uuid(), type, source, 'forged', occurred_at, recorded_at, clear, NULL, NULL,
               NULL, meta, leaf, hash
        FROM orderflow.events WHERE store = :s AND position = 5
        """,
        *_STREAMS,
    )


def inserted_and_rewritten(log: Log) -> None:
    inserted(log)
    log.rewrite(6)


def swapped(log: Log) -> None:
    log.tamper(
        "UPDATE orderflow.events SET position = 99 WHERE store = :s AND position = 6",
        "UPDATE orderflow.events SET position = 6 WHERE store = :s AND position = 7",
        "UPDATE orderflow.events SET position = 7 WHERE store = :s AND position = 99",
    )


def swapped_and_rewritten(log: Log) -> None:
    swapped(log)
    log.rewrite(6)


_SWAP_BODIES = (
    "UPDATE orderflow.events AS e SET body = o.body, body_key = o.body_key, body_mac = o.body_mac "
    "FROM orderflow.events AS o WHERE e.store = :s AND o.store = :s "
    "AND (e.position, o.position) IN ((2, 4), (4, 2))"
)


def ciphertexts_swapped(log: Log) -> None:
    log.tamper(_SWAP_BODIES)


def ciphertexts_swapped_and_rewritten(log: Log) -> None:
    log.rewrite(2, _SWAP_BODIES)


def history_rewritten(log: Log) -> None:
    log.rewrite(1, "UPDATE orderflow.events SET clear = '[0]' WHERE store = :s")


def rolled_back(log: Log) -> None:
    log.restore(8)


def restored_and_gone_on(log: Log) -> None:
    log.restore(8)
    append(log.app, STORE, unit(), unit())


def forked(log: Log) -> None:
    """Somebody with the sealing key goes on from a backup, out of sight of the folder, to the same size."""
    log.restore(8)
    append(log.app, STORE, *(unit() for _ in range(4)))
    assert seal(log.app, sealing(None), STORE).signed.seal.size == 12


def epoch_forged(log: Log) -> None:
    """The tail is replaced, and a restore invented that explains it."""
    log.restore(10)
    log.tamper(
        "INSERT INTO orderflow.epochs (store, epoch, first_position, forked_from_hash) "
        "SELECT store, 2, 11, hash FROM orderflow.events WHERE store = :s AND position = 10"
    )
    append(log.app, STORE, unit(), unit())


def own_seal_edited(log: Log) -> None:
    log.tamper(
        "UPDATE orderflow.seals SET note = replace(encode(note, 'escape'), E'\\n12\\n', E'\\n13\\n')::bytea "
        "WHERE store = :s AND size = 12"
    )


def own_frontier_edited(log: Log) -> None:
    log.tamper("UPDATE orderflow.seals SET frontier = sha256('x') || sha256('y') WHERE store = :s AND size = 12")


def seals_exchanged(log: Log) -> None:
    """The newest file is replaced by one that another key signed."""
    shutil.rmtree(log.folder)
    tamper(log.owner, STORE, "DELETE FROM orderflow.seals WHERE store = :s")
    seal(log.app, sealing(log.folder, signer=OTHER), STORE)
    tamper(log.owner, STORE, "DELETE FROM orderflow.seals WHERE store = :s")
    assert next(files(log.folder, STORE), None)


DAMAGED, FORKED, BEHIND, LOST, DOUBTFUL = (
    Standing.DAMAGED,
    Standing.FORKED,
    Standing.BEHIND,
    Standing.LOST,
    Standing.DOUBTFUL,
)
ATTACKS: list[tuple[str, Callable[[Log], None], Standing, int | None]] = [
    ("a field is edited", edited, DAMAGED, 6),
    ("a field is edited, with its leaf and hash", edited_with_its_hashes, DAMAGED, 7),
    ("a field is edited, and all hashes from there on", edited_and_rewritten, FORKED, 6),
    ("a time is edited, and all hashes from there on", time_edited_and_rewritten, FORKED, 9),
    ("a row in the middle is deleted", middle_deleted, DAMAGED, 6),
    ("the same, closed up and rewritten", middle_deleted_and_closed_up, FORKED, 6),
    ("the tail is deleted", tail_deleted, DAMAGED, 10),
    ("the tail is deleted, streams adjusted", tail_deleted_with_its_streams, BEHIND, 11),
    ("a row is inserted", inserted, DAMAGED, 6),
    ("a row is inserted, and all rewritten", inserted_and_rewritten, FORKED, 6),
    ("two rows are swapped", swapped, DAMAGED, 6),
    ("two rows are swapped, and all rewritten", swapped_and_rewritten, FORKED, 6),
    ("two ciphertexts are swapped", ciphertexts_swapped, DAMAGED, 2),
    ("two ciphertexts are swapped, and all rewritten", ciphertexts_swapped_and_rewritten, FORKED, 1),
    ("all history is rewritten", history_rewritten, FORKED, 1),
    ("the database is rolled back to a backup", rolled_back, BEHIND, 9),
    ("rolled back, and gone on", restored_and_gone_on, BEHIND, 11),
    ("a fork is sealed to the same size", forked, FORKED, 9),
    ("the tail is replaced, a restore invented", epoch_forged, LOST, 11),
    ("a seal in the database is edited", own_seal_edited, DOUBTFUL, None),
    ("the frontier in the database is edited", own_frontier_edited, DAMAGED, None),
    ("seals are replaced by another key's", seals_exchanged, DOUBTFUL, None),
]


@pytest.mark.parametrize(
    ("name", "attack", "standing", "position"), ATTACKS, ids=lambda one: getattr(one, "__name__", None)
)
def test_every_attack_is_found_and_named(log, name, attack, standing, position):
    attack(log)
    report = checked(log.app, STORE, log.folder)
    first = next(one for one in report.problems if one.standing is report.standing)
    assert (report.standing, first.position) == (standing, position)
    assert f"| {name} | {report.standing} | {plain(first.text)} |" in PAGE


@pytest.mark.parametrize("attack", [rolled_back, restored_and_gone_on, history_rewritten, edited_and_rewritten])
def test_what_was_changed_is_not_sealed_again(log, attack):
    """A worker that starts on such a database signs nothing: the newest seal speaks against it."""
    attack(log)
    append(log.app, STORE, unit())
    with pytest.raises(SealRefusedError, match=r"behind|forked"):
        sealed(log.app, STORE, log.folder)


def test_a_known_restore_is_no_problem(log):
    """Epoch 2 was begun by a restore that the caller knows of; what it lost is said, and nothing is wrong."""
    epoch_forged(log)
    assert checked(log.app, STORE, log.folder).standing is Standing.LOST
    report = checked(log.app, STORE, log.folder, restored=[2])
    assert (report.standing, report.sealed, len(report.known_losses)) == (Standing.WHOLE, 8, 1)
    assert sealed(log.app, STORE, log.folder).signed.seal.epoch == 2
    report = checked(log.app, STORE, log.folder, restored=[2])
    assert (report.standing, report.sealed, report.events) == (Standing.WHOLE, 12, 12)
    assert checked(log.app, STORE, log.folder, restored=[3]).standing is Standing.LOST


def test_seals_of_another_log_do_not_fit(log, rehearsal, tmp_path):
    """The same store, the same key, another database: a rehearsal is not taken for the real thing."""
    append(rehearsal, STORE, *(unit(entry("abc"[n % 3], occurred_at=NOON)) for n in range(12)))
    sealed(rehearsal, STORE, tmp_path / "rehearsal")
    report = checked(log.app, STORE, log.folder, [tmp_path / "rehearsal"])
    assert report.standing is Standing.FORKED
    text = plain(report.problems[0].text)
    assert f"| the seal of another log is shown | forked | {text} |" in PAGE


def test_a_bundle_of_another_log_does_not_fit(log, rehearsal):
    append(rehearsal, STORE, *(unit(entry("a", occurred_at=NOON)) for n in range(3)))
    signed, ours = sealed(rehearsal, STORE).signed, sealed(log.app, STORE, log.folder).signed
    with rehearsal.connect() as conn:
        raw = export(conn, STORE, "a", signed, SIGNER.trusted)
    assert bundle.check(raw, SIGNER.trusted, signed.seal.origin)
    with pytest.raises(BundleError) as caught:
        bundle.check(raw, SIGNER.trusted, ours.seal.origin)
    assert f"| the bundle of another log is shown | refused | {plain(str(caught.value))} |" in PAGE
    with pytest.raises(BundleError) as caught:
        bundle.check(raw, OTHER.trusted)
    assert f"| a bundle that another key sealed is shown | refused | {plain(str(caught.value))} |" in PAGE


def test_an_edited_read_model_is_not_what_the_log_says(log):
    """The log is whole, and a replay of it shows another status than the read model does."""
    store = "shown"
    report = entry("1-1", clear="{}", occurred_at=NOON)
    append(log.app, store, unit(Entry("1-1", "OrderReceived", "glopal", "g1", report.clear, NOON)))
    with log.app.begin() as conn:
        assert catch_up(conn, store, [Orders()], StorePolicy()) == 1
    query = sa.text("SELECT status FROM orderflow.orders WHERE store = :s")
    with log.app.connect() as conn:
        assert load(conn, store, "1-1").status == conn.execute(query, {"s": store}).scalar_one() == "RECEIVED"
    tamper(log.owner, store, "UPDATE orderflow.orders SET status = 'COMPLETED' WHERE store = :s")
    with log.app.connect() as conn:
        assert load(conn, store, "1-1").status != conn.execute(query, {"s": store}).scalar_one()
    assert checked(log.app, store).standing is Standing.WHOLE
