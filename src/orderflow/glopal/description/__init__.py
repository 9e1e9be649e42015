"""Glopal's own API description (OpenAPI), where the merchant has it: the route table is read from it.

It never guesses between two candidates: what it does not find for certain keeps its marked default.
"""

from orderflow.glopal.description.operations import Described, described

__all__ = ["Described", "described"]
