"""Hypothesis strategies for everything that can stand in a history, sane or not.

Small pools of ids and numbers make events meet each other; a few wild values make sure that nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund, ShownReturn
from orderflow.domain.events import (
    AcceptRequested,
    BuyerErased,
    CancelRequested,
    Destination,
    DetailsFetched,
    Drift,
    DriftKind,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectNotExecuted,
    EffectRefused,
    EffectUnknown,
    Event,
    EvidenceFound,
    HoldReason,
    Ids,
    LookedUp,
    Malformed,
    NoteAdded,
    OrderReleased,
    Position,
    QuoteRequested,
    Reconciled,
    Recorded,
    RefundQuoted,
    RefundRequested,
    RefundSettled,
    Reported,
    RetryRequested,
    ReturnReported,
    ShopState,
    Sighting,
    Unrecognised,
    Version,
)
from orderflow.domain.machine import Report, Status
from orderflow.domain.policy import Mode, OnRefusal, StorePolicy
from orderflow.domain.returns import ReturnStep

T0 = datetime(2026, 1, 1, tzinfo=UTC)
"""When every history begins."""


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


NEAR = st.integers(-3600, 90000).map(lambda s: T0 + seconds(s))
"""Times about the history's own: what our relay writes."""
WILD = NEAR | st.datetimes(timezones=st.just(UTC))
"""Any time at all."""

HUGE = 10**15
SMALL = st.integers(0, 3)
NUMBERS = SMALL | st.sampled_from([-1, HUGE])
POSITIONS = (st.integers(0, 12) | st.sampled_from([-5, HUGE])).map(Position)
WORDS = st.sampled_from(["", "x", "y"])
RETURN_IDS = st.sampled_from(["4", "5", ""])
SHOP_IDS = st.sampled_from(["s1", "s2", "s3", ""])
IDS = st.builds(Ids, st.sampled_from(["s1", "s2", "e1", ""]), st.sampled_from(["1", "2", ""]))
AMOUNTS = st.sampled_from([Decimal(n) for n in ("0.01", "5", "19.990000000000000001", "100", "-1", "0")])
WILD_AMOUNTS = AMOUNTS | st.decimals(allow_nan=True, allow_infinity=True)
CURRENCIES = st.sampled_from(["EUR", "USD"])
DELAYS = st.sampled_from([0.0, 1.0, 3600.0, -5.0, 1e300, float("inf"), float("nan")])
SIGHTINGS = st.builds(Sighting, SHOP_IDS, st.sampled_from(["1", "2", ""]), st.sampled_from(ShopState), st.booleans())


def reports() -> SearchStrategy[Event]:
    return st.builds(Reported, st.sampled_from(Report), st.none() | WILD)


