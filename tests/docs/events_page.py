"""docs/reference/events.md, from the classes in domain/events.py: members, types and docstrings as they stand there.

What an event changes is said here by hand, for every class or none: a new class without a sentence fails.
"""

import ast
import inspect
from enum import StrEnum
from types import ModuleType
from typing import Final, NamedTuple, get_args

from orderflow.domain import aftersale
from orderflow.domain import events as e
from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund, ShownReturn
from orderflow.domain.machine import Report
from orderflow.domain.returns import ReturnStep

HEAD: Final = """\
# Events

Everything that can stand in an order's history. The log keeps an event under its type, with its members as JSON in
`clear` and, where something personal came along, the bytes as they came, sealed, in `body`
([format of the log](log-format.md)). Generated from `domain/events.py`.

A **fact** is recorded whatever we think of it; a **decision** is a command that passed
([facts and decisions](../explanation/facts-and-decisions.md)). Only reports and details move the status
([state machine](state-machine.md)). Verdicts, holds and anomalies are no events: they are derived at every reading.

Times are UTC, money is a decimal number kept as text with all its digits. A member with a default may be missing in
events that were recorded before it came to be.
"""

FEED: Final = "`glopal`: Glopal's event id"
OUTCOME: Final = "`effect`: outbox key and attempt"
PERSON: Final = "`command`: the command id"


class Meaning(NamedTuple):
    """Who says it, under which id, and what it changes about the order."""

    source: str
    changes: str


MEANING: Final[dict[type, Meaning]] = {
    e.Reported: Meaning(
        FEED,
        "Judged by the [table](state-machine.md): *advance* and *leap* move the status and ask for fresh details, "
        "*conflict* holds the order (`contradiction`), *echo* changes nothing.",
    ),
    e.ReturnReported: Meaning(
        FEED,
        "Moves that return along its own [table](../explanation/money.md#returns), or nothing if the step is illegal; "
        "a fetch falls due until details show it.",
    ),
    e.DetailsFetched: Meaning(
        "`effect`: the key of the fetch or look-up, and its lease number",
        "Confirms the status, or moves it as a report would; settles a contradiction, alone if it agrees with us, with "
        "a second answer if not; brings ids, money and environment; sets and lifts the holds `money`, `unmapped` and "
        "`malformed`. Tells who cancelled and why, what was given back by whomever, and where returns stand.",
    ),
    e.Malformed: Meaning(
        "`glopal`: the event id, if it could be read, and the SHA-256 of the bytes; `effect` for details",
        "The order is held (`malformed`) until details can be read.",
    ),
    e.EvidenceFound: Meaning(
        "`glopal`: the event id and a SHA-256 of the second contents", "The order is held (`evidence`)."
    ),
    e.Unrecognised: Meaning(FEED, "Nothing. It is understood as soon as a later version knows its name."),
    e.EffectIntended: Meaning(
        "`effect`: outbox key, attempt, `intended`",
        "The effect takes the one open place of its destination; from here on only an observation ends it.",
    ),
    e.EffectDelivered: Meaning(
        OUTCOME,
        "Frees the place, ends the generation, and adds the shop order that was seen. A delivered accept does not make "
        "the order ACCEPTED: Glopal's own word does.",
    ),
    e.EffectRefused: Meaning(OUTCOME, "Frees the place, ends the generation and parks the effect: a person decides."),
    e.EffectNotExecuted: Meaning(OUTCOME, "The same effect may be tried again from `retry_in` on, or is closed."),
    e.EffectUnknown: Meaning(OUTCOME, "Look-ups fall due; nothing is sent until they have settled it."),
    e.EffectClosed: Meaning(OUTCOME, "Frees the place and ends the generation."),
    e.EffectExhausted: Meaning(OUTCOME, "Frees the place, ends the generation and parks the effect: a person decides."),
    e.LookedUp: Meaning(
        "`effect`: outbox key, attempt, and the lease number of the look-up",
        "What was found is known from now on. Nothing found counts as *absent* if it was sent at or after "
        "`counts_from`; only the second absence proves that nothing was done.",
    ),
    e.Reconciled: Meaning(
        "`effect`: an id of each reconciliation",
        "These differences stand until a later one finds others, or none. Nothing is done about them: each is an "
        "exception for a person.",
    ),
    e.AcceptRequested: Meaning(
        f"{PERSON}; `effect` where the store's mode decided",
        "These ids are the order's ids from now on; others are refused.",
    ),
    e.CancelRequested: Meaning(
        f"{PERSON}; `effect` where the store's `on_refusal` decided",
        "Draft, promote and accept are no longer due; withdrawal is, then the cancellation at Glopal.",
    ),
    e.RefundRequested: Meaning(
        PERSON, "A line in the refund ledger; a fetch falls due, then the refund at Glopal, if so much is left."
    ),
    e.QuoteRequested: Meaning(PERSON, "A question in the ledger; the quote falls due at Glopal. No money moves."),
    e.RefundQuoted: Meaning("`effect`: outbox key and lease number", "The answer stands in the ledger."),
    e.RefundSettled: Meaning(
        PERSON,
        "The refund is delivered, or not made and its share free again; whatever was open of it is closed. Of one made "
        "elsewhere note is taken.",
    ),
    e.OrderReleased: Meaning(PERSON, "Lifts that hold, if no later event caused it anew."),
    e.RetryRequested: Meaning(PERSON, "Unparks the effect; `fetch` falls due at once."),
    e.ExceptionAssigned: Meaning(PERSON, "Nothing of the order: the exception has that owner from now on."),
    e.ExceptionDismissed: Meaning(
        PERSON, "Nothing of the order: the exception is closed. One with another cause opens anew."
    ),
    e.NoteAdded: Meaning(PERSON, "Nothing."),
    e.BuyerErased: Meaning(
        "`command`: the receipt's id and the order's",
        "Nothing of the order. A request that needs its details waits until they were fetched again.",
    ),
}

