"""What the time after the sale changes about an order: refunds, quotes, returns, and how it ended.

It never forgets money that Glopal has shown, and never lets an event move a return against its table: details may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from orderflow.domain.aftersale import ShownRefund, ShownReturn
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    Position,
    QuoteRequested,
    RefundQuoted,
    RefundRequested,
    RefundSettled,
    ReturnReported,
)
from orderflow.domain.folding import Folding
from orderflow.domain.machine import MOVING, Verdict
from orderflow.domain.order import Mark, Quote, Refund, Return, Shown
from orderflow.domain.returns import RETURN_TARGET, ReturnState, judge_return

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
_REFUND, _QUOTE = Effect.REFUND, Effect.QUOTE


def learn(order: Folding, event: DetailsFetched, here: Mark) -> None:
    """The newest details: how it ended, what was given back, and where each return stands."""
    after = event.aftersale
    if after is None:
        return
    if after.ending is not None:
        order.ending = after.ending
    if after.refunds:
        order.shown = _with(order.shown, after.refunds, event.asked_after, here)
    for one in after.returns:
        _seen(order, one, event.asked_after, here)


def _with(known: tuple[Shown, ...], news: tuple[ShownRefund, ...], asked: Position, here: Mark) -> tuple[Shown, ...]:
    """Each under Glopal's id. One that is shown no more stays: it was money."""
    found = {one.refund.refund_id: one for one in known}
    for refund in news:
        before = found.get(refund.refund_id)
        found[refund.refund_id] = Shown(refund, asked, here) if before is None else replace(before, refund=refund)
    return tuple(found.values())


# --- refunds and quotes ---------------------------------------------------------------------------------------------


def refund_asked_for(order: Folding, event: RefundRequested, here: Mark) -> None:
    """One more line; a name that is there already changes nothing."""
    if all(line.refund != event.refund for line in order.refunds):
        line = Refund(
            event.refund,
            event.amount,
            event.currency,
            event.reason,
            by=event.by,
            glopal_amount=event.glopal_amount,
            claim=event.claim,
            asked=here,
        )
        order.refunds = (*order.refunds, line)


def refund_intended(order: Folding, name: str, generation: int, here: Mark) -> None:
    """It may be on the wire."""

    def begun(line: Refund) -> Refund:
        known = line.generations if generation in line.generations else (*line.generations, generation)
        return replace(line, intended=line.intended or here.position, generations=known)

    _change(order, lambda line: line.refund == name, begun)


def refund_delivered(order: Folding, generation: int, receipt: str) -> None:
    """Glopal said so, sooner or later: a reply that comes after a person has settled the refund counts all the same."""
    done = {"outcome": "delivered", "settled": False} | ({"receipt": receipt} if receipt else {})
    _change(order, lambda line: generation in line.generations, lambda line: replace(line, **done))  # type: ignore[arg-type]  # by name


def refund_ended(order: Folding, name: str, outcome: str) -> None:
    """The attempt under way is over."""
    _change(order, lambda line: line.refund == name, lambda line: replace(line, outcome=outcome))


def refunds_again(order: Folding, here: Mark) -> None:
    """Those that were given up are due again, once Glopal was asked what it shows.

    A refused one is not: its share of the total has been freed.
    """
    _change(
        order, lambda line: line.outcome == "exhausted", lambda line: replace(line, outcome="requested", asked=here)
    )


def settled(order: Folding, event: RefundSettled, here: Mark) -> None:
    """What a person says, ends the attempt under way; of a refund that was made elsewhere note is taken."""
    del here
    if all(line.refund != event.refund for line in order.refunds):
        order.shown = tuple(
            replace(one, known=True) if one.refund.refund_id == event.refund else one for one in order.shown
        )
        return
    slot = order.glopal_slot
    if slot is not None and slot.effect is _REFUND and slot.target == event.refund:
        order.glopal_slot = None
        order.count(_REFUND, slot.generation)
    order.parked = tuple(p for p in order.parked if (p.effect, p.target) != (_REFUND, event.refund))
    outcome = "delivered" if event.made else "not made"
    _change(
        order,
        lambda line: line.refund == event.refund,
        lambda line: replace(line, outcome=outcome, settled=True),
    )


def _change(order: Folding, fits: Callable[[Refund], bool], made: Callable[[Refund], Refund]) -> None:
    order.refunds = tuple(made(line) if fits(line) else line for line in order.refunds)


def quote_asked_for(order: Folding, event: QuoteRequested, here: Mark) -> None:
    """One more question."""
    del here
    if all(one.quote != event.quote for one in order.quotes):
        order.quotes = (*order.quotes, Quote(event.quote, event.amount, event.currency, event.glopal_amount))


def quoted(order: Folding, event: RefundQuoted, here: Mark) -> None:
    """Its answer; a second one to the same question changes nothing."""
    del here
    open_ = [one for one in order.quotes if one.quote == event.quote and one.outcome != "quoted"]
    if not open_:
        return
    order.count(_QUOTE, order.generation(_QUOTE))
    order.parked = tuple(p for p in order.parked if (p.effect, p.target) != (_QUOTE, event.quote))
    order.quotes = tuple(
        replace(one, outcome="quoted", merchant=event.merchant, glopal=event.glopal) if one in open_ else one
        for one in order.quotes
    )


def quote_ended(order: Folding, generation: int, outcome: str) -> str:
    """The question that was being asked got no answer: its name, "" if that was another generation's."""
    if generation != order.generation(_QUOTE):
        return ""
    asked = next((one for one in order.quotes if one.outcome == "requested"), None)
    if asked is None:
        return ""
    order.quotes = tuple(replace(one, outcome=outcome) if one is asked else one for one in order.quotes)
    return asked.quote


def quotes_again(order: Folding) -> None:
    """Whatever got no answer is asked again: it moves no money."""
    order.quotes = tuple(
        replace(one, outcome="requested") if one.outcome in ("refused", "exhausted") else one for one in order.quotes
    )


# --- returns --------------------------------------------------------------------------------------------------------


def return_reported(order: Folding, event: ReturnReported, here: Mark) -> None:
    """An event moves a return along its table, and asks for details that show it; what is illegal moves nothing."""
    known = _return(order, event.return_id, here)
    verdict = judge_return(known.state, event.step)
    if verdict in MOVING:
        _put(order, replace(known, state=RETURN_TARGET[event.step], since=here, awaits=here))
    elif verdict is Verdict.CONFLICT:
        _put(order, replace(known, awaits=here))


def _seen(order: Folding, one: ShownReturn, asked: Position, here: Mark) -> None:
    """Details show a return: they confirm what was told, and alone tell of its parcel."""
    known = _return(order, one.return_id, here)
    if known.awaits is not None and asked >= known.awaits.position:
        known = replace(known, awaits=None)
    if one.steps:
        step = one.steps[-1]  # the parcel's, where there are two
        verdict = judge_return(known.state, step)
        overruled = verdict is Verdict.CONFLICT and asked >= known.since.position
        if verdict in MOVING or overruled:
            known = replace(known, state=RETURN_TARGET[step], since=here)
    _put(order, known)


def _return(order: Folding, return_id: str, here: Mark) -> Return:
    found = next((one for one in order.returns if one.return_id == return_id), None)
    return found or Return(return_id, ReturnState.NEW, here)


def _put(order: Folding, changed: Return) -> None:
    ids: Final = [one.return_id for one in order.returns]
    if changed.return_id in ids:
        order.returns = tuple(changed if one.return_id == changed.return_id else one for one in order.returns)
    else:
        order.returns = (*order.returns, changed)
