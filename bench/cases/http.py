"""The same drafts over HTTP, beside the bare calls.

The shop is a process of its own that says "made" to everything.
"""

from __future__ import annotations

from itertools import count

import httpx

from bench import ours
from bench.answering import answering
from bench.case import OURS, Case, Contestant, Goal
from bench.cases.effects import carried_out
from bench.ground import Ground, Scale
from bench.measure import Sample, together
from bench.texts import bodies
from orderflow.connectors.shop import Shop


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="http",
            title="Effects over HTTP",
            unit="effects/s",
            note=(
                f"{scale.effects} drafts, {scale.workers} workers. bare: as many POSTs of about the same length by "
                f"httpx, a client a "
                "thread, kept alive, and the status of each answer looked at."
            ),
            contestants=(Contestant("orderflow", OURS, _ours), Contestant("bare httpx", "bare", _httpx)),
            goals=(Goal("effects over HTTP", "≥ 0.4× bare httpx calls", "orderflow", "bare httpx", at_least=0.4),),
        )
    ]


def _ours(ground: Ground) -> Sample:
    with answering() as url:
        shop = Shop(url, "shop-sandbox")
        try:
            return carried_out(ground, shop)
        finally:
            shop.close()


def _httpx(ground: Ground) -> Sample:
    wanted, texts = ground.scale.effects, bodies(900)
    turns = count()
    with answering() as url:

        def post(_number: int) -> None:
            with httpx.Client(base_url=url, headers={"authorization": "Bearer shop-sandbox"}) as client:
                while (turn := next(turns)) < wanted:
                    head = {"content-type": "application/json", "idempotency-key": f"{ours.STORE}:{turn}"}
                    assert client.post("/orders", content=texts[turn % len(texts)], headers=head).status_code == 201

        return Sample(wanted, together(ground.scale.workers, post))
