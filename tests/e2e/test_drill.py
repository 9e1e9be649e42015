"""The restore drill as an operator runs it."""

import re
import subprocess

import pytest

from orderflow.cli.drill import story
from orderflow.cli.drill.world import World

from .stage import command, with_bytecode


@pytest.mark.timeout(240)
def test_the_drill_loses_nothing_and_doubles_nothing() -> None:
    done = subprocess.run(
        command("drill"), capture_output=True, text=True, timeout=230, check=False, env=with_bytecode()
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert re.search(r"behind its seal by \d+ positions .*another timeline \(1, now 2\)", done.stdout)
    assert "and 0 requests sent that" in done.stdout
    assert "✗" not in done.stdout
    assert "Nothing was lost and nothing was done twice" in done.stdout


def test_a_restore_that_is_not_noticed_fails_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drill itself can fail: its first check after the restore."""
    monkeypatch.setattr(story.composition, "start", lambda _app: [])
    with pytest.raises(story.DrillError, match="not noticed"):
        story._kept_back(World, story.Story, None)  # type: ignore[arg-type]
