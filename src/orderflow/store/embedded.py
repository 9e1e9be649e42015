"""Starts a Postgres of our own under a directory, shared by every process that asks for that directory.

It must never listen on a network address, widen rights outside its own directory, or outlive its last user.

Who still uses the server is told by shared locks on ``users.lock``, which the kernel drops even on ``kill -9``. The
last user stops the server; if it could not, its keeper (this module, run by itself) does so about a second later. The
keeper is the parent of Postgres, so that a dead server is no zombie, which would keep the next one from starting.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orderflow.store.embedded_programs import SYSTEM_DIR, EmbeddedError, RunAs, find_programs, may_enter, server_user

__all__ = ["Embedded", "EmbeddedError", "start"]

LONGEST_SOCKET_DIR = 88  # bytes; the system's limit for the whole socket path is 103 (macOS) or 107 (Linux)
STOP_TIMEOUT = 60  # seconds; a server killed in the middle of stopping leaves its pid file for the next start
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # no TCP: it only names the socket file
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_AND_LOOSE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running server: ``url`` is for SQLAlchemy with psycopg 3, and valid until ``start`` is left."""

    url: str
    data_dir: Path


@contextmanager
def start(data_dir: Path, *, durable: bool = True) -> Iterator[Embedded]:
    """Run the server of ``data_dir``, or join it if it runs; without ``durable`` a power cut may lose everything.

    The URL's only user is a superuser, and its socket can be reached by the owner of the data and by root alone.
    """
    home = data_dir.expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "users.lock").open("a") as users:
        with _locked(home):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _socket_dir(home):
                _launch(home, durable=durable)
            if durable and "fsync=off" in (home / "pgdata/postmaster.opts").read_text():
                raise EmbeddedError(f"the server of {home} was started without durability by another process")
        try:
            yield Embedded(f"postgresql+psycopg://postgres@/postgres?host={quote(str(_socket_dir(home)))}", home)
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            stop_if_unused(home)


def stop_if_unused(home: Path) -> bool:
    """Stop the server if no living process uses it; tell whether it is down now."""
    with _locked(home), (home / "users.lock").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if socket_dir := _socket_dir(home):
            pid_file = home / "pgdata/postmaster.pid"
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)  # Postgres calls this a fast shutdown
            deadline = time.monotonic() + STOP_TIMEOUT
            while pid_file.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            if socket_dir != (home / "pgdata").resolve():
                shutil.rmtree(socket_dir, ignore_errors=True)
        return True


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of ``home``."""
    with (home / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _socket_dir(home: Path) -> Path | None:
    """The directory of the socket that answers; a stale pid file names one that does not."""
    try:
        lines = (home / "pgdata/postmaster.pid").read_text().splitlines()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(f"{lines[4]}/.s.PGSQL.{lines[3]}")
        return Path(lines[4])
    except (OSError, IndexError):
        return None


def _launch(home: Path, *, durable: bool) -> None:
    run_as = server_user(home)
    programs = find_programs(run_as)
    pgdata = home / "pgdata"
    if not pgdata.exists():
        _initialise(pgdata, programs, run_as, durable=durable)
    pgdata = pgdata.resolve()
    socket_dir = pgdata
    if len(os.fsencode(pgdata)) > LONGEST_SOCKET_DIR or "," in str(pgdata):  # libpq reads a comma as "or"
        socket_dir = _own(Path(tempfile.mkdtemp(prefix="orderflow-", dir="/tmp")), run_as)
    settings = SETTINGS | {"unix_socket_directories": f'"{socket_dir}"'} | ({} if durable else FAST_AND_LOOSE)
    server = [str(programs / "postgres"), "-D", str(pgdata), *(f"-c{name}={value}" for name, value in settings.items())]
    keeper = [sys.executable, "-P", "-m", __name__, str(home), json.dumps(run_as), *server]
    with (home / "server.log").open("ab") as log:
        before = log.tell()
        # It outlives a Ctrl-C at the terminal and holds none of our pipes: a session of its own, and the log.
        done = subprocess.run(keeper, check=False, stdout=log, stderr=log, start_new_session=True)
    if done.returncode:
        said = (home / "server.log").read_bytes()[before:].decode(errors="replace").strip()
        raise EmbeddedError(f"Postgres did not start on {pgdata}:\n{said}")


def _ready(pgdata: Path, pid: int) -> bool:
    try:
        lines = (pgdata / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(pid)] and lines[-1] == "ready"


def _initialise(pgdata: Path, programs: Path, run_as: RunAs, *, durable: bool) -> None:
    """Make the cluster beside its final place, so that an interrupted start leaves nothing half made."""
    if not may_enter(pgdata.parent, run_as):
        SYSTEM_DIR.mkdir(parents=True, exist_ok=True)
        pgdata.symlink_to(Path(tempfile.mkdtemp(prefix="pgdata-", dir=SYSTEM_DIR)) / "pgdata")
        pgdata = pgdata.readlink()
        pgdata.parent.chmod(0o711)
    fresh = pgdata.with_name("pgdata.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    options = ["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8"]
    if not durable:
        options.append("--no-sync")
    command = [str(programs / "initdb"), "-D", str(_own(fresh, run_as)), *options]
    initdb = subprocess.run(command, check=False, capture_output=True, text=True, **_apart(run_as))
    if initdb.returncode:
        raise EmbeddedError(f"initdb failed in {fresh}:\n{initdb.stdout}{initdb.stderr}".rstrip())
    fresh.rename(pgdata)


def _own(path: Path, run_as: RunAs) -> Path:
    if run_as:
        os.chown(path, run_as["user"], run_as["group"])
    return path


def _apart(run_as: RunAs) -> dict[str, Any]:
    # No environment of the caller: PGPORT, PGOPTIONS and locale variables would change the server.
    return run_as | {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL}


def _keep(home: Path, run_as: RunAs, command: list[str]) -> None:
    """Start Postgres, detach from the caller once it is ready, stop it once no user is left."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os._exit(0 if os.read(ready, 1) else 1)
    server: subprocess.Popen[bytes] = subprocess.Popen(command, **_apart(run_as))
    while not _ready(home / "pgdata", server.pid):
        if server.poll() is not None:
            os._exit(1)
        time.sleep(0.01)
    os.write(tell, b"!")
    os.close(tell)
    while server.returncode is None:
        try:
            server.wait(timeout=1)
        except subprocess.TimeoutExpired:
            if home.exists():
                stop_if_unused(home)
            else:
                server.send_signal(signal.SIGQUIT)  # at once: there is nothing left to write to


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:])
