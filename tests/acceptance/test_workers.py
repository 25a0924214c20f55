"""`server.workers`: several processes serve as one, and what happens to one of them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets

from pgrpc.demo import held_signals
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, serving
from tests.support.ws_client import PATIENCE, Client, RpcError

SURFACE = """
functions:
  add:
  nap:
channels:
  a:
"""
SQL = """
create function add(a int, b int) returns int language sql return a + b;
create function nap(seconds float8) returns int language sql as $$ select 1 from pg_sleep(seconds) $$;
"""
MANY = 24
"""So many clients all at one of two workers: once in eight million runs."""


@asynccontextmanager
async def workers(folder: Path, dsn: str, limits: str = "") -> AsyncIterator[Server]:
    """Two workers, both ready. On leaving they are stopped, and none is left."""
    rest = "server: {port: 0, workers: 2}\ndatabase: {dsn: '${TEST_DSN}', pool_size: 2}\n"
    with serving(folder, dsn, f"{rest}limits: {{{limits}}}\n{SURFACE}", ready=False) as server:
        await until_ready(server)
        yield server
        server.stop()
        assert all(has_ended(int(pid)) for pid in re.findall(r"is serving: process (\d+)", server.log))


def process_of(server: Server, worker: int, *, after: int = 0) -> int:
    """Once it serves."""
    return int(server.wait_for(rf"worker {worker} is serving: process (\d+)", after=after).group(1))


def children(server: Server) -> set[int]:
    command = ["ps", "-o", "pid=", "--ppid", str(server.process.pid)]
    return set(map(int, subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split()))


async def ready(server: Server) -> dict[str, Any]:
    """What /health/ready says."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    found: dict[str, Any] = json.loads(body)
    assert head.split()[1] == (b"200" if found["ready"] else b"503")
    return found


def status(server: Server, path: str) -> int:
    try:
        with urllib.request.urlopen(server.url.rstrip("/") + path, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


async def until_ready(server: Server) -> None:
    """Until so many say so at once that each worker has been asked."""
    async with asyncio.timeout(60):
        while True:
            answers = await asyncio.gather(*(ready(server) for _ in range(8)))
            if all(found["ready"] for found in answers):
                return
            await asyncio.sleep(0.05)


async def until(server: Server, right: Callable[[dict[str, Any]], bool]) -> None:
    """Until one that answers is right: several are asked, for not every worker may answer."""
    async with asyncio.timeout(60):
        while True:
            asked = [asyncio.create_task(ready(server)) for _ in range(6)]
            done, left = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            if any(right(each.result()) for each in done):
                return
            await asyncio.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Wait until a process that is not our child is gone, or waits for somebody to ask for its status."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    return held_signals.until(
        lambda: subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout[:1] in ("", "Z"), 30
    )


async def opened(server: Server, stack: AsyncExitStack, count: int, **options: Any) -> list[Client]:
    """So many clients; fewer where some are refused."""
    clients = []
    refusals = []
    for _ in range(count):
        try:
            clients.append(await stack.enter_async_context(Client(server.address(), **options)))
        except websockets.InvalidStatus as error:
            refusals.append(error.response)
    assert all(refusal.status_code == 503 for refusal in refusals)
    assert all(b"too many connections" in refusal.body for refusal in refusals)
    return clients


async def napping(clients: list[Client], seconds: float) -> list[asyncio.Task[Any]]:
    """A call of each, which has arrived."""
    calls = [asyncio.create_task(client.call("nap", seconds)) for client in clients]
    for client in clients:
        with pytest.raises(RpcError, match="-32601"):
            await client.call("nothing")
    return calls


