"""The commands for after a restore, and the servers that are refused at the start."""

import pytest
import sqlalchemy as sa

from .stage import Stage, wait


@pytest.fixture
def moved(stage: Stage, database_url: str) -> Stage:
    """A store with one drafted order, whose database stands on another timeline than at the last start."""
    order_id = stage.place()
    with stage.working():
        wait(stage.shop.ledger)
        stage.rest()
    assert [entry.reference for entry in stage.shop.ledger()] == [f"glopal:acme:{order_id}"]
    with sa.create_engine(database_url, poolclass=sa.NullPool).begin() as conn:
        assert conn.exec_driver_sql("UPDATE orderflow.servers SET timeline = timeline + 1").rowcount == 1
    return stage


def test_open_by_default(stage: Stage) -> None:
    assert stage.run("recover", "status").out == "acme: effects are open, in epoch 1\n"
    assert stage.run("recover", "reconcile").out == "effects are open; there is nothing to recover from\n"
    assert "nothing to recover from" in stage.run("recover", "open", "acme", "--why", "?", code=1).err


def test_status_reconcile_open(moved: Stage) -> None:
    said = moved.run("recover", "status", code=1).out
    assert "another timeline" in said
    assert "1 orders may have lost something, 0 of them are looked up" in said
    assert "next: orderflow recover reconcile --store acme" in said
    refused = moved.run("recover", "open", "acme", "--why", "hurry", code=1)
    assert "feed was not read" in refused.err
    assert "effects of acme are kept back: another timeline" in refused.err
    done = moved.run("recover", "reconcile").out
    assert "1 orders looked up" in done
    assert 'next: orderflow recover open acme --why "..."' in done
    assert moved.run("recover", "status", "--json", code=1).data[0]["orders"] == {"concerned": 1, "looked_up": 1}
    opened = moved.run("recover", "open", "acme", "--why", "all looked up", "--by", "alice").out
    assert "effects are open, in epoch 2" in opened
    said = moved.run("recover", "status").out
    assert "by alice: all looked up" in said
    [order] = moved.glopal.ledger("acme")
    moved.glopal.ready("acme", order.order_id)
    with moved.working():
        wait(lambda: moved.shop.ledger()[0].state == "order")
        moved.rest()
    assert [entry.state for entry in moved.shop.ledger()] == ["order"]


def test_an_order_that_cannot_be_looked_up_is_named_and_can_be_left_out(moved: Stage) -> None:
    [order] = moved.glopal.ledger("acme")
    moved.faults.script("error_503", path="/orders$", times=10)
    told = moved.run("recover", "reconcile", code=1)
    assert f"acme/{order.order_id} could not be looked up" in told.err
    assert order.order_id in moved.run("recover", "open", "acme", "--why", "?", code=1).err
    moved.run("recover", "open", "acme", "--why", "later", "--without", order.order_id)
    assert f"left out, nothing is sent for them: {order.order_id}" in moved.run("recover", "status").out
    moved.faults.stop()
    assert "1 orders looked up" in moved.run("recover", "reconcile").out
    assert "left out" not in moved.run("recover", "status").out


def test_a_running_worker_notices(moved: Stage) -> None:
    with moved.working() as worker:
        assert worker.stderr is not None
        assert "effects of acme are kept back: another timeline" in worker.stderr.readline()


def test_doctor_says_that_effects_are_kept_back(moved: Stage) -> None:
    assert "effects are kept back: another timeline" in moved.run("doctor", code=1).out
    moved.run("recover", "status", code=1)
    assert "effects are kept back: another timeline" in moved.run("doctor", code=1).out


@pytest.mark.parametrize("command", [("work",), ("pull",), ("retry", "acme/1", "fetch", "--why", "x")])
def test_a_server_that_forgets_is_refused_unless_allowed_by_name(stage: Stage, command: tuple[str, ...]) -> None:
    refused = stage.run(*command, code=1, ORDERFLOW_UNSAFE_SERVER="fsync")
    assert "full_page_writes is off: a power cut may damage pages; synchronous_commit is off" in refused.err
    assert 'unsafe_server = ["fsync", "full_page_writes", "synchronous_commit"]' in refused.err
    stage.run("recover", "status", ORDERFLOW_UNSAFE_SERVER="fsync")  # looking is allowed


def test_what_counts_is_what_the_role_commits_with(stage: Stage, database_url: str) -> None:
    """The server may say on, and the database off."""
    url = sa.make_url(database_url)
    engine = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    allowed = {"ORDERFLOW_UNSAFE_SERVER": "fsync, full_page_writes"}
    with engine.connect() as conn:
        conn.exec_driver_sql(f'ALTER DATABASE "{url.database}" SET synchronous_commit = on')
    stage.run("pull", **allowed)
    with engine.connect() as conn:
        conn.exec_driver_sql(f'ALTER DATABASE "{url.database}" SET synchronous_commit = off')
    assert "synchronous_commit is off" in stage.run("pull", code=1, **allowed).err


def test_only_known_names_are_allowed(stage: Stage) -> None:
    said = stage.run("pull", code=2, ORDERFLOW_UNSAFE_SERVER="everything").err
    assert "unsafe_server: got 'everything', expected one of fsync, full_page_writes, synchronous_commit" in said


def test_why_says_that_effects_are_kept_back(moved: Stage) -> None:
    """An order whose next step is due looks as if it were next in line; it is not, and why tells whose turn it is."""
    [order] = moved.glopal.ledger("acme")
    moved.glopal.ready("acme", order.order_id)
    moved.run("pull")
    said = moved.run("why", order.order_id)
    assert "effects of acme are kept back" in said.out
    assert "orderflow recover status" in said.out
    moved.faults.script("error_503", path="/orders$", times=10)
    moved.run("recover", "reconcile", code=1)
    moved.run("recover", "open", "acme", "--why", "later", "--without", order.order_id)
    assert "it was left out when a recovery was opened" in moved.run("why", order.order_id).out


def test_what_is_imported_or_erased_first_notices_the_restore(moved: Stage) -> None:
    """What is appended after a restore belongs to the new epoch, whoever appends it."""
    (moved.home / "history.ndjson").write_text(
        '{"event_id":"h1","event_name":"order.received","order_id":"9-9","event_at":"2020-01-01T00:00:00Z"}\n'
    )
    moved.run("import", "acme", "history.ndjson", "--effects")
    with moved.app.engine.begin() as conn:
        first = conn.scalar(sa.text("SELECT first_position FROM orderflow.epochs WHERE epoch = 2"))
        at = conn.scalar(sa.text("SELECT position FROM orderflow.events WHERE source_id = 'h1'"))
    assert first is not None
    assert at >= first
