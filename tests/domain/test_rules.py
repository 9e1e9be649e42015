"""Every kind of event has a rule of the fold, or is named here as one that changes nothing."""

from __future__ import annotations

from typing import get_args

from orderflow.domain.events import BuyerErased, Event, NoteAdded, Unrecognised
from orderflow.domain.evolve import _RULES

NOTHING = {Unrecognised, NoteAdded, BuyerErased}


def test_every_kind_of_event_has_a_rule_or_changes_nothing():
    assert _RULES.keys() | NOTHING == set(get_args(Event))
    assert not _RULES.keys() & NOTHING
