"""The plan file: what a redrive will do, written down, with a hash over all of it.

It never holds anything personal, and a file that was altered is not read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from orderflow.desk.redrive.items import Item

FORMAT: Final = "orderflow redrive plan 1"


class PlanError(Exception):
    """The file is no plan that this version reads, or not the one that was made."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be retried in `store`, as it stood at `position` of `epoch` of its log. `chosen`: how it was found."""

    store: str
    epoch: int
    position: int
    made_at: datetime
    made_by: str
    why: str
    chosen: dict[str, str]
    items: tuple[Item, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over everything, in hex."""
        return hashlib.sha256(_encode(self)).hexdigest()

    @property
    def name(self) -> str:
        """What the history calls this plan: the beginning of its hash, so another plan has another name."""
        return self.hash[:12]

    def command_id(self, item: Item) -> str:
        """The id of the command that an item becomes: the same again writes nothing."""
        return f"redrive:{self.name}:{item.order_id}:{item.effect}"


class _File(msgspec.Struct):
    format: str
    hash: str
    plan: Plan


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def sealed(plan: Plan) -> bytes:
    """The file's content."""
    return msgspec.json.format(_encode(_File(FORMAT, plan.hash, plan)), indent=2) + b"\n"


def write(path: Path, plan: Plan) -> None:
    """Write the plan to a file of its own. Raises `PlanError` where that cannot be, or one stands there already."""
    try:
        with path.open("xb") as file:
            file.write(sealed(plan))
    except FileExistsError:
        raise PlanError(f"{path} exists already; name another file with --out") from None
    except OSError as error:
        raise PlanError(f"{path} cannot be written ({error.strerror})") from None


def read(path: Path) -> Plan:
    """The plan in the file. Raises `PlanError`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path} cannot be read ({error.strerror})") from None
    try:
        kind = msgspec.json.decode(raw, type=_Format).format
        if kind != FORMAT:
            raise PlanError(f"{path} is no redrive plan that this version reads")
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise PlanError(f"{path} is no redrive plan") from None
    if file.hash != file.plan.hash:
        raise PlanError(f"{path} was altered since it was made: make a new plan")
    return file.plan


class _Format(msgspec.Struct):
    format: str = ""
