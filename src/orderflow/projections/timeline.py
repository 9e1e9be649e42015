"""Read model `timeline`: one readable line per event of an order.

It never shows bodies; a line is made of what stands in clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import sqlalchemy as sa

from orderflow.domain import events as e
from orderflow.domain.aftersale import AfterSale
from orderflow.domain.policy import StorePolicy
from orderflow.projections.rows import insert
from orderflow.projections.steps import Step
from orderflow.store.tables import timeline


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to an order, in the order we learnt it."""

    name: ClassVar[str] = "timeline"
    table: sa.Table = timeline

    def into(self, table: sa.Table) -> Timeline:
        """With its rows in `table`."""
        return replace(self, table=table)

    def apply(self, conn: sa.Connection, store: str, steps: Sequence[Step], policy: StorePolicy) -> None:
        """A line for each step."""
        del policy
        rows = [
            {
                "store": store,
                "position": step.record.position,
                "order_id": step.record.order_id,
                "version": step.record.version,
                "recorded_at": step.record.recorded_at,
                "occurred_at": step.record.occurred_at,
                "type": step.record.type,
                "summary": summary(step.event),
                "status": step.after.status.value,
            }
            for step in steps
        ]
        insert(conn, self.table, rows)


def summary(event: e.Event) -> str:
    """One sentence about `event`."""
    match event:
        case e.Reported(report=report):
            return f"Glopal reports {report}"
        case e.ReturnReported(return_id=return_id, step=step):
            return f"Glopal reports return {return_id or '(no id)'} {step}"
        case e.DetailsFetched(said=said, external=external, currency=currency, total=total):
            ids = f", accepted as {external}" if external else ""
            money = f"{total} {currency}" if total is not None else "no total"
            return f"details say {said}, {money}{ids}{after_in_words(event.aftersale)}"
        case e.Malformed(problem=problem):
            return f"unreadable: {problem}"
        case e.EvidenceFound(source_id=source_id):
            return f"event {source_id} came again with other contents"
        case e.Unrecognised(name=name):
            return f"unrecognised: {name}"
        case e.LookedUp(effect=effect, found=found):
            seen = ", ".join(f"{s.shop_id} ({s.state})" for s in found) or "nothing"
            return f"looked up for {effect}: {seen}"
        case e.EffectIntended(effect=effect, attempt=attempt, target=target):
            at = "" if event.rate is None else f" ({event.total} {event.currency}, rate {event.rate})"
            return f"{effect}{' of ' + target if target else ''}: intended, attempt {attempt}{at}"
        case e.EffectDelivered(effect=effect, sighting=sighting, receipt=receipt):
            seen = f", {sighting.shop_id} is now {sighting.state}" if sighting else ""
            return f"{effect}: done{seen}" + (f", at Glopal {receipt}" if receipt else "")
        case e.RefundQuoted(quote=quote, merchant=merchant, glopal=glopal, currency=currency):
            return f"quote {quote}: the merchant would bear {merchant}, Glopal {glopal} {currency}"
        case e.EffectNotExecuted(effect=effect, reason=reason, retry_in=retry_in):
            return f"{effect}: not executed ({reason}), again in {retry_in:.0f} s"
        case e.EffectUnknown(effect=effect, reason=reason):
            return f"{effect}: outcome unknown ({reason})"
        case e.EffectRefused(effect=effect, reason=reason):
            return f"{effect}: refused ({reason})"
        case e.EffectExhausted(effect=effect, reason=reason):
            return f"{effect}: given up ({reason})"
        case e.EffectClosed(effect=effect, reason=reason):
            return f"{effect}: closed ({reason})"
        case e.Reconciled(drifts=drifts):
            told = "; ".join(f"{one.kind} ({one.ours} / {one.theirs})" for one in drifts)
            return f"reconciled: {told or 'all agrees again'}"
        case _:
            return _decision(event)


def after_in_words(after: AfterSale | None) -> str:
    """What details show beyond the sale, in a few words."""
    if after is None:
        return ""
    found = []
    if after.ending is not None:
        why = f" ({after.ending.reason})" if after.ending.reason else ""
        found.append(f"cancelled by {after.ending.by or 'nobody named'}{why}")
    found += [f"refund {one.refund_id}{f' by {one.by}' if one.by else ''}" for one in after.refunds[:_TOLD]]
    found += [f"return {one.return_id} {one.said}" for one in after.returns[:_TOLD]]
    return "".join(f", {text}" for text in found)


_TOLD: Final = 5


def _decision(event: e.Event) -> str:
    match event:
        case e.AcceptRequested(ids=ids, by=by):
            return f"accept with {ids}, decided by {by}"
        case e.CancelRequested(reason=reason, by=by):
            return f"cancel ({reason}), decided by {by}"
        case (
            e.RefundRequested(amount=amount, currency=currency, by=by)
            | e.QuoteRequested(amount=amount, currency=currency, by=by)
        ):
            share = "" if event.glopal_amount is None else f", {event.glopal_amount} of it Glopal's"
            return f"{type(event).__name__} of {amount} {currency}{share}, decided by {by}"
        case e.RefundSettled(refund=refund, made=made, by=by, why=why):
            return f"refund {refund} was {'made' if made else 'not made'}, says {by}: {why}"
        case e.OrderReleased(reason=reason, position=position, by=by):
            return f"released from {reason} at {position} by {by}"
        case e.RetryRequested(effect=effect, by=by, plan=plan):
            return f"retry of {effect} asked for by {by}" + (f", redrive {plan}" if plan else "")
        case e.ExceptionAssigned(kind=kind, owner=owner, by=by):
            return f"exception {kind} given to {owner} by {by}"
        case e.ExceptionDismissed(kind=kind, by=by):
            return f"exception {kind} dismissed by {by}"
        case e.NoteAdded(by=by):
            return f"note by {by}"
        case e.BuyerErased(by=by):
            return f"personal data erased by {by}"
        case _:
            return type(event).__name__
