"""The wires of one world: they carry requests to an app in this process, and things go wrong on the way.

They never decide what is sent. Every write is shown to the wiretap, every fault that changed something is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

import httpx

from orderflow.sandbox import App, Cut, Fault, Request, Response, deliver
from orderflow.sandbox.wire import json_object, json_response, render

if TYPE_CHECKING:
    from tests.simulation.world import World

KINDS: Final[dict[str, str]] = {
    "refused": "N01",
    "cut_before": "N03",
    "cut_after": "N04",
    "late": "N05",
    "drip": "N06",
    "truncated": "N07",
    "html_before": "N08",
    "html_after": "N08",
    "empty_after": "N08",
    "more_members": "N09",
    "unknown_word": "N09",
    "missing_member": "N09",
    "throttled": "N10",
    "throttled_oddly": "N10",
    "error_after": "N11",
    "error_500": "N12",
    "error_503": "N12",
    "refusal": "N13",
    "turned_away": "N14",
    "redirect": "N15",
    "another_order": "N17",
    "unreadable": "E08",
}
"""What can go wrong with one request, and the fault of the matrix that it is."""

_HEARD: Final = {
    "none",
    "more_members",
    "refused",
    "throttled",
    "throttled_oddly",
    "refusal",
    "turned_away",
    "redirect",
}
"""After these, whoever wrote knows what became of it (a refusal is read back)."""
_READS: Final = {"fetch", "look-up", "feed"}
_NOT_OF_READS: Final = {"late", "error_after", "cut_after", "empty_after"}
_NOT_OF_FEED: Final = {"more_members", "unknown_word", "missing_member", "another_order", "refusal", "unreadable"}
_ODD_WAITS: Final = ("0", "-1", "999999999", "soon", "Thu, 01 Jan 1970 00:00:00 GMT")


@dataclass
class Swarm:
    """Which faults are on at one place, and how often; each seed draws its own."""

    rng: Random
    rates: dict[str, float] = field(default_factory=dict)
    on: bool = True
    outage: tuple[datetime, datetime] | None = None
    delays: tuple[float, ...] = (1, 20, 90, 600, 5000)  # seconds until a late one is executed

    @classmethod
    def drawn(cls, rng: Random) -> Swarm:
        """A few kinds out of all, together no more than seven requests in ten."""
        on = {kind: rng.choice([0.02, 0.1, 0.2]) for kind in KINDS if rng.random() < 0.12}
        total = sum(on.values())
        rates = {kind: rate * min(1.0, 0.7 / total) for kind, rate in on.items()} if total else {}
        return cls(Random(rng.random()), rates)

    def choose(self, stage: str, now: datetime) -> str:
        """What happens to this request."""
        if self.outage is not None and self.outage[0] <= now < self.outage[1]:
            return "outage"
        if not self.on:
            return "none"
        point = self.rng.random()
        for kind, rate in self.rates.items():
            point -= rate
            if point < 0:
                return kind if _applies(kind, stage) else "none"
        return "none"


def _applies(kind: str, stage: str) -> bool:
    if kind == "unreadable":
        return stage == "fetch"
    if kind == "another_order" and stage in {"accept", "cancel"}:
        return False
    if stage in _READS and kind in _NOT_OF_READS:
        return kind == "cut_after"  # the same as cut before, to one who only reads
    return not (stage == "feed" and kind in _NOT_OF_FEED)


def stage_of(place: str, request: Request) -> str:
    """What a request is for."""
    end = request.path.rsplit("/", 1)[-1]
    if place == "glopal":
        if request.method != "GET":
            return end
        return "feed" if "/events/" in request.path else "fetch"
    if request.method == "GET":
        return "look-up"
    return "promote" if end == "promote" else "draft" if end == "orders" else "withdraw"


class Wire(httpx.BaseTransport):
    """Carries requests to an app in this process, with the faults of a swarm."""

    def __init__(self, world: World, app: App, swarm: Swarm, place: str) -> None:
        self.world, self.app, self.swarm, self.place = world, app, swarm, place

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry it. A mistake in the wire itself is kept: a client would take it for a broken one."""
        try:
            return self._carry(request)
        except httpx.TransportError:
            raise
        except Exception as error:
            self.world.wire_broke = self.world.wire_broke or error
            raise

    def _carry(self, request: httpx.Request) -> httpx.Response:
        wire = Request(
            request.method,
            request.url.raw_path.split(b"?")[0].decode(),
            tuple(request.url.params.multi_items()),
            {name.lower(): value for name, value in request.headers.items()},
            request.content,
        )
        world, stage = self.world, stage_of(self.place, wire)
        kind = self.swarm.choose(stage, world.clock.now)
        if kind == "outage" and self.swarm.rng.random() < 0.5:
            world.fired.fire("N18", stage)
            raise httpx.ConnectError("outage", request=request)
        if kind == "refused":
            world.fired.fire(KINDS[kind], stage)
            raise httpx.ConnectError("refused", request=request)
        tap = world.tap if wire.method != "GET" else None
        if tap is None and world.tap is not None and stage != "feed":
            world.tap.refused.discard(self.place)  # asked, whatever comes back
        if tap is not None:
            tap.write(self.place, wire)
        try:
            answer, kind = self._answer(kind, stage, wire)
        except Cut:
            answer = None
        if kind != "none":
            world.fired.fire("N18" if kind == "outage" else KINDS[kind], stage)
        if tap is not None:
            idle = answer is None or (answer.status == 200 and answer.body == b"{}")
            tap.answered(self.place, wire, vague=idle or kind not in _HEARD)
            if answer is not None and 400 <= answer.status < 500:
                tap.refused.add(self.place)
            if self.place == "glopal":
                world.stir()
        if answer is None:
            raise httpx.ReadTimeout("no answer", request=request)
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        if kind not in _BREAK_OFF:
            return httpx.Response(answer.status, headers=headers, content=answer.body)
        length = 1 if kind == "drip" else len(answer.body) // 2
        stream = Broken(answer.body[:length], _BREAK_OFF[kind]("it broke off", request=request))
        return httpx.Response(answer.status, headers=headers, stream=stream)

    def _answer(self, kind: str, stage: str, wire: Request) -> tuple[Response, str]:
        """The answer, and what really became of it: not every answer can be made wrong in every way. Raises `Cut`."""
        rng, world = self.swarm.rng, self.world
        match kind:
            case "none":
                return self._seen(stage, wire, self.app(wire)), kind
            case "outage":
                return _error(503, "unavailable"), kind
            case "drip" | "truncated":
                return self.app(wire), kind
            case "late":
                fault = Fault("late", timedelta(seconds=rng.choice(self.swarm.delays)))
                return deliver(self.app, wire, fault, self._later), kind
            case "throttled_oddly":
                return deliver(
                    self.app, wire, Fault("throttled", retry_after=rng.choice(_ODD_WAITS)), self._later
                ), kind
            case "refusal":
                return _error(rng.choice([400, 409, 422]), "made_up"), kind
            case "turned_away":
                world.close()
                return _error(rng.choice([401, 403]), "no_entry"), kind
            case "redirect":
                world.close()
                return Response(307, b"", {"location": f"http://elsewhere.invalid{wire.path}"}), kind
            case "more_members" | "unknown_word" | "missing_member" | "another_order" | "unreadable":
                right = self.app(wire)
                odd = _odd(kind, stage, right, world, wire)
                return odd, "none" if odd is right else kind
            case _:
                if stage == "feed" and kind.startswith("html"):
                    world.close()  # a page that is none stops the pull
                return deliver(self.app, wire, Fault(kind), self._later), kind  # type: ignore[arg-type]

    def _later(self, delay: timedelta, action: Callable[[], None]) -> None:
        """Executed late: what comes of it may be news."""

        def then() -> None:
            action()
            self.world.stir()

        self.world.later(delay, then)

    def _seen(self, stage: str, wire: Request, answer: Response) -> Response:
        """Count what a right answer shows: what was before, or a page that is not as one expects."""
        world = self.world
        if answer.status != 200 or stage not in _READS:
            return answer
        document = json_object(answer.body) or {}
        if stage == "fetch" and document.get("status") != world.glopal.status(world.store, wire.path.rsplit("/")[-1]):
            world.fired.fire("N16", stage)
        elif stage == "look-up" and wire.query:
            shown = {(row["id"], row["state"]) for row in document["orders"]}
            reference = wire.query[0][1]
            made = (entry for entry in world.shop.ledger() if entry.reference == reference and entry.state != "deleted")
            if shown != {(entry.id, entry.state) for entry in made}:
                world.fired.fire("N16", world.calling if world.calling in {"draft", "promote", "withdraw"} else stage)
        elif stage == "feed":
            ids = [event.get("event_id", "") for event in document.get("events", ()) if isinstance(event, dict)]
            if ids and (world.glopal.options.pages != "plain" or world.glopal.options.filtering != "before the cut"):
                world.fired.fire("E04", stage)
            if sorted(ids) != ids:
                world.fired.fire("E06", stage)
        return answer


