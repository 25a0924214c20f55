"""A PostgreSQL that may be killed, and the real server in front of it.

Owns starting, freezing and ending both. Must not know what is tested.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from pgrpc.demo import embedded
from tests.support import pgrpc_server
from tests.support.free_ports import free_port
from tests.support.recording_client import Peer

SQL = """
create table ran (number int);
create function record(number int, nap float8) returns int language plpgsql as $$
begin
    insert into ran values (number);
    perform pg_sleep(nap);
    return number;
end $$;
create function add(a int, b int) returns int language sql return a + b;
create function nap(seconds float8) returns void language sql return pg_sleep(seconds);
create function big(size int) returns text language sql return repeat('x', size);
"""

SURFACE = """
functions:
  record:
  add:
  nap:
  big:
channels:
  a:
  b:
  "oldest.*": {slow_consumer: drop_oldest}
  "latest.*": {slow_consumer: latest}
"""

_names = itertools.count(1)


class World:
    """One PostgreSQL, whose port stays the same whatever happens to it, and one database of it."""

    def __init__(self, postgres: embedded.Server, name: str) -> None:
        self.postgres = postgres
        self.name = name
        self.dsn = postgres.dsn(name)

    def execute(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run SQL on a connection of its own, autocommit; the rows, if there are any."""
        with closing(psycopg2.connect(self.dsn, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return cursor.fetchall() if cursor.description else []

    async def run(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """`execute`, without holding up the clients."""
        return await asyncio.to_thread(self.execute, sql, *arguments)

    async def ran(self) -> list[tuple[Any, ...]]:
        return await self.run("select number from ran")

    async def until_asleep(self, count: int, patience: float = 20) -> None:
        """Until so many calls sleep in the database."""
        asleep = "select count(*) from pg_stat_activity where datname = %s and wait_event = 'PgSleep'"
        async with asyncio.timeout(patience):
            while await self.run(asleep, self.name) != [(count,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def stop(self, mode: embedded.Mode = "fast") -> None:
        await asyncio.to_thread(self.postgres.stop, mode)

    async def start(self) -> None:
        await asyncio.to_thread(self.postgres.start)

    @property
    def postmaster(self) -> int:
        pid = self.postgres.pid
        assert pid is not None
        return pid

    async def listener(self) -> int:
        """The process of the listener's connection: what it ran last was LISTEN, or a probe."""
        found = await self.run(
            "select pid from pg_stat_activity where datname = %s and pid <> pg_backend_pid() and "
            "query ~* '^(listen|notify|unlisten) '",
            self.name,
        )
        assert len(found) == 1, found
        return int(found[0][0])

    def processes(self) -> list[int]:
        """The postmaster and its children."""
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.postmaster)], capture_output=True, text=True, check=True
        ).stdout
        return [self.postmaster, *map(int, listing.split())]

    async def terminate_all(self) -> int:
        """End every connection to the database but our own."""
        found = await self.run(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid() "
            "and application_name = 'pgrpc'",
            self.name,
        )
        return len(found)


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """SIGSTOP: whoever talks to these gets no answer, and no end either."""
    stopped = []
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
        yield
    finally:
        for pid in reversed(stopped):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def postgres_of_our_own(settings: dict[str, str] | None = None) -> Iterator[embedded.Server]:
    """Not in tmp_path: where PostgreSQL has to run as nobody it could not enter that."""
    folder = Path(tempfile.mkdtemp(prefix="pgrpc-faults-"))
    given = {"fsync": "off", "max_connections": "100", **(settings or {})}
    server = embedded.Server(folder, port=free_port(), settings=given)
    try:
        server.start()
        yield server
    finally:
        server.stop("immediate")
        subprocess.run(["rm", "-rf", str(folder)], check=False)


@contextmanager
def database_of(postgres: embedded.Server) -> Iterator[World]:
    admin = World(postgres, "postgres")
    world = World(postgres, f"faults_{next(_names)}")
    admin.execute(f"create database {world.name}")
    world.execute(SQL)
    try:
        yield world
    finally:
        if postgres.pid is None:
            postgres.start()
        admin.execute(f"drop database if exists {world.name} with (force)")


@contextmanager
def serve(
    folder: Path,
    dsn: str,
    *,
    database: str = "listen_probe: 1s",
    server: str = "ping_interval: 20s",
    limits: str = "",
    surface: str = SURFACE,
    ready: bool = True,
    debug: bool = True,
    descriptors: tuple[int, int] | None = None,
) -> Iterator[pgrpc_server.Server]:
    """The functions and channels of SURFACE.

    database, server, limits: keys of these sections; the rest: as for `pgrpc_server.running`.
    """
    sections = f"database: {{dsn: '${{TEST_DSN}}', {database}}}\nserver: {{port: 0, {server}}}\nlimits: {{{limits}}}\n"
    rest = sections + surface
    with pgrpc_server.serving(folder, dsn, rest, ready=ready, debug=debug, descriptors=descriptors) as running:
        yield running


@asynccontextmanager
async def clients(
    server: pgrpc_server.Server, count: int, *channels: str, raw: int = 0, pongs: bool = True
) -> AsyncIterator[list[Peer]]:
    """So many JSON-RPC clients that hear the channels, and so many raw ones of the first channel."""
    peers: list[Peer] = []
    try:
        for _ in range(count):
            peers.append(await Peer.open(server.url, pongs=pongs))
            if channels:
                await peers[-1].on(*channels)
        for _ in range(raw):
            peers.append(await Peer.open(server.url, relay=channels[0]))
        yield peers
    finally:
        for peer in peers:
            await peer.leave()
