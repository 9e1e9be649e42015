"""docs/explanation/exceptions.md: what an exception is, and the table of classes out of domain/exceptions.py."""

from typing import Final

from orderflow.domain.exceptions import CLASSES, STORES, About, Of

BODY: Final = """\
# Exceptions

An exception is something that orderflow does not get over by itself: it waits for a person, or for a change of
configuration. Each has a class, an owner, an age, the event that proves it, and the command that helps. The table
below is generated from `domain/exceptions.py`.

- **One judge.** Exceptions are derived from an order's history, like its status and its holds
  (`domain/attention.py`). They are no rows that somebody creates and somebody forgets.
- **They open on an event and close on an event.** The read model `exceptions` keeps both: which event opened it, and
  which one proved it over, when, and by whom if it was a decision. Nobody has to tidy up; what was mended is gone
  from the list.
- **The id** is `STORE/ORDER/KIND/POSITION`: the position is that of the event that opened it. It stays as long as the
  exception does, and says where to look in the log.
- **Age.** Some are exceptions only by their age: an outcome that nobody knows is none in its first fifteen minutes
  (`unknown_minutes`). They stand in the read model from the event on that began them, with the time from which they
  count, and leave no trace if they end before. No clock is read to derive them, so a rebuild gives the same rows.
- **Stuck** is what Glopal itself confirms. At a status's age limit (`age_limits`) the order is fetched once more: a
  lost report is found so and is no exception; if the answer shows the same status, it is one.
- **Decisions.** Giving one to somebody and dismissing one are events in the order's history, with who and why. A
  dismissed one comes back if it happens again: a later refusal, another total, other ids.
- **A store's own** (pauses, keys that are turned away, a feed that nobody reads) have no event. They are seen live,
  carry `~store` in the place of an order, and are gone as soon as their cause is.

A new class is a member of `Of` and a row of `CLASSES`, and whoever yields it: `attention` where an order's history
shows it, `desk/stores.py` where it concerns a store. List, id, owner, proof, alerts and this page follow.

How to work with them: [work the desk](../how-to/work-the-desk.md).

## Classes of orders

{orders}

## Classes of stores

{stores}

## Severities

`critical`: money, or a promise to a buyer, is at stake. `error`: something stands still. `warning`: somebody should
know.

## Owners

Each class has a role by default. `exceptions assign` names a person or a team instead.

- `operator`: works with orders, in the shop and here.
- `integrator`: keeps settings, mapping, keys and workers.
- `finance`: answers for amounts.
- `glopal-account`: talks to Glopal.
"""


def page() -> str:
    """The whole page."""
    return BODY.format(
        orders=_table({of: about for of, about in CLASSES.items() if of not in STORES}),
        stores=_table({of: about for of, about in CLASSES.items() if of in STORES}),
    )


def _table(classes: dict[Of, About]) -> str:
    rows = [
        "| class | what it means | owner | severity | what helps | closes on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for of, about in classes.items():
        helps = ", ".join(f"`{one}`" for one in about.helps) or "a look at Glopal's Merchant Account"
        rows.append(f"| `{of}` | {about.meaning} | {about.owner} | {about.severity} | {helps} | {about.closes} |")
    return "\n".join(rows)
