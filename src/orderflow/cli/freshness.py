"""How fresh the answer of a read model is: how far it is behind the log, and how long the feed has been silent.

It never fails a command: it warns on stderr.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from orderflow.app import App
from orderflow.cli import means
from orderflow.store import log, progress


def warn(conn: sa.Connection, app: App, stores: Sequence[str], command: str, reader: str = "orders") -> None:
    """A line for each store whose read model lags, or whose feed nobody reads."""
    now = means.wall_clock(conn)
    for store in stores:
        behind = log.head(conn, store) - progress.positions(conn, [reader], store)[reader]
        if behind > 0:
            hint = f"`{command} work` or `pull` brings it up to date"
            means.complain(f"{store}: this list is {behind} events behind the log; {hint}")
        silent = silence(conn, app, store, now)
        if silent:
            means.complain(f"{store}: {silent}; `{command} work` or `pull` reads it")


def silence(conn: sa.Connection, app: App, store: str, now: datetime) -> str:
    """What is wrong with the feed of `store`, if nobody has read it for ten times as long as it is to be waited."""
    paused = progress.paused(conn, store).get("pull")
    last = progress.last_pull(conn, store)
    since = "was never read" if last is None else f"was last read {means.span(now - last)} ago"
    if paused is not None:
        return f"Glopal's feed {since}: the pull is paused ({paused[0]})"
    read = last is not None and now - last <= app.longest_silence(store)
    return "" if read else f"Glopal's feed {since}: does a worker run?"
