"""Scenario files: what a sandbox speaks, what goes wrong and what orders live through, as TOML.

They decide nothing that the sandbox could not be told by calls.
"""

from orderflow.sandbox.scenario.scenario import PLACES, Scenario, ScenarioError, rates, read

__all__ = ["PLACES", "Scenario", "ScenarioError", "rates", "read"]
