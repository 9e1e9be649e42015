"""Builds what is shipped, as `make build` does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(target: str, to: Path, source: Path = ROOT) -> Path:
    """Build the `wheel` or the `sdist` of `source`, by the backend in the lock file; nothing is downloaded."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", to], check=True, cwd=source)
    [made] = to.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made
