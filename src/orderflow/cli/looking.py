"""What happened to one order, and what was known of it when: `orderflow orders timeline` and `as-of`.

They never change anything, and fold the log itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow import codec
from orderflow.cli import means
from orderflow.cli.card import due, standing
from orderflow.cli.finding import AnyOrder, Place, find
from orderflow.cli.means import Failure
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy, held
from orderflow.projections import Step
from orderflow.projections.anomalies import found_in
from orderflow.projections.timeline import summary
from orderflow.store import log


def timeline(ctx: typer.Context, order: AnyOrder, *, as_json: means.AsJson = False) -> None:
    """Show everything that happened to one order, in the order we learnt it, with what did not go by the book."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        lines = _lines(conn, find(app, conn, order, by_shop=True))
    if as_json:
        means.print_json(lines)
        return
    table = Table(box=None)
    for name in ("recorded (UTC)", "position", "event", "what", "status"):
        table.add_column(name, justify="right" if name == "position" else "left", overflow="fold")
    for line in lines:
        at = f"{line['recorded_at']:%m-%d %H:%M:%S.%f}"[:-3]
        late = _late(line["occurred_at"], line["recorded_at"])
        table.add_row(at, str(line["position"]), line["type"], line["what"] + late, line["status"])
        for text in line["anomalies"]:
            table.add_row("", "", "", f"! {text}", "", style="yellow")
    means.show(table)


_LATE: Final = 60
"""Seconds after its own time from which an event's coming is worth a word."""


def _late(occurred: datetime | None, recorded: datetime) -> str:
    if occurred is None or (recorded - occurred).total_seconds() < _LATE:
        return ""
    return f" (happened {means.span(recorded - occurred)} before)"


def _lines(conn: sa.Connection, place: Place) -> list[dict[str, Any]]:
    lines, before = [], Order()
    for record in log.read_stream(conn, place.store, place.order_id):
        recorded = codec.decode(record)
        after = evolve(before, recorded)
        step = Step(record, recorded.event, before, after)
        lines.append(
            {
                "position": record.position,
                "version": record.version,
                "recorded_at": record.recorded_at,
                "occurred_at": record.occurred_at,
                "type": record.type,
                "source": record.source,
                "source_id": record.source_id,
                "what": summary(recorded.event),
                "status": after.status.value,
                "anomalies": [f"{kind}: {detail}" for kind, detail in found_in(step)],
            }
        )
        before = after
    return lines


# --- as of ----------------------------------------------------------------------------------------------------------


def as_of(
    ctx: typer.Context,
    time: Annotated[str, typer.Argument(help="As in 2026-11-21T14:00, UTC unless it says otherwise.", metavar="TIME")],
    order: AnyOrder,
    *,
    as_json: means.AsJson = False,
) -> None:
    """Show one order as it was known at a time: what was recorded by then, and nothing that came later."""
    moment = time_of("TIME", time)
    with means.opened(ctx) as app, app.engine.connect() as conn:
        place = find(app, conn, order, by_shop=True)
        found = _known(conn, place, moment, app.policy(place.store))
    if as_json:
        means.print_json(found)
        return
    if found["version"] == 0:
        means.say(f"{place} was not known yet at {means.moment(moment)} UTC; it was first recorded {found['later'][0]}")
        return
    means.say(f"{place} as known at {means.moment(moment)} UTC, from {found['version']} of {found['events']} events")
    for name, text in _past(found):
        means.say(f"  {name:9} {text}")


def _known(conn: sa.Connection, place: Place, moment: datetime, policy: StorePolicy) -> dict[str, Any]:
    """The fold of the prefix by recorded time: the log's times never decrease, so it is a prefix."""
    records = log.read_stream(conn, place.store, place.order_id)
    known = [record for record in records if record.recorded_at <= moment]
    order = fold(map(codec.decode, known))
    return {
        "store": place.store,
        "order_id": place.order_id,
        "as_of": moment,
        "events": len(records),
        **standing(order, policy),
        "holds": [{"reason": h.reason, "position": h.position, "detail": h.detail} for h in held(order, policy)],
        "due": due(order, policy),
        "last": summary(codec.decode(known[-1]).event) if known else None,
        "later": [
            f"{means.moment(r.recorded_at)} UTC: {summary(codec.decode(r).event)}" for r in records[len(known) :]
        ],
    }


def _past(found: dict[str, Any]) -> list[tuple[str, str]]:
    sure = "confirmed by details" if found["confirmed"] else "not confirmed by details"
    since = f" since {means.moment(found['status_since'])}" if found["status_since"] else ""
    return [
        ("status", f"{found['status']}{since}; {sure}"),
        *(("shop", f"{shop['id']}, number {shop['number']}: {shop['state']}") for shop in found["shop_orders"]),
        *(("held", f"{hold['reason']} at position {hold['position']}: {hold['detail']}") for hold in found["holds"]),
        *(("due", f"{one['effect']} from {means.moment(one['not_before'])}") for one in found["due"]),
        ("last news", found["last"]),
        *([("next came", found["later"][0])] if found["later"] else []),
    ]


def time_of(name: str, text: str) -> datetime:
    """The time in `text`, which was given as `name`; UTC unless it says otherwise. Raises `Failure`."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(
            f"{name}: {text!r} is no time; write it as in 2026-11-21T14:00 or 2026-11-21T14:00:05+09:00"
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
