"""The scheduled reconciliation: every open order once a period, one at a time.

It never stands in the way of live calls: it makes one call after another, slowly, and none while its destinations are
paused, want to rest, or effects are kept back.
"""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from functools import partial
from typing import Final

from orderflow.desk.reconcile.ask import reconcile, stopped
from orderflow.orders import UnknownOrderError
from orderflow.relay import Relay
from orderflow.store import rounds
from orderflow.store.connect import transact

_log = logging.getLogger("orderflow")
PACE: Final = timedelta(seconds=1)
"""Between two orders of a store: 86 400 open orders a day."""
_STOPPED: Final = 30.0
"""Seconds until a store is looked at again whose destinations are paused."""
_LONGEST: Final = 3600.0
"""Seconds; no rest is longer."""


def turn(relay: Relay, store: str, every: timedelta) -> float:
    """Reconcile the next order of `store`, if it is its turn; the seconds until there may be more to do."""
    if transact(relay.engine, partial(stopped, store=store)):
        return _STOPPED
    taken = transact(relay.engine, partial(rounds.take, store=store, every=every, pace=PACE))
    if taken.order_id is None:
        return min(taken.wait, _LONGEST)
    try:
        report = reconcile(relay, store, taken.order_id)
    except UnknownOrderError:
        return 0.0  # the log was restored to before it came, and the read model is not yet
    if report.drifts:
        _log.warning("%s/%s: %s", store, taken.order_id, ", ".join(sorted({one.kind for one in report.drifts})))
    rest = report.rest if math.isfinite(report.rest) else _LONGEST
    return min(max(rest, PACE.total_seconds()), _LONGEST)
