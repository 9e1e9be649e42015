"""The classes of exceptions: what each means, whose it is, how bad, and what ends it. One table for all of the product.

It never says whether an order has one; `attention` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Owner(StrEnum):
    """Whose turn it is by default. A person may be named instead."""

    INTEGRATOR = "integrator"
    OPERATOR = "operator"
    FINANCE = "finance"
    GLOPAL_ACCOUNT = "glopal-account"


class Severity(StrEnum):
    """`CRITICAL`: money or a promise is at stake. `ERROR`: something stands still. `WARNING`: somebody should know."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


class Of(StrEnum):
    """The classes. Those of `STORES` concern a store; all others one order."""

    REFUSED_BY_SHOP = "refused_by_shop"
    REFUSED_BY_GLOPAL = "refused_by_glopal"
    GIVEN_UP = "given_up"
    UNKNOWN_TOO_LONG = "unknown_too_long"
    REFUND_UNKNOWN = "refund_unknown"
    REFUND_BLOCKED = "refund_blocked"
    REFUNDED_ELSEWHERE = "refunded_elsewhere"
    RETURN = "return"
    NOT_MAPPED = "not_mapped"
    MONEY = "money"
    MALFORMED = "malformed"
    EVIDENCE = "evidence"
    ENVIRONMENT = "environment"
    CONTRADICTION = "contradiction"
    OVERRULED = "overruled"
    ACCEPTED_ELSEWHERE = "accepted_elsewhere"
    IDS_DIFFER = "ids_differ"
    SEVERAL_SHOP_ORDERS = "several_shop_orders"
    SHOP_ORDER_GONE = "shop_order_gone"
    NO_NUMBER = "no_number"
    TOTAL_CHANGED = "total_changed"
    UNCONFIRMED = "unconfirmed"
    STUCK = "stuck"
    DRIFT = "drift"
    CREDENTIALS = "credentials"
    FEED_UNUSABLE = "feed_unusable"
    STALE_PULL = "stale_pull"
    BREAKER_OPEN = "breaker_open"
    PAUSED = "paused"
    KEPT_BACK = "kept_back"


@dataclass(frozen=True, slots=True)
class About:
    """One class. `helps` are the commands that an exception of it proposes, `closes` is what ends it."""

    meaning: str
    owner: Owner
    severity: Severity
    helps: tuple[str, ...]
    closes: str


_RELEASE: Final = "release ORDER REASON POSITION"
_FETCH: Final = "retry ORDER fetch"
_RETRY: Final = "retry ORDER EFFECT"
_CANCEL: Final = "cancel ORDER"

