"""Reconcile: Glopal's order, ours and the shop's, compared at one moment; each difference waits for a person.

It never changes anything at Glopal or in the shop, and lets nothing fall due in the shop: what it finds there, a person
judges. (A shop that answers "no such order" for an hour must not have every order drafted anew.)
"""

from orderflow.desk.reconcile.ask import Report, reconcile
from orderflow.desk.reconcile.compare import Seen, compare
from orderflow.desk.reconcile.rounds import turn

__all__ = ["Report", "Seen", "compare", "reconcile", "turn"]
