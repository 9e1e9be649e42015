"""What a deployment is made of fits together: container, compose file, systemd unit and their settings.

It builds and starts no container: that needs an engine and a registry.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from orderflow import config
from orderflow.cli import program

from .build import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERFILE = (ROOT / "Containerfile").read_text()
UNIT = (ROOT / "deploy/orderflow.service").read_text()
SETTINGS = ROOT / "deploy/orderflow.toml"
COMMANDS = get_command(program).commands.keys()
OURS = ["migrate", "work"]


def test_the_settings_are_good_as_they_stand():
    found = config.examine(SETTINGS)
    assert found.mistakes == ()
    assert found.settings.stores["acme"].shadow, "nothing is sent before somebody has looked"


@pytest.mark.parametrize("service", OURS)
def test_every_twin_in_the_compose_file_overrides_a_setting(service, monkeypatch):
    """And names a secret that the service is given."""
    given = COMPOSE["services"][service]
    for name, value in given["environment"].items():
        monkeypatch.setenv(name, str(SETTINGS) if name == "ORDERFLOW_CONFIG" else value)
    settings = config.read()
    acme = settings.stores["acme"]
    places = [settings.master_key_file, settings.database_url.file, acme.glopal.key.file, acme.shop.key.file]
    assert [str(place) for place in places] == [f"/run/secrets/{name}" for name in given["secrets"]]


def test_secrets_are_files_outside_the_repository():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    used = {name for service in COMPOSE["services"].values() for name in service["secrets"]}
    assert used == COMPOSE["secrets"].keys()
    assert all(Path(secret["file"]).parts[0] == "secrets" for secret in COMPOSE["secrets"].values())
    assert "/secrets/" in ignored


@pytest.mark.parametrize("service", OURS)
def test_the_services_are_locked_down_and_run_commands_that_exist(service):
    given = COMPOSE["services"][service]
    assert set(given["command"]) <= COMMANDS
    assert (given["read_only"], given["cap_drop"]) == (True, ["ALL"])
    assert given["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


def test_nobody_works_before_the_database_fits():
    waits = COMPOSE["services"]["work"]["depends_on"]
    assert waits["migrate"]["condition"] == "service_completed_successfully"
    assert COMPOSE["services"]["migrate"]["restart"] == "no"


@pytest.mark.parametrize(
    "grace",
    [COMPOSE["services"]["work"]["stop_grace_period"].removesuffix("s"), re.findall(r"TimeoutStopSec=(\d+)", UNIT)[0]],
    ids=["compose", "systemd"],
)
def test_whoever_stops_a_worker_waits_for_its_calls(grace):
    windows = config.read(SETTINGS).windows
    assert int(grace) > windows.send + windows.call


def test_the_image_gets_what_it_copies_and_nothing_else():
    ignore = (ROOT / ".containerignore").read_text().splitlines()
    copied = {
        part for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE) for part in line.split()[:-1]
    }
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    assert "*" in ignore


def test_the_image_runs_as_nobody_special_and_only_commands_that_exist():
    assert re.search(r"^USER [1-9]\d*", CONTAINERFILE, re.MULTILINE)
    assert {
        *re.findall(r'^(?:HEALTHCHECK .*)?CMD \["(?:orderflow", ")?(\w+)"', CONTAINERFILE, re.MULTILINE)
    } <= COMMANDS
    assert "--require-hashes" in CONTAINERFILE


def test_the_image_is_of_a_python_that_we_support():
    [version] = re.findall(r"^ARG PYTHON=python:(3\.\d+)-slim", CONTAINERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / "orderflow.service"
    unit.write_text(UNIT.replace("/opt/orderflow/bin/orderflow", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "orderflow.service" in line] == []
