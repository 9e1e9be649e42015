"""What is personal is seen nowhere: not in the database, its server's log, our logs, errors, answers, URLs or reports.

The whole river runs with a canary in every personal field of every order, and with a shop, a Glopal and a database that
fail in every way and say back what they were told. Then everything that was written anywhere is searched.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.e2e.stage import STORE, Stage, staged, wait

from orderflow.cli import looking
from orderflow.domain.machine import Status
from orderflow.sandbox import Glopal, Request, Response, Shop
from orderflow.sandbox.wire import json_response
from orderflow.store import embedded, migrate
from orderflow.store.vault import key, unseal

from .canaries import PERSONAL, Evil, canary, dumped, echoes, leaks, order

LOUD = {
    "log_statement": "all",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_error_verbosity": "verbose",
    "log_min_error_statement": "debug1",
    "log_min_messages": "info",
    "log_connections": "on",
}
"""The most talkative server that an operator might run."""


@dataclass
class Run:
    """The river after it ran, and everything that it left, by where it stands."""

    stage: Stage
    url: str
    home: Path
    evil: Evil
    said: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)

    @property
    def refusing(self) -> set[str]:
        """The orders, by name, that shop or Glopal say no to, whatever else happens to them on the way there."""
        shop = {name for name, answer in echoes().items() if 400 <= answer.status < 500} - {"throttled", "taken"}
        return shop | {"accept refused"}

    def everything(self) -> dict[str, str]:
        server_log = (self.home / "postgres" / "server.log").read_text(errors="replace")
        files = {
            f"file {path.name}": path.read_text(errors="replace")
            for path in self.stage.home.iterdir()
            if path.is_file()
        }
        return {
            "the dump of the database": dumped(self.url, self.home),
            "the server's log": server_log,
            "addresses and headers of calls": "\n".join(self.evil.urls),
            **files,
            **self.said,
        }

    def found(self) -> list[str]:
        return [leak for where, text in self.everything().items() for leak in leaks(where, text)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The river, run to its end once for all tests of this module."""
    home = tmp_path_factory.mktemp("canary")
    home.chmod(0o755)
    evil = Evil()
    with pytest.MonkeyPatch.context() as patch, embedded.start(home / "postgres", durable=False) as server:
        _talkative(server.url)
        migrate.upgrade(server.url)
        _evil(patch, evil)
        (home / "stage").mkdir()
        with staged(home / "stage", server.url) as stage:
            seal = base64.b64encode(os.urandom(32)).decode()
            (stage.home / "seal.key").write_text(seal)
            path = stage.home / "orderflow.toml"
            more = f'erasures = "{stage.home}/erasures.jsonl"\nseal.key = {{ file = "{stage.home}/seal.key" }}\n'
            path.write_text(more + path.read_text())
            made = Run(stage, server.url, home, evil)
            _river(made)
            _commands(made)
            yield made


