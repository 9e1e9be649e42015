"""The sandbox's control: a small web app that makes orders at the fake Glopal live, and shows both ledgers.

It is for people and tests; the real Glopal and real shops have nothing like it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orderflow.sandbox import App, Glopal, Request, Response, Shop
from orderflow.sandbox.wire import Json, json_response, segments

HELP: Final = """\
POST /STORE/place               a buyer orders; answers with the order id
POST /STORE/ORDER/ready         Glopal confirms order and payment
POST /STORE/ORDER/complete      Glopal finishes an accepted order
POST /STORE/ORDER/cancel        Glopal cancels
POST /STORE/ORDER/ship          the parcel left: no cancelling any more
POST /STORE/ORDER/elsewhere     somebody else accepts the order with other ids
POST /STORE/ORDER/report/NAME   an event that is not true, for example order.cancelled
POST /shop/SHOP_ORDER/fulfil    the goods leave the shop; also promote, cancel, delete: done by hand in the shop
GET  /ledger                    what truly happened, at Glopal and in the shop
"""


def control(glopal: Glopal, shop: Shop) -> App:
    """The app that drives these two."""

    def answer(request: Request) -> Response:
        try:
            return _answer(glopal, shop, request)
        except (KeyError, ValueError) as error:
            return _text(409, f"{error}\n")

    return answer


def _answer(glopal: Glopal, shop: Shop, request: Request) -> Response:
    match request.method, segments(request.path):
        case "GET", [""]:
            return _text(200, HELP)
        case "GET", ["ledger"]:
            return json_response(200, _ledger(glopal, shop))
        case "POST", ["shop", order_id, act]:
            return _done(_at_shop(shop).get(act), order_id)
        case "POST", [store, "place"]:
            return _text(200, glopal.place(store) + "\n")
        case "POST", [store, order_id, "elsewhere"]:
            glopal.accept_elsewhere(store, order_id, "elsewhere-1", "E-1")
            return _text(200, "done\n")
        case "POST", [store, order_id, "report", name]:
            glopal.report(store, order_id, name)
            return _text(200, "done\n")
        case "POST", [store, order_id, act]:
            return _done(_at_glopal(glopal).get(act), store, order_id)
        case _:
            return _text(404, HELP)


def _at_glopal(glopal: Glopal) -> dict[str, Callable[..., None]]:
    return {"ready": glopal.ready, "complete": glopal.complete, "cancel": glopal.cancel, "ship": glopal.ship}


def _at_shop(shop: Shop) -> dict[str, Callable[..., None]]:
    return {
        "fulfil": shop.fulfil,
        "promote": shop.promote_by_hand,
        "cancel": shop.cancel_by_hand,
        "delete": shop.delete_by_hand,
    }


def _done(act: Callable[..., None] | None, *whom: str) -> Response:
    if act is None:
        return _text(404, HELP)
    act(*whom)
    return _text(200, "done\n")


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