Tree = dict[str, ast.ClassDef]


def _classes(module: ModuleType) -> Tree:
    return {node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)}


_TREE: Final = _classes(e)
_AFTER: Final = _classes(aftersale)
_TOLD_BY_EVENT: Final = (ReturnStep.REQUESTED, ReturnStep.AUTHORIZED, ReturnStep.CANCELLED)


def page() -> str:
    """The whole page."""
    outcomes, decisions = get_args(e.Outcome), get_args(e.Decision)
    glopals = [kind for kind in get_args(e.Event) if kind not in (*outcomes, *decisions)]
    values = [e.Destination, e.Effect, e.HoldReason, e.ShopState, e.DriftKind]
    parts = [
        HEAD,
        "## Facts of Glopal\n",
        *map(_event, glopals),
        "## Facts: outcomes of our calls\n",
        "`effect`, `generation` and `attempt` name the row of the outbox that they speak of.\n",
        *map(_event, outcomes),
        "## Decisions\n",
        "`by` is a person, or `orderflow` itself.\n",
        *map(_event, decisions),
        "## Values\n",
        *map(_value, values),
        *map(_record, (e.Ids, e.Sighting)),
        *(_record(one, _AFTER) for one in (AfterSale, Ending, ShownRefund, ShownReturn)),
    ]
    return "\n".join(parts)


def _event(kind: type) -> str:
    source, changes = MEANING[kind]
    if kind in (e.Reported, e.ReturnReported):
        words = [f"Order{report.title()}" for report in Report]
        if kind is e.ReturnReported:
            words = [f"Return{step.title()}" for step in _TOLD_BY_EVENT]
        title = ", ".join(words)
        return (
            f"### {title}\n\n{_doc(kind)} The class is `{kind.__name__}`; type and `occurred_at` are columns of the "
            "log.\n\n"
            f"- **Source and source id** {source}\n- **Changes** {changes}\n"
        )
    return (
        f"### {kind.__name__}\n\n{_doc(kind)}\n\n- **Source and source id** {source}\n- **Changes** {changes}\n\n"
        f"{_members(kind)}"
    )


def _members(kind: type, tree: Tree | None = None) -> str:
    rows = ["| member | type | default |", "| --- | --- | --- |"]
    for node in (tree or _TREE)[kind.__name__].body:
        if isinstance(node, ast.AnnAssign):
            assert isinstance(node.target, ast.Name)
            default = f"`{ast.unparse(node.value)}`" if node.value else ""
            type_ = ast.unparse(node.annotation).replace("|", "\\|")
            rows.append(f"| `{node.target.id}` | `{type_}` | {default} |".replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def _value(kind: type[StrEnum]) -> str:
    return f"### {kind.__name__}\n\n{_doc(kind)}\n\n{' · '.join(f'`{one}`' for one in kind)}\n"


def _record(kind: type, tree: Tree | None = None) -> str:
    return f"### {kind.__name__}\n\n{_doc(kind, tree)}\n\n{_members(kind, tree)}"


def _doc(kind: type, tree: Tree | None = None) -> str:
    return inspect.cleandoc(ast.get_docstring((tree or _TREE)[kind.__name__]) or "")
