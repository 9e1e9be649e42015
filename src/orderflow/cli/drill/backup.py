"""A base backup, an archive of the write-ahead log and a restore to a moment, by the programs of the embedded server.

It never touches a server that the drill did not start.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from orderflow.store.embedded import EmbeddedError
from orderflow.store.embedded_programs import RunAs, find_programs, server_user

_PATIENCE: Final = 30.0
"""Seconds until the archive must have what was written, and until a restore must be done."""


def archiving(url: str, archive: Path, run_as: RunAs) -> None:
    """Have the server keep its write-ahead log in `archive`, from its next start on."""
    _made(archive, run_as)
    target = f"{shlex.quote(str(archive))}/%f"
    with _owner(url).connect() as conn:
        conn.exec_driver_sql("ALTER SYSTEM SET archive_mode = 'on'")
        command = _text(f"test ! -f {target} && cp %p {target}").replace("%", "%%")  # the driver's own sign
        conn.exec_driver_sql(f"ALTER SYSTEM SET archive_command = {command}")


def base_backup(url: str, target: Path, run_as: RunAs) -> None:
    """Copy the running cluster into `target`. Raises `EmbeddedError`."""
    _made(target, run_as)
    program = find_programs(run_as) / "pg_basebackup"
    if not program.exists():
        raise EmbeddedError(f"there is no pg_basebackup in {program.parent}; install a complete Postgres")
    socket_dir = str(sa.make_url(url).query["host"])
    command = [str(program), "-h", socket_dir, "-U", "postgres", "-D", str(target), "-c", "fast", "-X", "stream"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, **_apart(run_as))
    if done.returncode:
        raise EmbeddedError(f"pg_basebackup failed:\n{done.stderr}".rstrip())


def moment(url: str) -> datetime:
    """Now, by the server's clock."""
    with _owner(url).connect() as conn:
        found: datetime = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return found


def flush(url: str, archive: Path) -> None:
    """Have everything that was written until now in the archive. Raises `EmbeddedError` if it does not get there."""
    with _owner(url).connect() as conn:
        segment: str = conn.exec_driver_sql("SELECT pg_walfile_name(pg_switch_wal())").scalar_one()
    end = time.monotonic() + _PATIENCE
    while not (archive / segment).exists():
        if time.monotonic() > end:
            raise EmbeddedError(f"{segment} never came into the archive")
        time.sleep(0.05)


def restore(backup: Path, archive: Path, home: Path, until: datetime, run_as: RunAs) -> None:
    """Lay the backup out below `home`, to be brought to the moment `until` when it is started there."""
    home.mkdir()
    pgdata = home / "pgdata"
    shutil.copytree(backup, pgdata, symlinks=True)
    lines = {
        "restore_command": f"cp {shlex.quote(str(archive))}/%f %p",
        "recovery_target_time": until.isoformat(),
        "recovery_target_action": "promote",
    }
    with (pgdata / "postgresql.auto.conf").open("a") as settings:
        settings.writelines(f"{name} = {_text(value)}\n" for name, value in lines.items())
    (pgdata / "recovery.signal").touch()
    pgdata.chmod(0o700)
    for path in (pgdata, *pgdata.rglob("*")):
        _give(path, run_as)


def restored(url: str) -> None:
    """Wait until the server has come to its moment and takes writes. Raises `EmbeddedError` if it does not."""
    end = time.monotonic() + _PATIENCE
    with _owner(url).connect() as conn:
        while conn.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
            if time.monotonic() > end:
                raise EmbeddedError("the restore never came to its end")
            time.sleep(0.05)


def runs_as(home: Path) -> RunAs:
    """Who runs the server below `home`."""
    return server_user(home)


def _made(directory: Path, run_as: RunAs) -> None:
    directory.mkdir(mode=0o700)
    _give(directory, run_as)


def _give(path: Path, run_as: RunAs) -> None:
    if run_as:
        os.chown(path, run_as["user"], run_as["group"], follow_symlinks=False)


def _owner(url: str) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


def _text(value: str) -> str:
    """A text as SQL and postgresql.conf write it; they double quotes alike."""
    return "'" + value.replace("'", "''") + "'"


def _apart(run_as: RunAs) -> dict[str, Any]:
    return run_as | {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL}
