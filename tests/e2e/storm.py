"""Storms: `orderflow work` as real processes, killed four times a second or suspended beyond their leases.

Orders keep coming, replies get lost. In the end the ledgers of Glopal and of the shop are compared with what orderflow
says. `python -m tests.e2e.storm kill 60` and `python -m tests.e2e.storm stop 60` show how it went.

A worker needs a second to start, and would be dead before it has done anything. So a *nursery* imports the program
once and forks: each worker is a process of its own, with its own connections, ready in a fraction of that.
"""
# ruff: noqa: T201 - a command answers

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import sqlalchemy as sa

from orderflow.cli.demo.judge import damage, differences
from orderflow.sandbox import Faults
from orderflow.store import embedded, migrate

from .stage import STORE, Stage, staged, wait

LOSSES = {"cut_after": 0.06, "cut_before": 0.04, "error_after": 0.03, "error_503": 0.03}
LEASE = 1.5 + 2 * 1.5 + 5.0
"""The lease of the stage's windows, in seconds."""
_CREW = 4
_PATIENCE = 120.0
_NURSERY = """
import os, signal, sys
import orderflow.app, orderflow.work, orderflow.cli.running
from orderflow.cli import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null, said = os.open(os.devnull, os.O_RDWR), os.open(f"said-{os.getpid()}", os.O_WRONLY | os.O_CREAT)
        for number, file in enumerate((null, said, said)):
            os.dup2(file, number)
        sys.argv = ["orderflow", "work"]
        main()
        os._exit(0)
    print(pid, flush=True)
"""


@dataclass
class Storm:
    """What a storm did, and what it left."""

    orders: int = 0
    blows: int = 0
    open_intents: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    lost_replies: int = 0
    under_way: int = 0
    doubled: Sequence[str] = ()
    wrong: Sequence[str] = ()
    unknown: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        """Nothing doubled, nothing lost, nothing left unknown."""
        return not (self.doubled or self.wrong or self.unknown)

    def told(self, kind: str) -> str:
        """In words."""
        hit = ", ".join(f"{effect} {count}" for effect, count in sorted(self.open_intents.items()))
        done = ", ".join(f"{effect} {count}" for effect, count in sorted(self.delivered.items()))
        ends = ", ".join(f"{count} {status}" for status, count in sorted(self.ends.items()))
        blow = "kills" if kind == "kill" else "suspensions beyond the lease"
        return (
            f"{self.blows} {blow}, {sum(self.open_intents.values())} intents open under them ({hit}); "
            f"{self.lost_replies} replies lost or late\n{self.orders} orders: {ends}; delivered: {done}\n"
            f"{len(self.doubled)} doubled, {len(self.wrong)} lost or wrong, {len(self.unknown)} left unknown"
        )


