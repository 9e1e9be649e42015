"""The relay tests' stage, in virtual time, on a server whose time zone is as far from UTC as there is one."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.relay.conftest import clock, stage
from tests.relay.stage import Clock, virtual

__all__ = ["app", "clock", "stage"]


@pytest.fixture(scope="module")
def app(module_database_url: str, clock: Clock) -> Iterator[sa.Engine]:
    """An engine that acts as the restricted role, in virtual time."""
    owner = sa.create_engine(module_database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with owner.connect() as conn:
        name = sa.make_url(module_database_url).database
        conn.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET timezone TO 'Pacific/Kiritimati'")
    owner.dispose()
    made = virtual(module_database_url, clock)
    yield made
    made.dispose()
