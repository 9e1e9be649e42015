"""The command that erases: an order's personal data, a buyer's, or once more what a register says was erased.

It never says what a buyer was looked for by, and erases nothing without being told `--yes`.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from orderflow import erasure
from orderflow.app import App, Erasures
from orderflow.cli import means
from orderflow.cli.checking import bar
from orderflow.cli.finding import Place, find
from orderflow.cli.means import Failure, InStore
from orderflow.erasure import OpenIntentError, buyers, receipts

_NO_REGISTER: Final = (
    "erasures is not set: name a file that is kept away from the database, and a signing key as seal.key; "
    "docs/how-to/erase-a-buyer.md"
)


def erase(  # noqa: PLR0913  each is an option of the command line
    ctx: typer.Context,
    orders: Annotated[
        list[str] | None, typer.Argument(help="Glopal's order ids, or STORE/ORDER.", metavar="[ORDER]...")
    ] = None,
    *,
    buyer: Annotated[
        str | None,
        typer.Option(help="Orders in which a text is exactly this, such as an e-mail address; - reads it from stdin."),
    ] = None,
    store: InStore = None,
    reapply: Annotated[
        Path | None, typer.Option(help="Erase once more what this register names, after a restore.", metavar="FILE")
    ] = None,
    why: Annotated[str, typer.Option(help="The reason; it stands in the history, so name no person.")] = "",
    by: means.By = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it, only say what would be erased.")] = False,
    as_json: means.AsJson = False,
) -> None:
    """Destroy the keys that seal the personal data of orders. It cannot be undone.

    Log, hash chain, money and statistics stay valid. A signed receipt is written first. An order with a call under way
    is left alone, with exit code 1: erase it once that has ended.
    """
    if sum(map(bool, (orders, buyer is not None, reapply is not None))) != 1:
        raise Failure("say what to erase: orders, --buyer, or --reapply")
    with (means.acting if yes else means.opened)(ctx) as app:
        if app.erasures is None:
            raise Failure(_NO_REGISTER)
        if reapply is not None:
            found = _reapplied(app, app.erasures, reapply, yes=yes)
        else:
            places, unreadable = _meant(app, orders, buyer, store)
            found = {"orders": [f"{place}" for place in places], "unreadable": unreadable, "erased": [], "open": []}
            if yes and places:
                found |= _erased(app, app.erasures, places, by or means.user(), why)
    if as_json:
        means.print_json(found | {"done": yes})
    else:
        _tell(found, yes=yes)
    if found.get("open"):
        raise typer.Exit(means.REFUSED)


def _meant(app: App, orders: list[str] | None, buyer: str | None, store: str | None) -> tuple[list[Place], int]:
    """The orders to be erased, and how many bodies could not be looked through."""
    if buyer is None:
        with app.engine.connect() as conn:
            return list(dict.fromkeys(find(app, conn, one) for one in orders or ())), 0
    wanted = sys.stdin.readline() if buyer == "-" else buyer
    if not buyers.folded(wanted):
        raise Failure("--buyer: there is nothing to look for")
    places, unreadable = [], 0
    with bar() as shown, app.engine.connect() as conn:
        for name in means.stores(app, store):
            task = shown.add_task(f"orders of {name}", total=None)
            for looked in buyers.orders_of(conn, app.vault, name, wanted):
                places += [Place(name, order_id) for order_id in looked.found]
                unreadable += looked.unreadable
                shown.advance(task, looked.orders)
    return places, unreadable


def _erased(app: App, register: Erasures, places: list[Place], by: str, why: str) -> dict[str, Any]:
    """Erase order by order; one that has a call under way does not hinder the others."""
    if not why.strip() or not why.isprintable():
        raise Failure("--why must be plain text, and not empty")
    asked, write = erasure.request(by, why.strip()), partial(receipts.write, register.path, register.signer)
    done: list[dict[str, Any]] = []
    open_: list[str] = []
    for place in places:
        try:
            receipt = erasure.erase(app.engine, app.vault, write, place.store, place.order_id, asked)
        except OpenIntentError as error:
            open_.append(str(error))
            continue
        done.append({"order": f"{place}", "keys": 0 if receipt is None else len(receipt.keys)})
    return {"receipt": str(asked.receipt), "erased": done, "open": open_}


def _reapplied(app: App, register: Erasures, path: Path, *, yes: bool) -> dict[str, Any]:
    known = list(receipts.read(path, register.trusted))
    back = erasure.returned(app.engine, app.vault, known)
    found: dict[str, Any] = {"receipts": len(known), "orders": [f"{one.store}/{one.order_id}" for one in back]}
    return found | ({"destroyed": erasure.reapply(app.engine, app.vault, known)} if yes else {})


def _tell(found: dict[str, Any], *, yes: bool) -> None:
    if "receipts" in found:
        means.say(f"{found['receipts']} receipts; {len(found['orders'])} of them name keys that are alive")
        if yes:
            means.say(f"{found['destroyed']} keys were destroyed again")
    elif not found["orders"]:
        means.say("no order was found")
    elif not yes:
        means.say(f"would be erased for good: {', '.join(found['orders'])}")
    for one in found.get("erased", ()):
        told = f"{one['keys']} keys destroyed" if one["keys"] else "nothing was left to erase"
        means.say(f"{one['order']}: {told}")
    for one in found.get("open", ()):
        means.complain(one)
    if found.get("unreadable"):
        means.say(f"{found['unreadable']} sealed bodies could not be looked through: erased before, or damaged")
    if found.get("receipt") and found["erased"]:
        means.say(f"receipt {found['receipt']} is in the register")
    if not yes and found["orders"]:
        means.say("nothing was erased yet; --yes does it")
