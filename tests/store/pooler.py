"""PgBouncer in front of a test's Postgres, as transactions or as sessions.

It must never listen on another address than this machine's own.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
SETTINGS = """
[databases]
* = host={host} port={port} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {servers}
server_round_robin = 1
logfile = {home}/pgbouncer.log
"""


@contextmanager
def pooler(server_url: str, mode: str, servers: int) -> Iterator[str]:
    """The URL of a running PgBouncer that shares `servers` connections to the database of `server_url`."""
    assert PROGRAM is not None
    server = sa.make_url(server_url)
    host = server.host or str(server.query["host"])
    with tempfile.TemporaryDirectory(prefix="orderflow-pooler-") as name:
        home, listen = Path(name), _free_port()
        settings = home / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(host=host, port=server.port or 5432, listen=listen, mode=mode, servers=servers, home=home)
        )
        user = []
        if os.geteuid() == 0:  # it refuses to run as root, and only who owns the data may enter a socket's directory
            owner = pwd.getpwnam("nobody") if server.host else pwd.getpwuid(Path(host).stat().st_uid)
            for path in (home, settings):
                os.chown(path, owner.pw_uid, -1)
            user = ["-u", owner.pw_name]
        process = subprocess.Popen(
            [PROGRAM, *user, "-q", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield _when_ready(server.set(host="127.0.0.1", port=listen, query={"sslmode": "disable"}), process, home)
        finally:
            process.terminate()
            process.wait(20)


def _when_ready(url: sa.URL, process: subprocess.Popen[bytes], home: Path) -> str:
    """The URL, once somebody answers there."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", url.port)) == 0:
                return url.render_as_string(hide_password=False)
    raise AssertionError((home / "pgbouncer.log").read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
