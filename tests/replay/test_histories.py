"""Races as histories: every file in `histories` is one order's life, with what must be true on the way and in the end.

A line is one JSON object. `after` is the time since the line before it (1 s if left out); other times are seconds since
the first line; positions count from 1.

- `{"about": ...}` comes first and tells the race; `{"policy": {...}}` may follow: fields of `StorePolicy`.
- `{"event": "DetailsFetched", ...}`: a class of `domain.events` with its fields; `OrderReady` is short for
  `Reported` with `ready`. What is left out of details and intents is filled in as the relay would: see `_filled`.
- `{"command": "Accept", ..., "writes": 1}` or `"refused": true`: what `decide` must do; its events are appended.
- `{"conclude": "shop", "as": "EffectClosed"}`, with `refusal` if one is at hand: appended as the relay would.
- `{"expect": {...}}`: `status`, `held` reasons, `due` now and `later` as `effect target`, `keys` of due writes,
  the `shop`'s ids with their states, `attention` kinds. Whatever is named must be equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orderflow.domain import decisions, events
from orderflow.domain.attention import attention
from orderflow.domain.conclusions import conclude
from orderflow.domain.decisions import IllegalTransition, decide
from orderflow.domain.due import effects_due
from orderflow.domain.events import Destination, Event, Position, Recorded, Version
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.machine import Report
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy, held

HERE = Path(__file__).parent / "histories"
FILES = sorted(HERE.glob("*.jsonl"))
T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = {"occurred_at", "sent_at", "settles_at", "created_at", "send_by", "counts_from"}
SETTLE, SEND, CALL = 120, 30, 10
COMPLETE = {"status", "held", "due", "shop", "attention"}


@dataclass
class Run:
    """A history as far as it has been read."""

    policy: StorePolicy = field(default_factory=StorePolicy)
    order: Order = field(default_factory=Order)
    history: list[Recorded] = field(default_factory=list)
    clock: float = -1.0

    @property
    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.clock)

    def record(self, event: Event) -> None:
        place = len(self.history) + 1
        recorded = Recorded(event, Position(place), Version(place), self.now)
        self.history.append(recorded)
        self.order = evolve(self.order, recorded)

    def read(self, line: dict[str, Any]) -> None:
        """One line; a wrong key is an error, not a comment."""
        self.clock += line.pop("after", 1)
        match line:
            case {"policy": fields}:
                self.policy = msgspec.convert(fields, StorePolicy)
            case {"event": name}:
                self.record(self._event(name, {k: v for k, v in line.items() if k != "event"}))
            case {"command": name}:
                self._command(name, {k: v for k, v in line.items() if k != "command"})
            case {"conclude": place, "as": kind}:
                assert line.keys() <= {"conclude", "as", "refusal"}
                found = conclude(
                    self.order, self.policy, Destination(place), retry_in=10.0, refusal=line.get("refusal")
                )
                assert (type(found).__name__ if found else None) == kind
                if found is not None:
                    self.record(found)
            case {"expect": expected}:
                self._expect(expected)
            case _:
                raise AssertionError(f"what is {line}?")

    def _event(self, name: str, fields: dict[str, Any]) -> Event:
        if name.startswith("Order") and name.removeprefix("Order").lower() in set(Report):
            name, fields = "Reported", {"report": name.removeprefix("Order").lower(), **fields}
        fields = self._filled(name, fields)
        known = {f: v for f, v in fields.items() if f in TIMES and v is not None}
        times = {f: (T0 + timedelta(seconds=v)).isoformat() for f, v in known.items()}
        kind = getattr(events, name)
        assert set(fields) <= set(kind.__dataclass_fields__), (
            f"{name} has no {set(fields) - set(kind.__dataclass_fields__)}"
        )
        found: Event = msgspec.convert({**fields, **times}, kind)
        return found

    def _filled(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """What the relay would write: asked just now, one settle window, the first attempt of the first generation."""
        if name == "DetailsFetched":
            sent = fields.get("sent_at", self.clock)
            filled = {"asked_after": len(self.history), "sent_at": sent, "settles_at": sent + SETTLE}
            return {**filled, "said": str(fields["status"]), "environment": "live", "currency": "EUR", **fields}
        if name == "EffectIntended":
            send_by = self.clock + SEND
            filled = {"target": "", "digest": "d", "send_by": send_by, "counts_from": send_by + CALL + SETTLE}
            return {"generation": 0, "attempt": 1, **filled, **fields}
        if name.startswith("Effect") or name == "LookedUp":
            return {"generation": 0, "attempt": 1, **({"sent_at": self.clock} if name == "LookedUp" else {}), **fields}
        return fields

    def _command(self, name: str, fields: dict[str, Any]) -> None:
        refused, writes = fields.pop("refused", False), fields.pop("writes", None)
        command = msgspec.convert({"by": "ann", **fields}, getattr(decisions, name))
        if refused:
            with pytest.raises(IllegalTransition) as no:
                decide(self.order, command)
            assert (no.value.state, no.value.command) == (self.order.status, name)
            return
        decided = decide(self.order, command)
        assert len(decided) == writes
        for event in decided:
            self.record(event)

    def _expect(self, expected: dict[str, Any]) -> None:
        dues = effects_due(self.order, self.policy)
        now = [d for d in dues if d.not_before <= self.now]
        found = {
            "status": self.order.status.value,
            "held": sorted({h.reason.value for h in held(self.order, self.policy)}),
            "due": sorted(f"{d.effect} {d.target}".strip() for d in now),
            "later": sorted(f"{d.effect} {d.target}".strip() for d in dues if d not in now),
            "keys": sorted(f"{d.effect}/{d.generation}" for d in now if not d.effect.reads),
            "shop": {s.shop_id: s.state.value for s in self.order.shop.seen},
            "recorded": self.order.shop.recorded,
            "attention": sorted(a.kind for a in attention(self.order, self.policy)),
        }
        assert set(expected) <= set(found)
        assert {k: found[k] for k in expected} == expected, f"after event {len(self.history)}"


def lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_history(path: Path) -> None:
    """The race is determined: every expectation holds where it stands, and folded anew it is the same."""
    head, *rest = lines(path)
    assert set(head) == {"about"}
    assert set(rest[-1].get("expect", ())) >= COMPLETE, "the last line tells all of the end"
    run = Run()
    for line in rest:
        run.read(line)
    assert fold(run.history) == run.order


def test_every_race_of_the_first_water_is_here() -> None:
    """R1 to R15."""
    assert {path.stem.split("_")[0] for path in FILES} >= {f"r{n:02}" for n in range(1, 16)}
