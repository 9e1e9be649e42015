"""`orderflow effects`: what is done to the world, over all orders, and the calls that were made for it."""

import pytest

from .stage import STORE, wait


@pytest.fixture
def refused(stage) -> str:
    """An order whose draft the shop refused, once the worker has stopped; another one was drafted before."""
    with stage.working():
        fine = stage.place()
        wait(lambda: stage.order(fine).shop.own)
        stage.shop.options = type(stage.shop.options)(refuse=lambda _: "no_such_article")
        order_id = stage.place(ready=True)
        wait(lambda: stage.order(order_id).parked)
    stage.run("pull")  # the read models read to the end
    return order_id


def test_effects_are_listed_shown_and_retried(stage, refused):
    listed = stage.run("effects", "list", "--json").data
    assert [(row["effect"], row["state"]) for row in listed] == [("draft", "refused"), ("draft", "delivered")]
    assert (listed[0]["order_id"], listed[0]["attempts"]) == (refused, 1)
    assert "no_such_article" in listed[0]["reason"]
    assert "no_such_article" in stage.run("effects", "list").out
    for only, found in {
        ("--state", "refused"): 1,
        ("--state", "unknown"): 0,
        ("--effect", "promote"): 0,
        ("--order", refused): 1,
        ("--store", STORE): 2,
    }.items():
        assert len(stage.run("effects", "list", *only, "--json").data) == found, only
    asked = stage.run("effects", "list", "--effect", "fetch", "--json").data
    assert {row["state"] for row in asked} == {"planned"}
    assert "more than 1 effects" in stage.run("effects", "list", "--limit", "1").out

    told = stage.run("effects", "show", refused, "draft", "--json").data
    assert [one["state"] for one in told["effects"]] == ["refused"]
    [call] = told["attempts"]
    assert (call["kind"], call["status"], call["attempt"]) == ("send", 422, 1)
    assert "response" not in call
    assert "fetch 0: asked 200" in stage.run("effects", "show", refused).out

    unsealed = stage.run("effects", "show", refused, "draft", "--personal", "--json")
    assert "no_such_article" in unsealed.data["attempts"][0]["response"]
    assert f"unsealed 0 requests and 1 replies of order {STORE}/{refused}" in unsealed.err

    stage.run("retry", refused, "draft", "--why", "the shop knows it now")
    stage.run("pull")
    states = [row["state"] for row in stage.run("effects", "list", "--order", refused, "--json").data]
    assert sorted(states) == ["planned", "refused"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "--effect", "draught"), "there is no effect 'draught'; did you mean draft"),
        (("list", "--state", "lost"), "there is no state 'lost'"),
        (("list", "--store", "acne"), "did you mean acme?"),
        (("show", "1-1"), "has no order 1-1"),
    ],
)
def test_bad_input(stage, arguments, told):
    assert told in stage.run("effects", *arguments, code=2).err