def details(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[DetailsFetched]:
    return st.builds(
        DetailsFetched,
        asked_after=POSITIONS,
        sent_at=times,
        settles_at=times,
        status=st.none() | st.sampled_from(Status),
        said=WORDS,
        external=st.none() | IDS,
        environment=st.sampled_from([None, "live", "test", ""]),
        currency=st.none() | CURRENCIES,
        total=st.none() | WILD_AMOUNTS,
        created_at=st.none() | times,
        basis=WORDS,
        unmapped=st.sampled_from([(), (), ("country",)]),
        money=st.sampled_from([None, None, "sum differs"]),
        aftersale=st.none() | after_sales(times),
    )


def after_sales(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[AfterSale]:
    """Small pools of ids, so that refunds and returns are shown again, changed, and gone."""
    refunds = st.builds(
        ShownRefund,
        st.sampled_from(["g1", "g2", "x"]),
        st.none() | WILD_AMOUNTS,
        st.sampled_from([None, None, "EUR", "USD"]),
        WORDS,
        st.sampled_from(["", "merchant", "glopal", "lost_dispute"]),
        st.none() | times,
    )
    steps = st.lists(st.sampled_from(ReturnStep), max_size=2).map(tuple)
    return st.builds(
        AfterSale,
        st.none() | st.builds(Ending, WORDS, WORDS, st.none() | times),
        st.lists(refunds, max_size=3, unique_by=lambda one: one.refund_id).map(tuple),
        st.lists(st.builds(ShownReturn, RETURN_IDS, WORDS, steps), max_size=2).map(tuple),
    )


DRIFTS = st.builds(Drift, st.sampled_from(DriftKind), st.sampled_from(Destination), WORDS, WORDS, SHOP_IDS)


def intents(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[Event]:
    return st.builds(
        EffectIntended,
        effect=st.sampled_from(Effect),
        generation=NUMBERS,
        attempt=NUMBERS,
        target=SHOP_IDS,
        digest=WORDS,
        send_by=times,
        counts_from=times,
        seen=st.none() | st.sampled_from(ShopState),
    )


def outcomes(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[Event]:
    key = {"effect": st.sampled_from(Effect), "generation": NUMBERS, "attempt": NUMBERS}
    told = {**key, "reason": WORDS}
    return st.one_of(
        st.builds(EffectDelivered, **key, sighting=st.none() | SIGHTINGS, receipt=st.sampled_from(["", "g1"])),
        st.builds(RefundQuoted, WORDS, AMOUNTS, AMOUNTS, CURRENCIES),
        st.builds(EffectRefused, **told),
        st.builds(EffectNotExecuted, **told, retry_in=DELAYS, burnt=st.booleans()),
        st.builds(EffectUnknown, **told),
        st.builds(EffectClosed, **told),
        st.builds(EffectExhausted, **told),
        st.builds(Reconciled, times, st.lists(DRIFTS, max_size=3).map(tuple)),
        st.builds(LookedUp, **key, sent_at=times, found=st.lists(SIGHTINGS, max_size=3).map(tuple)),
    )


def decisions(amounts: SearchStrategy[Decimal] = AMOUNTS) -> SearchStrategy[Event]:
    return st.one_of(
        st.builds(AcceptRequested, IDS, WORDS),
        st.builds(CancelRequested, WORDS, WORDS),
        st.builds(RefundRequested, WORDS, amounts, CURRENCIES, WORDS, WORDS, st.none() | amounts, WORDS),
        st.builds(QuoteRequested, WORDS, amounts, CURRENCIES, WORDS, st.none() | amounts),
        st.builds(RefundSettled, WORDS, st.booleans(), WORDS, WORDS),
        st.builds(OrderReleased, st.sampled_from(HoldReason), POSITIONS, WORDS, WORDS),
        st.builds(RetryRequested, st.sampled_from(Effect), WORDS, WORDS),
        st.builds(NoteAdded, WORDS),
        st.builds(BuyerErased, WORDS, WORDS, WORDS),
    )


def facts(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[Event]:
    """Everything that is recorded without being asked for."""
    oddities = st.one_of(
        st.builds(Malformed, WORDS, st.none() | POSITIONS),
        st.builds(EvidenceFound, WORDS),
        st.builds(Unrecognised, WORDS),
    )
    returned = st.builds(ReturnReported, RETURN_IDS, st.sampled_from(ReturnStep), st.none() | times)
    return st.one_of(reports(), details(times), intents(times), outcomes(times), oddities, returned)


def events(times: SearchStrategy[datetime] = WILD) -> SearchStrategy[Event]:
    return facts(times) | decisions()


def in_order(told: Iterable[Event], gap: float = 1.0) -> tuple[Recorded, ...]:
    """`told` as one stream: positions from 1, `gap` seconds apart."""
    return tuple(
        Recorded(event, Position(n), Version(n), T0 + seconds(gap * n)) for n, event in enumerate(told, start=1)
    )


def histories(each: SearchStrategy[Event] | None = None, max_size: int = 14) -> SearchStrategy[tuple[Recorded, ...]]:
    """Streams as a log would hold them: positions and times grow."""
    return st.builds(
        in_order,
        st.lists(events(NEAR) if each is None else each, max_size=max_size),
        st.sampled_from([0.0, 1.0, 4000.0]),
    )


def jumbles() -> SearchStrategy[list[Recorded]]:
    """Streams as no log would hold them: places and times in any order."""
    return st.lists(
        st.builds(Recorded, facts() | decisions(WILD_AMOUNTS), POSITIONS, NUMBERS.map(Version), NEAR), max_size=14
    )


def policies() -> SearchStrategy[StorePolicy]:
    return st.builds(
        StorePolicy,
        mode=st.sampled_from(Mode),
        on_refusal=st.sampled_from(OnRefusal),
        early_accept=st.booleans(),
        effects_from=st.sampled_from([None, None, None, T0, T0 + seconds(5)]),
        max_attempts=st.integers(1, 4),
        environment=st.sampled_from(["live", "live", "test"]),
    )
