"""Faults at the edge of what there is room for: no spare connection, idle connections that are dead, late clients."""

import asyncio
import os
import signal
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.support.databases import Database
from tests.support.pgrpc_server import serving
from tests.support.ws_client import PATIENCE, Client, RpcError

ADD = "create function add(a int, b int) returns int language sql immutable as 'select a + b'"
WAIT = "create function wait() returns void language sql as 'select pg_advisory_xact_lock(1)'"
SURFACE = "server: {port: 0}\nfunctions: {add: }\nchannels: {people: }\n"


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


async def until_ready(url: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not await asyncio.to_thread(ready, url):
        assert time.monotonic() < deadline, "it does not become ready"
        await asyncio.sleep(0.1)


async def test_the_listener_comes_back_where_no_connection_is_spare(
    embedded_database: Database, tmp_path: Path
) -> None:
    """pool_size + 1 is all that there is room for: its own NOTIFY has to do."""
    embedded_database.execute(ADD)
    name = embedded_database.dsn.rpartition("/")[2]
    embedded_database.execute("create role lim_login login password 'lim'")
    dsn = f"postgresql://lim_login:lim@127.0.0.1:{embedded_database.server.port}/{name}"
    try:
        with serving(tmp_path, dsn, f"database: {{dsn: '{dsn}', pool_size: 3}}\n{SURFACE}") as server:
            embedded_database.execute("alter role lim_login connection limit 4")
            async with Client(server.address()) as client:
                assert await client.call("rpc.on", "people") == {"people": "ok"}
                embedded_database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where usename = 'lim_login' and query ~* '^(listen|notify)'"
                )
                assert (await client.event())["method"] == "rpc.gap"
                await until_ready(server.url, 10)
                embedded_database.execute("notify people, 'back'")
                assert (await client.event())["params"] == {"channel": "people", "payload": "back"}
    finally:
        embedded_database.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'lim_login'")
        embedded_database.execute("drop role lim_login")


async def pool_connections(database: Database, address: str, count: int) -> list[int]:
    """The processes behind the pool's connections, once there are so many: each makes a call that waits for us."""
    waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
    async with Client(address) as client, asyncio.timeout(PATIENCE):
        with closing(psycopg2.connect(database.dsn)) as holder, holder.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(1)")
            calls = [asyncio.create_task(client.call("wait")) for _ in range(count)]
            while len(found := await asyncio.to_thread(database.execute, waiting)) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await asyncio.gather(*calls)
    return [pid for (pid,) in found]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
async def test_idle_connections_that_are_dead_cost_no_call_its_time(
    embedded_database: Database, tmp_path: Path
) -> None:
    embedded_database.execute(ADD)
    embedded_database.execute(WAIT)
    surface = SURFACE.replace("server:", "database: {dsn: '${TEST_DSN}', pool_size: 3}\nserver:")
    # Without `reset` a connection is idle once its call is answered. One that is stopped while it is being reset is
    # given up before the idle ones, and replaced: the pool is never empty then.
    surface = surface.replace("{add: }", "{add: , wait: {reset: false}}")
    with serving(tmp_path, embedded_database.dsn, surface) as server:
        stopped = await pool_connections(embedded_database, server.address(), 3)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.to_thread(server.wait_for, "the database is unavailable", patience=25)
            await asyncio.to_thread(
                server.wait_for,
                "connected to the database: calls",
                after=server.log.rindex("the database is unavailable"),
            )
            async with Client(server.address()) as client:
                for number in range(4):
                    began = time.monotonic()
                    assert await client.call("add", number, 1) == number + 1
                    assert time.monotonic() - began < 3
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


async def test_an_upgrade_that_comes_while_stopping_is_refused(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute("create function slow() returns text language sql as $$ select 'x' from pg_sleep(1.5) $$")
    with serving(tmp_path, embedded_database.dsn, SURFACE.replace("add", "slow")) as server:
        host, port = server.url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with Client(server.address()) as client:
            running = asyncio.create_task(client.call("slow"))
            with pytest.raises(RpcError):
                await client.call("nothing")  # so that the call before it has arrived
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait_for, "stopping")
            writer.write(
                b"GET /rpc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert b" 503 " in await asyncio.wait_for(reader.readline(), 10)
            assert await running == "x"
        writer.close()
        assert await asyncio.to_thread(server.process.wait, 8) == 0
