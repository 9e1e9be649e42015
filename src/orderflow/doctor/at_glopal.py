"""Is Glopal as the settings say: address, key, clock, routes, the age of the feed?

It only reads there, and records nothing of what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from orderflow import app as composition
from orderflow.config import StoreSettings
from orderflow.doctor.database import clock
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.domain.policy import Mode
from orderflow.glopal.client import Client
from orderflow.glopal.codec import Good, Unparsable, read_page
from orderflow.glopal.replies import Broken, NotSent, Reply

OLD: Final = timedelta(days=2)
NEEDED: Final = ("order.received", "order.ready", "order.cancelled")
ASSUMPTIONS: Final = "docs/reference/glopal-assumptions.md"


def checked(name: str, store: StoreSettings, client: Client, command: str, *, recorded: bool) -> Iterator[Finding]:
    """Everything about Glopal but orders. `recorded`: are there events of this store in the log already?"""
    before = datetime.now(UTC)
    reply = first_page(client, store)
    yield from _answer(name, store, reply)
    if isinstance(reply, Reply):
        yield from _date(name, reply, before)
        if reply.status == 200:
            yield _age(name, store, reply, recorded=recorded)
    yield _names(name, store)
    yield from _routes(name, store, command)


def first_page(client: Client, store: StoreSettings) -> Reply | NotSent | Broken:
    """The answer to the first question that the pull will ask, but for one event only."""
    query = [("event", event) for event in store.glopal.events] + [("limit", "1")]
    route = client.routes["events"]
    return client.endpoint.exchange(route.method, route.target({"store_id": client.store_id}, query))


def _answer(name: str, store: StoreSettings, reply: Reply | NotSent | Broken) -> Iterator[Finding]:
    place = f"stores.{name}.glopal"
    if store.glopal.base_url.startswith("http://"):
        yield warning("Glopal's address", "is not encrypted: a sandbox?", f"set {place}.base_url to https://...", name)
    if not isinstance(reply, Reply):
        mend = f"mend {place}.base_url, the network or the firewall"
        yield failure("Glopal", f"cannot be reached: {reply.reason}", mend, name)
    elif reply.status in {401, 403}:
        mend = f"mend {place}.key ({store.glopal.key.place}) or {place}.store_id; ask Glopal for the key of this store"
        yield failure("Glopal", f"turns the key away: {reply.summary}", mend, name)
    elif reply.status != 200:
        mend = f"mend {place}.base_url, store_id or routes.events; see {ASSUMPTIONS}"
        yield failure("Glopal", f"answers the question for events with {reply.summary}", mend, name)
    elif isinstance(read_page(reply.body), Unparsable):
        mend = f"mend {place}.base_url or routes.events; see {ASSUMPTIONS}"
        yield failure("Glopal", "answers with something that is no page of events", mend, name)
    else:
        yield ok("Glopal", "answers, and takes the key", name)


def _date(name: str, reply: Reply, before: datetime) -> Iterator[Finding]:
    """By the Date header, which has whole seconds."""
    try:
        theirs = parsedate_to_datetime(reply.headers.get("date", ""))
    except (ValueError, TypeError, IndexError):
        return
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    yield clock("Glopal's clock", theirs - (before + (datetime.now(UTC) - before) / 2), name, precision=1.0)


def _age(name: str, store: StoreSettings, reply: Reply, *, recorded: bool) -> Finding:
    """An old feed brings orders that somebody has long dealt with."""
    key = f"stores.{name}.effects_from"
    page = read_page(reply.body)
    times = [] if isinstance(page, Unparsable) else [one.event_at for one in page.elements if isinstance(one, Good)]
    first = next((time for time in times if time is not None), None)
    begin = store.effects_from
    if begin is not None and begin > datetime.now(UTC):
        return warning("old orders", f"no order gets effects before {begin:%Y-%m-%d %H:%M %Z}", f"mend {key}", name)
    if first is None or datetime.now(UTC) - first < OLD:
        return ok("old orders", "the feed holds none", name)
    found = f"the feed begins {first:%Y-%m-%d}"
    if begin is not None:
        return ok("old orders", f"{found}; orders get effects from {begin:%Y-%m-%d %H:%M %Z} on", name)
    if store.mode is Mode.OBSERVE:
        return ok("old orders", f"{found}; this store only observes", name)
    mend = f"set {key} to the moment from which orderflow is to act"
    found += ", and effects_from is not set: old orders that are still open would enter the shop"
    return (warning if recorded else failure)("old orders", found, mend, name)


def _names(name: str, store: StoreSettings) -> Finding:
    missing = [one for one in NEEDED if store.glopal.events and one not in store.glopal.events]
    if not missing:
        return ok("events", "all that orderflow acts upon are asked for", name)
    mend = f"add them to stores.{name}.glopal.events"
    return warning("events", f"{', '.join(missing)} are not asked for", mend, name)


def _routes(name: str, store: StoreSettings, command: str) -> Iterator[Finding]:
    """Addresses and bodies that are still guessed, and what the description of the API left open."""
    table = composition.route_table(name, store)
    assumed = [f"{op}: {route.method} {route.path}" for op, route in table.routes.items() if route.assumed]
    if assumed:
        mend = (
            f"compare `{command} routes` with Glopal's API description; name its file in stores.{name}.glopal.openapi, "
            f"or write [stores.{name}.glopal.routes.OPERATION]; see {ASSUMPTIONS}"
        )
        yield warning("routes", f"guessed: {'; '.join(assumed)}", mend, name)
    else:
        yield ok("routes", "none is guessed", name)
    for operation, notes in table.notes.items():
        for note in notes:
            mend = f"see {ASSUMPTIONS}; mend it in [stores.{name}.glopal.routes.{operation}]"
            yield warning("routes", f"{operation}: {note}", mend, name)
