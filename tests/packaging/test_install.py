"""The wheel in an empty environment: it starts, migrates and walks orders through everything.

Run by `make check-wheel` only: pip asks the index of this machine for the pinned packages.
"""

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import orderflow

from .build import ROOT, build

pytestmark = [pytest.mark.installs, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """An empty environment with nothing but the pinned packages and the wheel, away from the checkout."""
    with tempfile.TemporaryDirectory(prefix="orderflow-install-") as name:
        home = Path(name)
        home.chmod(0o711)  # as root, the database runs as somebody else, who has to pass through
        venv.create(home / "venv", with_pip=True)
        pip = [home / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
        lock = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", ROOT / "requirements.lock"]
        subprocess.run([*pip, "install", "--no-compile", *lock], check=True)
        # The wheel's own dependencies are looked at here, and all of them must be there already.
        subprocess.run([*pip, "install", "--no-index", build("wheel", home)], check=True)
        subprocess.run([*pip, "check"], check=True)
        yield home


def orderflow_in(home: Path, *arguments: str) -> str:
    """Run the installed program; it must end well."""
    clean = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [home / "venv/bin/orderflow", *arguments],
        env=clean | {"HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_starts(home):
    assert orderflow_in(home, "version").strip() == orderflow.__version__
    assert "migrate" in orderflow_in(home, "--help")


def test_it_comes_from_the_wheel(home):
    """Not from this checkout, nor from anything else that happens to be here."""
    where = [home / "venv/bin/python", "-P", "-c", "import orderflow; print(orderflow.__file__)"]
    found = subprocess.run(where, cwd=home, check=True, capture_output=True, text=True).stdout
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert found.strip() == str(home / f"venv/lib/{version}/site-packages/orderflow/__init__.py")


def test_it_migrates_its_own_postgres(home):
    """The migrations are found within the package."""
    (home / "orderflow.toml").write_text(
        'master_key_file = "master.key"\ndata_dir = "data"\n'
        '[stores.acme.glopal]\nbase_url = "https://glopal.example.com"\nkey = { file = "glopal.key" }\n'
        '[stores.acme.shop]\nbase_url = "https://shop.example.com"\nkey = { file = "shop.key" }\n'
    )
    assert "migrated from nothing" in orderflow_in(home, "migrate")
    assert "already" in orderflow_in(home, "migrate")


def test_the_demo_keeps_all_promises(home):
    assert "All promises kept" in orderflow_in(home, "demo", "--orders", "20")
