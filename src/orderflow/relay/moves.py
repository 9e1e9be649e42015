"""Moves of many orders of one store, carried out in one transaction: append, then let lines and rows follow.

It never writes anything of a move whose order has grown in between, and holds nobody up on its account.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from orderflow.orders import sealed_unit
from orderflow.relay import attempts
from orderflow.relay.work import Move, Relay, stands
from orderflow.store import leases, log
from orderflow.store.log import Conflict, Duplicate


def carry_out(conn: sa.Connection, relay: Relay, store: str, moves: Sequence[Move], *, give_back: bool) -> list[Move]:
    """Carry out `moves`, of different orders each. Returns those that raced with news: nothing of them was written.

    With `give_back` the rows of those are leased no longer, and come up again. The rows are locked already, and the
    log's lock is taken as late as it can be: what is written after it depends on who raced.
    """
    telling = [move for move in moves if move.facts]
    units = [
        sealed_unit(relay.vault, move.turn.key, move.turn.row.key.order_id, move.facts, move.turn.order.version)
        for move in telling
    ]
    results = dict(zip(map(id, telling), log.append(conn, store, units), strict=True))
    raced = [move for move in moves if _raced(move, results.get(id(move)))]
    lost = {id(move) for move in raced}
    done = [move for move in moves if id(move) not in lost]
    attempts.keep(conn, [move.line for move in done if move.line is not None])
    changes = [move.change for move in done if move.change is not None]
    changes += [stands(move.turn) for move in raced] if give_back else []
    leases.write(conn, store, changes)
    return raced


def _raced(move: Move, result: log.Result | None) -> bool:
    """An intent that is on record already was somebody else's: nothing is sent on the strength of it."""
    return isinstance(result, Conflict) or (move.call is not None and isinstance(result, Duplicate))
