"""Columns on their way to Postgres: one array a column, packed into its binary form at once.

It never converts a value: what has no form here is a mistake of the caller. (The driver's own way asks of every element
what it is; for a page of a hundred events that took as long as a third of the statement.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Final
from uuid import UUID

from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEAD: Final = Struct("!iiIii").pack
"""Dimensions, whether there are nulls, type of an element, how many there are, number of the first one."""
_SIZE: Final = Struct("!i").pack
_NULL: Final = _SIZE(-1)
_READY: Final = 1024
_SIZES: Final = tuple(_SIZE(length) for length in range(_READY))
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Array:
    """An array in its binary form. Only the subclasses have a type."""

    __slots__ = ("packed",)
    element: int

    def __init__(self, values: Sequence[bytes | None]) -> None:
        """Written out, since every byte of the log passes here."""
        nulls = False
        parts = []
        for value in values:
            if value is None:
                nulls = True
                parts.append(_NULL)
            else:
                length = len(value)
                parts.append(_SIZES[length] if length < _READY else _SIZE(length))
                parts.append(value)
        self.packed = _HEAD(1, nulls, self.element, len(values), 1) + b"".join(parts)


class _Texts(Array):
    element = 25


class _Bytes(Array):
    element = 17


class _Uuids(Array):
    element = 2950


class _Ints(Array):
    element = 23


class _Bigints(Array):
    element = 20


class _Times(Array):
    element = 1184


def texts(values: Sequence[str]) -> Array:
    """text[]. A NUL is refused by Postgres: no text may hold one."""
    return _Texts([value.encode() for value in values])


def octets(values: Sequence[bytes | None]) -> Array:
    """bytea[]."""
    return _Bytes(values)


def uuids(values: Sequence[UUID | None]) -> Array:
    """uuid[]."""
    return _Uuids([None if value is None else value.bytes for value in values])


def ints(values: Sequence[int]) -> Array:
    """int[]."""
    return _Ints([_SIZE(value) for value in values])


def bigints(values: Sequence[int | None]) -> Array:
    """bigint[]."""
    return _Bigints([None if value is None else value.to_bytes(8, "big", signed=True) for value in values])


def times(values: Sequence[datetime | None]) -> Array:
    """timestamptz[], to the microsecond."""
    return _Times([None if value is None else _micros(value) for value in values])


def _micros(time: datetime) -> bytes:
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds).to_bytes(8, "big", signed=True)


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        """As it is: it was packed when it was made."""
        return obj.packed


def _register(kind: type[Array], oid: int) -> None:
    adapters.register_dumper(kind, type(f"_Dumper{oid}", (_Dumper,), {"oid": oid}))


for _kind, _oid in ((_Texts, 1009), (_Bytes, 1001), (_Uuids, 2951), (_Ints, 1007), (_Bigints, 1016), (_Times, 1185)):
    _register(_kind, _oid)
