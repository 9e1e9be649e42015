"""A reader who types what a page says: one directory, one shell after the other, programs that stay in the background.

With `ORDERFLOW_WRITE_DOCS=1`, what a page shows otherwise than it was printed is noted down in `mended`.

It must never use the machine's ports 8701 to 8703, that a person may be using: the page's are replaced by free ones.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .likeness import Likeness
from .pages import ROOT, Block, Setting, commands

WRITE: Final = bool(os.environ.get("ORDERFLOW_WRITE_DOCS"))
PATIENCE: Final = 10.0 if WRITE else 40.0
# Asking again changes nothing, so the reader may look until the page's moment has come.
_LOOKS: Final = re.compile(r"\s*(orderflow (orders|effects|why|verify|config|doctor)|curl (?!.*-X))")
_PRELUDE: Final = """\
set -e -o pipefail
source {state}
make() {{ command make -n -C {root} "$@" > {state}.make; }}  # it is there; running it is for people
trap '{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}' EXIT
"""


@dataclass(slots=True)
class World:
    """A sandbox with a worker, for pages that begin in the middle of things."""

    config: Path
    control: str
    ports: dict[str, str]


@dataclass(slots=True)
class Reader:
    """Goes through one page. `home` is where it types."""

    home: Path
    world: Callable[[], World]
    likeness: Likeness = field(default_factory=Likeness)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    last: str = ""
    control: str = ""
    mended: dict[str, str] = field(default_factory=dict)

    def follow(self, step: Block | Setting) -> None:
        """Do what this step says."""
        match step:
            case Setting(what=what):
                self._set(*what.split())
            case Block() if step.says("skip") is not None:
                pass
            case Block() if (name := step.says("file")) is not None:
                (self.home / name).write_text(self.likeness.real(step.text))
            case Block(kind="python") if step.says("run") is not None:
                (self.home / "example.py").write_text(step.text)
                self._run("python example.py", [], refused=False)
            case Block() if step.says("output") is not None:
                assert self.likeness.like(step.text.splitlines(), self.last), self._unlike(step.text)
            case Block(kind="sh" | "console"):
                self._type(step)

    def _set(self, what: str, *more: str) -> None:
        match what, more:
            case "world", ():
                world = self.world()
                self.likeness.names |= world.ports
                self.control = world.control
                self._shell(f"export ORDERFLOW_CONFIG={world.config}")
            case "sandbox", keys:
                self.open_sandbox()
                for name, key in zip(keys, ("GL.sandbox", "shop-sandbox"), strict=True):
                    (self.home / name).write_text(f"{key}\n")
                    (self.home / name).chmod(0o600)
            case "ctrl-c", ():
                stop(self.running.pop())
            case "order", (name, state, *positions):
                STATES[state](self, name, positions)
            case _:
                raise AssertionError(f"what is {what} {' '.join(more)}?")

    def open_sandbox(self) -> Path:
        """Start a sandbox of one's own, and return its settings. It stands for the page's Glopal and shop."""
        self._start("orderflow sandbox", ["Ctrl-C ends it."])
        glopal, shop, control = (f"http://127.0.0.1:{self.likeness.names[port]}" for port in ("8701", "8702", "8703"))
        self.control = control
        self.likeness.names |= {"https://glopal.example.com": glopal, "https://shop.example.com/orderflow": shop}
        return self.home / "orderflow-sandbox" / "orderflow.toml"

    def _type(self, block: Block) -> None:
        typed = list(commands(block))
        for number, (command, shown) in enumerate(typed, 1):
            at_end = number == len(typed)
            if at_end and block.says("background") is not None:
                self._start(command, shown)
                continue
            refused = (at_end and block.says("fails") is not None) or any(s.startswith("orderflow: ") for s in shown)
            self._run(command, shown, refused=refused)

    def _run(self, command: str, shown: list[str], *, refused: bool) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            code, self.last = self._shell(command)
            fits = (code != 0) is refused and self.likeness.like(shown, self.last)
            if fits or not _LOOKS.match(command) or time.monotonic() > until:
                break
            time.sleep(0.5)
        assert (code != 0) is refused, f"`{command}` ended with {code}:\n{self.last}"
        if WRITE and not fits:
            before, after = "\n".join(["$ " + command, *shown]), "\n".join(["$ " + command, *self._as_shown()])
            self.mended[before] = after
            self.likeness.learn((a, b) for a in shown for b in self.last.splitlines())
            return
        assert fits, self._unlike("\n".join(shown), command)

    def _as_shown(self) -> list[str]:
        """What was printed, with the page's own names."""
        printed = self.last
        for name, real in self.likeness.names.items():
            printed = printed.replace(real, name)
        return [line.rstrip() for line in printed.rstrip().splitlines()]

    def _unlike(self, shown: str, command: str = "") -> str:
        return f"{command}\nprinted\n{self.last}\nthe page shows\n{shown}\nnames are {self.likeness.names}"

    def _shell(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            self._bash(command),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=90,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def _start(self, command: str, shown: list[str]) -> None:
        said = self.home / f".said-{len(self.running)}"
        with said.open("wb") as out:
            process = subprocess.Popen(
                self._bash(f"exec {command}"), cwd=self.home, stdout=out, stderr=out, start_new_session=True
            )
        self.running.append(process)
        wait(lambda: self.likeness.like(shown, said.read_text()) or process.poll() is not None)
        self.last = said.read_text()
        assert process.poll() is None, f"`{command}` ended with {process.returncode}:\n{self.last}"

    def _bash(self, command: str) -> list[str]:
        state = self.home / ".shell"
        if not state.exists():
            path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
            state.write_text(f'export PATH="{path}" COLUMNS=140 PYTHONDONTWRITEBYTECODE= NO_COLOR=1\n')
            (self.home / ".venv").symlink_to(ROOT / ".venv")
            self.likeness.names = free_ports() | self.likeness.names
        command = self.likeness.real(command)
        command = re.sub(r"\borderflow sandbox\b(?!.*--port)", rf"\g<0> --port {self.likeness.real('8701')}", command)
        return ["bash", "-c", _PRELUDE.format(state=state, root=ROOT) + command]

    def leave(self) -> None:
        """Press Ctrl-C in every terminal that is still busy, the latest first."""
        while self.running:
            stop(self.running.pop())


def free_ports() -> dict[str, str]:
    """Three ports in a row that nobody uses, for the three that pages name."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        try:
            for port in (first + 1, first + 2):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return {str(8701 + n): str(first + n) for n in range(3)}


def home() -> Path:
    """A directory for one reader. As root, Postgres runs as another user, who has to pass through."""
    made = Path(tempfile.mkdtemp(prefix="orderflow-docs-"))
    made.chmod(0o711)
    return made


def open_world() -> tuple[World, Reader]:
    """The sandbox with a worker, and the reader who started it and will leave it."""

    def none() -> World:
        raise AssertionError

    starter = Reader(home(), none)
    config = starter.open_sandbox()
    code, said = starter._shell(f"export ORDERFLOW_CONFIG={config}; orderflow migrate")
    assert code == 0, said
    starter._start("orderflow work", [])
    ports = {name: real for name, real in starter.likeness.names.items() if name.isdigit()}
    return World(config, starter.control, ports), starter


def close(reader: Reader) -> None:
    """End what it started and take its directory away."""
    reader.leave()
    shutil.rmtree(reader.home, ignore_errors=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C; it ends well."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 0, process.args


def wait(until: Callable[[], object]) -> None:
    """Until it is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.3)


