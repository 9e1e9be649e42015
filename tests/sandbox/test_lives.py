"""Scripted lives play to their end, in virtual time and by the wall clock, beside a simple merchant."""

from datetime import UTC, datetime, timedelta
from random import Random

from orderflow.sandbox import Faults, Glopal, Player, lives, play

from .world import STORE, World

STORES = ("acme", "globex")


def accept_whatever_is_ready(world: World, player: Player) -> None:
    """The simplest merchant: it sees all and accepts at once."""
    for index, order_id in player.order_ids.items():
        store = player.script[index].store
        if world.glopal.status(store, order_id) == "READY" and player.script[index].completes:
            body = b'{"order_id": "%d", "order_number": "%d"}' % (index, index)
            world.ask_raw("POST", f"/v2/orders/{store}/{order_id}/accept", body)


def test_lives_are_repeatable_and_hold_one_contradiction() -> None:
    script = lives(Random(1), 300, STORES)
    assert script == lives(Random(1), 300, STORES) != lives(Random(2), 300, STORES)
    stories = [life.story for life in script]
    assert stories.count("contradiction") == 1
    assert len(set(stories)) == 11
    assert {life.store for life in script} == set(STORES)
    assert lives(Random(1), 0, STORES) == []


def test_all_lives_end_in_virtual_time() -> None:
    world = World()
    script = lives(Random(1), 200, STORES)
    player = Player(script, world.glopal, begin=world.clock())
    for _ in range(400):
        player.step(world.clock())
        accept_whatever_is_ready(world, player)
        world.clock.pass_(0.1)
    assert player.done
    assert (player.placed, player.finished, player.waiting) == (200, 200, 0)
    for index, life in enumerate(script):
        expected = "COMPLETED" if life.completes else "READY" if life.story == "contradiction" else "CANCELLED"
        assert world.glopal.status(life.store, player.order_ids[index]) == expected


def names_of(story: str) -> list[str]:
    """The events of one life of this story, in feed order."""
    world = World()
    script = [life for life in lives(Random(1), 300, [STORE]) if life.story == story][:1]
    player = Player(script, world.glopal, begin=world.clock())
    for _ in range(400):
        player.step(world.clock())
        accept_whatever_is_ready(world, player)
        world.clock.pass_(0.1)
    return [name.removeprefix("order.") for name in world.names()]


def test_stories_show_what_they_promise() -> None:
    assert names_of("straight") == ["received", "ready"]
    assert names_of("cancelled_before_ready") == ["received", "cancelled"]
    assert names_of("cancelled_after_ready") == ["received", "ready", "cancelled"]
    assert names_of("doubled") == ["received", "received", "ready", "ready"]
    assert names_of("ready_first") == ["ready", "received"]
    assert names_of("cancelled_first") == ["received", "cancelled", "ready"]
    assert names_of("contradiction") == ["received", "ready", "cancelled"]


def test_lost_replies_are_scripted_for_their_own_orders() -> None:
    world = World()
    at_glopal, at_shop = Faults(), Faults()
    script = [life for life in lives(Random(1), 300, STORES) if life.story.startswith("lost_")]
    player = Player(script, world.glopal, glopal_faults=at_glopal, shop_faults=at_shop, begin=world.clock())
    world.clock.pass_(30)
    player.step(world.clock())
    lost = {story: sum(life.story == story for life in script) for story in ("lost_create", "lost_accept")}
    for index, order_id in player.order_ids.items():
        store = script[index].store
        at_shop.choose(world.request("POST", "/orders", f'{{"reference":"glopal:{store}:{order_id}"}}'.encode()))
        at_glopal.choose(world.request("POST", f"/v2/orders/{store}/{order_id}/accept"))
    assert at_shop.counts["cut_after"] == lost["lost_create"] > 0
    assert at_glopal.counts["cut_after"] == lost["lost_accept"] > 0


def test_the_play_runs_by_the_wall_clock() -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    glopal = Glopal(clock=clock, rng=Random(1))
    script = lives(Random(1), 40, STORES, spread=timedelta(seconds=0.2), pace=0.1)
    script = [life for life in script if not life.completes]
    player = play(script, glopal, clock=clock)
    assert player.wait(10)
    assert player.finished == len(script) > 3
    player.stop()
