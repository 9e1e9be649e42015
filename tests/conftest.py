"""Real Postgres for tests: one embedded cluster per run, one fresh migrated database per test.

It must never mock the database, nor leave a server or a database behind.
"""

import fcntl
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from orderflow.store import embedded, migrate
from orderflow.store.connect import connect

CI = bool(os.environ.get("CI"))
# The controller of a run names one directory; xdist workers inherit it and share the cluster in it.
RUN_DIR = "ORDERFLOW_TEST_RUN_DIR"
# The URL of a superuser in another server, to run the tests on instead of the embedded one: see `make test-15`.
SERVER = os.environ.get("ORDERFLOW_TEST_SERVER")
POSTGRES_15 = ("127.0.0.1", 5432)
POSTGRES_15_URL = "postgresql+psycopg://postgres@{}:{}/postgres".format(*POSTGRES_15)

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if CI else "default")

NewDatabase = Callable[[], str]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the directory of this run's cluster; nothing starts before a test asks for it."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_DIR] = tempfile.mkdtemp(prefix="orderflow-tests-")
        _run_dir().chmod(0o711)  # as root, the server runs as another user, who has to pass through


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the run left; workers have ended, so the server has stopped."""
    if not hasattr(config, "workerinput"):
        for used in _run_dir().glob("used-*"):
            _drop_all_of_this_run(used.read_text())
        shutil.rmtree(_run_dir(), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for a database in PostgreSQL 15 needs that service."""
    for item in items:
        if "database_url_15" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs_service("PostgreSQL 15", *POSTGRES_15))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a service that is not there."""
    for name, host, port in _services(item):
        if not _listens(host, port):
            pytest.skip(f"{name} does not listen on {host}:{port}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI, a skipped test whose services are all there is a failed test."""
    report = yield
    services = _services(item)
    if CI and report.skipped and services and all(_listens(host, port) for _, host, port in services):
        report.outcome = "failed"
        report.longrepr = f"skipped although the service is there: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def new_database() -> Iterator[NewDatabase]:
    """Make a fresh, migrated database in this run's embedded cluster, or in `SERVER`, and return its URL."""
    if SERVER:
        yield _databases(_lasting(SERVER, "used-server"))
        return
    with embedded.start(_run_dir() / "cluster", durable=False) as server:
        yield _databases(server.url)


@pytest.fixture(scope="session")
def new_database_15() -> NewDatabase:
    """The same in the PostgreSQL 15 on this machine."""
    return _databases(_lasting(POSTGRES_15_URL, "used-15"))


@pytest.fixture
def database_url(new_database: NewDatabase) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    yield from _fresh(new_database)


@pytest.fixture(scope="module")
def module_database_url(new_database: NewDatabase) -> Iterator[str]:
    """A fresh, migrated database that the tests of one module share."""
    yield from _fresh(new_database)


@pytest.fixture
def database_url_15(new_database_15: NewDatabase) -> Iterator[str]:
    """A fresh, migrated database in PostgreSQL 15, the oldest release that we support."""
    yield from _fresh(new_database_15)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An engine on ``database_url``, disposed of after the test."""
    made = sa.create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def app(module_database_url: str) -> Iterator[sa.Engine]:
    """An engine on the module's database that acts as the restricted role."""
    made = connect(module_database_url, pool_size=20)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def owner(module_database_url: str) -> Iterator[sa.Engine]:
    """An engine on the module's database that acts as its owner."""
    made = sa.create_engine(module_database_url)
    yield made
    made.dispose()


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """A store that no other test of the module knows."""
    return re.sub(r"\W+", "-", request.node.name)


def _run_dir() -> Path:
    return Path(os.environ[RUN_DIR])


def _lasting(server_url: str, name: str) -> str:
    """A server that outlives the run: note that its databases are to be dropped."""
    (_run_dir() / name).write_text(server_url)
    return server_url


def _services(item: pytest.Item) -> list[tuple[str, str, int]]:
    return [marker.args for marker in item.iter_markers("needs_service")]


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0


_NUMBERS = count(1)
"""Of this process's databases, wherever they are: both fixtures may mean the same server."""


def _databases(server_url: str) -> NewDatabase:
    template = _template(server_url)

    def new_database() -> str:
        name = f"{_run_dir().name}-{os.getpid()}-{next(_NUMBERS)}"
        _admin(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return _with_database(server_url, name)

    return new_database


def _template(server_url: str) -> str:
    """The migrated database that all others copy; made by the first worker, the others wait."""
    name = f"{_run_dir().name}-template"
    with (_run_dir() / "template.lock").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)
        done.seek(0)
        if f"{server_url}\n" not in done.readlines():
            _admin(server_url, f'CREATE DATABASE "{name}"')
            migrate.upgrade(_with_database(server_url, name))
            done.write(f"{server_url}\n")
    return name


def _fresh(new_database: NewDatabase) -> Iterator[str]:
    url = new_database()
    yield url
    _admin(url, f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')


def _drop_all_of_this_run(server_url: str) -> None:
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        ours = sa.text("SELECT datname FROM pg_database WHERE starts_with(datname, :run)")
        for (name,) in connection.execute(ours, {"run": _run_dir().name}).all():
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def _admin(url: str, statement: str) -> None:
    engine = sa.create_engine(_with_database(url, "postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def _with_database(url: str, name: str) -> str:
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)
