"""Does the river flow, for one store: is the feed read, are the read models up to date, is anything stuck?

It reads our own tables only, and never changes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.app import READERS, App
from orderflow.desk.exceptions import Wanted, listed
from orderflow.doctor import sealed
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.domain import machine
from orderflow.relay.pacing import why_shut
from orderflow.store import epochs, gates, log, progress, server
from orderflow.store.applied import flaws
from orderflow.store.vault import opens

FAR_BEHIND: Final = 500
"""Events that a worker reads within seconds."""
LATE: Final = timedelta(minutes=10)
"""What has been due for longer, no worker has looked at."""


def checked(conn: sa.Connection, app: App, store: str, command: str) -> Iterator[Finding]:
    """Everything about one store that our own tables tell."""
    now = _now(conn)
    yield _master_key(conn, app, store)
    yield _pull(conn, app, store, now, command)
    yield _recovery(conn, store, command)
    yield _pauses(conn, store, command)
    yield _gates(conn, store, now, command)
    yield _readers(conn, store, command)
    yield _completeness(conn, store, command)
    yield _machine(conn, store, command)
    yield _overdue(conn, store, command)
    yield _unknown(conn, store, now, command)
    yield _waiting(conn, store, now, command)
    yield sealed.checked(conn, app, store, now, command)


def _now(conn: sa.Connection) -> datetime:
    found: datetime = conn.execute(sa.text("SELECT orderflow.wall_clock()")).scalar_one()
    return found


def _master_key(conn: sa.Connection, app: App, store: str) -> Finding:
    """Whether the master key is the one that this store's data were sealed with."""
    found = opens(conn, app.vault, store)
    if found is None:
        return ok("master key", "nothing is sealed yet; keep a copy of the key away from the database", store)
    if not found:
        mend = "put the former key back, at master_key_file or as second_master_key; without it, personal data are lost"
        return failure("master key", "does not open what is sealed", mend, store)
    return ok("master key", "opens what is sealed; keep a copy of it away from the database", store)


def _pull(conn: sa.Connection, app: App, store: str, now: datetime, command: str) -> Finding:
    last = progress.last_pull(conn, store)
    paused = progress.paused(conn, store).get("pull")
    since = "was never read" if last is None else f"was read {_ago(now - last)} ago"
    if paused is not None:
        mend = f"mend the reason, then `{command} resume {store} pull`"
        return failure("feed", f"{since}; the pull is paused: {paused[0]}", mend, store)
    mend = f"start a worker: `{command} work`"
    if last is None:
        return warning("feed", since, mend, store)
    read = now - last <= app.longest_silence(store)
    return ok("feed", since, store) if read else failure("feed", since, mend, store)


def _recovery(conn: sa.Connection, store: str, command: str) -> Finding:
    mend, last = f"see `{command} recover status`", server.last_seen(conn)
    moved = [] if last is None else list(server.differences(last, server.here(conn)))
    pending = epochs.pending(conn, store)
    if pending is not None or moved:
        why = pending.reason if pending is not None else ", ".join(moved)
        return failure("recovery", f"effects are kept back: {why}", mend, store)
    left = epochs.orders_left_out(conn, store)
    if left:
        return warning("recovery", f"no effect leaves for {len(left)} orders that were left out", mend, store)
    return ok("recovery", f"effects are open, in epoch {epochs.current(conn, store)}", store)


def _pauses(conn: sa.Connection, store: str, command: str) -> Finding:
    found = {scope: why for scope, why in progress.paused(conn, store).items() if scope != "pull"}
    if not found:
        return ok("pauses", "none", store)
    told = "; ".join(f"{scope} since {since:%Y-%m-%d %H:%M} UTC: {why}" for scope, (why, since) in found.items())
    lift = " and ".join(f"`{command} resume {store} {scope}`" for scope in found)
    return failure("pauses", told, f"mend the reason, then {lift}", store)


def _gates(conn: sa.Connection, store: str, now: datetime, command: str) -> Finding:
    """Destinations that nobody calls because they are down or want to be left alone."""
    shut = [one for one in gates.standing(conn, store) if one.guarded and one.shut_until and one.shut_until > now]
    if not shut:
        return ok("destinations", "each may be called", store)
    told = "; ".join(
        f"nobody calls {one.destination} until {one.shut_until:%H:%M:%S} UTC: {why_shut(one, now)}" for one in shut
    )
    lines = " and ".join(f"`{command} resume {store} {one.destination}`" for one in shut)
    return warning("destinations", told, f"it goes on by itself; {lines} tries at once", store)


