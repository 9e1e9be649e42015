"""`orderflow map`: what a store's mapping makes of one order, as a dry run.

It records nothing and sends nothing to the shop; personal values are shown as what they are, not what they say.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from orderflow import app as composition
from orderflow import config
from orderflow.app import App
from orderflow.cli import exits, means
from orderflow.cli.finding import Place, find
from orderflow.cli.means import Failure
from orderflow.cli.stored_details import newest_details
from orderflow.connectors import FreezeError, Task
from orderflow.domain.events import Effect
from orderflow.glopal.coverage import Coverage, coverage
from orderflow.glopal.jsontext import Json, money, parse, token
from orderflow.glopal.mapping import Mapping, mapping_from
from orderflow.glopal.reading import Field
from orderflow.glopal.replies import Reply
from orderflow.projections.timeline import after_in_words

_LARGEST: Final = 8 * 1024 * 1024  # bytes
_PERSONAL: Final = frozenset(
    {
        "customer",
        "billing_address",
        "shipping_address",
        "shipping_address_romanised",
        "note",
        "internal_note",
        "payment",
        "cart",
    }
)
"""Members of a shop request that may hold what a buyer wrote."""


@dataclass(frozen=True, slots=True)
class _Body:
    """Details from somewhere, and what they go through."""

    store: str
    order_id: str | None
    source: str
    mapping: Mapping
    mapping_file: str
    base_currency: str | None
    settings: config.StoreSettings
    raw: bytes = field(repr=False)


def map_(
    ctx: typer.Context,
    order: Annotated[
        str | None, typer.Argument(help="Glopal's order id or STORE/ORDER; not needed with --file.", metavar="[ORDER]")
    ] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read the details from this file, not from the log.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask Glopal now; the answer is not recorded.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="Try this mapping file, not the store's.")] = None,
    store: means.InStore = None,
    personal: Annotated[bool, typer.Option("--personal", help="Show personal values as they are.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Show what the mapping makes of one order's details, field by field, and the shop request that comes of it.

    Nothing is recorded or sent. Exit code 1 if no shop order can be made.
    """
    if file is not None:
        if fetch:
            raise Failure("--file and --fetch: give one of them")
        body = _from_file(ctx, file, order, store, mapping)
    elif order is None:
        raise Failure("ORDER: name an order, or a file with --file")
    else:
        body = _from_order(ctx, order, store, mapping, fetch=fetch)
    found = coverage(body.raw, body.mapping, body.order_id, body.base_currency)
    told = _told(body, found, personal=personal)
    if as_json:
        means.print_json(told)
    else:
        _print(told)
    if not told["fit"]:
        raise typer.Exit(means.REFUSED)


# ---- where the details come from -----------------------------------------------------------------------------------


def _from_file(ctx: typer.Context, file: Path, order: str | None, store: str | None, mapping: Path | None) -> _Body:
    stores = means.settings(ctx).stores
    named, slash, order_id = (order or "").partition("/")
    name = store or (named if slash else None) or (next(iter(stores)) if len(stores) == 1 else None)
    if name is None:
        raise Failure(f"--store: name one of {', '.join(sorted(stores))}")
    name = means.one_of("store", name, sorted(stores))
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except OSError as error:
        raise Failure(f"--file: {file} cannot be read ({error.strerror})") from None
    if len(raw) > _LARGEST:
        raise Failure(f"--file: {file} is larger than {_LARGEST // 1024 // 1024} MiB")
    return _body(name, order_id if slash else order, f"file {file}", raw, stores[name], mapping)


def _from_order(ctx: typer.Context, order: str, store: str | None, mapping: Path | None, *, fetch: bool) -> _Body:
    settings = means.settings(ctx)
    with means.opened(ctx) as app, app.engine.connect() as conn:
        if fetch and "/" in order:  # an order that Glopal knows and the log does not
            place = Place(means.known_store(app, order.partition("/")[0]), order.partition("/")[2])
        else:
            place = find(app, conn, f"{means.known_store(app, store)}/{order}" if store else order, by_shop=True)
        if fetch:
            source, raw = "asked Glopal now, not recorded", _fetched(app, place)
        else:
            stored = newest_details(conn, app, place)
            if stored is None:
                raise Failure(f"there are no details of order {place} yet; --fetch asks Glopal now", means.REFUSED)
            source = f"recorded at position {stored.position}, {means.moment(stored.recorded_at)} UTC"
            raw = stored.body
    return _body(place.store, place.order_id, source, raw, settings.stores[place.store], mapping)


def _fetched(app: App, place: Place) -> bytes:
    reply = app.feeds[place.store].client.order(place.order_id)
    if not isinstance(reply, Reply):
        raise Failure(f"Glopal did not answer: {reply.reason}", exits.OUT_OF_REACH)
    if reply.status != 200:
        raise Failure(f"Glopal answered {reply.summary}", means.REFUSED)
    return reply.body


def _body(
    name: str, order_id: str | None, source: str, raw: bytes, store: config.StoreSettings, path: Path | None
) -> _Body:
    base = config.policy(store).base_currency
    if path is None:
        chosen, file = composition.mapping_of(name, store), str(store.glopal.mapping or "the defaults")
        return _Body(name, order_id, source, chosen, file, base, store, raw)
    try:
        return _Body(name, order_id, source, mapping_from(config.table(path)), str(path), base, store, raw)
    except ValueError as error:
        raise Failure(f"--mapping: {error}") from None


