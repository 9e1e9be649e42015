"""The switches of the fake Glopal: one for every thing that Glopal's documents leave open (reference 16).

The default of each is the reference's assumption; a client must survive the others too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

Lag = timedelta | Callable[[], timedelta]

# operation -> method, path. The two GETs are SAMPLE; the four POSTs are ASSUMED (reference 2).
ROUTES: Mapping[str, tuple[str, str]] = {
    "events": ("GET", "/v2/events/{store}"),
    "order": ("GET", "/v2/orders/{store}/{order}"),
    "accept": ("POST", "/v2/orders/{store}/{order}/accept"),
    "cancel": ("POST", "/v2/orders/{store}/{order}/cancel"),
    "refund": ("POST", "/v2/orders/{store}/{order}/refund"),
    "quote": ("POST", "/v2/orders/{store}/{order}/refund/quote"),
}


@dataclass(frozen=True, slots=True)
class Emission:
    """How an event gets into the feed.

    `copies` = 0 withholds it; 2 or more list the same event (same id) again. With `delay` it becomes visible that much
    later: at the end of the feed, or, when `backdated`, at the place it would have had without the delay, which a
    client whose cursor has passed that place never sees by reading forward.
    """

    copies: int = 1
    delay: timedelta = timedelta(0)
    backdated: bool = False


PLAIN = Emission()
WITHHELD = Emission(copies=0)


def plain(_event_name: str) -> Emission:
    """The default: every event once, at once, in order."""
    return PLAIN


@dataclass(frozen=True, slots=True)
class GlopalOptions:
    """Switches; the first literal of each is the default."""

    routes: Mapping[str, tuple[str, str]] = field(default_factory=lambda: ROUTES)
    store_keys: Mapping[str, str] = field(default_factory=dict)  # store -> a key good for that store alone (else 403)
    order_ids: Literal["numeric", "alphanumeric"] = "numeric"
    empty_cursor: Literal["accepted", "rejected"] = "accepted"
    event_filter: Literal["optional", "required"] = "optional"
    page_default: int = 20  # STATED (3.1)
    page_cap: int = 100  # ASSUMED
    links: Literal["absolute", "relative", "null at the end", "absent"] = "absolute"
    external_before_accept: Literal["null", "absent", "null members"] = "null"
    event_external: Literal["as now", "as then"] = "as now"  # events show the ids known at the read, or at emission
    entity_id: Literal["null", "absent", "order id"] = "null"
    emit_accepted_completed: bool = False
    emission: Callable[[str], Emission] = plain  # event name -> how this one is emitted, where the driver says nothing
    get_lag: Lag = timedelta(0)  # the GET shows the order as it was so long ago, never older than its creation
    accept_takes: timedelta = timedelta(0)  # from accept (and READY) to ACCEPTED
    completes_after: timedelta | None = None  # ACCEPTED -> COMPLETED by itself; None: only when the driver says so
    accept_body: Literal["either", "nested", "flat"] = "either"
    repeat_cancel: Literal["accepted", "refused"] = "accepted"
    refund_needs_shipping: bool = False
    error_body: Literal["nested", "flat", "string", "problem", "text"] = "nested"
    environment: Literal["live", "test"] = "live"
    language: Literal["string", "object"] = "string"
    amounts: Literal["number", "string"] = "number"
