"""`orderflow exceptions`: what waits for people, the oldest first; giving one to somebody, and dismissing it.

It never decides what is an exception, and mends none: the commands that it proposes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import uuid4

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.commanding import CommandId, Why
from orderflow.cli.finding import find
from orderflow.cli.freshness import warn
from orderflow.cli.headline import clock
from orderflow.cli.means import Failure, InStore, known_store, one_of, span
from orderflow.desk import deciding, stores
from orderflow.desk.deciding import Decider
from orderflow.desk.exceptions import Found, Id, Wanted, as_data, listed, read_id
from orderflow.domain.exceptions import Of, Owner
from orderflow.projections.exceptions import Exceptions
from orderflow.store.bell import Topic
from orderflow.store.link import hint

ID = Annotated[str, typer.Argument(help="The id as `exceptions list` shows it.", metavar="ID", show_default=False)]


def list_(
    ctx: typer.Context,
    *,
    store: InStore = None,
    of: Annotated[
        list[str] | None, typer.Option("--class", help="Only of this class; may be given several times.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help=f"Only those of one owner: {', '.join(Owner)}, or a name.")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.", metavar="ORDER")] = None,
    closed: Annotated[bool, typer.Option("--closed/--open", help="Those that are over, the newest first.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    as_json: means.AsJson = False,
) -> None:
    """List exceptions: what is wrong, since when, and on whose desk. The oldest stand first, a store's own before them.

    Each closes by itself, on the event that proves it over.
    """
    classes = [Of(one_of("class", name, [*Of])) for name in of or ()]
    with means.opened(ctx) as app, app.engine.connect() as conn:
        names, now = means.stores(app, store), means.wall_clock(conn)
        place = None if order is None else find(app, conn, order, by_shop=True)
        among = names if place is None else [place.store]
        wanted = Wanted(among, classes, owner, None if place is None else place.order_id, closed)
        found, count = listed(conn, wanted, now, limit)
        if place is None and not closed:
            own = [one for one in of_stores(conn, app, names, now) if _fits(one, wanted)]
            found, count = [*own, *found], count + len(own)
        warn(conn, app, among, means.means(ctx).command, reader=Exceptions.name)
    if as_json:
        means.print_json([as_data(one) for one in found])
        return
    if not found:
        means.say("no closed exceptions" if closed else "no exceptions: nothing waits for a person")
        return
    means.show(_closed(found, now) if closed else _open(found, now))
    more = f"; the first {len(found)} are shown, --limit shows more" if count > len(found) else ""
    state = "closed" if closed else "open"
    means.say(f"{count} {state} exception{'' if count == 1 else 's'}{more}")


def of_stores(conn: sa.Connection, app: App, names: Sequence[str], now: datetime) -> list[Found]:
    """The exceptions that concern whole stores."""
    return stores.standing(conn, {name: app.longest_silence(name) for name in names}, now)


def _fits(one: Found, wanted: Wanted) -> bool:
    return (not wanted.classes or one.of in wanted.classes) and wanted.owner in (None, one.owner)


def _open(found: Sequence[Found], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("id", "class", "age", "owner", "what"):
        table.add_column(name, overflow="fold")
    for one in found:
        style = {"critical": "red", "warning": "dim"}.get(one.severity)
        age = span(now - one.since)
        table.add_row(one.id, one.of, age, one.owner, one.text, style=style)
    return table


def _closed(found: Sequence[Found], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("id", "class", "lasted", "closed (UTC)", "by"):
        table.add_column(name, overflow="fold")
    for one in found:
        lasted = "" if one.closed_at is None else span(one.closed_at - one.since)
        at = "" if one.closed_at is None else clock(one.closed_at, now)
        table.add_row(one.id, one.of, lasted, at, _ended(one))
    return table


def _ended(one: Found) -> str:
    who = f" of {one.closed_by}" if one.closed_by else ""
    return f"{one.closed_type}{who}, position {one.closed_position}"


# --- deciding ---------------------------------------------------------------------------------------------------------


def assign(
    ctx: typer.Context,
    exception: ID,
    owner: Annotated[
        str, typer.Argument(help="A person or a team, by a name that may stand in the log.", metavar="WHO")
    ],
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Give an open exception to somebody. It stands in the order's history, with who decided it and why."""
    with means.acting(ctx) as app:
        wanted = known(app, exception)
        decider = _decider(by, why, command_id)
        whom = _plain("WHO", owner)
        done = deciding.assign(app.engine, app.vault, wanted, whom, app.policy(wanted.store), decider)
        if done.written:
            hint(app.engine, Topic.FACTS)
    _tell(wanted, f"given to {whom}", done.order.position, written=done.written, as_json=as_json)


def dismiss(
    ctx: typer.Context,
    exception: ID,
    *,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Close an exception by hand. It comes back only if it happens again; what it is about stays as it is."""
    with means.acting(ctx) as app:
        wanted = known(app, exception)
        decider = _decider(by, why, command_id)
        done = deciding.dismiss(app.engine, app.vault, wanted, app.policy(wanted.store), decider)
        if done.written:
            hint(app.engine, Topic.FACTS)
    _tell(wanted, "dismissed", done.order.position, written=done.written, as_json=as_json)


def _tell(wanted: Id, what: str, position: int, *, written: bool, as_json: bool) -> None:
    if as_json:
        means.print_json({"id": str(wanted), "written": written, "position": position if written else None})
    elif written:
        means.say(f"{wanted} is {what}; recorded at position {position}")
    else:
        means.say(f"nothing written: {wanted} was {what} before")


def known(app: App, exception: str) -> Id:
    """The id, of a store that there is. Raises `UnknownExceptionError`, `Failure`."""
    wanted = read_id(exception)
    known_store(app, wanted.store)
    return wanted


def _decider(by: str, why: str, command_id: str) -> Decider:
    return Decider(_plain("--by", by) if by else means.user(), _plain("--why", why), command_id or str(uuid4()))


_LONGEST: Final = 200


def _plain(name: str, text: str) -> str:
    plain = text.strip()
    if not plain or not plain.isprintable() or (name == "WHO" and len(plain) > _LONGEST):
        raise Failure(f"{name} must be plain text, and not empty")
    return plain
