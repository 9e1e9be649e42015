"""Seals and bundles on the command line: made, kept, compared, proved elsewhere, and told of by doctor."""

import json
import re

import pytest
import sqlalchemy as sa

from .stage import STORE, Stage, wait


@pytest.fixture
def sealing(stage: Stage) -> Stage:
    """A stage whose settings name a sealing key and a folder."""
    made = stage.run("seal", "--new-key", "seal.key")
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", made.out)
    with (stage.home / "orderflow.toml").open("a") as file:
        file.write('\n[seal]\nkey = { file = "seal.key" }\nfolder = "seals"\nevery = 0.2\n')
    return stage


def finding(stage: Stage) -> dict:
    """What doctor says of the seals."""
    found = stage.run_apart("doctor", "--json").data["findings"]
    return next(one for one in found if one["check"] == "seals")


def test_without_a_key_nothing_is_sealed(stage):
    stage.place()
    stage.run("pull")
    assert "seal.key is not set: make one with `orderflow seal --new-key FILE`" in stage.run("seal", code=2).err
    assert "seal.key is not set" in stage.run("audit", "export", STORE, "-o", "x", code=2).err
    assert "no key is set" in stage.run("verify", "--seals", ".", code=2).err
    assert finding(stage)["level"] == "ok"


def test_a_key_is_made_once(sealing):
    assert "is there already" in sealing.run("seal", "--new-key", "seal.key", code=2).err
    public = sealing.run("seal", "--public-key").out
    assert public.strip() not in (sealing.home / "seal.key").read_text()
    assert "cannot be written" in sealing.run("seal", "--new-key", "nowhere/seal.key", code=2).err
    (sealing.home / "seal.key").write_text("rubbish\n")
    said = sealing.run("seal", code=2)
    assert "seal.key: a sealing key is 32 bytes in base64" in said.err
    assert "rubbish" not in said.err


def test_seal_verify_export_check(sealing, engine):
    order = sealing.place(ready=True)
    sealing.run("pull")
    assert "there is no seal to compare it with" in sealing.run("verify").out
    assert sealing.run("seal").out == f"{STORE}: 2 events sealed, kept by folder\n"
    [told] = sealing.run("seal", "--json").data
    assert (told["size"], told["exported"], told["exports"]) == (2, True, {"folder": ""})
    said = sealing.run("verify").out.splitlines()
    assert said[0] == f"the log of {STORE} is whole: 2 events; 2 seals agree, up to position 2"
    assert finding(sealing)["found"] == "kept by folder, up to position 2 of 2"

    sealing.place()
    sealing.run("pull")
    assert "3 events sealed" in sealing.run("audit", "export", order, "-o", "order.json").out
    key = sealing.run("seal", "--public-key").out.strip()
    said = sealing.run("audit", "check", "order.json", "--public-key", key, "--origin", told["origin"])
    assert f"order {order} of store {STORE}: 2 events, versions 1 to 2" in said.out
    assert "not proved: that nothing happened to the order after position 2" in said.out
    assert (
        "is of another log"
        in sealing.run("audit", "check", "order.json", "--public-key", key, "--origin", "x", code=1).err
    )
    other = sealing.run("seal", "--new-key", "other.key").out.strip()
    assert (
        "not signed by the pinned key" in sealing.run("audit", "check", "order.json", "--public-key", other, code=1).err
    )
    assert "no public key" in sealing.run("audit", "check", "order.json", "--public-key", "x", code=2).err
    assert "cannot be read" in sealing.run("audit", "check", "nowhere", "--public-key", key, code=2).err
    document = json.loads((sealing.home / "order.json").read_text())
    assert "personal" not in json.dumps(document)

    with engine.begin() as conn:  # as a superuser who cuts off the end and its traces
        conn.execute(sa.text("SET session_replication_role = replica"))
        for table in ("seals", "seal_exports"):
            conn.execute(sa.text(f"DELETE FROM orderflow.{table} WHERE size = 3"))
        conn.execute(
            sa.text(
                "DELETE FROM orderflow.streams "
                "WHERE order_id NOT IN (SELECT order_id FROM orderflow.events WHERE position < 3)"
            )
        )
        conn.execute(sa.text("DELETE FROM orderflow.events WHERE position = 3"))
    assert "is behind: it ends at position 2" in sealing.run("verify", code=1).err
    [told] = sealing.run("verify", "--json", code=1).data
    assert (told["standing"], told["damage"], told["seals"]["agreeing"]) == ("behind", None, 2)
    assert "not sealed: the log of store acme is behind" in sealing.run("seal", code=1).err
    assert finding(sealing)["level"] == "failure"
    kept = sealing.run("verify", "--public-key", other, "--json", code=1).data[0]
    assert kept["standing"] == "doubtful"


def test_an_exporter_that_fails_is_told(sealing):
    with (sealing.home / "orderflow.toml").open("a") as file:
        file.write('command = ["false"]\n')
    sealing.place()
    sealing.run("pull")
    said = sealing.run("seal", code=1)
    assert "acme: command did not take the seal: false ended with 1" in said.err
    assert said.out == f"{STORE}: 1 events sealed, kept by folder\n"
    found = finding(sealing)
    assert (found["level"], "false ended with 1" in found["found"]) == ("failure", True)


def test_a_worker_seals_by_itself(sealing):
    folder = sealing.home / "seals" / STORE
    with sealing.working():
        sealing.place(ready=True)
        wait(lambda: list(folder.rglob("*.seal")))
        sealing.rest()
    assert sealing.run("verify", "--json").data[0]["standing"] == "whole"
