"""`orderflow reconcile`: compare orders with Glopal's and the shop's, now.

It only asks. What differs is recorded as one fact of the order, and waits for a person.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.advice import command_lines
from orderflow.cli.checking import bar
from orderflow.cli.finding import find
from orderflow.cli.means import Failure
from orderflow.cli.rates import seconds_of
from orderflow.desk.reconcile import Report
from orderflow.desk.reconcile import reconcile as compared
from orderflow.domain.attention import attention
from orderflow.domain.events import Drift
from orderflow.orders import load
from orderflow.store import rounds
from orderflow.store.bell import Topic
from orderflow.store.link import hint


def reconcile(
    ctx: typer.Context,
    store: means.Store,
    orders: Annotated[list[str] | None, typer.Argument(help="Glopal's order ids.", metavar="[ORDER]...")] = None,
    *,
    all_open: Annotated[
        bool, typer.Option("--all-open", help="Every order that is not completed or cancelled.")
    ] = False,
    rate: Annotated[str, typer.Option("--rate", help="So many orders at most, as in 5/s.", metavar="N/s")] = "5/s",
    as_json: means.AsJson = False,
) -> None:
    """Compare orders three ways: as Glopal shows them, as they stand here, as the shop shows them.

    Nothing is changed at Glopal or in the shop. Exit code 1 if anything differs, or could not be compared.
    """
    if bool(orders) is all_open:
        raise Failure("name orders, or say --all-open")
    seconds = seconds_of(rate)
    with means.acting(ctx) as app:
        name = means.known_store(app, store)
        chosen = _all(app, name) if all_open else [_order(app, name, one) for one in orders or ()]
        reports = list(_reports(app, name, chosen, seconds))
        helps = {
            one.order_id: _helps(app, name, one.order_id, means.means(ctx).command) for one in reports if one.drifts
        }
    if as_json:
        means.print_json([_plain(one, helps) for one in reports])
    else:
        for line in _lines(name, reports, helps):
            means.say(line)
    if any(one.drifts or one.problem for one in reports):
        raise typer.Exit(means.REFUSED)


def _order(app: App, store: str, wanted: str) -> str:
    with app.engine.connect() as conn:
        place = find(app, conn, wanted if "/" in wanted else f"{store}/{wanted}")
    if place.store != store:
        raise Failure(f"ORDER: {place} is not of {store}")
    return place.order_id


def _all(app: App, store: str) -> list[str]:
    with app.engine.connect() as conn:
        return rounds.open_orders(conn, store)


def _reports(app: App, store: str, chosen: list[str], seconds: float) -> Iterator[Report]:
    """Order after order, begun at least `seconds` apart."""
    relay = app.relay()
    with bar() as shown:
        task = shown.add_task(f"orders of {store}", total=len(chosen))
        for number, order_id in enumerate(chosen):
            began = time.monotonic()
            yield compared(relay, store, order_id)
            hint(app.engine, Topic.FACTS)
            shown.advance(task)
            if number + 1 < len(chosen):
                time.sleep(max(0.0, seconds - (time.monotonic() - began)))


def _helps(app: App, store: str, order_id: str, command: str) -> list[str]:
    with app.engine.connect() as conn:
        found = attention(load(conn, store, order_id), app.policy(store))
    drifting = (one for one in found if one.kind.startswith("drift_"))
    return list(dict.fromkeys(line for one in drifting for line in command_lines(one, store, order_id, command)))


def _plain(one: Report, helps: dict[str, list[str]]) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(one)
    return told | {"commands": helps.get(one.order_id, [])}


def _lines(store: str, reports: list[Report], helps: dict[str, list[str]]) -> Iterator[str]:
    drifting = sum(bool(one.drifts) for one in reports)
    not_compared = sum(bool(one.problem) for one in reports)
    more = f", {not_compared} could not be compared in full" if not_compared else ""
    yield f"{store}: {len(reports)} order{'' if len(reports) == 1 else 's'} asked about, {drifting} differ{more}"
    for one in reports:
        if one.followed:
            yield f"  {one.order_id}: {one.followed}, told by no event; it is followed"
        for drift in one.drifts:
            yield f"  {one.order_id}: {_told(drift)}"
        if one.problem:
            yield f"  {one.order_id}: {one.problem}"
        for line in helps.get(one.order_id, ()):
            yield f"    {line}"


def _told(drift: Drift) -> str:
    return f"{drift.kind}: here {drift.ours}, {drift.place} shows {drift.theirs}"
