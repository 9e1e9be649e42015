"""`orderflow work` as real processes: ended by signals, killed in the middle, several at once."""

import json
import re
import signal
import threading
import time

import pytest
import sqlalchemy as sa

from orderflow.cli.demo.judge import damage, differences
from orderflow.sandbox import Response, serve

from .stage import STORE, wait


def delivered(stage) -> int:
    with stage.app.engine.connect() as conn:
        return conn.scalar(sa.text("SELECT count(*) FROM orderflow.events WHERE type = 'EffectDelivered'"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(stage, number):
    process = stage.start("work")
    assert process.stdout.readline().startswith("working for acme with 3 relay workers")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_every_line_is_json_for_those_who_collect_them(stage, engine):
    with engine.begin() as conn:  # whatever it tries to read next, it complains
        conn.execute(sa.text("REVOKE SELECT ON orderflow.pauses FROM orderflow_app"))
    process = stage.start("work", "--json")
    first = json.loads(process.stdout.readline())
    complaint = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert first == {"state": "working", "stores": ["acme"], "workers": 3}
    assert json.loads(out) == {"state": "stopped"}
    assert (complaint["logger"], complaint["level"]) == ("orderflow", "ERROR")
    assert "ProgrammingError 42501" in complaint["text"]


def test_a_second_signal_ends_it_at_once(stage):
    hang = threading.Event()
    with serve(lambda _: hang.wait(30) and Response(503)) as silent:  # its pull is in the middle of a call
        text = (stage.home / "orderflow.toml").read_text()
        glopal = re.search(r'^base_url = "(.*)"', text, re.MULTILINE)[1]
        (stage.home / "orderflow.toml").write_text(text.replace(glopal, silent.url))
        process = stage.start("work")
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
        assert process.returncode == 130
        hang.set()


@pytest.mark.timeout(180)
def test_killed_in_the_middle_and_finished_by_another(stage):
    """The operating system's counterpart of the simulation: nothing is lost, nothing is done twice."""
    stage.faults.script("cut_after", method="POST", path="/promote$", times=3)
    orders = [stage.place(ready=True) for _ in range(30)]
    for enough in (8, 30, 55):
        process = stage.start("work")
        wait(lambda: delivered(stage) >= enough, 60)  # noqa: B023  it is waited for here
        process.kill()
        process.communicate()
    with stage.working():
        wait(lambda: all(stage.glopal.status(STORE, one) == "ACCEPTED" for one in orders), 60)
        stage.rest(60)
    assert differences(stage.app, stage.glopal, stage.shop) == []
    assert damage(stage.app, STORE) == []
    assert [len(entry.accepts) >= 1 for entry in stage.glopal.ledger(STORE)] == [True] * 30


def test_several_at_once_do_everything_once(stage):
    with stage.working(), stage.working():
        orders = [stage.place(ready=True) for _ in range(15)]
        wait(lambda: all(stage.glopal.status(STORE, one) == "ACCEPTED" for one in orders), 60)
        stage.rest()
    assert len(stage.shop.ledger()) == 15
    assert [len(entry.accepts) for entry in stage.glopal.ledger(STORE)] == [1] * 15
    assert differences(stage.app, stage.glopal, stage.shop) == []


def test_a_database_that_comes_back_is_used_again(stage, engine):
    with stage.working() as process:
        order_id = stage.place(ready=True)
        wait(lambda: delivered(stage) >= 1)
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        with engine.connect() as conn:
            conn.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        stage.app.engine.dispose()
        time.sleep(0.2)
        assert process.poll() is None, process.communicate()
        wait(lambda: stage.glopal.status(STORE, order_id) == "ACCEPTED", 40)
