"""A reader who does what a page says, from top to bottom, and compares what is printed with what the page shows.

With `ORDERFLOW_WRITE_DOCS=1`, what a page shows otherwise is not complained of but noted down in `mended`.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .beginnings import STATES, World, sandbox
from .pages import Block, Setting, commands
from .terminal import PATIENCE, WRITE, Terminal

# Asking again changes nothing, so the reader may look until the page's moment has come.
_LOOKS: Final = re.compile(
    r"\s*(orderflow (orders|effects|why|verify|config|doctor|redrive status|exceptions(?! assign| dismiss))"
    r"|curl (?!.*-X))"
)


@dataclass(slots=True)
class Reader:
    """Goes through one page. `shared` opens the world that pages have in common, `last` was printed last."""

    terminal: Terminal
    shared: Callable[[], World]
    world: World | None = None
    last: str = ""
    mended: dict[str, str] = field(default_factory=dict)

    def follow(self, step: Block | Setting) -> None:
        """Do what this step says."""
        match step:
            case Setting(what=what):
                self._begin(*what.split())
            case Block() if step.says("skip") is not None:
                pass
            case Block() if (name := step.says("file")) is not None:
                (self.terminal.home / name).write_text(self.terminal.likeness.real(step.text))
            case Block(kind="python") if step.says("run") is not None:
                (self.terminal.home / "example.py").write_text(step.text)
                self._run("python example.py", [], refused=False)
            case Block() if step.says("output") is not None:
                shown = step.text.splitlines()
                assert self.terminal.likeness.like(shown, self.last), self._unlike("", shown)
            case Block(kind="sh" | "console"):
                self._type(step)

    def _begin(self, what: str, *more: str) -> None:
        match what, more:
            case "world", ():
                self.world = self.shared()
                self.terminal.likeness.names |= self.world.names
                self.terminal.run(f"export ORDERFLOW_CONFIG={self.world.config}")
            case "sandbox", keys:
                self.world = sandbox(self.terminal)
                self.terminal.likeness.names |= self.world.names
                for name, key in zip(keys, ("GL.sandbox", "shop-sandbox"), strict=True):
                    (self.terminal.home / name).write_text(f"{key}\n")
                    (self.terminal.home / name).chmod(0o600)
            case "ctrl-c", ():
                self.terminal.stop()
            case "order", (name, state, *positions) if self.world is not None:
                STATES[state](self.terminal, self.world, name, tuple(positions))
            case _:
                raise AssertionError(f"what is {what} {' '.join(more)}?")

    def _type(self, block: Block) -> None:
        typed = list(commands(block))
        for number, (command, shown) in enumerate(typed, 1):
            at_end = number == len(typed)
            if at_end and block.says("background") is not None:
                self.last = self.terminal.start(command, shown)
                continue
            refused = (at_end and block.says("fails") is not None) or any(s.startswith("orderflow: ") for s in shown)
            self._run(command, shown, refused=refused)

    def _run(self, command: str, shown: list[str], *, refused: bool) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            code, self.last = self.terminal.run(command)
            fits = (code != 0) is refused and self.terminal.likeness.like(shown, self.last)
            if fits or not _LOOKS.match(command) or time.monotonic() > until:
                break
            time.sleep(0.5)
        assert (code != 0) is refused, f"`{command}` ended with {code}:\n{self.last}"
        if WRITE and not fits:
            self._mend(command, shown)
        else:
            assert fits, self._unlike(command, shown)

    def _mend(self, command: str, shown: list[str]) -> None:
        """Note what was printed, with the page's own names."""
        printed = self.last
        for name, real in self.terminal.likeness.names.items():
            printed = printed.replace(real, name)
        lines = [line.rstrip() for line in printed.rstrip().splitlines()]
        self.mended["\n".join(["$ " + command, *shown])] = "\n".join(["$ " + command, *lines])
        self.terminal.likeness.learn((a, b) for a in shown for b in self.last.splitlines())

    def _unlike(self, command: str, shown: list[str]) -> str:
        page, names = "\n".join(shown), self.terminal.likeness.names
        return f"{command}\nprinted\n{self.last}\nthe page shows\n{page}\nnames are {names}"