def _readers(conn: sa.Connection, store: str, command: str) -> Finding:
    head = log.head(conn, store)
    behind = {name: head - place for name, place in progress.positions(conn, READERS, store).items() if place < head}
    if not behind:
        return ok("readers", f"all have read all {head} events", store)
    told = ", ".join(f"{name} by {count} events" for name, count in behind.items())
    if max(behind.values()) < FAR_BEHIND:
        return ok("readers", f"a little behind: {told}", store)
    return warning("readers", f"behind the log: {told}", f"start a worker: `{command} work`", store)


def _completeness(conn: sa.Connection, store: str, command: str) -> Finding:
    """Whether every reader has applied every event up to where it stands."""
    flawed = flaws(conn, store, progress.applied(conn, READERS, store))
    if not flawed:
        return ok("completeness", "no reader has missed or doubled an event", store)
    told = "; ".join(f"{name} {flaw}" for name, flaw in flawed.items())
    mend = f"`{command} verify` first; then `{command} rebuild {' '.join(flawed)}`"
    return failure("completeness", told, mend, store)


def _machine(conn: sa.Connection, store: str, command: str) -> Finding:
    """Whether the orders of the read model were all judged by today's state machine."""
    count = conn.execute(_JUDGED_OTHERWISE, {"store": store}).scalar_one()
    if not count:
        return ok("machine", f"every order is judged by version {machine.VERSION}", store)
    mend = f"`{command} rebuild`; until then they are folded from their streams, which is slower"
    return warning("machine", f"{count} orders were judged by another version than {machine.VERSION}", mend, store)


_JUDGED_OTHERWISE: Final = sa.text(
    f"SELECT count(*) FROM orderflow.orders WHERE store = :store AND machine <> {machine.VERSION}"
)


def _overdue(conn: sa.Connection, store: str, command: str) -> Finding:
    count = conn.execute(_OVERDUE, {"store": store, "late": LATE}).scalar_one()
    if not count:
        return ok("effects", "none is overdue", store)
    found = f"{count} should have been looked at for {_ago(LATE)}"
    return warning("effects", found, f"start a worker: `{command} work`; or lift pauses", store)


_OVERDUE: Final = sa.text(
    "SELECT count(*) FROM orderflow.outbox o WHERE store = :store AND NOT parked "
    "AND greatest(next_at, lease_until) < orderflow.wall_clock() - :late "
    "AND NOT coalesce((SELECT g.guarded FROM orderflow.gates g WHERE g.store = o.store "
    "AND g.destination = o.destination ORDER BY g.seq DESC LIMIT 1), false)"
)


def _unknown(conn: sa.Connection, store: str, now: datetime, command: str) -> Finding:
    count, oldest = conn.execute(_UNKNOWN, {"store": store, "late": LATE}).one()
    if not count:
        return ok("outcomes", "none has been unknown for long", store)
    found = f"{count} calls have an unknown outcome, the oldest for {_ago(now - oldest)}"
    see = f"`{command} exceptions --store {store} --class unknown_too_long`"
    mend = f"see {see}; look-ups go on by themselves while a worker runs"
    return warning("outcomes", found, mend, store)


_UNKNOWN: Final = sa.text(
    "SELECT count(*), min(send_by) FROM orderflow.outbox WHERE store = :store AND state IN ('intent', 'unknown') "
    "AND send_by < orderflow.wall_clock() - :late"
)


def _waiting(conn: sa.Connection, store: str, now: datetime, command: str) -> Finding:
    """Orders that wait for a person, by class; the oldest by its id."""
    found, count = listed(conn, Wanted([store]), now, _LOOKED_AT)
    if not found:
        return ok("orders", "none waits for a person", store)
    classes = Counter(one.of.value for one in found)
    told = ", ".join(f"{name} {many}" for name, many in classes.most_common())
    more = " at least" if count > len(found) else ""
    mend = f"`{command} exceptions --store {store}`; the oldest: `{command} exceptions show {found[0].id}`"
    return warning("orders", f"some wait for a person:{more} {told}", mend, store)


_LOOKED_AT: Final = 1000


def _ago(length: timedelta) -> str:
    seconds = max(0, round(length.total_seconds()))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