_BREAK_OFF: Final = {"drip": httpx.ReadTimeout, "truncated": httpx.RemoteProtocolError}


class Broken(httpx.SyncByteStream):
    """An answer that breaks off."""

    def __init__(self, start: bytes, error: Exception) -> None:
        self.start, self.error = start, error

    def __iter__(self) -> Iterator[bytes]:
        yield self.start
        raise self.error


_ELSEWHERE: Final = "glopal:elsewhere:1-1"


def _odd(kind: str, stage: str, answer: Response, world: World, wire: Request) -> Response:
    """A right answer made wrong in one place; the answer itself where that cannot be done."""
    if stage == "look-up" and kind == "another_order" and wire.query:
        return _unfiltered(world)
    if answer.status == 204:  # a deletion says nothing: here it says something odd
        own = wire.path.rsplit("/", 1)[-1]
        told: dict[str, dict[str, Any]] = {
            "more_members": {"id": own, "mood": "fine"},
            "another_order": {"id": "ord_elsewhere"},
        }
        return json_response(200 if kind in told else 202, told.get(kind, {}))
    document = json_object(answer.body)
    if answer.status >= 300 or document is None:
        return answer
    if kind == "unreadable":
        problem = world.rng.choice(['"x":"\\ud800"', f'"x":{"9" * 5000}', f'"x":{"[" * 2000}{"]" * 2000}'])
        return Response(answer.status, b"{" + problem.encode() + b"," + answer.body[1:])
    for row in [document, *document.get("orders", ())]:
        if kind == "more_members":
            row["mood"] = {"of": ["the", "day"]}
        elif kind == "unknown_word":
            row.update({name: "PENDING_REVIEW" for name in ("status", "state") if name in row})
        elif kind == "missing_member":
            for name in ("id", "status", "state"):
                row.pop(name, None)
        else:
            row.update({name: value for name, value in (("id", "1-1"), ("reference", _ELSEWHERE)) if name in row})
    body = render(document).encode()
    return answer if body == answer.body else Response(answer.status, body)


def _unfiltered(world: World) -> Response:
    """Every order of the shop, and one of somebody else's, whatever was asked for."""
    rows: list[dict[str, Any]] = [
        {"id": entry.id, "number": entry.number, "reference": entry.reference, "state": entry.state}
        for entry in world.shop.ledger()
        if entry.state != "deleted"
    ]
    rows.append({"id": "ord_elsewhere", "number": "1", "reference": _ELSEWHERE, "state": "order"})
    return json_response(200, {"orders": rows})


def _error(status: int, code: str) -> Response:
    return json_response(status, {"error": {"code": code}})
