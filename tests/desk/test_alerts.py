"""People are told once when a limit is passed and once when that is over; a signal survives whoever was sending it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from tests.desk.telling import read
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow.desk import alerts, signals
from orderflow.desk.alerts import Alerting, Program, Webhook
from orderflow.desk.measuring import Measured
from orderflow.desk.rules import BUILT_IN, Rule
from orderflow.domain import decisions
from orderflow.domain.events import Effect
from orderflow.domain.exceptions import Of
from orderflow.glopal.client import Endpoint
from orderflow.sandbox import Request, Response, ShopOptions, serve
from orderflow.store import progress
from orderflow.store.connect import connect

REFUSALS = Rule("refusals", (Of.REFUSED_BY_SHOP,), at_least=2, orders=2)
HALF_HOUR = 1800.0


@dataclass
class Pager:
    """A receiver on real HTTP: keeps what it was told, and answers with `status`."""

    told: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    status: int = 204

    def __call__(self, request: Request) -> Response:
        self.told.append((dict(request.headers), json.loads(request.body)))
        return Response(self.status)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(body["rule"], body["state"]) for _, body in self.told]


@pytest.fixture
def pager() -> Iterator[tuple[Pager, Webhook]]:
    told = Pager()
    with serve(told) as server:
        endpoint = Endpoint(f"{server.url}/hook", "pager-key")
        yield told, Webhook(endpoint)
        endpoint.close()


def alerting(it: Stage, *rules: Rule, receivers: tuple[Any, ...] = ()) -> Alerting:
    return Alerting(rules, receivers, 30.0, {it.store: timedelta(days=900)})


def turn(it: Stage, told: Alerting) -> None:
    """What the worker's loop does now."""
    read(it)
    it.plan()
    alerts.turn(it.engine, told)


def refused(it: Stage) -> str:
    it.shop.options = ShopOptions(refuse=lambda _body: "no_stock")
    order_id = it.place()
    it.ready(order_id)
    it.rest()
    return order_id


def mended(it: Stage, *order_ids: str) -> None:
    it.shop.options = ShopOptions()
    for order_id in order_ids:
        it.command(order_id, decisions.Retry(Effect.DRAFT, "ann", "in stock again"))
    it.rest()


