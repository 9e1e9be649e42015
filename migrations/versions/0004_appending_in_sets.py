"""The log's function asks and writes in whole sets: same arguments, same answers, same bytes.

Why: a statement for every event of a call cost more than the events themselves, and its plans were those of the day
when the table was still small.
"""

from pathlib import Path

from alembic import op

import orderflow.store

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _function("append_events_2", "")


def downgrade() -> None:
    _function("append_events", "OR REPLACE ")


def _function(file: str, how: str) -> None:
    """Run the file that makes the function. Rights and owner stay, since nothing is dropped."""
    text = (Path(orderflow.store.__file__).parent / "sql" / f"{file}.sql").read_text()
    op.execute(text.replace("CREATE FUNCTION", f"CREATE {how}FUNCTION"))
