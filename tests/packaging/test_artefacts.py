"""Wheel and sdist hold what they must and nothing else, are the same each time, and the sdist builds the same wheel."""

import os
import tarfile
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from .build import ROOT, build

APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the licence's text as its authors publish it."""
ADDRESSES = (b"/work/", b"/root/", b"/home/", b"file:///")
"""Nothing that is shipped may tell where it was made."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


def in_wheel(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def in_sdist(sdist: Path) -> dict[str, bytes]:
    """Without the directory that all stands in."""
    with tarfile.open(sdist) as packed:
        files = [member for member in packed.getmembers() if member.isfile()]
        return {file.name.split("/", 1)[1]: packed.extractfile(file).read() for file in files}


def sources(*patterns: str) -> list[Path]:
    """Files of the checkout, without caches."""
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def test_the_wheel_holds_the_package_its_migrations_and_the_licence(wheel):
    """Every file of `src`, whatever its kind: Python, SQL, YAML, py.typed."""
    packed = in_wheel(wheel)
    expected = {str(path.relative_to(ROOT / "src")) for path in sources("src/orderflow/**/*")}
    expected |= {f"orderflow/{path.relative_to(ROOT)}" for path in sources("migrations/**/*")}
    assert {name for name in packed if ".dist-info/" not in name} == expected
    assert {Path(name).suffix for name in expected} >= {".py", ".sql", ".yaml", ".typed", ".mako"}
    [licence] = [text for name, text in packed.items() if name.endswith("/licenses/LICENSE")]
    assert sha256(licence).hexdigest() == APACHE_2


def test_the_sdist_holds_what_the_wheel_is_built_from(sdist):
    expected = {str(path.relative_to(ROOT)) for path in sources("src/orderflow/**/*", "migrations/**/*")}
    expected |= {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore", "PKG-INFO"}
    assert in_sdist(sdist).keys() == expected


def test_nothing_tells_where_it_was_made(wheel, sdist):
    for packed in (in_wheel(wheel), in_sdist(sdist)):
        assert [
            (name, at) for name, text in packed.items() for at in ADDRESSES if at in text and name != ".gitignore"
        ] == []


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_a_second_build_is_the_same(target, tmp_path, request):
    """Whatever the clock and the rights that new files get say."""
    first = request.getfixturevalue(target)
    before = os.umask(0o077)
    try:
        again = build(target, tmp_path)
    finally:
        os.umask(before)
    assert (again.name, again.read_bytes()) == (first.name, first.read_bytes())


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    again = build("wheel", tmp_path / "dist", source)
    assert again.read_bytes() == wheel.read_bytes()


def test_the_metadata_says_what_is_needed(wheel):
    [text] = [text.decode() for name, text in in_wheel(wheel).items() if name.endswith("/METADATA")]
    for line in ("Name: orderflow", "Requires-Python: >=3.11", "License-Expression: Apache-2.0"):
        assert line in text.splitlines()
    [entry] = [text.decode() for name, text in in_wheel(wheel).items() if name.endswith("/entry_points.txt")]
    assert "orderflow = orderflow.cli:main" in entry
