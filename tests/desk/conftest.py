"""The stage of the relay's tests: one store with a fake Glopal and a fake shop, in virtual time."""

from tests.relay.conftest import app, clock, stage

__all__ = ["app", "clock", "stage"]
