"""A directory, a shell that keeps its variables from command to command, and programs that stay in the background.

It must never use the ports 8701 to 8703, which a person may be using: those of a page are replaced by free ones.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .likeness import Likeness
from .pages import ROOT

WRITE: Final = bool(os.environ.get("ORDERFLOW_WRITE_DOCS"))
PATIENCE: Final = 10.0 if WRITE else 40.0
_PRELUDE: Final = """\
set -e -o pipefail
source {state}
make() {{ command make -n -C {root} "$@" > {state}.make; }}  # it is there; running it is for people
trap '{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}' EXIT
"""


def _home() -> Path:
    """A directory of its own. As root, Postgres runs as another user, who has to pass through."""
    made = Path(tempfile.mkdtemp(prefix="orderflow-docs-"))
    made.chmod(0o711)
    (made / ".venv").symlink_to(ROOT / ".venv")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    (made / ".shell").write_text(f'export PATH="{path}" COLUMNS=140 PYTHONDONTWRITEBYTECODE= NO_COLOR=1\n')
    return made


@dataclass(slots=True)
class Terminal:
    """`likeness` knows what the page's names are called here."""

    home: Path = field(default_factory=_home)
    likeness: Likeness = field(default_factory=lambda: Likeness(free_ports()))
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        done = subprocess.run(
            self._bash(command),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=90,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def start(self, command: str, shown: list[str]) -> str:
        """Leave it running as soon as it has printed what is shown; return all that it printed."""
        said = self.home / f".said-{len(self.running)}"
        with said.open("wb") as out:
            process = subprocess.Popen(
                self._bash(f"exec {command}"), cwd=self.home, stdout=out, stderr=out, start_new_session=True
            )
        self.running.append(process)
        wait(lambda: self.likeness.like(shown, said.read_text()) or process.poll() is not None)
        assert process.poll() is None, f"`{command}` ended with {process.returncode}:\n{said.read_text()}"
        return said.read_text()

    def _bash(self, command: str) -> list[str]:
        command = self.likeness.real(command)
        command = re.sub(r"\borderflow sandbox\b(?!.*--port)", rf"\g<0> --port {self.likeness.names['8701']}", command)
        return ["bash", "-c", _PRELUDE.format(state=self.home / ".shell", root=ROOT) + command]

    def stop(self) -> None:
        """Press Ctrl-C where something runs, the latest first. It ends well."""
        process = self.running.pop()
        os.killpg(process.pid, signal.SIGINT)
        try:
            assert process.wait(timeout=30) == 0, process.args
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        try:
            if self.running:
                self.stop()
        finally:
            if self.running:
                self.close()
            shutil.rmtree(self.home, ignore_errors=True)


def free_ports() -> dict[str, str]:
    """Three ports in a row that nobody uses, for the three that pages name; none that a system hands out by itself."""
    while True:
        first = random.randrange(12_000, 32_000)
        try:
            for port in range(first, first + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return {str(8701 + n): str(first + n) for n in range(3)}


def wait(until: Callable[[], object]) -> None:
    """Until it is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.3)
