"""Which addresses can be: of Glopal, of a shop, of a database.

It never quotes one: there might be a password in it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+psycopg://")


def problem_of_address(url: str) -> str | None:
    """Why an address to call cannot be."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it is read to see whether it can be
    except ValueError:
        return "cannot be read as an address"
    if parts.username is not None or parts.password is not None:
        return "holds a user's name or password; credentials stand in `key`"
    if parts.query or parts.fragment:
        return "holds a ? or a #; an address ends with its path"
    if parts.scheme == "https" and parts.hostname:
        return None
    if parts.scheme == "http" and parts.hostname in _HERE:
        return None
    return "must begin with https:// (http:// only on this machine: 127.0.0.1, localhost, [::1])"


def problem_of_database_url(url: str) -> str | None:
    """Why this is no address of a database."""
    if not url.startswith(_SCHEMES):
        return "must begin with postgresql://"
    try:
        sa.make_url(url)
    except (ArgumentError, ValueError):
        return "cannot be read as postgresql://USER@HOST:PORT/DATABASE (percent-encode odd characters)"
    return None


def problem_of_written_database_url(url: str) -> str | None:
    """The same where it stands in the settings file, which is no place for a password."""
    problem = problem_of_database_url(url)
    if problem is None and _password(url):
        return (
            "holds a password, and the settings file is no place for one: set ORDERFLOW_DATABASE_URL, or give the "
            'whole address as { env = "NAME" } or { file = "PATH" }'
        )
    return problem


def _password(url: str) -> bool:
    made = sa.make_url(url)
    return made.password is not None or "password" in made.query


def driven(url: str) -> str:
    """The address of a database with the driver that orderflow brings along."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def harmless(url: str) -> str:
    """The address of a database as people may see it: without any password."""
    if problem_of_database_url(url):
        return "set, but no address of a database"
    made = sa.make_url(url)
    query = {name: value for name, value in made.query.items() if name != "password"}
    return made.set(query=query).render_as_string(hide_password=True).replace("+psycopg", "")
