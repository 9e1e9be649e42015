"""The relay carries out what is due: lease, re-fold, intent in one transaction; the call in none; the outcome in one.

It never sends without a recorded intent, never sends again without a recorded observation, and never holds a
transaction open while it talks to the world.

`prepare`, `perform` and `settle` are the three steps of one effect. Dying between any two of them is safe: an intent
without outcome is *unknown* and will be looked up. A worker composes them; so does the simulation, out of step.
"""

from orderflow.relay.call import perform
from orderflow.relay.intent import prepare
from orderflow.relay.outcome import observed, settle
from orderflow.relay.work import Call, Relay, Reply, Tenant, Windows

__all__ = ["Call", "Relay", "Reply", "Tenant", "Windows", "observed", "perform", "prepare", "settle", "step"]


def step(relay: Relay) -> bool:
    """Do one thing that is due. False if nothing was."""
    prepared = prepare(relay)
    if isinstance(prepared, Call):
        settle(relay, prepared, perform(relay, prepared))
    return prepared is not None
