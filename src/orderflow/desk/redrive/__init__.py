"""Redrive: what waits for a person is planned into a file, read, and then applied exactly as planned.

It never sends anything: each item becomes a `RetryRequested` in its order's history, and the worker does the rest. It
never retries what is not as it was when the plan was made.
"""

from orderflow.desk.redrive.apply import Outcome, Result, StalePlanError, apply_item, check
from orderflow.desk.redrive.items import Item, Waiting
from orderflow.desk.redrive.plan import USUAL, Choice, Counts, find
from orderflow.desk.redrive.planfile import Plan, PlanError, read, sealed, write
from orderflow.desk.redrive.status import Fate, fates

__all__ = [
    "USUAL",
    "Choice",
    "Counts",
    "Fate",
    "Item",
    "Outcome",
    "Plan",
    "PlanError",
    "Result",
    "StalePlanError",
    "Waiting",
    "apply_item",
    "check",
    "fates",
    "find",
    "read",
    "sealed",
    "write",
]
