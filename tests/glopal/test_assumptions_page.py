"""The page of assumptions names every one that the code makes: calls, replies, fields and their places."""

from dataclasses import fields
from pathlib import Path

import pytest

from orderflow.glopal.coverage import KNOWN
from orderflow.glopal.jsontext import canonical
from orderflow.glopal.mapping import ADDRESS, CUSTOMER, TABLES, Mapping
from orderflow.glopal.routes import READS, ROUTES, Source

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "glopal-assumptions.md").read_text()
HOW_TO = (DOCS / "how-to" / "map-order-details.md").read_text()
FIELDS = [one.name for one in fields(Mapping) if one.name not in TABLES]
FIELDS += [f"{table}.{one.name}" for table, kind in TABLES.items() for one in fields(kind)]


@pytest.mark.parametrize("operation", ROUTES)
def test_every_call_is_named(operation: str) -> None:
    route = ROUTES[operation]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {operation} |")]
    assert f"`{route.method} {route.path}`" in row
    assert ("ASSUMED" in row) is route.assumed
    if operation not in READS:
        assert f"`{canonical(route.body).decode()}`" in row
        holds = f"`{canonical(route.success.holds).decode()}`" if route.success.holds else "any object"
        assert f"{route.success.statuses[0]} with {holds}" in row
        assert ("STATED" in row) is (route.success.source is Source.DOCUMENTED)
    for name in route.query.values():
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_named_with_its_place(name: str) -> None:
    table, _, inner = name.rpartition(".")
    place = getattr(getattr(Mapping(), table) if table else Mapping(), inner)
    row = next(line for line in PAGE.splitlines() if line.startswith("| `") and f"`{name}`" in line)
    assert not place or f"`{place}`" in row
    assert f"`{name}`" in HOW_TO


def test_what_needs_no_mapping_is_named() -> None:
    assert [name for name in KNOWN if f"`{name}`" not in PAGE] == []


def test_members_of_addresses_are_named() -> None:
    assert ", ".join(f"`{name}`" for name in ADDRESS) in HOW_TO
    assert ", ".join(f"`{name}`" for name in CUSTOMER) in HOW_TO
