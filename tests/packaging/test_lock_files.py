"""The lock files name packages and hashes only, hold every dependency, and agree with each other."""

import tomllib
from pathlib import Path

import pytest

from .build import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-docs.lock", "requirements-bench.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_they_name_packages_and_hashes_only(lock):
    """No address of an index, and a hash for every pin: `pip --require-hashes` needs nothing else."""
    lines = (ROOT / lock).read_text().splitlines()
    strange = [
        line for line in lines if "://" in line or line.lstrip().startswith(("#", "-i", "-f", "--index", "--find"))
    ]
    assert strange == []
    assert [pin for pin, hashes in pinned(lines).items() if not hashes] == []


def test_they_hold_every_dependency_and_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    runtime, dev, docs, bench = (pins(ROOT / lock) for lock in LOCKS)
    assert names([*project["project"]["dependencies"], *groups["build"]]) <= runtime.keys()
    assert names(groups["dev"]) <= dev.keys()
    assert names(groups["docs"]) <= docs.keys()
    assert names(groups["bench"]) <= bench.keys()
    assert runtime.items() <= dev.items()
    for beside in (docs, bench):
        assert {name: beside[name] for name in beside.keys() & dev.keys()}.items() <= dev.items()


def pinned(lines: list[str]) -> dict[str, int]:
    """How many hashes stand below each pin."""
    found: dict[str, int] = {}
    pin = ""
    for line in lines:
        if "==" in line.split(" ")[0]:
            pin = line.split(" ")[0]
            found[pin] = 0
        found[pin] += "--hash=sha256:" in line
    return found


def pins(lock: Path) -> dict[str, str]:
    return dict(pin.split("==") for pin in pinned(lock.read_text().splitlines()))


def names(requirements: list[str]) -> set[str]:
    return {requirement.split(">", maxsplit=1)[0].split("[", maxsplit=1)[0] for requirement in requirements}
