"""The fixtures of all tests: a PostgreSQL server, and a new database of one.

A server starts when the first test asks for it and stays for the session; each test has a database of its own.
"""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from pgrpc.demo import embedded
from tests.support import databases, postgresqls

pytest_plugins = ["tests.support.module_coverage"]


@pytest.fixture(scope="session")
def _servers() -> Iterator[databases.Servers]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt  # which pytest unwinds, tearing down; SIGTERM alone would not

    servers = databases.Servers()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield servers
    finally:
        servers.stop()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", params=[databases.EMBEDDED, *databases.OTHERS])
def postgres(request: pytest.FixtureRequest, _servers: databases.Servers) -> embedded.Server:
    """Each PostgreSQL in turn: the test runs once on each."""
    return _servers.get(request.param)


@pytest.fixture(scope="session")
def embedded_postgres(_servers: databases.Servers) -> embedded.Server:
    """The embedded PostgreSQL only, for what does not depend on the version."""
    return _servers.get(databases.EMBEDDED)


@pytest.fixture
def database(postgres: embedded.Server) -> Iterator[databases.Database]:
    """A new, empty database on each PostgreSQL."""
    with databases.new_database(postgres) as made:
        yield made


@pytest.fixture
def embedded_database(embedded_postgres: embedded.Server) -> Iterator[databases.Database]:
    """A new, empty database on the embedded PostgreSQL."""
    with databases.new_database(embedded_postgres) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not databases.OTHERS:
        terminalreporter.section("PostgreSQL 18 ONLY", red=True, bold=True)
        terminalreporter.write_line(
            "No other PostgreSQL was found, so no other version was tested: "
            f"apt install postgresql, or give folders in {postgresqls.VARIABLE}"
        )
