"""Everything that a scenario needs, put together and ready to be served: fakes, faults, webhooks and the player.

Nothing runs before `start`, and no port is opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from orderflow.sandbox.faults import Faults
from orderflow.sandbox.glopal import Glopal
from orderflow.sandbox.player import Player
from orderflow.sandbox.scenario import PLACES, Scenario
from orderflow.sandbox.shop import Shop
from orderflow.sandbox.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Stage:
    """What is on stage; `faults` by place."""

    glopal: Glopal
    shop: Shop
    faults: Mapping[str, Faults]
    hooks: Webhooks | None
    player: Player

    def step(self, now: datetime) -> None:
        """Do everything that is due until `now`: for virtual time."""
        self.player.step(now)
        if self.hooks is not None:
            self.hooks.step(now)

    def start(self, clock: Callable[[], datetime]) -> None:
        """Let it run by the wall clock, in threads, until `stop`."""
        self.player.start(clock)
        if self.hooks is not None:
            self.hooks.start(clock)

    def stop(self) -> None:
        """End the threads."""
        self.player.stop()
        if self.hooks is not None:
            self.hooks.stop()


def staged(scenario: Scenario, clock: Callable[[], datetime]) -> Stage:
    """The stage of this scenario, whose time begins now. The same seed and the same calls give the same play."""
    rng = Random(scenario.seed)  # noqa: S311  a play, not a secret
    seeds = [rng.random() for _ in range(4)]
    glopal = Glopal(clock=clock, rng=Random(seeds[0]), options=scenario.options)  # noqa: S311  as above
    glopal.open(*scenario.stores)
    shop = Shop(clock=clock, rng=Random(seeds[1]), options=scenario.shop)  # noqa: S311  as above
    faults = {
        place: scenario.faults(place, Random(seed))  # noqa: S311  as above
        for place, seed in zip(PLACES, seeds[2:], strict=True)
    }
    hook = scenario.hook
    hooks = Webhooks(glopal, hook.url, hook.secret, hook.options) if hook is not None else None
    return Stage(glopal, shop, faults, hooks, Player(scenario.lives, glopal, begin=clock()))
