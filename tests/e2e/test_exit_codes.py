"""How commands end: the documented exit codes, one line on stderr, and nothing half-done after Ctrl-C."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import sqlalchemy as sa

from orderflow.cli import commanding, exits
from orderflow.cli.demo.judge import rebuilt

from .stage import STORE, Stage, command, staged, wait

# --- the table ------------------------------------------------------------------------------------------------------


def test_done(stage):
    assert stage.run_apart("version").code == 0


def test_refused(stage):
    order_id = stage.place()
    stage.run("pull")
    stage.run("accept", order_id, "--id", "S-1", "--number", "1")
    said = stage.run("accept", order_id, "--id", "S-2", "--number", "2", code=exits.REFUSED)
    assert len(said.err.splitlines()) == 1


def test_bad_input(stage):
    assert stage.run_apart("orders", "shwo", "1").code == exits.BAD_INPUT
    said = stage.run_apart("wyh", "1")
    assert (said.code, "Did you mean 'why'?" in said.err) == (exits.BAD_INPUT, True)


def test_out_of_reach(stage):
    text = (stage.home / "orderflow.toml").read_text()
    nobody = 'database_url = "postgresql+psycopg://x@127.0.0.1:1/x"'
    (stage.home / "away.toml").write_text(re.sub("database_url = .*", nobody, text))
    said = stage.run("--config", "away.toml", "orders", "list", code=exits.OUT_OF_REACH)
    assert "the database cannot be reached" in said.err
    stage.faults.script("error_503", path="events")
    said = stage.run("pull", "--json", code=exits.OUT_OF_REACH)
    assert "Glopal gave no answer" in said.err
    assert said.data[0]["ask_again_in"] >= 1


def test_a_mistake_of_ours_shows_where_and_nothing_that_may_be_personal(stage):
    with patch.object(commanding, "handle", side_effect=KeyError("Mrs. Miller")):
        order_id = stage.place()
        stage.run("pull")
        said = stage.run("cancel", order_id, "--reason", "x", code=exits.MISTAKE)
    assert "a mistake of orderflow's own (KeyError)" in said.err
    assert "commanding.py" in said.err
    assert "Miller" not in said.err


def test_the_help_names_every_code(stage):
    said = re.sub(r"\s+", " ", stage.run_apart("--help").out)
    assert all(f"{code} {text}" in said for code, text in exits.CODES.items())


def test_a_broken_pipe_is_quiet(stage):
    for _ in range(3):
        stage.place()
    stage.run("pull")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command("orders", "list", "--json"),
        env=stage.environment,
        cwd=stage.home,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert done.stderr == ""


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


_GATE = 4711
_TRAP = """
CREATE FUNCTION public.wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position > {position} THEN PERFORM pg_advisory_xact_lock({gate}); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER wait_here BEFORE INSERT ON orderflow.{table} FOR EACH ROW EXECUTE FUNCTION public.wait_here();
"""


@contextmanager
def stuck_at(engine: sa.Engine, table: str, position: int) -> Iterator[None]:
    """Whoever inserts beyond `position` waits until this is left: that is where a command is interrupted."""
    with engine.begin() as conn:
        conn.exec_driver_sql(_TRAP.format(table=table, position=position, gate=_GATE))
    with engine.connect() as gate:
        gate.exec_driver_sql(f"SELECT pg_advisory_lock({_GATE})")
        yield
        gate.exec_driver_sql(f"SELECT pg_advisory_unlock({_GATE})")
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP FUNCTION public.wait_here() CASCADE")


def interrupted(stage: Stage, when: Callable[[], object], *arguments: str) -> str:
    """Start a command, press Ctrl-C once `when` holds, and return what it said on stderr."""
    process = stage.start(*arguments)
    try:
        wait(lambda: process.poll() is not None or when(), 40)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == exits.INTERRUPTED, err
    assert err == "orderflow: interrupted; nothing is half-done: the same command goes on from here\n"
    return err


def scalar(engine: sa.Engine, query: str):
    with engine.connect() as conn:
        return conn.scalar(sa.text(query))


_BLOCKED = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def waits_for_a_lock(engine: sa.Engine) -> bool:
    return bool(scalar(engine, _BLOCKED))


def test_an_interrupted_rebuild_changes_nothing(stage, engine):
    for _ in range(300):
        stage.place(ready=True)
    stage.run("pull")
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE orderflow.timeline SET type = 'Odd'")
    with engine.begin() as conn:
        conn.exec_driver_sql("LOCK TABLE orderflow.timeline IN EXCLUSIVE MODE")
        interrupted(stage, lambda: waits_for_a_lock(engine), "rebuild", "timeline")
    rows = "SELECT count(*) FROM orderflow.timeline WHERE type = 'Odd'"
    assert scalar(engine, rows) == 600
    assert scalar(engine, "SELECT max(position) FROM orderflow.checkpoints WHERE reader = 'timeline'") == 600
    assert scalar(engine, "SELECT count(*) FROM orderflow_kept.timeline") == 0
    stage.run("rebuild", "timeline")
    assert scalar(engine, rows) == 0
    assert list(rebuilt(stage.app)) == []


def test_an_interrupted_pull_loses_and_doubles_nothing(stage, engine):
    orders = [stage.place() for _ in range(250)]
    count = "SELECT count(*) FROM orderflow.events"
    with stuck_at(engine, "events", 150):
        interrupted(stage, lambda: waits_for_a_lock(engine), "pull")
    assert scalar(engine, count) == 100  # one page is whole, the next one is not there at all
    assert stage.run("pull", "--json").data[0]["new"] == 150
    [told] = stage.run("verify", "--json").data
    assert told.items() >= {"store": STORE, "events": 250, "damage": None, "position": None}.items()
    assert all(reader["flaw"] is None for reader in told["readers"])
    listed = stage.run("orders", "list", "--limit", "300", "--json").data
    assert sorted(row["order_id"] for row in listed) == sorted(orders)


def test_an_interrupted_verify_says_so(stage, engine):
    stage.place()
    stage.run("pull")
    with engine.begin() as conn:
        conn.exec_driver_sql("LOCK TABLE orderflow.epochs IN ACCESS EXCLUSIVE MODE")
        interrupted(stage, lambda: waits_for_a_lock(engine), "verify")
    stage.run("verify")


def test_an_interrupted_migration_leaves_all_or_nothing(tmp_path):
    tmp_path.chmod(0o711)
    with staged(tmp_path, None) as stage:
        process = stage.start("migrate")
        started = stage.home / "data" / "postgres" / "pgdata" / "postmaster.pid"
        wait(lambda: process.poll() is not None or started.exists(), 40)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
        assert process.returncode in (0, exits.INTERRUPTED), err  # it may have been quicker
        said = stage.run_apart("orders", "list")
        assert (said.code, "orderflow migrate" in said.err) in ((exits.BAD_INPUT, True), (0, False))
        stage.run("migrate")
        assert stage.run("orders", "list", "--json").data == []


def test_a_worker_that_is_interrupted_ends_cleanly(stage):
    with stage.working() as process:
        order_id = stage.place(ready=True)
        wait(lambda: stage.order(order_id).version > 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_the_sandbox_ends_at_once(stage):
    process = stage.start("sandbox", "--port", "0", "--dir", str(stage.home / "sandbox"))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Glopal")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
