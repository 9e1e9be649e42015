"""Money back by command: refund an order, ask who would bear it, settle what nobody can tell, look at the ledger.

It records decisions; `orderflow work` carries them out. A refund is never sent twice: one whose reply was lost waits
for a person, who looks at Glopal and settles it here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from orderflow.cli import means
from orderflow.cli.card import card
from orderflow.cli.commanding import CommandId, Why, by_whom, plain_text, record
from orderflow.cli.finding import AnyOrder, Order, find
from orderflow.cli.means import REFUSED, Failure
from orderflow.cli.screen import printed
from orderflow.domain.decisions import QuoteRefund, Refund, Settle
from orderflow.domain.order import Order as Folded
from orderflow.domain.refunds import FREED, left
from orderflow.glopal.jsontext import amount as amount_of
from orderflow.glopal.jsontext import money, token
from orderflow.glopal.money import smallest_unit

Amount = Annotated[
    str, typer.Option("--amount", help="In the order's currency, as in 12.34; `rest` is all that is left.")
]
Share = Annotated[
    str, typer.Option("--glopal-amount", help="How much of it Glopal shall bear.", show_default="nothing is said")
]


def make(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    order: Order,
    *,
    amount: Amount,
    reason: Annotated[str, typer.Option(help="Goes to Glopal, for example damaged; name no person.")],
    glopal_amount: Share = "",
    claim: Annotated[
        str, typer.Option(help="The code of a claim raised with Glopal for its share.", show_default="none")
    ] = "",
    name: Annotated[
        str, typer.Option(help="Your own name for this refund.", show_default="refund-1, refund-2, ...")
    ] = "",
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Give money back for a shipped order. Glopal is asked once more what was given back before any money moves."""
    why, decider, share = plain_text("--reason", reason), by_whom(by), _share(glopal_amount)
    claimed = _word("--claim", claim) if claim else ""

    def refund(folded: Folded) -> Refund:
        wanted, currency = _amount(folded, amount)
        named = _word("--name", name) if name else _free_name(folded, wanted)
        return Refund(named, wanted, currency, why, decider, share, claimed)

    record(ctx, order, refund, command_id, as_json=as_json)


def quote(
    ctx: typer.Context,
    order: Order,
    *,
    amount: Amount,
    glopal_amount: Share = "",
    name: Annotated[
        str, typer.Option(help="Your own name for this question.", show_default="quote-1, quote-2, ...")
    ] = "",
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Ask Glopal who would bear a refund. No money moves; `refund list` shows the answer."""
    decider, share = by_whom(by), _share(glopal_amount)

    def question(folded: Folded) -> QuoteRefund:
        wanted, currency = _amount(folded, amount)
        named = _word("--name", name) if name else _next("quote", [one.quote for one in folded.quotes])
        return QuoteRefund(named, wanted, currency, decider, share)

    record(ctx, order, question, command_id, as_json=as_json)


def settle(
    ctx: typer.Context,
    order: Order,
    name: Annotated[
        str, typer.Argument(help="Our name of the refund, or Glopal's id of one made elsewhere.", metavar="NAME")
    ],
    *,
    made: Annotated[
        bool | None, typer.Option("--made/--not-made", help="What you saw at Glopal.", show_default=False)
    ] = None,
    why: Why,
    by: means.By = "",
    command_id: CommandId = "",
    as_json: means.AsJson = False,
) -> None:
    """Say what became of a refund: one that nobody can tell of, one not to be made, or one made elsewhere."""
    if made is None:
        raise Failure("--made or --not-made: say which")
    command = Settle(plain_text("NAME", name), made, by_whom(by), plain_text("--why", why))
    record(ctx, order, command, command_id, as_json=as_json)


def list_(ctx: typer.Context, order: AnyOrder, *, as_json: means.AsJson = False) -> None:
    """Show what was given back for an order, here and elsewhere, what is left, and what Glopal quoted."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        found = card(conn, app, find(app, conn, order, by_shop=True), means.means(ctx).command)
    if as_json:
        means.print_json({name: found[name] for name in _LEDGER})
    else:
        printed(found, means.console(), ("refunds", "quotes"))


_LEDGER = ("store", "order_id", "currency", "total", "refunds", "left_to_refund", "quotes")


# --- what was typed -------------------------------------------------------------------------------------------------


def _amount(order: Folded, text: str) -> tuple[Decimal, str]:
    """The amount, and the order's currency."""
    known = order.details
    if known is None or known.currency is None:
        raise Failure("the order's currency is not known yet: `orderflow retry ORDER fetch` asks Glopal", REFUSED)
    if text == "rest":
        rest = left(order)
        if rest is None or rest <= 0:
            raise Failure("--amount rest: nothing is left, or it cannot be told how much", REFUSED)
        return rest, known.currency
    found, unit = _money("--amount", text), smallest_unit(known.currency)
    if found % unit:
        raise Failure(f"--amount: {known.currency} has no smaller unit than {money(unit)}")
    return found, known.currency


def _share(text: str) -> Decimal | None:
    return _money("--glopal-amount", text) if text else None


def _money(name: str, text: str) -> Decimal:
    found = amount_of(text)
    if found is None:
        raise Failure(f"{name}: {text!r} is no amount; write it as in 12.34")
    return found


def _word(name: str, text: str) -> str:
    found = token(text)
    if found is None:
        raise Failure(f"{name}: one short word of letters, digits, - and _")
    return found


def _free_name(order: Folded, amount: Decimal) -> str:
    """The next name that is free. The same amount once more may be the same command typed twice: it needs a name."""
    same: list[Any] = [line for line in order.refunds if line.amount == amount and line.outcome not in FREED]
    if same:
        raise Failure(
            f"refund {same[0].refund} of {money(amount)} {same[0].currency} is {same[0].outcome} already; if this is "
            "another one, give it a --name",
            REFUSED,
        )
    return _next("refund", [line.refund for line in order.refunds])


def _next(word: str, taken: list[str]) -> str:
    number = len(taken) + 1
    while f"{word}-{number}" in taken:
        number += 1
    return f"{word}-{number}"