CLASSES: Final[dict[Of, About]] = {
    Of.REFUSED_BY_SHOP: About(
        "the shop said no to a draft, a promotion or a withdrawal, and a look-up showed that it meant it",
        Owner.OPERATOR,
        Severity.ERROR,
        (_RETRY, _CANCEL),
        "a retry, or details that differ in what the request is built from",
    ),
    Of.REFUSED_BY_GLOPAL: About(
        "Glopal said no to a fetch, an acceptance, a cancellation or a refund",
        Owner.GLOPAL_ACCOUNT,
        Severity.ERROR,
        (_RETRY,),
        "a retry",
    ),
    Of.GIVEN_UP: About(
        "every attempt of an effect provably did nothing, and there are no more",
        Owner.INTEGRATOR,
        Severity.ERROR,
        (_RETRY,),
        "a retry",
    ),
    Of.UNKNOWN_TOO_LONG: About(
        "nobody has been able to tell for too long whether a request was executed; it is not sent again",
        Owner.INTEGRATOR,
        Severity.ERROR,
        ("why ORDER",),
        "the observation that shows what became of it",
    ),
    Of.REFUND_UNKNOWN: About(
        "nobody can tell whether a refund was made, and no look-up will: a person looks at Glopal",
        Owner.FINANCE,
        Severity.CRITICAL,
        (),
        "what a person records about it",
    ),
    Of.REFUND_BLOCKED: About(
        "a refund that was asked for is not made: less is left by now, or Glopal does not say how much is",
        Owner.FINANCE,
        Severity.ERROR,
        (_FETCH, "settle ORDER REFUND --not-made"),
        "details that leave enough, or the refund given up by a person",
    ),
    Of.REFUNDED_ELSEWHERE: About(
        "Glopal shows a refund that nobody asked for here",
        Owner.FINANCE,
        Severity.WARNING,
        ("settle ORDER REFUND --made",),
        "a person takes note of it",
    ),
    Of.RETURN: About(
        "a return that an event told of is not in the details, or one has been open for too long",
        Owner.OPERATOR,
        Severity.WARNING,
        (_FETCH,),
        "details that show it, or its end",
    ),
    Of.NOT_MAPPED: About(
        "the order's details lack what the shop needs, or the mapping looks for it elsewhere",
        Owner.INTEGRATOR,
        Severity.ERROR,
        (_FETCH, _RELEASE),
        "details that have it, or a release",
    ),
    Of.MONEY: About(
        "the amounts in the order's details do not add up",
        Owner.FINANCE,
        Severity.CRITICAL,
        (_FETCH, _RELEASE),
        "details that add up, or a release",
    ),
    Of.MALFORMED: About(
        "something that Glopal said about the order cannot be read",
        Owner.INTEGRATOR,
        Severity.ERROR,
        (_FETCH, _RELEASE),
        "details that can be read, or a release",
    ),
    Of.EVIDENCE: About(
        "one event of Glopal's came twice with different contents",
        Owner.GLOPAL_ACCOUNT,
        Severity.ERROR,
        (_RELEASE,),
        "a release",
    ),
    Of.ENVIRONMENT: About(
        "a test order in a live store, or a live one in a test store",
        Owner.INTEGRATOR,
        Severity.ERROR,
        (_RELEASE,),
        "a release, or the store's right `environment`",
    ),
    Of.CONTRADICTION: About(
        "what Glopal reports contradicts what we hold; it is asked until two answers agree",
        Owner.GLOPAL_ACCOUNT,
        Severity.ERROR,
        (_RELEASE,),
        "the answer that settles it, or a release",
    ),
    Of.OVERRULED: About(
        "two answers of Glopal spoke against its own report, and were followed",
        Owner.OPERATOR,
        Severity.CRITICAL,
        (_RELEASE,),
        "a release",
    ),
    Of.ACCEPTED_ELSEWHERE: About(
        "Glopal shows ids that are not ours: somebody else accepted the order",
        Owner.OPERATOR,
        Severity.CRITICAL,
        (_CANCEL,),
        "details that show our ids",
    ),
    Of.IDS_DIFFER: About(
        "acceptance was asked for with other ids than our shop order has",
        Owner.OPERATOR,
        Severity.ERROR,
        (_CANCEL,),
        "the acceptance, or our shop order under those ids",
    ),
    Of.SEVERAL_SHOP_ORDERS: About(
        "a look-up found several living shop orders for one order of Glopal's",
        Owner.OPERATOR,
        Severity.CRITICAL,
        (_CANCEL,),
        "the look-up that finds one of them alone, or the cancellation",
    ),
    Of.SHOP_ORDER_GONE: About(
        "the shop order was a real one and is gone; no new one is made by itself",
        Owner.OPERATOR,
        Severity.CRITICAL,
        (_CANCEL,),
        "the cancellation",
    ),
    Of.NO_NUMBER: About(
        "the shop gave its order no number, and Glopal takes no acceptance without one",
        Owner.INTEGRATOR,
        Severity.ERROR,
        ("accept ORDER",),
        "a number, by the shop or by hand",
    ),
    Of.TOTAL_CHANGED: About(
        "Glopal's total is another one than the shop order was made for",
        Owner.FINANCE,
        Severity.CRITICAL,
        (_CANCEL, "accept ORDER"),
        "the acceptance, the cancellation, or details with the former total",
    ),
    Of.UNCONFIRMED: About(
        "Glopal was asked up to the age limit and never showed what it reported, or what it took from us",
        Owner.GLOPAL_ACCOUNT,
        Severity.ERROR,
        (_FETCH,),
        "details that show it",
    ),
    Of.STUCK: About(
        "the order is in one status for longer than the store's age limit, and Glopal confirmed it when asked",
        Owner.GLOPAL_ACCOUNT,
        Severity.WARNING,
        (_FETCH, _CANCEL),
        "the report that moves it",
    ),
    Of.DRIFT: About(
        "Glopal's order, ours and the shop's differ: in status, ids, currency, total or lines",
        Owner.OPERATOR,
        Severity.ERROR,
        ("reconcile STORE ORDER", _CANCEL),
        "a reconciliation that finds no such difference",
    ),
    Of.CREDENTIALS: About(
        "a key, an address or a route was turned away: nothing goes to that side any more",
        Owner.INTEGRATOR,
        Severity.CRITICAL,
        ("resume STORE SCOPE",),
        "it is mended and the pause lifted",
    ),
    Of.FEED_UNUSABLE: About(
        "Glopal's feed does not open, or is no feed: it is not read any further",
        Owner.INTEGRATOR,
        Severity.CRITICAL,
        ("resume STORE pull",),
        "the cause is mended and the pause lifted",
    ),
    Of.STALE_PULL: About(
        "nobody has read Glopal's feed for ten times its usual pause",
        Owner.INTEGRATOR,
        Severity.CRITICAL,
        ("work",),
        "the feed is read",
    ),
    Of.BREAKER_OPEN: About(
        "one side fails too often, so it is called by one probe at a time until it answers; what is due waits",
        Owner.INTEGRATOR,
        Severity.ERROR,
        ("resume STORE SCOPE",),
        "a probe that gets an answer",
    ),
    Of.PAUSED: About(
        "a person stopped the feed, or everything that goes to one side",
        Owner.OPERATOR,
        Severity.WARNING,
        ("resume STORE SCOPE",),
        "the pause is lifted",
    ),
    Of.KEPT_BACK: About(
        "the database was restored: no effect leaves before orders were looked up",
        Owner.INTEGRATOR,
        Severity.CRITICAL,
        ("recover status",),
        "the recovery is opened",
    ),
}
"""Whoever adds a class adds a member and a row; `attention` or `desk.stores` yields it."""

STORES: Final = (Of.CREDENTIALS, Of.FEED_UNUSABLE, Of.STALE_PULL, Of.BREAKER_OPEN, Of.PAUSED, Of.KEPT_BACK)