async def test_a_worker_that_dies_is_replaced(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, MANY)
        assert [await client.call("add", 1, 2) for client in clients] == [3] * MANY
        first, second = process_of(server, 0), process_of(server, 1)
        assert children(server) == {first, second}
        server.wait_for(rf" {first} INFO connected to the database")
        at = len(server.log)
        os.kill(second, signal.SIGKILL)
        server.wait_for(rf"worker 1: process {second} was killed by SIGKILL; a new one starts")
        replaced = process_of(server, 1, after=at)
        assert children(server) == {first, replaced}
        # Those of the dead one hear of it; those of the other one are served as before.
        calls = await asyncio.gather(*(client.request("add", [1, 2]) for client in clients), return_exceptions=True)
        kept = [client for client, call in zip(clients, calls, strict=True) if not isinstance(call, BaseException)]
        assert 0 < len(kept) < MANY
        await until_ready(server)
        again = await opened(server, stack, MANY)
        assert [await client.call("add", 1, 2) for client in (*kept, *again)] == [3] * (len(kept) + MANY)
        assert len(re.findall("serving http", server.log)) == 1


async def test_one_worker_can_be_renewed(embedded_database: Database, tmp_path: Path) -> None:
    """By SIGUSR1 to it: while its calls come to their end, the other one gets what is new."""
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, MANY)
        running = await napping(clients[:2], 1)
        at = len(server.log)
        os.kill(process_of(server, 1), signal.SIGUSR1)
        server.wait_for("stopping: SIGUSR1", after=at)
        new = await opened(server, stack, MANY)
        assert [await client.call("add", 1, 2) for client in new] == [3] * MANY
        assert [await call for call in running] == [1, 1]
        # Not on this loop, which has to answer the closes.
        await asyncio.to_thread(server.wait_for, r"worker 1: process \d+ has ended with status 0; a new one starts")
        process_of(server, 1, after=at)


async def test_a_signal_stops_all_in_order(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, MANY)
        running = await napping(clients[:2], 1)
        # As a terminal and systemd do it: to every process. None takes the others' for a second one.
        for pid in (server.process.pid, *children(server)):
            os.kill(pid, signal.SIGTERM)
        assert [await client.closed() for client in clients] == [1012] * MANY
        assert [await call for call in running] == [1, 1]
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        assert len(re.findall("stopping: SIGTERM received", server.log)) == 1
        assert "ERROR" not in server.log


async def test_a_second_signal_ends_at_once(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, MANY)
        running = await napping(clients, 9)
        server.process.send_signal(signal.SIGINT)
        server.wait_for(r"(?s)stopping: SIGUSR1.*stopping: SIGUSR1")
        server.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert not any(isinstance(end, int) for end in ends), "no call has come to its end"


async def test_stopping_is_bounded(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server:
        os.kill(process_of(server, 1), signal.SIGSTOP)
        server.process.terminate()
        server.wait_for("stopping: SIGUSR1")
        server.process.terminate()
        assert await asyncio.to_thread(server.process.wait, 30) == 70
        server.wait_for(r"worker 1: process \d+ does not end, killing it")


async def test_workers_do_not_outlive_their_parent(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, MANY)
        server.process.kill()
        assert [await client.closed() for client in clients] == [1012] * MANY
        # That none is left is seen on leaving.


async def test_rates_hold_over_all(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn, "rates: {address: {calls: 30/min}}") as server:
        async with AsyncExitStack() as stack:
            clients = await opened(server, stack, MANY)
            calls = [client.call("add", 1, 2) for client in clients for _ in range(3)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, RpcError) and answer.code == -32005]
        # Half a token a second comes back meanwhile. Two workers that each counted for themselves would let through 60.
        assert 30 <= answers.count(3) < 45
        assert len(refused) == len(answers) - answers.count(3)


