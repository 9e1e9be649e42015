"""Sixteen producers, each appending one event at a time to orders of its own.

What ends durable counts; nobody batches by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench import bare, ours
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale
from bench.measure import Act, Sample, produce
from bench.texts import bodies, life
from orderflow.store.entry import Entry
from orderflow.store.log import Unit

EACH = 4
"""Events of one order before the next one begins."""
_KEYS = 64
"""Vault keys that are at hand; one more order a key costs what the contestant with new keys shows."""
_CLEAR = '{"name":"order.received","entity_id":null,"event_at":"2026-01-01T00:00:00Z"}'


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [_case(size, scale.producers) for size in scale.sizes]


def _case(size: int, producers: int) -> Case:
    return Case(
        name=f"append-{size}",
        title=f"Append, {producers} producers, {size} B bodies",
        unit="events/s",
        note=(
            f"{producers} threads of one process, one event a call, streams of {EACH} events. orderflow: inside the "
            f"timing are "
            "sealing (AES-GCM and MAC, the order's key at hand), leaf, version check, duplicate check, chain, gapless "
            "position. "
            "eventsourcing: `save` of an aggregate whose event holds the text as it came. bare: the same columns with "
            "made-up "
            "digests; group commit is one INSERT of all that wait, by a thread of its own."
        ),
        contestants=(
            Contestant("orderflow", OURS, partial(run_ours, size, producers)),
            Contestant("bare INSERT + commit", "bare", partial(run_insert, size, producers)),
            Contestant("bare group commit", "bare", partial(run_grouped, size, producers)),
            Contestant("eventsourcing", "eventsourcing", partial(run_eventsourcing, size, producers)),
            Contestant("orderflow, nothing sealed", OURS, partial(run_ours, size, producers, sealed=False)),
            Contestant("orderflow, over 4 stores", OURS, partial(run_ours, size, producers, stores=4)),
        ),
        goals=(
            Goal(
                f"append, {producers} producers, {size} B",
                "≥ 6× eventsourcing",
                "orderflow",
                "eventsourcing",
                at_least=6.0,
            ),
            Goal(
                f"append, {producers} producers, {size} B",
                "≥ 0.5× bare group commit",
                "orderflow",
                "bare group commit",
                at_least=0.5,
            ),
        ),
    )


def run_ours(size: int, producers: int, ground: Ground, *, sealed: bool = True, stores: int = 1) -> Sample:
    """Orderflow."""
    url, texts = ground.fresh(), bodies(size)
    keys = ours.key_of(url, [life(n) for n in range(_KEYS)])
    some = list(keys.values())
    with ours.appender(url, producers) as append:

        def prepared(number: int) -> Act:
            turn, store = 0, ours.STORE if stores == 1 else f"store{number % stores}"

            def act() -> None:
                nonlocal turn
                order, version = divmod(turn, EACH)
                order_id, name = f"{number}-{order}", f"{number}-{turn}"
                turn += 1
                if sealed:
                    entry = ours.sealed(some[order % _KEYS], order_id, name, texts[turn % len(texts)], _CLEAR)
                else:
                    entry = Entry(order_id, "OrderReceived", "glopal", name, _CLEAR, meta=ours.META)
                assert not ours.refused(append(store, Unit((entry,), version)))

            return act

        return produce(producers, ground.scale.seconds, prepared)


def run_insert(size: int, producers: int, ground: Ground) -> Sample:
    """One INSERT a commit, a connection a thread."""
    url, rows = ground.fresh(), bare.Rows(ours.STORE, bodies(size + 28))
    connections = []

    def prepared(number: int) -> Act:
        conn = bare.connect(url)
        connections.append(conn)
        return _turns(number, rows, lambda row: conn.execute(bare.INSERT, row, binary=True))

    try:
        return produce(producers, ground.scale.seconds, prepared)
    finally:
        for conn in connections:
            conn.close()


def run_grouped(size: int, producers: int, ground: Ground) -> Sample:
    """One connection, one commit for all that wait."""
    rows = bare.Rows(ours.STORE, bodies(size + 28))
    with bare.group_commit(ground.fresh()) as writer:
        return produce(producers, ground.scale.seconds, lambda number: _turns(number, rows, writer.insert))


def _turns(number: int, rows: bare.Rows, insert: Callable[[bare.Row], Any]) -> Act:
    turn = 0

    def act() -> None:
        nonlocal turn
        order, version = divmod(turn, EACH)
        turn += 1
        insert(rows.next(f"{number}-{order}", version + 1))

    return act


def run_eventsourcing(size: int, producers: int, ground: Ground) -> Sample:
    """The library's own way: an aggregate, an event, save."""
    from bench import peers  # noqa: PLC0415  only who has it installed

    texts = [body.decode() for body in bodies(size)]
    with peers.application(ground.fresh(), producers) as app:

        def prepared(number: int) -> Act:
            turn, order = number, None

            def act() -> None:
                nonlocal turn, order
                text = texts[turn % len(texts)]
                turn += 1
                if order is None or order.version == EACH:
                    order = peers.Order(body=text)
                else:
                    order.move("READY", text)
                app.save(order)

            return act

        return produce(producers, ground.scale.seconds, prepared)
