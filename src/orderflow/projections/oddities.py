"""What went against the book after the sale: money that nobody here gave back, returns that took an illegal step.

It never changes an order, and names ids and codes only.
"""

from __future__ import annotations

from collections.abc import Iterator

from orderflow.domain import events as e
from orderflow.domain.aftercare import shown_in_words
from orderflow.domain.machine import Verdict
from orderflow.domain.order import Order
from orderflow.domain.refunds import elsewhere, slot_of
from orderflow.domain.returns import ReturnState, judge_return

_KIND = 200
"""Characters; several of a kind at one position are told apart by the id within it."""


def after_the_sale(before: Order, after: Order, event: e.Event) -> Iterator[tuple[str, str]]:
    """Kind and detail of each anomaly in one step."""
    match event:
        case e.ReturnReported(return_id=return_id, step=step):
            state = next((one.state for one in before.returns if one.return_id == return_id), ReturnState.NEW)
            verdict = judge_return(state, step)
            if verdict in (Verdict.LEAP, Verdict.CONFLICT):
                yield f"return_{verdict}", f"return {return_id or '(no id)'} {step} was reported while it was {state}"
        case e.DetailsFetched() if event.aftersale is not None:
            yield from _returns(before, after, event)
            yield from _refunds(before, after)
        case e.EffectDelivered(effect=e.Effect.REFUND, generation=generation):
            for line in before.refunds:
                if generation in line.generations and (line.outcome == "not made" or line.settled):
                    said = "made" if line.outcome == "delivered" else line.outcome
                    yield "refund_after_all", f"refund {line.refund} was settled as {said}; Glopal's reply came later"
        case _:
            return


def _returns(before: Order, after: Order, event: e.DetailsFetched) -> Iterator[tuple[str, str]]:
    """Details that show what no return may do are followed, and told."""
    assert event.aftersale is not None
    held = {one.return_id: one.state for one in before.returns}
    reached = {one.return_id: one.state for one in after.returns}
    for one in event.aftersale.returns:
        state = held.get(one.return_id, ReturnState.NEW)
        if not one.steps:
            yield (
                f"unnamed_return_status {one.return_id}"[:_KIND],
                f"details say {one.said!r} of return {one.return_id}",
            )
        elif judge_return(state, one.steps[-1]) is Verdict.CONFLICT and reached.get(one.return_id) is not state:
            text = f"details say {one.steps[-1]} of return {one.return_id}, which was {state}"
            yield f"return_overruled {one.return_id}"[:_KIND], text


def _refunds(before: Order, after: Order) -> Iterator[tuple[str, str]]:
    """New ones that none of ours explains, nor might explain: an unknown one of ours is a person's to judge."""
    if after.shown == before.shown:
        return
    known = {one.refund.refund_id for one in before.shown}
    open_ = any(slot is not None for slot in (slot_of(after, line) for line in after.refunds))
    for one in elsewhere(after):
        if one.refund.refund_id not in known:
            maybe = "; a refund of ours is under way" if open_ else ""
            yield f"refunded_elsewhere {one.refund.refund_id}"[:_KIND], f"Glopal shows {shown_in_words(one)}{maybe}"
