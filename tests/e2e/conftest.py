"""A stage for each test, on a fresh migrated database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .stage import Stage, staged


@pytest.fixture
def stage(tmp_path: Path, database_url: str) -> Iterator[Stage]:
    """The fakes, settings and a database; no worker runs."""
    with staged(tmp_path, database_url) as made:
        yield made
