"""A folder with a settings file that has what is required, and an environment without any of ours."""

import os
from pathlib import Path

import pytest

from orderflow import config

MINIMAL = """
master_key_file = "master.key"
{top}

[stores.acme]
{store}

[stores.acme.glopal]
base_url = "https://glopal.example.com"
key = {{ env = "GLOPAL_KEY" }}
{glopal}

[stores.acme.shop]
base_url = "https://shop.example.com"
key = {{ file = "shop.key" }}
{more}
"""


class Home:
    """Where settings are written and read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "orderflow.toml"

    def write(self, top: str = "", glopal: str = "", store: str = "", more: str = "") -> None:
        self.path.write_text(MINIMAL.format(top=top, glopal=glopal, store=store, more=more))

    def settings(self) -> config.Settings:
        return config.read(self.path)

    def mistakes(self) -> tuple[str, ...]:
        return config.examine(self.path).mistakes

    def warnings(self) -> tuple[str, ...]:
        return config.examine(self.path).warnings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in list(os.environ):
        if name.startswith("ORDERFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    made = Home(tmp_path / "there")
    made.write()
    return made
