"""What is shipped: the wheel holds the migrations and the SQL, the lock files name packages and hashes only."""

import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_migrations_sql_and_types(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], check=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(ZipFile(wheel).namelist())
    expected = {f"orderflow/{path.relative_to(ROOT)}" for path in ROOT.glob("migrations/**/*.py")}
    expected |= {str(path.relative_to(ROOT / "src")) for path in ROOT.glob("src/**/*.sql")}
    assert expected | {"orderflow/py.typed", "orderflow/migrations/script.py.mako"} <= packed


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_name_packages_and_hashes_only(lock):
    lines = (ROOT / lock).read_text().splitlines()
    strange = [
        line for line in lines if "://" in line or line.lstrip().startswith(("#", "-i", "-f", "--index", "--find"))
    ]
    assert strange == []
    assert sum("==" in line for line in lines) <= sum("--hash=sha256:" in line for line in lines)


def test_lock_files_hold_every_dependency_and_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    runtime, dev = (pins(ROOT / lock) for lock in ("requirements.lock", "requirements-dev.lock"))
    assert {name(requirement) for requirement in wanted} <= runtime.keys()
    assert {name(requirement) for requirement in project["dependency-groups"]["dev"]} <= dev.keys()
    assert runtime.items() <= dev.items()


def pins(lock: Path) -> dict[str, str]:
    return dict(line.split(" ")[0].split("==") for line in lock.read_text().splitlines() if "==" in line.split(" ")[0])


def name(requirement: str) -> str:
    return requirement.split(">", maxsplit=1)[0].split("[", maxsplit=1)[0]
