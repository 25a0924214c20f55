"""Owns the PostgreSQLs that tests run on: the embedded one, and those of tests/support/postgresqls.py.

A server starts when the first test asks for it and stays for the session; each test has a database of its own.
"""

import itertools
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2
import pytest

from pgrpc.demo import embedded
from tests.support import postgresqls

EMBEDDED = "embedded-18"
OTHERS = postgresqls.installed()

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A database for one test. `dsn` is the superuser's."""

    dsn: str
    server: embedded.Server

    def execute(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run SQL on a connection of its own, autocommit; the rows, if there are any."""
        with closing(psycopg2.connect(self.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return cursor.fetchall() if cursor.description else []


class Servers:
    """Started on demand, all stopped at the end.

    Their folders are not tmp_path's: those are closed to everyone else, and where PostgreSQL has to run as nobody
    (as root in a container) it could not enter them.
    """

    def __init__(self) -> None:
        self._running: dict[str, embedded.Server] = {}

    def get(self, name: str) -> embedded.Server:
        if name not in self._running:
            folder = Path(tempfile.mkdtemp(prefix=f"pgrpc-{name}-"))
            settings = {"fsync": "off", "max_connections": "200"}
            server = embedded.Server(folder, OTHERS.get(name), settings=settings)
            self._running[name] = server  # first, so that a start that fails is tidied away as well
            server.start()
        return self._running[name]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop("immediate")
            shutil.rmtree(server.data, ignore_errors=True)
        self._running.clear()


@pytest.fixture(scope="session")
def _servers() -> Iterator[Servers]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt  # which pytest unwinds, tearing down; SIGTERM alone would not

    servers = Servers()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield servers
    finally:
        servers.stop()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", params=[EMBEDDED, *OTHERS])
def postgres(request: pytest.FixtureRequest, _servers: Servers) -> embedded.Server:
    """Each PostgreSQL in turn: the test runs once on each."""
    return _servers.get(request.param)


@pytest.fixture(scope="session")
def embedded_postgres(_servers: Servers) -> embedded.Server:
    """The embedded PostgreSQL only, for what does not depend on the version."""
    return _servers.get(EMBEDDED)


@pytest.fixture
def database(postgres: embedded.Server) -> Iterator[Database]:
    """A new, empty database on each PostgreSQL."""
    yield from _database(postgres)


@pytest.fixture
def embedded_database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    """A new, empty database on the embedded PostgreSQL."""
    yield from _database(embedded_postgres)


def _database(server: embedded.Server) -> Iterator[Database]:
    name = f"test_{next(_numbers)}"
    admin = Database(server.dsn(), server)
    admin.execute(f"create database {name}")
    try:
        yield Database(server.dsn(name), server)
    finally:
        # A test may have stopped the server; whatever it did, the next one needs it.
        if server.pid is None:
            server.start()
        admin = Database(server.dsn(), server)
        admin.execute(f"drop database if exists {name} with (force)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not OTHERS:
        terminalreporter.section("PostgreSQL 18 ONLY", red=True, bold=True)
        terminalreporter.write_line(
            "No other PostgreSQL was found, so no other version was tested: "
            f"apt install postgresql, or give folders in {postgresqls.VARIABLE}"
        )
