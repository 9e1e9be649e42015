"""The switches of the fake Glopal: one for every thing that Glopal's documents leave open (reference 16).

The default of each is the reference's assumption; a client must survive the others too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, Literal, get_args

from orderflow.sandbox.glopal.emissions import Emission, EmissionStyle
from orderflow.sandbox.glopal.routes import Routes, RouteStyle

Lag = timedelta | Callable[[], timedelta]
TimeStyle = Literal["milliseconds", "seconds", "microseconds", "offset"]
_NONE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class GlopalOptions:
    """Switches; the first setting of each is the default. `glopal.switches.SWITCHES` lists all settings of all.

    A client has to be told of `routes`, `accept_body`, `limit_name`, `unknown_query`, `unknown_event` and
    `environment`; it has to survive the rest.
    """

    # Addresses and keys, reference 1 and 2.
    routes: Annotated[RouteStyle | Routes, get_args(RouteStyle)] = "post"
    store_keys: Mapping[str, str] = field(default_factory=dict)  # store -> a key good for that store alone (else 403)
    error_body: Literal["nested", "flat", "string", "problem", "text", "html", "empty"] = "nested"
    # Questions to the feed, see 3.1.
    empty_cursor: Literal["accepted", "rejected"] = "accepted"
    event_filter: Literal["optional", "required"] = "optional"
    filtering: Literal["before the cut", "after the cut"] = "before the cut"  # after: a page may be empty, more behind
    unknown_event: Literal["ignored", "refused"] = "ignored"  # a name in the filter that is never emitted
    limit_name: Literal["limit", "page_size", "none"] = "limit"
    unknown_query: Literal["ignored", "refused"] = "ignored"
    page_default: int = 20  # STATED (3.1)
    page_cap: Annotated[int, (100, 7, 1)] = 100
    # Answers of the feed, see 3.2 and 3.3.
    pages: Literal["plain", "overlapping", "shrinking"] = "plain"
    links: Literal["absolute", "relative", "null at the end", "always present", "another host", "absent"] = "absolute"
    event_ids: Literal["crockford", "uuid", "numeric"] = "crockford"
    external_before_accept: Literal["null", "absent", "null members"] = "null"
    event_external: Literal["as now", "as then"] = "as now"  # events show the ids known at the read, or at emission
    entity_id: Literal["null", "absent", "order id"] = "null"
    times: TimeStyle = "milliseconds"
    extra_members: bool = False  # members that nobody has heard of, in orders and events
    emission: Annotated[EmissionStyle | Callable[[str], Emission], get_args(EmissionStyle)] = "plain"  # if unsaid
    emit_accepted_completed: bool = False
    # The life of an order, see 4.
    cancel_emits: bool = True  # STATED that it does
    # None: never; an order that is still READY, or ACCEPTED, is cancelled by Glopal unasked (contradiction 11.6)
    cancels_ready_after: Annotated[timedelta | None, (None, timedelta(seconds=2))] = None
    cancels_accepted_after: Annotated[timedelta | None, (None, timedelta(seconds=20))] = None
    completes_after: Annotated[timedelta | None, (None, timedelta(seconds=10))] = None  # None: when the driver says so
    # GET shows the order as it was so long ago, never older than its creation
    get_lag: Annotated[Lag, (_NONE, timedelta(seconds=20))] = _NONE
    # To accept, see reference 5.
    accept_body: Literal["either", "nested", "flat"] = "either"
    accept_takes: Annotated[timedelta, (_NONE, timedelta(seconds=40))] = _NONE  # from accept (and READY) to ACCEPTED
    early_ids: Literal["shown", "hidden"] = "shown"  # in `external`, before READY
    early_ready: Literal["emitted", "silent"] = "emitted"  # `order.ready` after an early accept
    cancelled_ids: Literal["kept", "cleared"] = "kept"  # in `external`, after a cancellation
    # To cancel, see 6.
    cancel_received: Literal["accepted", "refused"] = "accepted"  # by the merchant, before READY
    cancel_completed: Literal["accepted", "refused"] = "accepted"  # while unshipped
    cancel_reason: Literal["optional", "required"] = "optional"
    cancel_reply: Literal["status ok", "the order", "empty"] = "status ok"
    repeat_cancel: Literal["accepted", "refused"] = "accepted"
    # To refund, see 7.
    refund_needs_shipping: bool = False
    refund_repeat: Literal["refunds again", "refunds once"] = "refunds again"  # the same body once more
    refund_reply: Literal["with id", "status ok", "empty"] = "with id"
    refunds_shown: Literal["shown", "hidden"] = "shown"  # in the order
    quote_reply: Literal["nested", "flat", "status ok"] = "nested"  # the last says nothing of shares
    initiators: Literal["shown", "absent"] = "shown"  # who cancelled or refunded, in the order
    # The contents of an order, see 8 and 9.
    order_ids: Literal["numeric", "alphanumeric"] = "numeric"
    environment: Literal["live", "test"] = "live"
    language: Literal["string", "object", "list"] = "string"
    amounts: Literal["number", "string"] = "number"
    exchange_rates: Literal["number", "string", "absent"] = "number"
    empty_members: Literal["null", "absent"] = "null"  # what has no value
    cart: Literal["absent", "present"] = "absent"  # the copy of the cart; STATED that there is one, its name ASSUMED
    return_status: Literal["one field", "two fields"] = "one field"
    return_ids: Literal["string", "number"] = "string"  # in the order; events name it as a string (SAMPLE)
