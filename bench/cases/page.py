"""A page of a hundred facts from Glopal's feed, in one call and one commit.

A quarter of them open new orders; none is known, but each must be looked for.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import count

from bench import bare, ours
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale
from bench.measure import Act, Sample, produce
from bench.texts import bodies
from orderflow.store.connect import connect
from orderflow.store.entry import Entry

PAGE = 100
_REPORTS = ("received", "ready", "accepted", "completed")


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [_case(size) for size in scale.sizes]


def _case(size: int) -> Case:
    def goal(left: str) -> Goal:
        return Goal(
            f"page of {PAGE} facts, {size} B: {left}",
            f"≥ 0.6× bare unnest of {PAGE}",
            left,
            "bare unnest",
            at_least=0.6,
        )

    return Case(
        name=f"page-{size}",
        title=f"Record a page of {PAGE} facts, {size} B bodies",
        unit="events/s",
        note=(
            "One producer. `orderflow` is what intake does with a page as it came: parsing, vault keys (new ones for "
            "the quarter "
            "that are new orders), sealing, leaves, duplicates, chain. `orderflow, entries at hand` appends the same "
            "sealed facts "
            "with leaves, duplicates and chain inside the timing. The bare rows are made before the timing. `seen "
            "before` is a page "
            "all of whose facts are known."
        ),
        contestants=(
            Contestant("orderflow", OURS, partial(_record, size)),
            Contestant("orderflow, entries at hand", OURS, partial(_entries, size)),
            Contestant("bare unnest", "bare", partial(_unnest, size)),
            Contestant("eventsourcing", "eventsourcing", partial(_eventsourcing, size)),
            Contestant("orderflow, seen before", OURS, partial(_again, size)),
        ),
        goals=(goal("orderflow"), goal("orderflow, entries at hand")),
    )


def raw_page(number: int, texts: list[bytes]) -> bytes:
    """Page `number` of a feed: 25 orders are received, the 25 before are ready, and so on."""
    events: list[bytes] = []
    for step, report in enumerate(_REPORTS):
        for one in range(PAGE // 4):
            order = (number - step) * (PAGE // 4) + one
            text = texts[(number * PAGE + len(events)) % len(texts)]
            head = {"event_id": f"{order}:{report}", "event_name": f"order.{report}", "order_id": f"o{order}"}
            head["event_at"] = "2026-01-01T00:00:00Z"
            events.append(json.dumps(head).encode()[:-1] + b', "details": ' + text + b"}")
    return b'{"events": [' + b",".join(events) + b"]}"


def _texts(size: int) -> list[bytes]:
    """With the members of an event around it, the whole comes to `size`."""
    return bodies(max(size - 140, 200))


def _pages(size: int, ground: Ground) -> list[bytes]:
    """More than can be recorded in a sample."""
    texts = _texts(size)
    return [raw_page(number, texts) for number in range(4, 4 + _enough(size, ground))]


def _enough(size: int, ground: Ground) -> int:
    """Pages for a sample and its warm-up, at 80,000 events or 80 MB a second."""
    return int((ground.scale.seconds + 0.5) * min(800, 800_000 // size)) + 20


def _record(size: int, ground: Ground) -> Sample:
    url, pages = ground.fresh(), _pages(size, ground)
    engine, turns = connect(url), count()

    def act() -> None:
        assert ours.record(engine, ours.page(pages[next(turns)])) == PAGE

    try:
        return _hundreds(ground, act)
    finally:
        engine.dispose()


def _again(size: int, ground: Ground) -> Sample:
    url, raw = ground.fresh(), raw_page(4, _texts(size))
    engine = connect(url)
    ours.record(engine, ours.page(raw))

    def act() -> None:
        assert ours.record(engine, ours.page(raw)) == 0

    try:
        return _hundreds(ground, act)
    finally:
        engine.dispose()


def _entries(size: int, ground: Ground) -> Sample:
    url, texts, names = ground.fresh(), bodies(size), count()
    [key] = ours.key_of(url, ["o"]).values()
    made = [ours.sealed(key, "o", "", text, '{"name":"order.received"}') for text in texts]
    engine = connect(url)

    def act() -> None:
        batch = []
        for _ in range(PAGE):
            name = next(names)
            like = made[name % len(made)]
            batch.append(
                Entry(f"o{name // 4}", like.type, "glopal", f"e{name}", like.clear, None, like.body, like.meta)
            )
        ours.append_all(engine, batch)

    try:
        return _hundreds(ground, act)
    finally:
        engine.dispose()


def _unnest(size: int, ground: Ground) -> Sample:
    rows, names = bare.Rows(ours.STORE, bodies(size + 28)), count()
    pages = [
        bare.columns([rows.next(f"o{(name := next(names)) // 4}", name % 4 + 1) for _ in range(PAGE)])
        for _ in range(_enough(size, ground))
    ]
    turns = count()
    with bare.connect(ground.fresh()) as conn:
        return _hundreds(ground, lambda: conn.execute(bare.UNNEST, pages[next(turns)], binary=True))


def _eventsourcing(size: int, ground: Ground) -> Sample:
    from bench import peers  # noqa: PLC0415  only who has it installed

    texts, turns = [body.decode() for body in bodies(size)], count()
    with peers.application(ground.fresh()) as app:

        def act() -> None:
            orders = []
            for _ in range(PAGE // 4):
                order = peers.Order(body=texts[next(turns) % len(texts)])
                for status in peers.STATUSES[1:]:
                    order.move(status, texts[next(turns) % len(texts)])
                orders.append(order)
            app.save(*orders)

        return _hundreds(ground, act)


def _hundreds(ground: Ground, act: Act) -> Sample:
    return produce(1, ground.scale.seconds, lambda _number: act, each=PAGE)
