"""What an operator can have done to a server that runs, by SIGHUP and on the control channel."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import websockets

from pgrpc.demo import embedded
from tests.support import certificates, served_sql
from tests.support.databases import Database
from tests.support.pgrpc_server import Server, serving
from tests.support.ws_client import PATIENCE, Client

OLD, NEW = "an-old-secret-of-the-tests-that-is-long", "a-new-secret-of-the-tests-that-is-long"
SQL = """
create role adm_login login noinherit password 'adm';
create role adm_user nologin;
grant adm_user to adm_login;
create table written (what text);
grant insert on written to adm_user;
create function write(what text) returns void language sql as 'insert into written values ($1)';
create function sleep() returns text language sql as $$ select 'slept' from pg_sleep(60) $$;
create function slowly(channel text) returns boolean language sql as $$ select true from pg_sleep(60) $$;
create function who() returns text stable language sql as
    $$ select current_setting('request.jwt.claims')::json ->> 'sub' $$;
"""
REST = """
auth:
  secret: "${file:secret}"
  roles: [adm_user]
  control_channel: control
functions: {write: , sleep: , who: }
channels: {"**": , slow: {authorize: slowly}}
"""


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, SQL, roles="adm_login, adm_user") as made:
        yield made


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "secret").write_text(OLD)
    dsn = database.server.dsn(database.dsn.rpartition("/")[2], "adm_login", "adm")
    with serving(tmp_path, dsn, REST) as running:
        yield running
        assert OLD not in running.log
        assert NEW not in running.log


def connect(server: Server, subject: str, secret: str = OLD, path: str = "rpc", **options: Any) -> Client:
    token = jwt.encode({"sub": subject, "role": "adm_user"}, secret, "HS256")
    return Client(server.address(path), additional_headers={"Authorization": f"Bearer {token}"}, **options)


def order(database: Database, payload: Any) -> None:
    database.execute("select pg_notify('control', %s)", payload if isinstance(payload, str) else json.dumps(payload))


async def told(server: Server, words: str, after: int = 0) -> None:
    await asyncio.to_thread(server.wait_for, words, after=after)


async def gone(database: Database, query: str) -> None:
    sql = "select 1 from pg_stat_activity where query like %s and state = 'active' and pid <> pg_backend_pid()"
    async with asyncio.timeout(PATIENCE):
        while database.execute(sql, f"%{query}%"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def sleeping(database: Database, count: int) -> None:
    """Until so many calls sleep."""
    counted = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    async with asyncio.timeout(PATIENCE):
        while database.execute(counted) != [(count,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_sockets_of_one_subject_are_ended(server: Server, database: Database) -> None:
    async with (
        connect(server, "ann") as first,
        connect(server, "ann") as second,
        connect(server, "ann", path="listen/news") as raw,
        connect(server, "ann.b") as other,
    ):
        running = asyncio.create_task(first.call("sleep"))
        assert await first.call("who") == "ann"
        joining = asyncio.create_task(connect(server, "ann", path="listen/slow").__aenter__())
        await sleeping(database, 2)  # the call, and what says whether the last socket may hear its channel
        order(database, {"end": {"sub": "ann"}})
        with pytest.raises(websockets.InvalidStatus) as caught:
            await joining
        assert caught.value.response.status_code == 403
        for ended in (first, second, raw):
            assert await ended.closed() == 4401
            assert ended.socket.close_reason == "closed by the operator"
        with pytest.raises(ConnectionError):
            await running
        await gone(database, '"sleep"()')
        assert await other.call("who") == "ann.b"
        await told(server, "closed 4 connections of one subject, by a command")
    async with connect(server, "ann") as back:  # the token is as good as before
        assert await back.call("who") == "ann"


async def test_whoever_is_ended_can_do_nothing_more(server: Server, database: Database) -> None:
    """Also where it does not answer the close frame, and goes on sending."""
    call = json.dumps({"jsonrpc": "2.0", "method": "write", "params": ["late"], "id": 1}).encode()

    def frame(opcode: int, payload: bytes) -> bytes:
        assert len(payload) < 126
        return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload

    token = jwt.encode({"sub": "ann", "role": "adm_user"}, OLD, "HS256")
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /rpc HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, call.replace(b"late", b"soon")))
        assert b'"result":null' in await reader.readuntil(b"}")
        order(database, {"end": {"sub": "ann"}})
        assert (await reader.readexactly(4))[2:] == (4401).to_bytes(2)
        writer.write(frame(1, call) + frame(8, (1000).to_bytes(2)))
        await reader.read()  # until the connection's end
    writer.close()
    async with connect(server, "bob") as other:
        await other.call("write", "after")
    assert database.execute("select what from written order by what") == [("after",), ("soon",)]
    database.execute("truncate written")


@pytest.mark.parametrize("by", ["signal", "order"])
async def test_keys_are_read_again(server: Server, database: Database, tmp_path: Path, by: str) -> None:
    def reload() -> int:
        before = len(server.log)
        if by == "signal":
            server.process.send_signal(signal.SIGHUP)
        else:
            order(database, {"reload": "keys"})
        return before

    async with connect(server, "ann") as before:
        (tmp_path / "secret").write_text("too short")
        await told(server, "could not reload the keys, still using the previous one: .*auth.secret", reload())
        (tmp_path / "secret").unlink()
        await told(server, "could not reload the keys, .*No such file", reload())
        async with connect(server, "bob") as still:
            assert await still.call("who") == "bob"
        (tmp_path / "secret").write_text(NEW)
        await told(server, "reloaded the keys", reload())
        async with connect(server, "bob", NEW) as after:
            assert await after.call("who") == "bob"
        with pytest.raises(websockets.InvalidStatus, match="401"):
            await connect(server, "bob", OLD).__aenter__()
        assert await before.call("who") == "ann"


async def test_what_is_no_order_is_told_and_no_more(server: Server, database: Database) -> None:
    for payload in ("", "end ann", '{"end": "ann"}', '{"drop": "everything"}'):
        order(database, payload)
    await told(server, "ignored a notification on the control channel")
    async with connect(server, "ann") as client:
        assert await client.call("who") == "ann"
    assert "everything" not in server.log


async def test_clients_cannot_hear_it(server: Server) -> None:
    async with connect(server, "ann") as client:
        assert await client.call("rpc.on", "control", "controls") == {
            "control": "this name is reserved",
            "controls": "ok",
        }
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await connect(server, "ann", path="listen/control").__aenter__()


async def test_after_an_outage_it_is_said_that_orders_may_be_missing(server: Server, database: Database) -> None:
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and usename = 'adm_login' and query ~* '^(listen|notify)'"
    )
    await told(server, "commands on the control channel may be lost too; send them again")
    async with connect(server, "ann") as client:
        order(database, {"end": {"sub": "ann"}})
        assert await client.closed() == 4401


class TestSeveralWorkers:
    @pytest.fixture
    def several(self, database: Database, tmp_path: Path) -> Iterator[Server]:
        (tmp_path / "secret").write_text(OLD)
        certificates.make(tmp_path)
        dsn = database.server.dsn(database.dsn.rpartition("/")[2], "adm_login", "adm")
        section = "{port: 0, workers: 2, tls: {certificate: localhost.pem, key: localhost.key}}"
        with serving(tmp_path, dsn, f"server: {section}\n{REST}", ready=False) as running:
            for pid in self.processes(running):
                running.wait_for(f"{pid} INFO LISTEN connection open")
            yield running

    def processes(self, server: Server) -> list[int]:
        return [int(server.wait_for(rf"worker {worker} is serving: process (\d+)").group(1)) for worker in (0, 1)]

    async def test_an_order_reaches_all_of_them(self, several: Server, database: Database, tmp_path: Path) -> None:
        trusted = ssl.create_default_context(cafile=tmp_path / "localhost.pem")
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connect(several, "ann", ssl=trusted)) for _ in range(24)]
            order(database, {"end": {"sub": "ann"}})
            assert {await each.closed() for each in sockets} == {4401}
            for pid in self.processes(several):  # all at one of two: once in eight million runs
                await told(several, rf"{pid} INFO closed [1-9]\d* connections of one subject")

    async def test_sighup_reaches_all_of_them_and_those_that_come_later(self, several: Server, tmp_path: Path) -> None:
        trusted = ssl.create_default_context(cafile=tmp_path / "localhost.pem")
        (tmp_path / "secret").write_text(NEW)
        several.process.send_signal(signal.SIGHUP)
        for pid in self.processes(several):
            await told(several, f"{pid} INFO reloaded the certificate")
            await told(several, f"{pid} INFO reloaded the keys")
        before = len(several.log)
        for pid in self.processes(several):
            os.kill(pid, signal.SIGKILL)
        for worker in (0, 1):
            await asyncio.to_thread(several.wait_for, f"worker {worker} is serving", after=before, patience=30)
        async with connect(several, "bob", NEW, ssl=trusted):
            pass
        with pytest.raises(websockets.InvalidStatus, match="401"):
            await connect(several, "bob", OLD, ssl=trusted).__aenter__()
