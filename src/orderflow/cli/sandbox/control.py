"""The sandbox's control: a small web app that makes orders at the fake Glopal live, and shows both ledgers.

It is for people and tests; the real Glopal and real shops have nothing like it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, cast, get_args

from orderflow.sandbox import KINDS, SWITCHES, App, Glopal, Request, Response, Shop
from orderflow.sandbox.glopal import Initiator, ReturnStatus
from orderflow.sandbox.glopal.switches import options, word
from orderflow.sandbox.stage import Stage
from orderflow.sandbox.wire import Json, decimal_of, json_object, json_response, segments

HELP: Final = """\
POST /STORE/place               a buyer orders; answers with the order id
POST /STORE/ORDER/ready         Glopal confirms order and payment
POST /STORE/ORDER/complete      Glopal finishes an accepted order
POST /STORE/ORDER/cancel        Glopal cancels
POST /STORE/ORDER/ship          the parcel left: no cancelling any more
POST /STORE/ORDER/elsewhere     somebody else accepts the order with other ids
POST /STORE/ORDER/report/NAME   an event that is not true, for example order.cancelled
POST /STORE/ORDER/refund/AMOUNT money goes back, by the Merchant Account; with /glopal or /lost_dispute: by those
POST /STORE/ORDER/return/STATUS a return goes on: REQUESTED, AUTHORIZED, CANCELLED, PENDING or DELIVERED
POST /STORE/ORDER/amend         the members in the body (a JSON object) change
POST /STORE/ORDER/serve/STATUS  every GET of this order answers so, with the body of this request
POST /STORE/ORDER/serve         ... and the truth again
POST /shop/SHOP_ORDER/fulfil    the goods leave the shop; also promote, cancel, delete: done by hand in the shop
POST /shop/SHOP_ORDER/lose      the shop knows it no more, whatever it was; /revive: a real order again
POST /shop/SHOP_ORDER/change    the members in the body change: total, currency, number, reference, items
POST /switches/NAME/SETTING     turn a switch; a space is %20
POST /faults/off                nothing goes wrong any more; /faults/on: again
GET  /switches                  all switches: as they are, and what they take
GET  /faults                    what went wrong so far, and all kinds
GET  /webhooks                  what was posted where it was asked for
GET  /ledger                    what truly happened, at Glopal and in the shop
"""


_INITIATORS: Final = ([], *([name] for name in get_args(Initiator)))


def control(stage: Stage) -> App:
    """The app that drives this stage."""

    def answer(request: Request) -> Response:
        try:
            return _answer(stage, request)
        except KeyError as error:
            return _text(409, f"there is nothing called {error}\n")
        except ValueError as error:
            return _text(409, f"{error}\n")

    return answer


def _answer(stage: Stage, request: Request) -> Response:
    if request.method == "GET":
        return _shown(stage, segments(request.path))
    if request.method != "POST":
        return _text(405, HELP)
    glopal, shop = stage.glopal, stage.shop
    match segments(request.path):
        case ["shop", order_id, "change"]:
            return _changed(shop, order_id, request.body)
        case ["shop", order_id, act]:
            return _done(_at_shop(shop).get(act), order_id)
        case ["switches", name, setting]:
            return _turn(glopal, name, setting)
        case ["faults", "on" | "off" as how]:
            for faults in stage.faults.values():
                (faults.start if how == "on" else faults.stop)()
            return _text(200, "done\n")
        case [store, "place"]:
            return _text(200, glopal.place(store) + "\n")
        case [store, order_id, *act]:
            return _at_order(glopal, store, order_id, act, request.body)
        case _:
            return _text(404, HELP)


def _at_order(glopal: Glopal, store: str, order_id: str, act: list[str], body: bytes) -> Response:
    match act:
        case ["elsewhere"]:
            glopal.accept_elsewhere(store, order_id, "elsewhere-1", "E-1")
        case ["report", name]:
            glopal.report(store, order_id, name)
        case ["return", status] if status in get_args(ReturnStatus):
            glopal.returned(store, order_id, cast("ReturnStatus", status), "1")
        case ["refund", amount, *by] if (money := decimal_of(amount)) is not None and by in _INITIATORS:
            glopal.refund(store, order_id, money, by=cast("Initiator", by[0] if by else "merchant"))
        case ["amend"]:
            if (members := json_object(body)) is None:
                return _text(400, "the body must be a JSON object\n")
            glopal.amend(store, order_id, **members)
        case ["serve", status] if status.isascii() and status.isdecimal() and 200 <= int(status) <= 599:
            glopal.serve_instead(store, order_id, body, int(status))
        case ["serve"]:
            glopal.serve_instead(store, order_id, None)
        case [name]:
            return _done(_at_glopal(glopal).get(name), store, order_id)
        case _:
            return _text(404, HELP)
    return _text(200, "done\n")


def _at_glopal(glopal: Glopal) -> dict[str, Callable[..., None]]:
    return {"ready": glopal.ready, "complete": glopal.complete, "cancel": glopal.cancel, "ship": glopal.ship}


def _at_shop(shop: Shop) -> dict[str, Callable[..., None]]:
    return {
        "fulfil": shop.fulfil,
        "promote": shop.promote_by_hand,
        "cancel": shop.cancel_by_hand,
        "delete": shop.delete_by_hand,
        "lose": shop.lose_by_hand,
        "revive": shop.revive_by_hand,
    }


_CHANGEABLE: Final = {"total", "currency", "number", "reference", "items"}


def _changed(shop: Shop, order_id: str, body: bytes) -> Response:
    members = json_object(body)
    if members is None or not members.keys() <= _CHANGEABLE:
        return _text(400, f"the body must be a JSON object of {', '.join(sorted(_CHANGEABLE))}\n")
    return _done(partial(shop.change_by_hand, **members), order_id)


def _done(act: Callable[..., None] | None, *whom: str) -> Response:
    if act is None:
        return _text(404, HELP)
    act(*whom)
    return _text(200, "done\n")


def _turn(glopal: Glopal, name: str, setting: str) -> Response:
    glopal.options = replace(glopal.options, **{name: getattr(options({name: setting}), name)})
    return _text(200, "done\n")


def _shown(stage: Stage, path: list[str]) -> Response:
    match path:
        case [""]:
            return _text(200, HELP)
        case ["ledger"]:
            return json_response(200, _ledger(stage.glopal, stage.shop))
        case ["switches"]:
            return json_response(200, _switches(stage.glopal))
        case ["faults"]:
            counts: Json = {
                place: {kind: many for kind, many in faults.counts.items()}  # noqa: C416  dict() would narrow the values
                for place, faults in stage.faults.items()
            }
            return json_response(200, {"so_far": counts, "kinds": cast("Json", KINDS)})
        case ["webhooks"]:
            attempts: Json = [
                {"event_id": one.event_id, "attempt": one.number, "status": one.status}
                for one in (stage.hooks.attempts if stage.hooks else ())
            ]
            return json_response(200, {"attempts": attempts})
        case _:
            return _text(404, HELP)


def _switches(glopal: Glopal) -> Json:
    now = glopal.options
    return {
        name: {"now": word(getattr(now, name)), "settings": [word(one) for one in settings]}
        for name, settings in SWITCHES.items()
    }


def _ledger(glopal: Glopal, shop: Shop) -> Json:
    return {
        "glopal": [
            {
                "store": entry.store,
                "order_id": entry.order_id,
                "status": entry.status,
                "ids": list(entry.ids) if entry.ids else None,
                "accepts": len(entry.accepts),
                "cancels": len(entry.cancels),
                "refunds": [{"amount": format(one.amount, "f"), "by": one.by} for one in entry.refunds],
            }
            for store in glopal.stores()
            for entry in glopal.ledger(store)
        ],
        "shop": [
            {"id": e.id, "number": e.number, "reference": e.reference, "state": e.state, "fulfilled": e.fulfilled}
            for e in shop.ledger()
        ],
    }


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode(), {"content-type": "text/plain; charset=utf-8"})
