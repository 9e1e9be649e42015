"""Do the settings of a store suit real money: is anything still as it was for trying things out?

It looks at settings only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orderflow.config import Settings, StoreSettings
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.domain.policy import Mode

_SHORTEST: Final = {"send": 2.0, "call": 5.0, "get_settle": 10.0}
_GLOPAL_SETTLES: Final = 10.0
_SHOP_SETTLES: Final = 2.0


def checked(name: str, store: StoreSettings, settings: Settings) -> Iterator[Finding]:
    """Everything about the settings of one store."""
    yield _shadow(name, store)
    yield ok("mode", _MODES[store.mode], name)
    yield _windows(name, store, settings)


_MODES: Final = {
    Mode.OBSERVE: "observe: Glopal inserts orders itself; orderflow records, and may only withdraw",
    Mode.DRAFT_ON_RECEIVED: "draft_on_received: a draft when received, an order when ready",
    Mode.ORDER_ON_RECEIVED: "order_on_received: an order at once, before Glopal says that it is paid and checked",
    Mode.CREATE_ON_READY: "create_on_ready: nothing in the shop before an order is ready",
}


def _shadow(name: str, store: StoreSettings) -> Finding:
    if not store.shadow:
        return ok("shadow", "off: what is planned is sent", name)
    return failure("shadow", "on: everything is planned, nothing is sent", f"set stores.{name}.shadow = false", name)


def _windows(name: str, store: StoreSettings, settings: Settings) -> Finding:
    given = {f"windows.{one}": (getattr(settings.windows, one), least) for one, least in _SHORTEST.items()}
    given[f"stores.{name}.glopal.settle_seconds"] = (store.glopal.settle_seconds, _GLOPAL_SETTLES)
    given[f"stores.{name}.shop.settle_seconds"] = (store.shop.settle_seconds, _SHOP_SETTLES)
    short = [f"{key} = {value:g}" for key, (value, least) in given.items() if value < least]
    if not short:
        return ok("windows", "long enough for real networks", name)
    mend = "leave them out: the defaults fit; too short a settle window may miss what was executed late"
    return warning("windows", f"shorter than real networks need: {', '.join(short)}", mend, name)
