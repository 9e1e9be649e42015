"""Recovery: after a restore the world is ahead of the log, so orders are looked up before anything is sent again.

It never guesses: what could not be looked up keeps effects back, or is left out by name.

`notice` compares the database with its server at the last start and with the newest seal; where it is not where it was,
a new epoch begins, and the store's effects are kept back from every worker. `read_feed` and `look_up` make up for what
was lost, `remaining` says what is still to be done, and `reopen` is a person's word that effects may leave.
"""

from orderflow.recovery.feed import FeedError, read_feed
from orderflow.recovery.look_up import TooEarlyError, counts_from, look_up
from orderflow.recovery.notice import Seal, Seals, behind, no_seals, notice
from orderflow.recovery.reopening import NotReadyError, progress_of, remaining, reopen

__all__ = [
    "FeedError",
    "NotReadyError",
    "Seal",
    "Seals",
    "TooEarlyError",
    "behind",
    "counts_from",
    "look_up",
    "no_seals",
    "notice",
    "progress_of",
    "read_feed",
    "remaining",
    "reopen",
]
