"""Short ways to seal a log, to check it, and to change what must not be changed."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from tests.store.writing import NOON, append, entry, unit

from orderflow.audit import seals, whole
from orderflow.audit.exporters import Exporter, Folder
from orderflow.audit.sealer import Outcome, Sealing, seal
from orderflow.audit.whole import Report

SIGNER = seals.signer(b64encode(b"a sealing key of 32 bytes, tests").decode())
OTHER = seals.signer(b64encode(b"another key of 32 bytes, tests!!").decode())


def sealing(folder: Path | None = None, *more: Exporter, signer: seals.Signer = SIGNER) -> Sealing:
    exporters = ((Folder(folder),) if folder else ()) + more
    return Sealing(signer, 60.0, exporters, folder)


def sealed(app: sa.Engine, store: str, folder: Path | None = None) -> Outcome:
    return seal(app, sealing(folder), store)


def written(app: sa.Engine, store: str, count: int = 1, order_id: str | None = None) -> None:
    """Some more events, of three orders in turn if no order is named."""
    append(app, store, *(unit(entry(order_id or "abc"[n % 3], occurred_at=NOON)) for n in range(count)))


def checked(
    app: sa.Engine,
    store: str,
    folder: Path | None = None,
    paths: Sequence[Path] = (),
    restored: Sequence[int] = (),
    signer: seals.Signer = SIGNER,
) -> Report:
    with app.connect() as conn:
        given = whole.gathered(conn, store, signer.trusted, folder, paths)
        return whole.check(conn, store, given, restored)


def tamper(owner: sa.Engine, store: str, *statements: str, **values: object) -> None:
    """Change what is append-only, as somebody with every right could."""
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            conn.execute(sa.text(statement), {"s": store, **values})
