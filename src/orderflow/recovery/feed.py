"""Reading Glopal's feed to its end once more, from before the fork: what it told since comes again.

It never looks an order up; that is `look_up`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import sqlalchemy as sa

from orderflow import intake
from orderflow.intake import Feed
from orderflow.store import epochs
from orderflow.store.connect import transact
from orderflow.store.epochs import Recovery
from orderflow.store.vault import Vault

_PAGES: Final = 10_000
"""Pages of a trailing re-read, at most: it covers the feed's window before the fork."""


class FeedError(Exception):
    """Glopal's feed could not be read to its end."""


def read_feed(engine: sa.Engine, vault: Vault, feed: Feed, recovery: Recovery) -> int:
    """Read the feed again and take note that it was. Returns how many events came. Raises `FeedError`.

    First what was learnt late, below the restored cursor; then everything behind it.
    """
    again = intake.reread(engine, vault, feed, limit=_PAGES)
    new, pulled = again.new, again
    while not (pulled.stopped or pulled.wait):
        pulled = intake.pull(engine, vault, feed)
        new += pulled.new
        if not (pulled.more or pulled.stopped or pulled.wait):
            transact(engine, partial(_read, recovery=recovery))
            return new
    raise FeedError(
        f"Glopal's feed for {feed.store} is paused: {pulled.stopped}"
        if pulled.stopped
        else f"Glopal gave no answer about {feed.store}; ask again in {pulled.wait:.0f} s"
    )


def _read(conn: sa.Connection, recovery: Recovery) -> None:
    epochs.note_read(conn, recovery)