# ---- what is told of them ------------------------------------------------------------------------------------------


def _told(body: _Body, found: Coverage, *, personal: bool) -> dict[str, Any]:
    """Everything as plain data, masked unless `personal`."""
    request, problem = (None, found.problem) if found.order is None else _request(body, found)
    if request is not None and not personal:
        request["body"] = _without_buyer(request["body"], body.settings.shop.kind)
    return {
        "store": body.store,
        "order_id": body.order_id,
        "source": body.source,
        "mapping": body.mapping_file,
        "fit": request is not None and found.money is None,
        "problem": problem,
        "unmapped": found.unmapped,
        "fields": [_field(one, personal=personal) for one in found.fields],
        "total": None if found.order is None else f"{money(found.order.total)} {found.order.currency}",
        "money": found.money,
        "left_over": found.left_over,
        "after_the_sale": after_in_words(found.after).removeprefix(", "),
        "request": request,
    }


def _field(one: Field, *, personal: bool) -> dict[str, Any]:
    state = "found"
    if one.value is None:
        state = "wrong" if one.problem else "not there" if one.place else "not mapped"
    value = None if one.value is None else one.value if personal or not one.personal else _mask(one.value)
    return {
        "name": one.name,
        "place": one.place,
        "state": state,
        "value": _plain(value),
        "problem": one.problem,
        "blocks": one.blocks,
    }


def _request(body: _Body, found: Coverage) -> tuple[dict[str, Any] | None, str | None]:
    """The request as the shop would get it, or why there is none."""
    order_id = body.order_id or _own_id(body.raw)
    reference = f"glopal:{body.store}:{order_id}"
    task = Task(Effect.DRAFT, body.store, order_id, reference, details=body.raw, base=found.base)
    try:
        frozen = parse(composition.rehearsal(body.store, body.settings, body.mapping).freeze(task))
    except FreezeError as error:
        return None, str(error)
    assert isinstance(frozen, Dict)  # a connector froze it
    if "target" not in frozen:  # a shop where one draft takes several calls
        return {"method": "several", "target": "calls", "body": frozen}, None
    content = parse(str(frozen["body"]).encode())
    return {"method": frozen["method"], "target": frozen["target"], "body": content}, None


def _own_id(raw: bytes) -> str:
    details = parse(raw)
    assert isinstance(details, Dict)  # a shop order was read from it
    return str(details["id"])


def _without_buyer(body: Dict[str, Json], kind: config.ShopKind) -> Json:
    """The request's shape. What its members say is shown only where it is known which of them are personal."""
    if kind is not config.ShopKind.CONTRACT:
        return _mask_each(body)
    return {name: _mask_each(value) if name in _PERSONAL else value for name, value in body.items()}


def _mask_each(value: Json) -> Json:
    """The same shape, without what it says."""
    if isinstance(value, Dict):
        return {token(name) or "(an odd name)": _mask_each(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_mask_each(member) for member in value]
    return None if value is None else _mask(value)


def _mask(value: Json) -> str:
    """What kind of value it is, and how long."""
    if isinstance(value, str):
        return f"text, {len(value)} character{'' if len(value) == 1 else 's'}"
    if isinstance(value, Dict):
        return f"object with {', '.join(token(name) or '(an odd name)' for name in value) or 'nothing'}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return "true or false" if isinstance(value, bool) else "number"


def _plain(value: Json) -> Any:
    return money(value) if isinstance(value, Decimal) else value


# ---- for people ----------------------------------------------------------------------------------------------------


def _print(told: dict[str, Any]) -> None:
    of = f"order {told['order_id']} of {told['store']}" if told["order_id"] else f"an order of {told['store']}"
    means.say(f"{of}: details {told['source']}; mapping: {told['mapping']}")
    if told["fields"]:
        means.console().print(_table(told["fields"]))
    if told["after_the_sale"]:
        means.say(f"\nafter the sale: {told['after_the_sale']}")
    if told["left_over"]:
        means.say(f"\nleft over, no place reads them: {', '.join(told['left_over'])}")
    if told["total"]:
        means.say(f"\n✗ {told['money']}" if told["money"] else f"\n✓ the money adds up to {told['total']}")
    if told["request"]:
        means.say(f"\nThe shop request: {told['request']['method']} {told['request']['target']}")
        means.print_json(told["request"]["body"])
    means.say(_verdict(told))


def _table(fields: list[dict[str, Any]]) -> Table:
    table = Table(box=None)
    for name in ("", "field", "found", "at"):
        table.add_column(name, overflow="fold")
    for one in fields:
        sign = "✗" if one["blocks"] else "!" if one["problem"] else "✓" if one["state"] == "found" else ""
        found = str(one["value"]) if one["state"] == "found" else one["problem"] or _ABSENT[one["state"]]
        table.add_row(sign, one["name"], found, one["place"])
    return table


_ABSENT: Final = {"not there": "not mapped: nothing is there", "not mapped": "not mapped: no place is named"}


def _verdict(told: dict[str, Any]) -> str:
    if told["fit"]:
        return "✓ a shop order can be made"
    if told["problem"]:
        return f"✗ no shop order can be made: {told['problem']}"
    if told["unmapped"]:
        return f"✗ no shop order can be made; not mapped: {', '.join(told['unmapped'])}"
    return "✗ no shop order is made while the money does not add up"
