"""The fake Glopal: what its API answers (`api`), what happens to its orders (`world`), and who makes it happen.

It knows nothing of shops, sockets, faults and scripts.
"""

from orderflow.sandbox.glopal.glopal import Glopal, GlopalEntry, ReturnStatus
from orderflow.sandbox.glopal.orders import Initiator

__all__ = ["Glopal", "GlopalEntry", "Initiator", "ReturnStatus"]
