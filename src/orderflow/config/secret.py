"""A secret is named in the settings by where it stands: in an environment variable or in a file.

It never stands in the settings themselves, and no message shows it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from orderflow.config.mistakes import ConfigError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _of_variable(name: str) -> str | None:
    """Why this names no variable. It is not quoted: it might be the secret itself."""
    return None if _VARIABLE.fullmatch(name) else "must be the name of an environment variable, not the secret itself"


class Secret(Struct, frozen=True):
    """Where a secret stands: in the environment variable `env`, or in the file `file`."""

    env: Annotated[
        str | None, Meta(description="name of the environment variable that holds it", extra={"problem": _of_variable})
    ] = None
    file: Annotated[Path | None, Meta(description="path of the file that holds it")] = None

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"env {self.env}" if self.env is not None else f"file {self.file}"

    def read(self, key: str) -> str:
        """The secret itself. Raises `ConfigError` naming `key` if it is not there."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
        else:
            try:
                value = (self.file or Path()).expanduser().read_text()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no text"
                raise ConfigError(f"{key}.file: {self.file} cannot be read ({reason})") from None
        if not value.strip():
            raise ConfigError(f"{key}: {self.env or self.file} is empty or not set")
        return value.strip()


def exposed(path: Path) -> str | None:
    """What is wrong with the rights of a secret file, if others than its owner and group may read it."""
    try:
        mode = stat.S_IMODE(path.expanduser().stat().st_mode)
    except OSError:
        return None  # that it is not there is told elsewhere
    return f"{path} may be read by everybody (mode {mode:o}): chmod 600 {path}" if mode & stat.S_IROTH else None
