"""Why an effect is due: because of news, or only because machine, policy or mapping are others than they were.

It never decides what is due; it says whether the planner may let it go. A deploy never fires an effect: what news did
not cause waits, parked, and then only two things free it. A person retries that very effect, or the order's status
moves: from then on the order goes its way like any other, under the rules of today. A hold that comes and goes, a
fetch, a note, another effect's end free nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import RetryRequested
from orderflow.domain.policy import StorePolicy
from orderflow.projections.steps import Step


def caused(one: Due, news: Sequence[Step], policy: StorePolicy) -> bool:
    """Is `one`, which is due after `news`, due because of them? Not if it was so before them, and at every step."""
    if not news:
        return False
    standing = (news[0].before, *(step.after for step in news))
    return frees(one.effect, news) or any(_is_missing(one, effects_due(order, policy)) for order in standing)


def frees(effect: str, news: Sequence[Step]) -> bool:
    """Do `news` let go what waits parked of `effect`?"""
    return moves(news) or retries(effect, news)


def moves(news: Sequence[Step]) -> bool:
    """Did the order's status move?"""
    return any(step.after.moved != step.before.moved for step in news)


def retries(effect: str, news: Sequence[Step]) -> bool:
    """Did a person ask for this very effect?"""
    return any(isinstance(step.event, RetryRequested) and step.event.effect == effect for step in news)


def _is_missing(one: Due, due: Sequence[Due]) -> bool:
    return all((one.effect, one.generation, one.target) != (d.effect, d.generation, d.target) for d in due)