async def test_connections_are_limited_over_all(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    limits = "connections: 8, connections_per_address: 6"
    async with workers(tmp_path, embedded_database.dsn, limits) as server:
        # What never becomes a socket keeps no place.
        assert {await asyncio.to_thread(status, server, "/rpc") for _ in range(10)} == {400}
        async with AsyncExitStack() as stack:
            assert len(await opened(server, stack, MANY)) == 6
            other = await opened(server, stack, MANY, local_addr=("127.0.0.2", 0))
            assert len(other) == 2
            # What a dead one held is free again.
            at = len(server.log)
            for number in range(2):
                os.kill(process_of(server, number), signal.SIGKILL)
                process_of(server, number, after=at)
            await asyncio.gather(*(client.closed() for client in other))
            await until_ready(server)
        async with AsyncExitStack() as stack:
            assert len(await opened(server, stack, MANY)) == 6
        # Nor does what has been closed.
        async with asyncio.timeout(PATIENCE):
            while True:
                async with AsyncExitStack() as stack:
                    if len(await opened(server, stack, 6)) == 6:
                        break


async def test_ready_is_when_all_are(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server:
        os.kill(process_of(server, 1), signal.SIGSTOP)
        try:
            await until(server, lambda found: found.get("worker 1") == {"process": "does not answer"})
        finally:
            os.kill(process_of(server, 1), signal.SIGCONT)
        await until_ready(server)
        name = embedded_database.dsn.rpartition("/")[2]
        admin = Database(embedded_database.server.dsn(), embedded_database.server)
        admin.execute(f"alter database {name} allow_connections false")
        try:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s "
                "and query ~* '^(listen|notify|unlisten) ' limit 1",
                name,
            )
            down = {"listener"}
            await until(server, lambda found: down in [set(found[key]) for key in found if key != "ready"])
        finally:
            admin.execute(f"alter database {name} allow_connections true")
        await until_ready(server)


async def test_a_worker_that_finds_the_file_unfit_is_tried_again(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server:
        embedded_database.execute("drop function nap")
        at = len(server.log)
        os.kill(process_of(server, 1), signal.SIGKILL)
        server.wait_for(r"status 78.*matches the configuration:\n\S*config.yaml:\d+:\d+: functions.nap")
        tried: set[int] = set()
        async with asyncio.timeout(30):
            while len(tried) < 3:  # the first worker, and two tries of the other
                tried |= children(server)
                await asyncio.sleep(0.01)
        # By now it does not come back soon: the other one has all of the connections.
        async with AsyncExitStack() as stack:
            clients = await opened(server, stack, MANY)
            assert [await client.call("add", 1, 2) for client in clients] == [3] * MANY
        embedded_database.execute(SQL.splitlines()[2])
        await asyncio.to_thread(process_of, server, 1, after=at)
        await until_ready(server)
        async with AsyncExitStack() as stack:
            clients = await opened(server, stack, MANY)
            os.kill(process_of(server, 0), signal.SIGKILL)
            calls = await asyncio.gather(*(client.request("add", [1, 2]) for client in clients), return_exceptions=True)
            assert any(isinstance(call, dict) for call in calls), "it serves again"
        assert len(re.findall("functions.nap", server.told)) == 1


def refused(folder: Path, dsn: str, port: int) -> tuple[int, str]:
    file = folder / "refused.yaml"
    file.write_text(f"database: {{dsn: '{dsn}'}}\nserver: {{port: {port}, workers: 2}}\n{SURFACE}")
    command = [sys.executable, "-X", "dev", "-W", "error", str(ROOT / "server.py"), "--config", str(file)]
    ran = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    return ran.returncode, ran.stderr


async def test_two_servers_do_not_share_a_port(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL)
    async with workers(tmp_path, embedded_database.dsn) as server:
        port = urlsplit(server.url).port
        assert port
        status, words = await asyncio.to_thread(refused, tmp_path, embedded_database.dsn, port)
        assert status == 71
        assert words.startswith(
            f"cannot listen on 127.0.0.1 port {port}: Address already in use; stop the program that uses it"
        )


async def test_what_is_doubtful_is_told_once(embedded_database: Database, tmp_path: Path) -> None:
    embedded_database.execute(SQL.replace("return a + b", "security definer return a + b"))
    async with workers(tmp_path, embedded_database.dsn) as server:
        os.kill(process_of(server, 0), signal.SIGKILL)
        process_of(server, 0, after=server.wait_for("worker 0: process").end())
        assert server.told.count("with warnings:") == 1
        assert "SECURITY DEFINER" in server.log


def test_an_unfit_file_is_told_once(embedded_database: Database, tmp_path: Path) -> None:
    status, words = refused(tmp_path, embedded_database.dsn, 0)
    assert status == 78
    assert [line.split(": ")[1] for line in words.splitlines()] == ["functions.add.function", "functions.nap.function"]