def _talkative(url: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as conn:
        for name, value in LOUD.items():
            conn.exec_driver_sql(f"ALTER SYSTEM SET {name} = '{value}'")
        conn.exec_driver_sql("SELECT pg_reload_conf()")


def _evil(patch: pytest.MonkeyPatch, evil: Evil) -> None:
    """Shop and Glopal are watched, and answer as `evil` says where it says something."""
    shop, glopal = Shop.handle, Glopal.handle

    def at_shop(self: Shop, request: Request) -> Response:
        return evil.at_shop(request) or shop(self, request)

    def at_glopal(self: Glopal, request: Request) -> Response:
        evil.seen(request)
        refused = json_response(400, {"error": canary("customer-last_name"), "detail": order()["customer"]})
        mine = request.method != "GET" and any(f"/{one}" in request.path for one in evil.refused)
        return refused if mine else glopal(self, request)

    patch.setattr(Shop, "handle", at_shop)
    patch.setattr(Glopal, "handle", at_glopal)


def _river(run: Run) -> None:
    """Orders in every condition, a worker, and a database that fails for a while."""
    stage, place = run.stage, lambda **more: run.stage.place(**order(**more))
    engine = sa.create_engine(run.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    answers = dict(echoes())
    redirect = answers.pop("redirect")  # it closes the door, so it comes last
    for name, answer in answers.items():
        run.orders[name] = place()
        run.evil.answers[run.orders[name]] = answer
    run.orders["good"] = place()
    stage.glopal.ready(STORE, run.orders["good"])
    run.orders["accept refused"] = place()
    run.evil.refused.append(run.orders["accept refused"])
    stage.glopal.ready(STORE, run.orders["accept refused"])
    for name, raw in _malformed().items():
        run.orders[name] = place()
        stage.glopal.serve_instead(STORE, run.orders[name], raw.replace(b"ORDER", run.orders[name].encode()))
    for name, status in (("glopal refuses", 400), ("glopal fails", 500)):
        run.orders[name] = place()
        body = json.dumps({"error": canary("customer-last_name"), "title": canary("customer-phone")}).encode()
        stage.glopal.serve_instead(STORE, run.orders[name], body, status)
    for kind in ("cut_before", "cut_after", "truncated", "html_after", "error_after", "silent_after"):
        stage.faults.script(kind, method="POST", times=1)
    with engine.connect() as conn, stage.working() as worker:
        wait(lambda: _refused(run) == run.refusing, 60, lambda: run.refusing - _refused(run))
        conn.exec_driver_sql("ALTER TABLE orderflow.attempts ADD CONSTRAINT sabotage CHECK (status < 0) NOT VALID")
        broken = run.orders["in a broken database"] = place()
        stage.glopal.ready(STORE, broken)
        wait(lambda: "IntegrityError 23514" in _heard(run, worker), 60)  # the outcomes of calls are lost
        conn.exec_driver_sql("ALTER TABLE orderflow.attempts DROP CONSTRAINT sabotage")
        conn.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        wait(lambda: stage.order(broken).status is Status.ACCEPTED, 60)  # nothing of it was lost
        run.orders["redirect"] = place()
        run.evil.answers[run.orders["redirect"]] = redirect
        wait(lambda: conn.scalar(sa.text("SELECT count(*) FROM orderflow.pauses")), 60)
        _heard(run, worker)


def _refused(run: Run) -> set[str]:
    """The orders, by name, of which something was refused."""
    engine = sa.create_engine(run.url, poolclass=sa.NullPool)
    with engine.connect() as conn:
        found = set(conn.scalars(sa.text("SELECT order_id FROM orderflow.events WHERE type = 'EffectRefused'")))
    return {name for name, order_id in run.orders.items() if order_id in found}


def _heard(run: Run, worker: subprocess.Popen[str]) -> str:
    """What the worker has logged by now."""
    assert worker.stderr is not None
    os.set_blocking(worker.stderr.fileno(), False)
    with suppress(BlockingIOError):
        while more := os.read(worker.stderr.fileno(), 65536):
            run.said["the worker's log"] = run.said.get("the worker's log", "") + more.decode()
    return run.said.get("the worker's log", "")


def _malformed() -> dict[str, bytes]:
    """Details that cannot be read, with a canary where the mistake is."""
    good = {"id": "ORDER", "status": "RECEIVED"} | json.loads(json.dumps(order(), default=str))
    name = canary("customer-last_name")

    def bad(**more: Any) -> bytes:
        return json.dumps(good | more).encode()

    return {
        "cut off": bad()[:-40],
        "a member twice": bad()[:-1] + f',"status":"{name}"}}'.encode(),
        "no object": json.dumps([name]).encode(),
        "a currency that is a name": bad(currency=name),
        "a total that is a name": bad(totals={"total": name}),
        "a quantity that is a name": bad(items=[{"sku": "a", "quantity": name, "unit_price": "1"}]),
        "a price that is a name": bad(items=[{"sku": "a", "quantity": 1, "unit_price": name}]),
        "items that are a name": bad(items=name),
        "a time that is a name": bad(created_at=name),
        "ids that are a name": bad(external=name),
        "a status that is a number": bad(status=7),
        "a sum that does not hold": bad(totals={**good["totals"], "total": "99.00"}),
    }


def _commands(run: Run) -> None:
    """Every command that shows something, for every order, as text and as JSON; what they say is kept."""
    wholes = [
        *(["orders", "list"], ["orders", "list", "--attention"], ["effects", "list"], ["pauses"], ["verify"]),
        *(["doctor"], ["doctor", "--go-live"], ["routes"], ["config", "check"], ["config", "show"], ["keys", "status"]),
        *(["pull"], ["rebuild"], ["keys", "rotate"], ["migrate"], ["map"], ["version"]),
        ["erase", "--buyer", f"{canary('customer-email')}@example.org"],
    ]
    for command in wholes:
        for more in ([], ["--json"]):
            _say(run, *command, *more)
    for number, order_id in enumerate(run.orders.values()):
        for command in (["why"], ["orders", "show"], ["orders", "timeline"], ["effects", "show"], ["map"]):
            _say(run, *command, f"{STORE}/{order_id}", *(["--json"] if number % 2 else []))
    for command in (["why"], ["orders", "show"], ["orders", "timeline"], ["effects", "show"], ["map"]):
        for more in ([], ["--json"]):
            _say(run, *command, f"{STORE}/{run.orders['a sentence']}", *more)
    _say(run, "orders", "as-of", f"{STORE}/{run.orders['good']}", "1")
    good = f"{STORE}/{run.orders['good']}"
    _say(run, "accept", good, "--id", "1", "--number", "1")
    _say(run, "retry", f"{STORE}/{run.orders['a sentence']}", "draft", "--why", "again")
    _say(run, "orders", "show", good, "--config", "nowhere")
    with pytest.MonkeyPatch.context() as patch:  # a mistake of ours, with a buyer's name in its text
        patch.setattr(looking, "attempts_of", _mistaken, raising=False)
        patch.setattr(looking, "find", _mistaken)
        _say(run, "orders", "timeline", good)
    assert "a mistake of orderflow's own" in run.said[f"`orderflow orders timeline {good}`"]


def _mistaken(*_: object, **__: object) -> None:
    raise ValueError(f"{canary('customer-last_name')} broke it")


def _say(run: Run, *arguments: str) -> None:
    done = run.stage.run_here(*arguments)
    shown = " ".join(one for one in arguments if "@" not in one)
    place = f"`orderflow {shown}`"
    run.said[place] = run.said.get(place, "") + done.out + done.err


def test_no_canary_is_seen_anywhere(run: Run) -> None:
    """Not one, of any field, in any form, in any place."""
    assert run.found() == []


def test_everything_happened(run: Run) -> None:
    """The search is worth something: bodies were fetched, shops refused, calls failed, orders wait for people."""
    engine = sa.create_engine(run.url, poolclass=sa.NullPool)
    with engine.connect() as conn:
        kinds = dict(conn.execute(sa.text("SELECT type, count(*) FROM orderflow.events GROUP BY 1")).all())
        sealed = conn.scalar(sa.text("SELECT count(*) FROM orderflow.attempts WHERE response IS NOT NULL"))
        waiting = conn.scalar(sa.text("SELECT count(*) FROM orderflow.orders WHERE attention <> '{}'"))
    assert {"DetailsFetched", "Malformed", "EffectRefused", "EffectUnknown", "EffectDelivered", "LookedUp"} <= {*kinds}
    assert _refused(run) == run.refusing
    assert sealed >= 10
    assert waiting >= 10
    assert len(run.evil.urls) > 100
    assert "parameters: " in run.everything()["the server's log"].lower()
    assert [path for path in run.said if "effects show" in path]


def test_the_canaries_were_there(run: Run) -> None:
    """Opened with its key, the good order's body holds every one of them: they went all the way through."""
    app, order_id = run.stage.app, run.orders["good"]
    with app.engine.connect() as conn:
        row = conn.execute(_DETAILS, {"store": STORE, "order_id": order_id}).one()
        opened = unseal(key(conn, app.vault, STORE, order_id, row.body_key), row.body, row.event_id, "body")
    assert len(leaks("it", opened.decode())) == len(PERSONAL)
    [asked] = [json.loads(run.said["`orderflow erase --buyer --json`"])]
    assert len(asked["orders"]) >= len(run.orders) - len(_malformed()) - 2


_DETAILS = sa.text(
    "SELECT body, body_key, event_id FROM orderflow.events "
    "WHERE store = :store AND order_id = :order_id AND type = 'DetailsFetched' ORDER BY version DESC LIMIT 1"
)


@pytest.mark.parametrize(
    "place", ["a row", "bytes in a row", "a comment", "the server's log", "a URL", "a file", "an answer"]
)
def test_a_leak_is_found(run: Run, place: str) -> None:
    """One planted canary is found wherever it stands, as text or as bytes; so the search can fail."""
    engine = sa.create_engine(run.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    word = canary("cart-url")
    with engine.connect() as conn:
        match place:
            case "a row":
                planted = "INSERT INTO orderflow.pauses (store, scope, reason, by) VALUES ('x', 'pull', %s, 'x')"
                undone = "DELETE FROM orderflow.pauses WHERE store = 'x'"
            case "bytes in a row":
                planted = (
                    "INSERT INTO orderflow.pauses (store, scope, reason, by) "
                    "VALUES ('x', 'pull', encode(convert_to('{\"a\":\"' || %s || '\"}', 'UTF8'), 'hex'), 'x')"
                )
                undone = "DELETE FROM orderflow.pauses WHERE store = 'x'"
            case "a comment":
                planted, undone = f"COMMENT ON SCHEMA orderflow IS '{word}'", "COMMENT ON SCHEMA orderflow IS NULL"
            case _:
                planted = undone = "SELECT 1"
        kept = {"urls": list(run.evil.urls), "said": dict(run.said)}
        log, file = run.home / "postgres" / "server.log", run.stage.home / "crash.txt"
        size = log.stat().st_size
        conn.exec_driver_sql("SET log_statement = 'none'")  # the database alone is to be searched
        conn.exec_driver_sql(planted, (word,) if "%s" in planted else None)
        if place == "the server's log":
            with log.open("a") as appended:
                appended.write(f"ERROR: {word}\n")
        elif place == "a URL":
            run.evil.urls.append(f"GET /orders?name={word}")
        elif place == "a file":
            file.write_text(base64.b64encode(f"name: {word}!".encode()).decode())
        elif place == "an answer":
            run.said["a command"] = f"order of {word.upper()}"
        try:
            assert [leak.partition(" ")[0] for leak in run.found()] == [word]
        finally:
            conn.exec_driver_sql(undone)
            run.evil.urls, run.said = kept["urls"], kept["said"]  # type: ignore[assignment]
            file.unlink(missing_ok=True)
            os.truncate(log, size)


def test_every_field_has_a_canary_of_its_own() -> None:
    """No canary is a part of another one, or a leak would name the wrong field."""
    words = [canary(name) for name in PERSONAL]
    assert len(set(words)) == len(PERSONAL)
    assert not [one for one in words for other in words if one != other and one in other]
    text = json.dumps(order(), default=str)
    assert all(word in text for word in words)
    assert not re.search(r"Zq\w*Qz", json.dumps({"none": "here"}))
