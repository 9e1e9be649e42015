"""The relay carries out what is due: lease, re-fold, intent in one transaction; the calls in none; the outcomes in one.

It never sends without a recorded intent, never sends again without a recorded observation, and never holds a
transaction open while it talks to the world.

`prepare`, `perform` and `settle` are the three steps of an effect; the first and the last take many at once. Dying
between any two of them is safe: an intent without outcome is *unknown* and will be looked up. `crew` composes them on
threads; the simulation does so out of step.
"""

from orderflow.relay.breaker import Breaker
from orderflow.relay.call import perform
from orderflow.relay.intent import prepare
from orderflow.relay.outcome import observed, settle
from orderflow.relay.pacing import Pace
from orderflow.relay.work import Call, Relay, Reply, Tenant, Windows

__all__ = [
    "Breaker",
    "Call",
    "Pace",
    "Relay",
    "Reply",
    "Tenant",
    "Windows",
    "observed",
    "perform",
    "prepare",
    "settle",
    "step",
]


def step(relay: Relay, most: int = 1) -> bool:
    """Do one thing that is due, or up to `most` of one store. False if nothing was."""
    prepared = prepare(relay, most)
    calls = [call for call in prepared if isinstance(call, Call)]
    settle(relay, [(call, perform(relay, call)) for call in calls])
    return bool(prepared)