# --- orders that a page begins with -----------------------------------------------------------------------------------


def _post(reader: Reader, path: str) -> str:
    return _ask(urllib.request.Request(f"{reader.control}/acme/{path}", method="POST"))


def _ask(request: urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode().strip()


def _ledger(reader: Reader) -> dict[str, str]:
    """What truly happened: the status of each order at Glopal. Cheaper to ask again and again than orderflow."""
    entries = json.loads(_ask(urllib.request.Request(f"{reader.control}/ledger")))["glopal"]
    return {entry["order_id"]: entry["status"] for entry in entries}


def _shows(reader: Reader, order: str, what: str) -> str:
    found = ""

    def look() -> bool:
        nonlocal found
        _, found = reader._shell(f"orderflow why acme/{order}")
        return what in found

    wait(look)
    return found


def _ready(reader: Reader, name: str, _: list[str]) -> str:
    """Glopal has confirmed it; it is drafted, promoted and accepted."""
    order = reader.likeness.names[name] = _post(reader, "place")
    _post(reader, f"{order}/ready")
    return order


def _accepted(reader: Reader, name: str, more: list[str]) -> None:
    order = _ready(reader, name, more)
    wait(lambda: _ledger(reader)[order] == "ACCEPTED")
    _shows(reader, order, "ACCEPTED since")


def _overruled(reader: Reader, name: str, more: list[str]) -> None:
    """Two answers of Glopal spoke against a report; the page names the position."""
    order = _ready(reader, name, more)
    _post(reader, f"{order}/report/order.cancelled")
    position = re.search(r"overruled (\d+)", _shows(reader, order, f"release acme/{order} overruled"))
    assert position is not None
    reader.likeness.names |= {f"overruled {said}": f"overruled {position[1]}" for said in more}


STATES: Final[dict[str, Callable[[Reader, str, list[str]], object]]] = {
    "ready": _ready,
    "accepted": _accepted,
    "overruled": _overruled,
}