def test_told_once_and_told_when_it_is_over(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    told, webhook = pager
    it = stage()
    rule = alerting(it, REFUSALS, receivers=(webhook,))
    first = refused(it)
    turn(it, rule)
    assert told.states == []  # one is not enough
    second = refused(it)
    for _ in range(3):
        turn(it, rule)
    assert told.states == [("refusals", "firing")]
    headers, body = told.told[0]
    assert headers["authorization"] == "Bearer pager-key"
    assert headers["webhook-id"] == body["id"]
    assert body["counts"] == {"exceptions": 2, "orders": 2}
    assert (body["store"], body["window_seconds"], body["orders"]) == (it.store, 1800.0, [second, first])
    [newest, _] = body["examples"]
    refusal = next(record for record in it.records(second) if record.type == "EffectRefused")
    assert newest == {
        "exception": f"{it.store}/{second}/parked_draft/{refusal.position}",
        "class": "refused_by_shop",
        "event": refusal.position,
        "effect": "draft",
        "attempt": 1,
    }
    assert body["next"] == f"orderflow exceptions --store {it.store} --class refused_by_shop"
    mended(it, first, second)
    turn(it, rule)
    assert len(told.told) == 1  # within the window they still count
    it.live(HALF_HOUR + 1)
    turn(it, rule)
    turn(it, rule)
    assert told.states == [("refusals", "firing"), ("refusals", "recovered")]
    assert told.told[1][1]["since"] == body["at"]
    assert len({headers["webhook-id"] for headers, _ in told.told}) == 2


def test_a_rule_that_goes_on_firing_is_said_again_only_with_news_and_once_a_window(
    stage: NewStage, pager: tuple[Pager, Webhook]
) -> None:
    told, webhook = pager
    it = stage()
    rule = alerting(it, REFUSALS, receivers=(webhook,))
    refused(it)
    refused(it)
    turn(it, rule)
    refused(it)
    turn(it, rule)
    assert len(told.told) == 1
    it.live(HALF_HOUR)
    turn(it, rule)
    assert [body["counts"]["exceptions"] for _, body in told.told] == [2, 3]
    it.live(4 * HALF_HOUR)
    turn(it, rule)
    assert len(told.told) == 2  # nothing new came


def test_a_share_and_a_spread(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    """Two of five orders are refused: not more than 40 %, but more than 39 %; and not three orders."""
    told, webhook = pager
    it = stage()
    for _ in range(3):
        it.drafted()
    refused(it)
    refused(it)
    rules = [
        Rule("forty", (Of.REFUSED_BY_SHOP,), percent=40.0),
        Rule("three", (Of.REFUSED_BY_SHOP,), orders=3),
        Rule("elsewhere", (Of.REFUSED_BY_SHOP,), only=("another",)),
        Rule("any", percent=39.0),
    ]
    turn(it, alerting(it, *rules, receivers=(webhook,)))
    assert told.states == [("any", "firing")]
    assert told.told[0][1]["counts"] == {"exceptions": 2, "orders": 2, "of": 5, "percent": 40.0}


def test_failing_calls(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    told, webhook = pager
    it = stage()
    it.to_shop.faults.script("error_500", method="POST", times=4)
    order_id = it.place()
    it.live(120)
    calls = Rule("calls", outcomes=("Retry", "Unknown"), effects=(Effect.DRAFT,), at_least=2, percent=10.0)
    reads = Rule("reads", outcomes=("Retry", "Unknown"), effects=(Effect.FETCH,))
    turn(it, alerting(it, calls, reads, receivers=(webhook,)))
    [(_, body)] = told.told
    assert (body["rule"], body["orders"]) == ("calls", [order_id])
    failing = [one for one in it.attempts(order_id, "draft") if one.outcome.split(":")[0] in calls.outcomes]
    assert body["counts"]["calls"] == len(failing) >= 2
    assert {one["outcome"] for one in body["examples"]} <= set(calls.outcomes)
    assert body["next"] == f"orderflow effects list --store {it.store}"


def test_what_concerns_a_store(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    """A key that is turned away pauses the store, and wakes somebody; lifting the pause is the end of it."""
    told, webhook = pager
    it = stage()
    rule = alerting(it, *BUILT_IN, receivers=(webhook,))
    with it.engine.begin() as conn:
        progress.pause(conn, it.store, "shop", "401", "orderflow")
        progress.pause(conn, it.store, "glopal", "upgrade", "ann")
    turn(it, rule)
    assert told.states == [("critical", "firing")]
    assert [one["class"] for one in told.told[0][1]["examples"]] == ["credentials"]
    with it.engine.begin() as conn:
        progress.resume(conn, it.store, "shop")
    turn(it, rule)
    assert told.states[1:] == [("critical", "recovered")]


def test_ids_only(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    """Whoever carries the signal learns nothing of a buyer."""
    told, webhook = pager
    it = stage()
    refused(it)
    turn(it, alerting(it, Rule("any"), receivers=(webhook,)))
    text = json.dumps(told.told[0][1])
    for personal in ("@", "Tanaka", "Shibuya", "street", "email", "phone"):
        assert personal.lower() not in text.lower()
    assert set(told.told[0][1]) == {
        *("id", "state", "rule", "store", "at", "since", "window_seconds", "counts", "orders", "examples", "next")
    }


# --- at least once ----------------------------------------------------------------------------------------------------


def test_what_was_not_taken_is_sent_again_with_the_same_id(stage: NewStage, pager: tuple[Pager, Webhook]) -> None:
    told, webhook = pager
    told.status = 503
    it = stage()
    rule = alerting(it, Rule("any"), receivers=(webhook,))
    order_id = refused(it)
    turn(it, rule)
    turn(it, rule)
    assert len(told.told) == 1  # not before its pause is over
    mended(it, order_id)
    it.live(HALF_HOUR + 60)
    turn(it, rule)
    assert told.states == [("any", "firing")] * 2  # the recovery does not overtake it
    told.status = 200
    it.live(3600)
    turn(it, rule)
    assert told.states == [("any", "firing")] * 3 + [("any", "recovered")]
    ids = [headers["webhook-id"] for headers, _ in told.told]
    assert (ids[0], len(set(ids))) == (ids[2], 2)
    with it.engine.begin() as conn:
        said = signals.standing(conn, it.store, "any")
    assert said is not None
    assert (said.state, said.problem, said.delivered_at is not None) == ("recovered", "", True)


def test_a_program_is_told(stage: NewStage, tmp_path: Path) -> None:
    it = stage()
    refused(it)
    script = "import os, sys; open(sys.argv[1], 'a').write(os.environ['ORDERFLOW_ALERT_ID'] + ' ' + sys.stdin.read())"
    program = Program((sys.executable, "-c", script, str(tmp_path / "told")))
    missing = Program(("/nowhere/pager",))
    turn(it, alerting(it, Rule("any"), receivers=(missing, program)))
    signal_id, _, body = (tmp_path / "told").read_text().partition(" ")
    assert json.loads(body)["id"] == signal_id
    with it.engine.begin() as conn:
        said = signals.standing(conn, it.store, "any")
    assert said is not None
    assert "/nowhere/pager cannot be run" in said.problem
    assert (str(said.id), said.delivered_at) == (signal_id, None)


KILLED = """
import os, signal, sys
from datetime import timedelta
from orderflow.desk.alerts import Alerting, Webhook, say
from orderflow.glopal.client import Endpoint
from orderflow.store.connect import connect

class Dying:
    name = "url"
    def tell(self, signal_id, at, body):
        Webhook(Endpoint(sys.argv[2], "pager-key")).tell(signal_id, at, body)
        os.kill(os.getpid(), signal.SIGKILL)

say(connect(sys.argv[1]), Alerting((), (Dying(),), 1.0, {"acme": timedelta(1)}), lease=timedelta(0))
"""


@pytest.fixture
def plain(database_url: str) -> Iterator[sa.Engine]:
    """A database in real time."""
    made = connect(database_url)
    yield made
    made.dispose()


def test_killed_between_sending_and_writing_down(
    database_url: str, plain: sa.Engine, pager: tuple[Pager, Webhook]
) -> None:
    """The receiver has it and nobody knows: it is sent again, and can be told by its id."""
    told, webhook = pager
    engine = plain
    measured = Measured(Rule("any"), "acme", datetime.now(UTC), 1, 1, 1, None, ("1-1",), ())
    with engine.begin() as conn:
        assert signals.compare(conn, measured) == "firing"
    address = webhook.endpoint._base
    done = subprocess.run([sys.executable, "-c", KILLED, database_url, address], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(told.told) == 1
    assert alerts.say(engine, Alerting((), (webhook,), 1.0, {"acme": timedelta(1)}))
    assert not alerts.say(engine, Alerting((), (webhook,), 1.0, {"acme": timedelta(1)}))
    assert [headers["webhook-id"] for headers, _ in told.told] == [told.told[0][1]["id"]] * 2


def test_one_process_looks_at_a_time_and_one_sends_a_signal(plain: sa.Engine) -> None:
    engine = plain
    none = Alerting((Rule("any"),), (), 1.0, {"acme": timedelta(minutes=1)})
    with engine.begin() as conn:
        assert signals.alone(conn)
        assert alerts.look(engine, none) == []
        signals.compare(conn, Measured(Rule("any"), "acme", datetime.now(UTC), 1, 1, 1, None, (), ()))
    with engine.begin() as conn:
        assert signals.taken(conn, ["acme"]) is not None
    with engine.begin() as conn:
        assert signals.taken(conn, ["acme"]) is None  # it is leased


def test_old_signals_are_trimmed_and_the_newest_tells(plain: sa.Engine) -> None:
    engine = plain
    rng = Random(1)
    for _ in range(signals.KEPT * 2):
        with engine.begin() as conn:
            count = rng.randrange(2)
            signals.compare(conn, Measured(Rule("any"), "acme", datetime.now(UTC), count, count, 1, None, (), ()))
            conn.execute(sa.text("UPDATE orderflow.alerts SET delivered_at = orderflow.wall_clock()"))
    with engine.begin() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM orderflow.alerts")).scalar_one() <= signals.KEPT
        said = signals.standing(conn, "acme", "any")
    assert said is not None
    assert said.state == ("firing" if count else "recovered")
