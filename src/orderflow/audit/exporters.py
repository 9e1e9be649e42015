"""Who takes seals out of the database's reach: a folder, a command, an address.

It never overwrites a seal with another one, and never says that a seal was taken before it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from orderflow.audit.note import Seal
from orderflow.audit.seals import Signed
from orderflow.glopal.client import Endpoint
from orderflow.outlets import NotTakenError, run, send

SUFFIX: Final = ".seal"


class ExportError(Exception):
    """The seal was not taken, or nobody knows. The text holds nothing secret."""


class Exporter(Protocol):
    """One place outside the database."""

    @property
    def name(self) -> str:
        """folder, command or url."""
        ...

    def take(self, signed: Signed) -> None:
        """Keep the seal; the same one again changes nothing. Raises `ExportError`."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """One file a seal, `STORE/YYYY-MM/eEPOCH-SIZE-ROOT.seal`, written whole or not at all."""

    path: Path
    name: str = "folder"

    def take(self, signed: Signed) -> None:
        """Write the file and wait for the disk."""
        seal = signed.seal
        folder = self.path / quote(seal.store, safe="") / f"{seal.time:%Y-%m}"
        target = folder / f"e{seal.epoch:04d}-{seal.size:015d}-{seal.root.hex()[:8]}{SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _written(target, signed.raw)
            kept = target.read_bytes()
        except OSError as error:
            raise ExportError(f"{target} cannot be written ({error.strerror})") from None
        if kept != signed.raw:
            raise ExportError(f"{target} holds another seal")


def _written(target: Path, raw: bytes) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def files(path: Path, store: str | None = None) -> Iterator[Path]:
    """The seal files in a folder, or only those of `store`; the newest of each store first."""
    stores = sorted(path.iterdir()) if store is None else [path / quote(store, safe="")]
    for one in stores:
        months = sorted((month for month in one.iterdir() if month.is_dir()), reverse=True) if one.is_dir() else []
        for month in months:
            yield from sorted((file for file in month.iterdir() if _is_seal(file)), reverse=True)


def _is_seal(path: Path) -> bool:
    return path.suffix == SUFFIX and not path.name.startswith(".")


@dataclass(frozen=True, slots=True)
class Command:
    """A program that gets the seal on its standard input, and in `ORDERFLOW_SEAL_NAME` a name for it."""

    words: Sequence[str]
    name: str = "command"

    def take(self, signed: Signed) -> None:
        """Run it; only exit code 0 within half a minute means that it was taken."""
        try:
            run(self.words, signed.raw, {"ORDERFLOW_SEAL_NAME": name_of(signed.seal)})
        except NotTakenError as error:
            raise ExportError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Address:
    """An HTTP server that gets `PUT URL/NAME` with the seal as text; any 2xx means that it was taken."""

    endpoint: Endpoint
    name: str = "url"

    def take(self, signed: Signed) -> None:
        """Send it, once."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        try:
            send(self.endpoint, "PUT", f"/{name_of(signed.seal)}", signed.raw, headers)
        except NotTakenError as error:
            raise ExportError(str(error)) from None


def name_of(seal: Seal) -> str:
    """A name that no other seal has: origin, epoch, size and the beginning of the root."""
    return f"{seal.origin}/e{seal.epoch:04d}-{seal.size:015d}-{seal.root.hex()[:8]}{SUFFIX}"