class Nursery:
    """Makes workers quickly."""

    def __init__(self, stage: Stage) -> None:
        self._home = stage.home
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY],
            env=stage.environment,
            cwd=stage.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.alive: list[int] = []
        self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def worker(self) -> int:
        """The process id of one more."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        pid = int(self._said())
        self.alive.append(pid)
        return pid

    def at_work(self) -> list[int]:
        """Those that have started, the oldest first."""
        said = ((pid, self._home / f"said-{pid}") for pid in self.alive)
        return [pid for pid, file in said if file.exists() and file.stat().st_size]

    def strike(self, pid: int, number: signal.Signals) -> None:
        """Send one of its workers a signal."""
        if number is signal.SIGKILL:
            self.alive.remove(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def close(self) -> None:
        """End every worker, and the nursery."""
        for pid in list(self.alive):
            self.strike(pid, signal.SIGCONT)
            self.strike(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@contextmanager
def nursery(stage: Stage) -> Iterator[Nursery]:
    """A nursery that ends."""
    made = Nursery(stage)
    try:
        yield made
    finally:
        made.close()


def storm(stage: Stage, kind: str, seconds: float, pace: float = 0.2) -> Storm:
    """Let `kind` ("kill" or "stop") rage for so long, with one new order every `pace` seconds; then wait for rest.

    On a machine that is busy with other things it rages on until it has struck and something was done under it.
    """
    result, rng = Storm(), Random(seconds)
    with nursery(stage) as workers:
        for _ in range(2):
            workers.worker()
        end, next_order, turn = time.monotonic() + seconds, 0.0, 0
        ready: list[tuple[float, str]] = []
        while time.monotonic() < end or (time.monotonic() < end + _PATIENCE and not _enough(stage, kind, result)):
            now = time.monotonic()
            if now >= next_order:
                next_order = now + pace
                order_id = stage.place()
                result.orders += 1
                ready.append((now + rng.uniform(0, 2), order_id))
            for item in [one for one in ready if one[0] <= now]:
                ready.remove(item)
                _live(stage, item[1], rng)
            if kind == "kill":
                _kill(stage, workers, result)
                time.sleep(max(0.0, 0.25 - (time.monotonic() - now)))
            else:
                _suspend(stage, workers, result, turn)
                turn += 1
        for _, order_id in ready:
            _live(stage, order_id, rng)
    stage.faults.stop()
    result.under_way = sum(_delivered(stage).values())
    result.lost_replies = sum(count for fault, count in stage.faults.counts.items() if fault != "none")
    with stage.working(), stage.working():
        wait(lambda: _over(stage), 240, lambda: _unfinished(stage))
        stage.rest(240)
    _judge(stage, result)
    return result


def _enough(stage: Stage, kind: str, result: Storm) -> bool:
    return result.blows >= (8 if kind == "kill" else 1) and sum(_delivered(stage).values()) >= 10


def _live(stage: Stage, order_id: str, rng: Random) -> None:
    """Most orders become ready; some are cancelled, before or after."""
    fate = rng.random()
    with contextlib.suppress(ValueError):
        if fate < 0.9:
            stage.glopal.ready(STORE, order_id)
        if fate < 0.2 or fate >= 0.9:
            stage.glopal.cancel(STORE, order_id)


def _kill(stage: Stage, workers: Nursery, result: Storm) -> None:
    """The oldest one at work dies in the middle of whatever it does, unless it is the only one; others take its place.

    Two are kept at work, and two that are about to begin.
    """
    at_work = workers.at_work()
    if len(at_work) > 1:
        workers.strike(at_work[0], signal.SIGKILL)
        result.blows += 1
        result.open_intents.update(_intents_of(stage, at_work[0]))
    while len(workers.alive) < _CREW:
        workers.worker()


def _suspend(stage: Stage, workers: Nursery, result: Storm, turn: int) -> None:
    """One of the two is suspended with an intent open, if it has one soon, until its lease is long over."""
    wait(lambda: len(workers.at_work()) > 1, 60)
    pid = workers.alive[turn % 2]
    looked_until = time.monotonic() + 2.0
    while not _intents_of(stage, pid) and time.monotonic() < looked_until:
        time.sleep(0.005)
        if int(time.monotonic() * 10) % 3 == 0:
            result.orders += 1
            stage.glopal.ready(STORE, stage.place())
            time.sleep(0.05)
    workers.strike(pid, signal.SIGSTOP)
    held = _intents_of(stage, pid)
    result.blows += 1
    result.open_intents.update(held)
    time.sleep(LEASE + 1.5)
    workers.strike(pid, signal.SIGCONT)


def _intents_of(stage: Stage, pid: int) -> list[str]:
    """Which effects a worker has intended and not settled."""
    query = sa.text("SELECT effect FROM orderflow.outbox WHERE state = 'intent' AND owner LIKE :mine")
    with stage.app.engine.connect() as conn:
        return list(conn.scalars(query, {"mine": f"%:{pid}:%"}))


def _over(stage: Stage) -> bool:
    return not _unfinished(stage)


def _unfinished(stage: Stage) -> list[str]:
    """Orders at Glopal that still wait for us."""
    return [e.order_id for e in stage.glopal.ledger(STORE) if e.status == "READY"]


def _judge(stage: Stage, result: Storm) -> None:
    found = differences(stage.app, stage.glopal, stage.shop)
    doubles = {"two_promoted", "two_accepts", "stray_draft", "stray_order"}
    result.doubled = [f"{one.kind}: {one.order_id} {one.detail}" for one in found if one.kind in doubles]
    result.wrong = [f"{one.kind}: {one.order_id} {one.detail}" for one in found if one.kind not in doubles]
    result.wrong += [f"log: {text}" for text in damage(stage.app, STORE)]
    result.wrong += [f"never accepted: {order_id}" for order_id in _unfinished(stage)]
    with stage.app.engine.connect() as conn:
        open_rows = "SELECT order_id || ' ' || effect FROM orderflow.outbox WHERE state <> 'planned'"
        result.unknown = list(conn.scalars(sa.text(open_rows)))
        done = conn.scalars(
            sa.text(
                "SELECT clear::json->>'effect' FROM orderflow.events WHERE type = 'EffectDelivered' AND store = :s"
            ),
            {"s": STORE},
        )
        result.delivered = Counter(done)
    result.ends = Counter(entry.status for entry in stage.glopal.ledger(STORE))


def _delivered(stage: Stage) -> Counter[str]:
    query = "SELECT clear::json->>'effect' FROM orderflow.events WHERE type = 'EffectDelivered' AND store = :s"
    with stage.app.engine.connect() as conn:
        return Counter(conn.scalars(sa.text(query), {"s": STORE}))


def faults(seed: int = 1) -> Faults:
    """Replies that get lost, by chance."""
    return Faults(Random(seed), LOSSES)  # type: ignore[arg-type]


def main(kind: str, seconds: float) -> int:
    """A storm on a database of its own."""
    with tempfile.TemporaryDirectory(prefix="orderflow-storm-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        with embedded.start(Path(home) / "cluster", durable=False) as server:
            migrate.upgrade(server.url)
            with staged(Path(home), server.url, faults=faults()) as stage:
                result = storm(stage, kind, seconds)
    print(result.told(kind))
    for text in (*result.doubled, *result.wrong, *result.unknown):
        print(text)
    return 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
