"""Where pages begin that do not begin with nothing: a sandbox, a worker, an order in some state.

It must never do what the page itself tells its reader to do.
"""

import json
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .terminal import Terminal, wait


@dataclass(frozen=True, slots=True)
class World:
    """A sandbox, its settings, and the names that pages have for its addresses."""

    config: Path
    control: str
    names: dict[str, str]


def sandbox(terminal: Terminal) -> World:
    """A sandbox stands for the page's Glopal and its shop."""
    terminal.start("orderflow sandbox", ["Ctrl-C ends it."])
    ports = {name: terminal.likeness.names[name] for name in ("8701", "8702", "8703")}
    glopal, shop, control = (f"http://127.0.0.1:{port}" for port in ports.values())
    hosts = {"https://glopal.example.com": glopal, "https://shop.example.com/orderflow": shop}
    return World(terminal.home / "orderflow-sandbox" / "orderflow.toml", control, ports | hosts)


def world(terminal: Terminal) -> World:
    """A sandbox with a migrated database and a worker."""
    made = sandbox(terminal)
    code, said = terminal.run(f"export ORDERFLOW_CONFIG={made.config}; orderflow migrate")
    assert code == 0, said
    terminal.start("orderflow work", [])
    return made


def _post(world: World, path: str, body: bytes | None = None) -> str:
    return _ask(urllib.request.Request(f"{world.control}/acme/{path}", method="POST", data=body))


def _ask(request: urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode().strip()


def _at_glopal(world: World, order: str) -> str:
    """The order's true status. It costs less to ask again and again than orderflow does."""
    entries = json.loads(_ask(urllib.request.Request(f"{world.control}/ledger")))["glopal"]
    return next(entry["status"] for entry in entries if entry["order_id"] == order)


def _shows(terminal: Terminal, order: str, what: str) -> str:
    found = ""

    def look() -> bool:
        nonlocal found
        _, found = terminal.run(f"orderflow why acme/{order}")
        return what in found

    wait(look)
    return found


def _ready(terminal: Terminal, world: World, name: str, _: tuple[str, ...] = ()) -> str:
    """Glopal has confirmed order and payment."""
    order = terminal.likeness.names[name] = _post(world, "place")
    _post(world, f"{order}/ready")
    return order


def _accepted(terminal: Terminal, world: World, name: str, _: tuple[str, ...]) -> None:
    """It was drafted, promoted and accepted."""
    order = _ready(terminal, world, name)
    wait(lambda: _at_glopal(world, order) == "ACCEPTED")
    _shows(terminal, order, "ACCEPTED since")


def _refused(terminal: Terminal, world: World, name: str, _: tuple[str, ...]) -> None:
    """Its draft was refused: the shop does not know the article."""
    code, said = terminal.run('orderflow pause acme shop --why "until the order is as it should be"')
    assert code == 0, said
    order = terminal.likeness.names[name] = _post(world, "place")
    _post(world, f"{order}/amend", json.dumps(_UNKNOWN_ARTICLE).encode())
    _shows(terminal, order, "draft: ")
    code, said = terminal.run(f'orderflow retry acme/{order} fetch --why "amended"; orderflow resume acme shop')
    assert code == 0, said
    _shows(terminal, order, "422 unknown_sku")
    code, said = terminal.run("orderflow pull")  # the read models read to the end
    assert code == 0, said


_UNKNOWN_ARTICLE: Final = {
    "currency": "EUR",
    "items": [{"id": "1", "sku": "REFUSE-ME", "name": "Walker", "quantity": 1, "unit_price": 28, "total": 28}],
    "shipping": {"method": "standard", "price": 0},
    "totals": {"items": 28, "discount": 0, "shipping": 0, "tax": 0, "duty": 0, "fees": 0, "total": 28},
}


def _overruled(terminal: Terminal, world: World, name: str, positions: tuple[str, ...]) -> None:
    """Two answers of Glopal spoke against a report; the page names the position of the hold."""
    _against(terminal, world, _ready(terminal, world, name), positions)


def _revoked(terminal: Terminal, world: World, name: str, positions: tuple[str, ...]) -> None:
    """The same of an order that had been accepted before."""
    _accepted(terminal, world, name, ())
    _against(terminal, world, terminal.likeness.names[name], positions)


def _against(terminal: Terminal, world: World, order: str, positions: tuple[str, ...]) -> None:
    _post(world, f"{order}/report/order.cancelled")
    hold = re.search(r"overruled (\d+)", _shows(terminal, order, f"release acme/{order} overruled"))
    assert hold is not None
    terminal.likeness.names |= {f"overruled {said}": hold[0] for said in positions}
    terminal.likeness.names |= {f"held_overruled/{said}": f"held_overruled/{hold[1]}" for said in positions}


STATES: Final[dict[str, Callable[[Terminal, World, str, tuple[str, ...]], object]]] = {
    "ready": _ready,
    "accepted": _accepted,
    "overruled": _overruled,
    "revoked": _revoked,
    "refused": _refused,
}
