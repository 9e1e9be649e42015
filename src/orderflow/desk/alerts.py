"""Tells people outside when exceptions or failing calls pass a limit, and when that is over.

It never waits for a receiver inside a transaction, and no rule or receiver that fails stops another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from orderflow.desk import signals, stores
from orderflow.desk.measuring import Measured, measured
from orderflow.desk.rules import Rule
from orderflow.desk.signals import Signal
from orderflow.glopal.client import Endpoint
from orderflow.outlets import NotTakenError, run, send
from orderflow.store.connect import named, transact

_log = logging.getLogger("orderflow")


class Receiver(Protocol):
    """One place outside that is told."""

    @property
    def name(self) -> str:
        """Url or command."""
        ...

    def tell(self, signal_id: str, at: datetime, body: bytes) -> None:
        """Hand the signal over. Raises `NotTakenError`."""
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP server that gets `POST URL`; any 2xx means taken. `webhook-id` is the same at every try."""

    endpoint: Endpoint
    name: str = "url"

    def tell(self, signal_id: str, at: datetime, body: bytes) -> None:
        """Send it, once."""
        headers = {"webhook-id": signal_id, "webhook-timestamp": f"{at.timestamp():.0f}"}
        send(self.endpoint, "POST", "", body, headers)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that gets the signal on its standard input, and its id in `ORDERFLOW_ALERT_ID`."""

    words: Sequence[str]
    name: str = "command"

    def tell(self, signal_id: str, at: datetime, body: bytes) -> None:
        """Run it, once."""
        del at
        run(self.words, body, {"ORDERFLOW_ALERT_ID": signal_id})


@dataclass(frozen=True, slots=True)
class Alerting:
    """The rules, who is told, and the seconds between two looks.

    `silences`: the stores, each with the time after which nobody reads its feed any more.
    """

    rules: tuple[Rule, ...]
    receivers: tuple[Receiver, ...]
    every: float
    silences: Mapping[str, timedelta]


def measure(conn: sa.Connection, alerting: Alerting) -> Iterator[Measured]:
    """Where each store stands against each rule now."""
    now: datetime = conn.execute(sa.text("SELECT orderflow.wall_clock()")).scalar_one()
    own = stores.standing(conn, alerting.silences, now)
    for store in sorted(alerting.silences):
        for rule in alerting.rules:
            if not rule.only or store in rule.only:
                yield measured(conn, rule, store, own, now)


def look(engine: sa.Engine, alerting: Alerting) -> list[str]:
    """Write down what is to be said now, in one process at a time; what became of which rule."""
    return transact(engine, partial(_look, alerting=alerting))


def _look(conn: sa.Connection, alerting: Alerting) -> list[str]:
    if not signals.alone(conn):
        return []
    told = []
    for found in measure(conn, alerting):
        state = signals.compare(conn, found)
        if state is not None:
            told.append(f"alert {found.rule.name} of {found.store}: {state}")
    return told


def say(engine: sa.Engine, alerting: Alerting, lease: timedelta = signals.LEASE) -> bool:
    """Send the oldest signal that waits; False if none does."""
    signal = transact(engine, partial(signals.taken, stores=[*alerting.silences], lease=lease))
    if signal is None:
        return False
    problem = "; ".join(_problems(alerting, signal))
    transact(engine, partial(signals.note, signal=signal, problem=problem))
    if problem:
        _log.error("alert %s of %s was not taken: %s", signal.rule, signal.store, problem)
    return True


def _problems(alerting: Alerting, signal: Signal) -> Iterator[str]:
    """Every receiver is told, whatever becomes of another."""
    for receiver in alerting.receivers:
        try:
            receiver.tell(str(signal.id), signal.at, signal.body)
        except NotTakenError as error:
            yield f"{receiver.name}: {error}"
        except Exception as error:  # noqa: BLE001  it is told again later
            yield f"{receiver.name}: {named(error)}"


def turn(engine: sa.Engine, alerting: Alerting) -> None:
    """Look once, and say everything that waits."""
    for line in look(engine, alerting):
        _log.warning("%s", line)
    while say(engine, alerting):
        pass


def trial(alerting: Alerting, now: datetime) -> dict[str, str]:
    """Send every receiver a signal that says it is a trial; by name what is wrong, "" if it was taken."""
    signal_id, told = str(uuid4()), {}
    body = msgspec.json.encode({"id": signal_id, "state": "trial", "at": now})
    for receiver in alerting.receivers:
        try:
            receiver.tell(signal_id, now, body)
        except NotTakenError as error:
            told[receiver.name] = str(error)
        else:
            told[receiver.name] = ""
    return told
