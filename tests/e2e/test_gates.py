"""A destination that is down, as operators see it: every listing names it, and `resume` tries at once."""

from datetime import datetime, timedelta

import pytest

from .stage import STORE, wait


@pytest.fixture
def down(stage) -> str:
    """An order that waits for a shop whose breaker has opened; no worker runs any more."""
    with (stage.home / "orderflow.toml").open("a") as file:
        file.write("\n[breaker]\nfailures = 1\nfirst = 600\n")
    stage.faults.script("error_503", method="POST", times=1000)
    with stage.working():
        order_id = stage.place()
        wait(lambda: [row for row in stage.run("effects", "list", "--json").data if row["kept_back"]])
    return order_id


def test_what_is_kept_back_is_told_everywhere(stage, down):
    """When it is tried next, and by when it is given up; which destination nobody calls, why, and until when."""
    [row] = stage.run("effects", "list", "--json").data
    assert row["kept_back"]["why"].startswith("its breaker is open: 1 of 1 calls failed: 503")
    until, next_try, gives_up = (
        datetime.fromisoformat(text) for text in (row["kept_back"]["until"], row["next_try"], row["gives_up_by"])
    )
    assert until == next_try
    assert timedelta(0) < gives_up - next_try < timedelta(days=2)
    text = stage.run("effects", "list").out
    assert "next try" in text
    assert "gives up by" in text
    assert f"nobody calls shop of {STORE} until " in text
    assert ": its breaker is open" in text
    [shown] = stage.run("effects", "show", down, "draft", "--json").data["effects"]
    assert shown["gives_up_by"] == row["gives_up_by"]

    for command in (("why", down), ("orders", "show", down)):
        text = stage.run(*command).out
        assert "if every try fails" in text
        assert f"nobody calls shop of {STORE} until " in text or "nobody calls shop until" in text
        assert f"orderflow resume {STORE} shop" in text
        card = stage.run(*command, "--json").data
        draft = next(one for one in card["outbox"] if one["effect"] == "draft")
        assert (draft["next_try"], draft["gives_up_by"]) == (row["next_try"], row["gives_up_by"])
        assert not card["needs_you"]

    found = {one["check"]: one for one in stage.run("doctor", "--json", code=1).data["findings"] if one["about"]}
    assert found["destinations"]["level"] == "warning"
    assert "nobody calls shop until" in found["destinations"]["found"]


def test_resume_tries_at_once(stage, down):
    """The breaker closes, and the order goes on its way."""
    stage.faults.stop()
    with stage.working():
        assert stage.run("resume", STORE, "shop").out == f"shop of {STORE} goes on\n"
        wait(lambda: stage.order(down).shop.own)
    assert stage.run("resume", STORE, "shop").out == f"shop of {STORE} was not paused\n"
    assert stage.run("effects", "list", "--json").data[0]["kept_back"] is None


def test_a_pause_has_no_end_of_its_own(stage):
    """Nobody can say when the next try is; who can lift it, is told."""
    stage.run("pause", STORE, "shop", "--why", "stocktaking")
    with stage.working():
        order_id = stage.place()
        wait(lambda: stage.order(order_id).confirmed)
    stage.run("pull")
    [row] = stage.run("effects", "list", "--json").data
    assert (row["next_try"], row["gives_up_by"]) == (None, None)
    assert row["kept_back"] == {"why": "paused: stocktaking", "until": None}
    told = f"nobody calls shop of {STORE} until `orderflow resume {STORE} shop`: paused: stocktaking"
    assert told in stage.run("effects", "list").out
    assert "not before shop is resumed" in stage.run("why", order_id).out
