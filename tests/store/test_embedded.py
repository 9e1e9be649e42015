"""The embedded server: shared, restartable, gone with its last user, never open to the network."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from orderflow.store import embedded, embedded_programs

# Starts the server, says so, and waits to be killed.
USER = """
import sys, time
from pathlib import Path
from orderflow.store.embedded import start
with start(Path(sys.argv[1]), durable=False) as server:
    print(server.url, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Not tmp_path: pytest closes it to other users, and root lends the server to one."""
    with TemporaryDirectory(prefix="orderflow-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "data"


def ask(url: str, statement: str) -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


def eventually_gone(pid_file: Path) -> bool:
    deadline = time.monotonic() + 15
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not pid_file.exists()


def another_user(home: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", USER, home], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline().startswith("postgresql+psycopg://")
    return process


def end(process: "subprocess.Popen[str]", with_signal: int = signal.SIGKILL) -> None:
    process.send_signal(with_signal)
    process.communicate()


def test_data_survives_a_restart_and_settings_follow_the_start(home: Path) -> None:
    with embedded.start(home, durable=False) as server:
        assert ask(server.url, "SHOW fsync") == "off"
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with embedded.start(home) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42
        assert [ask(server.url, f"SHOW {name}") for name in embedded.FAST_AND_LOOSE] == ["on", "on", "on"]


def test_it_listens_on_no_network_and_only_its_user_may_reach_the_socket(home: Path) -> None:
    with embedded.start(home, durable=False) as server:
        assert ask(server.url, "SHOW listen_addresses") == ""
        assert (home / "pgdata").stat().st_mode & 0o077 == 0


def test_a_second_user_joins_and_the_last_one_stops_the_server(home: Path) -> None:
    pid_file = home / "pgdata/postmaster.pid"
    other = another_user(home)
    with embedded.start(home, durable=False) as server:
        first = pid_file.read_text()
        end(other)
        time.sleep(1.5)  # the watchdog has looked
        assert ask(server.url, "SELECT 1") == 1
        assert pid_file.read_text() == first
    assert not pid_file.exists()


def test_the_last_user_being_killed_stops_the_server(home: Path) -> None:
    end(another_user(home))
    assert eventually_gone(home / "pgdata/postmaster.pid")


def test_a_terminated_user_stops_the_server(home: Path) -> None:
    end(another_user(home), signal.SIGTERM)
    assert eventually_gone(home / "pgdata/postmaster.pid")


def test_after_a_crash_what_was_committed_is_recovered(home: Path) -> None:
    with embedded.start(home) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(int((home / "pgdata/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        time.sleep(0.5)  # its children notice, and leave the shared memory
    with embedded.start(home) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42


def test_an_interrupted_initialisation_is_begun_anew(home: Path) -> None:
    (home / "pgdata.new").mkdir(parents=True)
    (home / "pgdata.new" / "half").touch()
    with embedded.start(home, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_a_path_too_long_for_a_socket(home: Path) -> None:
    with embedded.start(home / ("long" * 40), durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1
        socket_dir = Path(sa.make_url(server.url).query["host"])  # type: ignore[arg-type]
    assert not socket_dir.exists()


def test_a_path_with_odd_characters(home: Path) -> None:
    with embedded.start(home / "a b,c%d'e", durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_durability_is_not_promised_by_joining_a_loose_server(home: Path) -> None:
    with (
        embedded.start(home, durable=False) as server,
        pytest.raises(embedded.EmbeddedError, match="without durability"),
        embedded.start(home),
    ):
        pass
    assert server.data_dir == home


def test_when_nothing_is_found_the_error_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_programs, "find_spec", lambda _: None)
    monkeypatch.setattr(embedded_programs, "PACKAGED", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(embedded.EmbeddedError, match="no Postgres found"), embedded.start(home, durable=False):
        pass


def test_without_the_wheel_the_programs_of_the_system_serve(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_programs, "find_spec", lambda _: None)
    try:
        embedded_programs.find_programs({})
    except embedded.EmbeddedError:
        pytest.skip("no Postgres on this system besides the wheel")
    with embedded.start(home, durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_a_refusal_of_postgres_reaches_the_caller(home: Path) -> None:
    with embedded.start(home, durable=False):
        pass
    (home / "pgdata/PG_VERSION").write_text("9.6\n")
    with pytest.raises(embedded.EmbeddedError, match="incompatible"), embedded.start(home, durable=False):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lend the server to another user")
def test_below_a_directory_closed_to_others_root_keeps_the_data_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = home / "system"
    closed = home / "closed"
    closed.mkdir(mode=0o700, parents=True)
    for module in (embedded, embedded_programs):
        monkeypatch.setattr(module, "SYSTEM_DIR", system)
    for _ in range(2):
        with embedded.start(closed / "data", durable=False) as server:
            assert ask(server.url, "SELECT 1") == 1
    assert (closed / "data/pgdata").resolve().is_relative_to(system)
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lend the server to another user")
def test_below_root_the_server_is_copied_for_its_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    monkeypatch.setattr(embedded_programs, "SYSTEM_DIR", home / "system")
    real = embedded_programs.may_enter
    monkeypatch.setattr(
        embedded_programs, "may_enter", lambda path, who: "site-packages" not in str(path) and real(path, who)
    )
    with embedded.start(home / "data", durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1
        assert str(home / "system") in (home / "data/pgdata/postmaster.opts").read_text()
