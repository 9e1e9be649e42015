"""Are the logs sealed, and does somebody outside the database have the seals?

It reads our own tables and the folder of seals, and never changes them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.app import App
from orderflow.audit import sealer, seals
from orderflow.audit.sealer import Sealing
from orderflow.audit.seals import Agrees, Lost
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.store import log

_LATE: Final = timedelta(minutes=5)
"""What has not been sealed for longer, no worker seals."""


def checked(conn: sa.Connection, app: App, store: str, now: datetime, command: str) -> Finding:
    """Everything about the seals of one store, in one finding: the worst thing that there is to say."""
    sealing = app.sealing
    if sealing is None:
        return ok("seals", "off: seal.key is not set, so whoever owns the database could rewrite the log", store)
    outside = sealer.newest_outside(sealing, store)
    if outside is not None:
        standing = seals.compare(conn, store, outside)
        told = None if isinstance(standing, Agrees | Lost) else seals.told(store, outside, standing)
        if told is not None:
            return failure("seals", told, f"`{command} verify {store}` names what is wrong", store)
    return _exported(conn, sealing, store, now, command)


def _exported(conn: sa.Connection, sealing: Sealing, store: str, now: datetime, command: str) -> Finding:
    mend = f"mend it, then `{command} seal {store}`"
    names = {one.name for one in sealing.exporters}
    known = {one.exporter: one for one in sealer.exports(conn, store) if one.exporter in names}
    failing = {name: one.problem for name, one in known.items() if one.problem}
    if failing:
        told = "; ".join(f"{name} did not take the last one: {problem}" for name, problem in failing.items())
        return failure("seals", told, mend, store)
    if not names:
        mend = "set seal.folder, seal.command or seal.url"
        return warning("seals", "nobody outside the database gets them", mend, store)
    head, newest = log.head(conn, store), max((one.size for one in known.values()), default=0)
    since = seals.unsealed_since(conn, store, newest)
    if since is not None and now - since > _LATE:
        told = f"positions {newest + 1} to {head} are not sealed"
        return warning("seals", told, f"start a worker: `{command} work`, or `{command} seal {store}`", store)
    return ok("seals", f"kept by {', '.join(sorted(names))}, up to position {newest} of {head}", store)
