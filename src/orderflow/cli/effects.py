"""`orderflow effects`: what was or is to be done to the world, over all orders, and every call that was made for it.

It never changes anything; `orderflow retry` does. What was sent and answered stays sealed unless it is asked for.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer
from rich.table import Table

from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.card import attempts_of
from orderflow.cli.finding import AnyOrder, Place, find
from orderflow.cli.freshness import warn
from orderflow.cli.headline import clock
from orderflow.cli.means import InStore, one_of
from orderflow.cli.prospects import kept_back, with_prospects
from orderflow.cli.requests import request_lines, requests_of
from orderflow.domain.events import Effect
from orderflow.store.tables import attempts, effects, outbox
from orderflow.store.vault import VaultError, key, unseal

STATES: Final = (
    *("planned", "parked", "intent", "unknown", "to be retried"),
    *("delivered", "refused", "exhausted", "closed"),
)
_KEY: Final = ("store", "order_id", "destination", "effect", "generation")

# An open row says more than the view, which knows intents and outcomes only.
_state = sa.case(
    (outbox.c.parked, "parked"),
    (sa.and_(outbox.c.state == "planned", outbox.c.attempt > 0), "to be retried"),
    (outbox.c.state.is_not(None), outbox.c.state),
    else_=effects.c.state,
)
_began = sa.func.coalesce(effects.c.first_intent_at, outbox.c.planned_at)
_both = effects.join(outbox, sa.and_(*(effects.c[name] == outbox.c[name] for name in _KEY)), full=True)
_query = sa.select(
    *(sa.func.coalesce(outbox.c[name], effects.c[name]).label(name) for name in (*_KEY, "target")),
    _state.label("state"),
    sa.func.coalesce(effects.c.attempts, 0).label("attempts"),
    sa.func.coalesce(effects.c.look_ups, 0).label("look_ups"),
    sa.func.coalesce(sa.func.nullif(outbox.c.reason, ""), effects.c.reason, "").label("reason"),
    _began.label("since"),
    outbox.c.next_at,
    sa.func.coalesce(outbox.c.failures, 0).label("failures"),
    effects.c.ended_at,
).select_from(_both)


def list_(
    ctx: typer.Context,
    *,
    store: InStore = None,
    effect: Annotated[str | None, typer.Option(help="Only this one, for example draft; fetch and reap, too.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only in this state: {', '.join(STATES)}.")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.", metavar="ORDER")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 50,
    as_json: means.AsJson = False,
) -> None:
    """List effects: those in the outbox, and what became of all others. Mere questions only if asked for.

    Of what is under way: the next try, and by when it is given up if every one fails. Then which destinations nobody
    calls now, why, and until when.
    """
    with means.opened(ctx) as app, app.engine.connect() as conn:
        names = means.stores(app, store)
        now = means.wall_clock(conn)
        listed = _query.subquery()
        wanted: list[sa.ColumnElement[bool]] = [listed.c.store.in_(names)]
        if effect is not None:
            wanted.append(listed.c.effect == one_of("effect", effect, [*Effect]))
        else:
            wanted.append(listed.c.effect.not_in([one.value for one in Effect if one.reads]))
        if state is not None:
            wanted.append(listed.c.state == one_of("state", state, STATES))
        if order is not None:
            place = find(app, conn, order, by_shop=True)
            wanted += [listed.c.store == place.store, listed.c.order_id == place.order_id]
        newest = sa.select(listed).where(*wanted).order_by(listed.c.since.desc().nulls_last(), *_keys(listed))
        found = [dict(row) for row in conn.execute(newest.limit(limit + 1)).mappings()]
        found = with_prospects(conn, app, found, now)
        kept = [(name, *one) for name in names for one in sorted(kept_back(conn, name, now).items())]
        warn(conn, app, names, means.means(ctx).command, reader="effects")
    if as_json:
        means.print_json(found[:limit])
        return
    if found:
        means.show(_table(found[:limit], now))
    means.say(f"more than {limit} effects; --limit shows more" if len(found) > limit else f"{len(found)} effects")
    for name, there, one in kept:
        resume = f"`{means.means(ctx).command} resume {name} {there}`"
        until = resume if one["until"] is None else clock(one["until"], now)
        means.say(f"nobody calls {there} of {name} until {until}: {one['why']}")


def _keys(listed: sa.Subquery) -> list[sa.ColumnElement[Any]]:
    return [listed.c[name] for name in _KEY]


def _table(rows: list[dict[str, Any]], now: Any) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("order", "effect", "state", "tries", "since (UTC)", "next try", "gives up by", "reason"):
        table.add_column(name, justify="right" if name == "tries" else "left", overflow="fold")
    for row in rows:
        style = "red" if row["state"] in ("refused", "exhausted") else None
        at = [clock(time, now) if time else "" for time in (row["since"], row["next_try"], row["gives_up_by"])]
        name = f"{row['effect']} {row['generation']}"
        tried = str(row["attempts"] or "")
        table.add_row(f"{row['store']}/{row['order_id']}", name, row["state"], tried, *at, row["reason"], style=style)
    return table


def show(
    ctx: typer.Context,
    order: AnyOrder,
    effect: Annotated[
        str | None, typer.Argument(help="One effect, for example draft; all without it.", metavar="[EFFECT]")
    ] = None,
    *,
    personal: Annotated[
        bool,
        typer.Option(
            "--personal", help="Unseal requests and replies, too: they may hold personal data. Says so on stderr."
        ),
    ] = False,
    as_json: means.AsJson = False,
) -> None:
    """Show every call that was made for an order, and the requests that stand frozen in its outbox.

    Of a call: when, what came back, and what was made of it. In shadow the requests are what would be sent.
    """
    chosen = None if effect is None else one_of("effect", effect, [*Effect])
    with means.opened(ctx) as app, app.engine.connect() as conn:
        place = find(app, conn, order, by_shop=True)
        now = means.wall_clock(conn)
        query = _query.where(
            sa.func.coalesce(outbox.c.store, effects.c.store) == place.store,
            sa.func.coalesce(outbox.c.order_id, effects.c.order_id) == place.order_id,
        )
        keys = [dict(row) for row in conn.execute(query).mappings() if chosen in (None, row["effect"])]
        keys = with_prospects(conn, app, keys, now)
        calls = attempts_of(conn, place, chosen, limit=1000)
        requests = requests_of(conn, app, place, chosen, personal=personal)
        if personal:
            _unsealed(app, conn, place, calls, len(requests))
    if as_json:
        told = {"effects": keys, "requests": requests, "attempts": calls}
        means.print_json({"store": place.store, "order_id": place.order_id, **told})
        return
    if keys:
        means.show(_table(sorted(keys, key=lambda row: (row["since"] is None, row["since"])), now))
        means.say("")
    for line in request_lines(requests):
        means.say(line)
    for call in reversed(calls):
        status = f" {call['status']}" if call["status"] else ""
        does = {"send": f"sent, attempt {call['attempt']}", "look_up": "looked up", "read": "asked"}[call["kind"]]
        means.say(f"{means.moment(call['started_at'])}  {call['effect']} {call['generation']}: {does}{status}")
        means.say(f"    {call['outcome']} ({call['milliseconds']:.0f} ms), so {call['decision']}; by {call['worker']}")
        if call.get("response") is not None:
            means.say(f"    {call['response']}")
    if not calls:
        means.say("no call was made yet")


def _unsealed(app: App, conn: sa.Connection, place: Place, calls: list[dict[str, Any]], requests: int) -> None:
    """Put the replies into `calls`. Whoever does so is named on stderr, where logs are kept."""
    query = sa.select(attempts.c.attempt_id, attempts.c.response, attempts.c.response_key).where(
        attempts.c.store == place.store, attempts.c.response_key.is_not(None)
    )
    count = 0
    for call in calls:
        row = conn.execute(query.where(attempts.c.attempt_id == call["attempt_id"])).one_or_none()
        if row is not None:
            try:
                data_key = key(conn, app.vault, place.store, place.order_id, row.response_key)
                plain = unseal(data_key, row.response, row.attempt_id, "response")
            except VaultError:
                call["response"] = "(erased, or sealed by a master key that is not in use)"
                continue
            call["response"] = plain.decode(errors="replace")
            count += 1
    unsealed = f"{requests} requests and {count} replies"
    means.complain(f"{means.user()} unsealed {unsealed} of order {place}: they may hold personal data")
