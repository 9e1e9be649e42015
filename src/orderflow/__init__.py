"""The hub between Glopal and everything a merchant runs: an event log, an order state machine, and its effects.

This module must never import a part of the package: it only tells the version.
"""

__version__ = "0.1.0"
