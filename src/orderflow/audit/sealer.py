"""The sealer: seal every store in its turn, and hand the newest seals to those who keep them.

It never lets an exporter wait inside a transaction, and forgets no seal that was not taken: the newest one goes again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from orderflow.audit import note, seals
from orderflow.audit.exporters import Exporter, ExportError, files
from orderflow.audit.note import NoteError, Seal
from orderflow.audit.seals import Agrees, Lost, SealRefusedError, Signed, Signer
from orderflow.store.connect import transact

_log = logging.getLogger("orderflow")


@dataclass(frozen=True, slots=True)
class Sealing:
    """Who seals, how often, and who takes the seals. `folder`: where seals can be read again."""

    signer: Signer
    every: float
    exporters: tuple[Exporter, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of sealing one store. `exports`: by exporter, what is wrong, "" if it has the seal."""

    store: str
    signed: Signed | None
    exports: dict[str, str] = field(default_factory=dict)

    @property
    def exported(self) -> bool:
        """Does anybody outside the database have the seal?"""
        return any(problem == "" for problem in self.exports.values())


def seal(engine: sa.Engine, sealing: Sealing, store: str) -> Outcome:
    """Seal `store` now and hand the seal to every exporter that lacks it.

    Raises `SealRefusedError` if the log is not what was sealed before, as the database or the folder tells.
    """
    signed = transact(engine, partial(_sealed, sealing=sealing, store=store))
    if signed is None:
        return Outcome(store, None)
    exports = {one.name: _exported(engine, one, store, signed) for one in sealing.exporters}
    return Outcome(store, signed, exports)


def _sealed(conn: sa.Connection, sealing: Sealing, store: str) -> Signed | None:
    outside = newest_outside(sealing, store)
    if outside is not None:
        standing = seals.compare(conn, store, outside)
        problem = None if isinstance(standing, Agrees | Lost) else seals.told(store, outside, standing)
        if problem is not None:
            raise SealRefusedError(problem)
    return seals.seal(conn, store, sealing.signer)


def newest_outside(sealing: Sealing, store: str) -> Seal | None:
    """The newest seal of `store` that was kept outside its database and can be read here: in the folder.

    What is no seal of ours is passed over; `verify` names it.
    """
    if sealing.folder is None or not sealing.folder.is_dir():
        return None
    for file in files(sealing.folder, store):
        try:
            found = note.opened(file.read_bytes(), sealing.signer.trusted)
        except (NoteError, OSError):
            continue
        if found.store == store:
            return found
    return None


def _exported(engine: sa.Engine, exporter: Exporter, store: str, signed: Signed) -> str:
    """Hand the seal over, unless it was taken before; what is wrong, "" if nothing is."""
    if transact(engine, partial(_taken, exporter=exporter.name, store=store, signed=signed)):
        return ""
    problem = ""
    try:
        exporter.take(signed)
    except ExportError as error:
        problem = str(error)
        _log.error("seal of %s: %s did not take it: %s", store, exporter.name, problem)
    transact(engine, partial(_note, exporter=exporter.name, store=store, signed=signed, problem=problem))
    return problem


def _taken(conn: sa.Connection, exporter: str, store: str, signed: Signed) -> bool:
    place = {"exporter": exporter, "store": store, "digest": sha256(signed.raw).digest()}
    return conn.execute(_TAKEN, place).scalar_one_or_none() is not None


_TAKEN: Final = sa.text(
    "SELECT 1 FROM orderflow.seal_exports WHERE store = :store AND exporter = :exporter "
    "AND digest = :digest AND taken LIMIT 1"
)


def _note(conn: sa.Connection, exporter: str, store: str, signed: Signed, problem: str) -> None:
    row: dict[str, object] = {
        "exporter": exporter,
        "store": store,
        "epoch": signed.seal.epoch,
        "size": signed.seal.size,
    }
    row["digest"] = sha256(signed.raw).digest()
    seq = conn.execute(_NOTE, row | {"taken": not problem, "problem": problem}).scalar_one()
    conn.execute(_TRIM, row | {"seq": seq})


_NOTE: Final = sa.text(
    "INSERT INTO orderflow.seal_exports (store, exporter, epoch, size, digest, taken, problem) "
    "VALUES (:store, :exporter, :epoch, :size, :digest, :taken, :problem) RETURNING seq"
)
_TRIM: Final = sa.text(
    """
    DELETE FROM orderflow.seal_exports
    WHERE store = :store AND exporter = :exporter AND seq < :seq AND seq < (
        SELECT max(seq) FROM orderflow.seal_exports WHERE store = :store AND exporter = :exporter AND taken
    )
    """
)
"""What is left: the last that was taken, and what failed since."""


@dataclass(frozen=True, slots=True)
class Export:
    """How an exporter fares: what it took last and when, and what has been wrong since ("" if nothing)."""

    exporter: str
    size: int
    taken_at: datetime | None
    problem: str


def exports(conn: sa.Connection, store: str) -> list[Export]:
    """Every exporter that was ever tried for `store`."""
    return [Export(*row) for row in conn.execute(_EXPORTS, {"store": store})]


_EXPORTS: Final = sa.text(
    """
    SELECT exporter, coalesce(max(size) FILTER (WHERE taken), 0), max(at) FILTER (WHERE taken),
           (array_agg(problem ORDER BY seq DESC))[1]
    FROM orderflow.seal_exports WHERE store = :store GROUP BY exporter ORDER BY exporter
    """
)


def turn(engine: sa.Engine, sealing: Sealing, stores: Sequence[str]) -> float:
    """Seal every store once; returns the seconds until the next turn is due. A store that is refused stops no other."""
    began = time.monotonic()
    for store in stores:
        try:
            seal(engine, sealing, store)
        except SealRefusedError as error:
            _log.error("%s", error)
    return max(0.01, sealing.every - (time.monotonic() - began))
