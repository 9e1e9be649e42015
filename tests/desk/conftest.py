"""A database in virtual time for each module, and a stage with a store of its own for each test."""

from tests.relay.conftest import app, clock, stage

__all__ = ["app", "clock", "stage"]
