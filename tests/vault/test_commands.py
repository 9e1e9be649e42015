"""The commands about keys and erasures, as people call them."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.conftest import NewDatabase
from tests.e2e.stage import STORE, Stage, staged, wait
from tests.store.writing import rows

from orderflow.store.vault import new_master_key


@pytest.fixture
def stage(tmp_path: Path, database_url: str) -> Iterator[Stage]:
    """A stage with a register of erasures and a signing key."""
    with staged(tmp_path, database_url) as made:
        (tmp_path / "seal.key").write_text(base64.b64encode(os.urandom(32)).decode())
        settings(made, 'erasures = "erasures.jsonl"', 'seal.key = { file = "seal.key" }')
        yield made


def settings(stage: Stage, *lines: str) -> None:
    """More lines at the top of the settings."""
    path = stage.home / "orderflow.toml"
    path.write_text("\n".join(lines) + "\n" + path.read_text())


def fetched(stage: Stage, **more: object) -> str:
    """An order whose details were fetched and drafted."""
    order_id = stage.place(**more)
    with stage.working():
        wait(lambda: stage.order(order_id).shop.seen)
        stage.rest()
    return order_id


def test_the_master_key_is_rotated_step_by_step(stage: Stage) -> None:
    """As the how-to says: known everywhere, then first, then everything wrapped anew, then alone."""
    order_id = fetched(stage)
    new_master_key(stage.home / "new.key")
    settings(stage, 'second_master_key = { file = "new.key" }')
    before = stage.run("keys", "status", "--json").data
    assert (len(before["keys"]), before["left"], before["unopened"]) == (1, 0, 0)
    path = stage.home / "orderflow.toml"
    old = f'master_key_file = "{stage.home}/master.key"'
    swapped = path.read_text().replace(old, f'master_key_file = "{stage.home}/new.key"')
    path.write_text(swapped.replace('{ file = "new.key" }', '{ file = "master.key" }'))
    assert "`orderflow keys rotate` wraps the others anew" in stage.run("keys", "status").out
    with stage.working():
        done = stage.run("keys", "rotate", "--json").data
        stage.glopal.ready(STORE, order_id)
        wait(lambda: stage.order(order_id).status == "ACCEPTED")
    assert done["rewrapped"] >= 1
    assert (done["left"], done["unopened"], done["mac_key"]) == (0, 0, done["current"])
    assert "not needed any more" in stage.run("keys", "status").out
    (stage.home / "master.key").unlink()
    path.write_text(path.read_text().replace('second_master_key = { file = "master.key" }\n', ""))
    assert stage.run("orders", "show", f"{STORE}/{order_id}", "--json").data["status"] == "ACCEPTED"
    assert stage.run("keys", "status", "--json").data["second"] is None
    assert "opens what is sealed" in stage.run_here("doctor").out


def test_a_master_key_that_is_missing_is_named(stage: Stage) -> None:
    """`keys status` says what does not open; a worker of the wrong key records nothing."""
    fetched(stage)
    first = stage.run("keys", "status", "--json").data["current"]
    (stage.home / "master.key").unlink()
    new_master_key(stage.home / "master.key")
    told = stage.run("keys", "status", code=1)
    assert f"keys are wrapped by {first}" in told.out
    assert "put their master key back" in told.out
    assert f"wrapped by master key {first}, which is not in use" in stage.run("keys", "rotate", code=2).err


def test_the_master_key_may_stand_in_the_environment(stage: Stage) -> None:
    """Beside it, the file has no effect, and that is said."""
    text = (stage.home / "master.key").read_text()
    settings(stage, 'master_key = { env = "MASTER" }')
    (stage.home / "master.key").write_text("no key")
    stage.run("orders", "list", MASTER=text)
    assert "has no effect beside master_key" in stage.run("config", "check", MASTER=text).out
    assert "master_key: a master key is 32 bytes" in stage.run("orders", "list", MASTER="a secret!", code=2).err
    assert "a secret!" not in stage.run("orders", "list", MASTER="a secret!", code=2).err


def keys_found(stage: Stage) -> dict[str, tuple[str, str]]:
    """What doctor says of the database of the keys."""
    findings = json.loads(stage.run_here("doctor", "--json").out)["findings"]
    kept = [one for one in findings if one["check"].startswith("keys: ")]
    return {one["check"].removeprefix("keys: "): (one["level"], one["found"]) for one in kept}


def test_keys_in_a_database_of_their_own(stage: Stage, new_database: NewDatabase) -> None:
    """`migrate` makes both, nothing works before, and no key stands beside the log."""
    server, name = sa.make_url(new_database()), f"keys-{uuid4()}"
    admin = sa.create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as conn:
        conn.exec_driver_sql(f'CREATE DATABASE "{name}"')
        url = server.set(database=name).render_as_string(hide_password=False)
        try:
            settings(stage, f'vault_url = "{url}"')
            assert "the database of the keys is empty: run `orderflow migrate`" in stage.run("pull", code=2).err
            assert keys_found(stage)["schema"] == ("failure", "the database of the keys is empty")
            assert "the database of the keys is migrated from nothing to v001" in stage.run("migrate").out
            assert stage.run("migrate", "--json").data["keys"] == {"from": "v001", "to": "v001"}
            assert "-- in the database of vault_url:" in stage.run("migrate", "--sql").out
            fetched(stage)
            assert rows(stage.app.engine, "SELECT 1 FROM orderflow_vault.keys") == []
            assert stage.run("keys", "status", "--json").data["keys"][0]["keys"] >= 1
            assert "opens what is sealed" in stage.run_here("doctor").out
            found = keys_found(stage)
            assert found["schema"] == ("ok", "stands at v001, the newest")
            assert found["connections"][1].endswith("one process takes up to 37")  # of both databases of the server
            assert {*found} >= {"database", "role", "encoding", "durability", "writing", "encryption"}
        finally:
            conn.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_an_order_is_erased(stage: Stage) -> None:
    """Only when told so; then with a receipt, and for good."""
    order_id = fetched(stage)
    place = f"{STORE}/{order_id}"
    assert f"would be erased for good: {place}" in stage.run("erase", place).out
    assert "--why must be plain text" in stage.run("erase", place, "--yes", code=2).err
    done = stage.run("erase", place, "--why", "asked by letter", "--by", "ann", "--yes", "--json").data
    assert done["erased"] == [{"order": place, "keys": 1}]
    [line] = (stage.home / "erasures.jsonl").read_text().splitlines()
    assert json.loads(line)["erasure"]["order_id"] == order_id
    assert "personal data erased by ann" in stage.run("orders", "timeline", place).out
    assert "(erased" in stage.run("effects", "show", place, "--personal").out
    stage.run("verify")
    stage.run("rebuild")
    assert stage.run("orders", "show", place, "--json").data["total"] is not None
    assert "all that" in stage.run_here("doctor").out
    again = stage.run("erase", place, "--why", "asked again", "--yes").out
    assert f"{place}: nothing was left to erase" in again
    assert (stage.home / "erasures.jsonl").read_text().splitlines() == [line]


def test_a_buyer_is_erased(stage: Stage) -> None:
    """By what only they say, from standard input or as an option; it is never said back."""
    mine = fetched(stage, customer={"email": "Zoe@example.org"})
    other = fetched(stage, customer={"email": "jo@example.org"})
    shown = stage.run("erase", "--buyer", "zoe@example.org")
    assert f"{STORE}/{mine}" in shown.out
    assert f"{STORE}/{other}" not in shown.out
    assert "zoe" not in (shown.out + shown.err).lower()
    done = stage.run("erase", "--buyer", "zoe@example.org", "--why", "by letter", "--yes", "--json").data
    assert done["erased"] == [{"order": f"{STORE}/{mine}", "keys": 1}]
    assert "zoe" not in (stage.home / "erasures.jsonl").read_text().lower()
    assert "no order was found" in stage.run("erase", "--buyer", "zoe@example.org").out
    assert "nothing to look for" in stage.run("erase", "--buyer", " ", code=2).err


def test_nothing_is_erased_without_a_register(tmp_path: Path, database_url: str) -> None:
    """Nor with one that nobody signs."""
    with staged(tmp_path, database_url) as stage:
        stage.place()
        assert "erasures is not set" in stage.run("erase", "1", "--why", "x", "--yes", code=2).err
        settings(stage, 'erasures = "erasures.jsonl"')
        assert "seal.key: is missing" in stage.run("erase", "1", "--why", "x", "--yes", code=2).err
        assert "say what to erase" in stage.run("erase", code=2).err


def test_a_restored_database_does_not_work_before_it_is_erased_again(stage: Stage) -> None:
    """Doctor and worker say what to do; `--reapply` does it, and a register that was altered stops it."""
    order_id = fetched(stage)
    owner = sa.create_engine(stage.app.engine.url, poolclass=sa.NullPool)
    [key] = rows(owner, "SELECT * FROM orderflow_vault.keys WHERE order_id = :o", o=order_id)
    stage.run("erase", f"{STORE}/{order_id}", "--why", "by letter", "--yes")
    with owner.begin() as conn:
        conn.execute(
            sa.text("UPDATE orderflow_vault.keys SET wrapped = :w, master = :m, destroyed_at = NULL WHERE key_id = :k"),
            {"w": key.wrapped, "m": key.master, "k": key.key_id},
        )
    register = stage.home / "erasures.jsonl"
    mend = f"erase --reapply {register} --yes"
    assert "--reapply" in stage.run_here("doctor").out
    assert mend in stage.run("work", code=1).err
    assert "1 of them name keys that are alive" in stage.run("erase", "--reapply", str(register)).out
    whole = register.read_text()
    register.write_text(whole.replace("letter", "mail"))
    assert "line 1 is not what was signed" in stage.run("erase", "--reapply", str(register), "--yes", code=1).err
    register.write_text(whole)
    assert "1 keys were destroyed again" in stage.run("erase", "--reapply", str(register), "--yes").out
    assert "--reapply" not in stage.run_here("doctor").out
    with stage.working():
        pass
    register.rename(register.with_suffix(".away"))  # a mount that was lost, for example
    assert "is missing, and keys were erased: put it back" in stage.run("work", code=1).err
    assert "put the true register back" in stage.run_here("doctor").out
