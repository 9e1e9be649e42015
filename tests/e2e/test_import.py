"""`orderflow import`: history goes in, the past stays quiet, and an interruption costs nothing."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orderflow.cli import exits

from .stage import STORE, Stage, command, staged
from .test_exit_codes import interrupted, scalar, stuck_at, waits_for_a_lock

LINE = "2026-01-01T00:00:00Z"


@pytest.fixture
def drawn(tmp_path: Path, database_url: str) -> Iterator[Stage]:
    """A store that serves orders born since `LINE`."""
    with staged(tmp_path, database_url, {STORE: f"effects_from = {LINE}"}) as made:
        yield made


def lines(*events: tuple[str, str, datetime | None]) -> str:
    """Order, name and time of each."""
    return "".join(
        json.dumps(
            {
                "event_id": f"{order_id}-{name}",
                "event_name": f"order.{name}",
                "order_id": order_id,
                "event_at": None if at is None else at.isoformat(),
            }
        )
        + "\n"
        for order_id, name, at in events
    )


def written(stage: Stage, text: str) -> str:
    (stage.home / "history.ndjson").write_text(text)
    return "history.ndjson"


OLD = datetime(2020, 5, 5, tzinfo=UTC)


def test_history_goes_in_once(drawn):
    name = written(drawn, lines(("o1", "received", OLD), ("o1", "ready", OLD), ("o2", "received", OLD)) + "nonsense\n")
    said = drawn.run("import", STORE, name)
    assert said.out == f"{STORE}: 4 lines read, 4 events new, 0 known\n"
    assert said.err == f"orderflow: {STORE}: 1 of the lines are no events; they are kept as Malformed\n"
    again = drawn.run("import", STORE, name, "--json").data
    size = (drawn.home / name).stat().st_size
    told = {"bytes": size, "lines": 4, "skipped": 4, "new": 0, "known": 0, "bad": 0, "evidence": 0}
    assert again == {"store": STORE} | told
    assert "4 lines were recorded by an earlier import" in drawn.run("import", STORE, name).out
    assert drawn.run("verify").out.splitlines()[0] == f"the log of {STORE} is whole: 4 events"


def test_from_stdin(drawn):
    done = subprocess.run(
        command("import", STORE, "-", "--json"),
        input=lines(("o1", "received", OLD)),
        env=drawn.environment,
        cwd=drawn.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["new"], done.stderr) == (0, 1, "")


def test_old_orders_stay_quiet_and_new_ones_flow(drawn):
    """An order that is still open, born before the line: nothing falls due for it, not even a look at its details."""
    fresh = drawn.place(ready=True)
    name = written(drawn, lines(("old", "received", OLD), ("old", "ready", OLD + timedelta(hours=1))))
    drawn.run("import", STORE, name)
    with drawn.working():
        drawn.show(fresh)
        drawn.rest()
    assert drawn.glopal.status(STORE, fresh) == "ACCEPTED"
    assert drawn.show("old")["status"] == "READY"
    assert [one["order_id"] for one in drawn.run("effects", "list", "--json").data if one["order_id"] == "old"] == []
    assert "effects_from" in drawn.run("why", f"{STORE}/old").out


def test_without_a_line_it_is_refused(stage):
    """Old orders that are still open would enter the shop: that has to be meant."""
    name = written(stage, lines(("old", "received", OLD)))
    said = stage.run("import", STORE, name, code=exits.BAD_INPUT)
    assert "no effects_from" in said.err
    assert stage.run("verify").out.splitlines()[0] == f"the log of {STORE} is whole: 0 events"
    assert stage.run("import", STORE, name, "--effects", "--json").data["new"] == 1


def test_in_shadow_nothing_is_sent_anyhow(tmp_path, database_url):
    with staged(tmp_path, database_url, {STORE: "shadow = true"}) as stage:
        assert stage.run("import", STORE, written(stage, lines(("old", "received", OLD))), "--json").data["new"] == 1


def test_what_cannot_be_read(drawn):
    assert "cannot be read" in drawn.run("import", STORE, "none.ndjson", code=exits.BAD_INPUT).err
    assert "cannot be read" in drawn.run("import", STORE, ".", code=exits.BAD_INPUT).err
    assert "there is no store" in drawn.run("import", "acmee", written(drawn, ""), code=exits.BAD_INPUT).err
    page = '{"events": []}\n'
    assert "is a whole page" in drawn.run("import", STORE, written(drawn, page), code=exits.BAD_INPUT).err
    assert drawn.run("import", STORE, written(drawn, ""), "--json").data["lines"] == 0


def test_an_interrupted_import_goes_on_from_where_it_was(drawn, engine):
    events = [(f"o{n // 3}", ("received", "ready", "accepted")[n % 3], OLD + timedelta(minutes=n)) for n in range(4500)]
    name = written(drawn, lines(*events))
    with stuck_at(engine, "events", 2500):
        interrupted(drawn, lambda: waits_for_a_lock(engine), "import", STORE, name)
    # a batch is whole, the next not there at all
    assert scalar(engine, "SELECT count(*) FROM orderflow.events") == 2000
    assert scalar(engine, "SELECT max(lines) FROM orderflow.imports") == 2000
    done = drawn.run("import", STORE, name, "--json").data
    assert (done["skipped"], done["new"], done["known"]) == (2000, 2500, 0)
    assert drawn.run("verify").out.splitlines()[0] == f"the log of {STORE} is whole: 4500 events"
