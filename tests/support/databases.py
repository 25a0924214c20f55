"""The PostgreSQLs that tests run on: the embedded one, and each that Debian's packages have installed.

Owns starting them on demand, and making databases on them. Must not know what is tested.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from pgrpc.demo import embedded
from tests.support import postgresqls
from tests.support.free_ports import free_port

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
            server = embedded.Server(folder, OTHERS.get(name), port=free_port(), settings=settings)
            self._running[name] = server  # first, so that a start that fails is tidied away as well
            server.start()
        return self._running[name]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop("immediate")
            shutil.rmtree(server.data, ignore_errors=True)
        self._running.clear()


@contextmanager
def new_database(server: embedded.Server) -> Iterator[Database]:
    """An empty database, dropped in the end."""
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
