"""`orderflow demo` ends well, twice in a row, and does not when a promise is broken."""

import io
import json
import subprocess
from typing import get_args

import pytest
from rich.console import Console

from orderflow.cli.demo import conclude
from orderflow.cli.demo.judge import Check, by_promise
from orderflow.sandbox import Difference, ledger

from .stage import command, with_bytecode


@pytest.mark.timeout(300)
def test_the_demo_ends_well_twice_in_a_row():
    for _ in range(2):
        done = subprocess.run(
            command("demo", "--orders", "30"),
            env=with_bytecode(),
            capture_output=True,
            text=True,
            timeout=140,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert "All promises kept" in done.stdout
        assert "✗" not in done.stdout
        assert "✓ everything came to rest" in done.stdout.splitlines()
        for part in ("events by type", "orders by status", "effects by kind", "anomalies by kind", "looked up for"):
            assert part in done.stdout
        assert "orderflow release" in done.stdout  # the command that frees the held order


def test_the_demo_in_json_is_judged_the_same():
    done = subprocess.run(
        command("demo", "--orders", "5", "--json"), env=with_bytecode(), capture_output=True, text=True, check=False
    )
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert said["orders"] >= 5
    assert all(one["kept"] for one in said["promises"])
    assert sum(said["statuses"].values()) == said["orders"]
    assert {"effect", "outcome", "count", "attempts", "look_ups"} == set(said["effects"][0])
    assert "All promises kept" in done.stderr  # who watches sees the same as ever


@pytest.mark.parametrize(
    "kind",
    [
        "status",
        "missing_order",
        "two_promoted",
        "two_accepts",
        "accept_unfounded",
        "alive_though_cancelled",
        "stray_draft",
    ],
)
def test_a_broken_promise_is_told_and_fails(kind):
    checks = by_promise([Difference(kind, "acme", "1-2", "so it is")])
    said = io.StringIO()
    assert conclude(checks, [], Console(file=said, width=200)) == 1
    assert f"{kind}: acme 1-2: so it is" in said.getvalue()
    assert sum(not check.kept for check in checks) == 1


def test_every_kind_of_difference_breaks_a_promise():
    for kind in get_args(ledger.Kind):
        assert any(not check.kept for check in by_promise([Difference(kind, "acme", "1-2", "")])), kind


def test_kept_promises_pass():
    assert conclude([Check("all is well")], ["something was slow"], Console(file=io.StringIO())) == 0
