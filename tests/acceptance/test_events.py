"""Events on real sockets, and the life of the server around them: database away, restarts, poolers, signals."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
import pytest
import websockets

from pgrpc.demo import embedded
from tests.support import pgbouncer
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, serving
from tests.support.tcp_proxy import Proxy
from tests.support.ws_client import PATIENCE, Client, RpcError

LONGEST = "ä" * 31 + "x"  # 63 bytes
NAMES = ("Mixed Case", 'quo"te', "ünï.☃", "semi;colon--", "a'b", "back\\slash", "50%s", "new\nline", "rpc", LONGEST)

CHANNELS = """
channels:
  people:
  text: {payload: text}
  json: {payload: json}
  "room.*":
  "deep.**":
""" + "".join(f"  {json.dumps(name)}:\n" for name in NAMES)

SQL = """
create function echo(t text) returns text stable language sql as $$ select t $$;
create function doze(s float8) returns text volatile language sql as $$ select 'awake' from pg_sleep(s) $$;
create function hit() returns int volatile language sql as $$ select nextval('hits')::int $$;
"""
FUNCTIONS = "functions: {echo: , doze: , hit: }\n"


def prepare(database: Database) -> None:
    database.execute("create sequence hits")
    database.execute(SQL)


@pytest.fixture(scope="module")
def shared(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Database]]:
    """One server for the tests that leave it as it was, on each PostgreSQL."""
    base = Database(postgres.dsn(), postgres)
    name = "shared_events"
    base.execute(f"create database {name}")
    database = Database(postgres.dsn(name), postgres)
    prepare(database)
    try:
        with serving(tmp_path_factory.mktemp("shared"), database.dsn, FUNCTIONS + CHANNELS) as server:
            yield server, database
    finally:
        if postgres.pid is None:
            postgres.start()
        Database(postgres.dsn(), postgres).execute(f"drop database {name} with (force)")


def notify(database: Database, channel: str, *payloads: str) -> None:
    """Each in a transaction of its own: PostgreSQL merges those that are equal within one."""
    with closing(psycopg2.connect(database.dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for payload in payloads:
                cursor.execute("select pg_notify(%s, %s)", (channel, payload))


@contextmanager
def writer(database: Database, channels: Sequence[str], payload: Callable[[int], str] = str) -> Iterator[Any]:
    """NOTIFY on the channels in turn, as fast as it goes, until the end; a connection that is lost is opened anew."""
    stop = threading.Event()
    sent: list[int] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            with contextlib.suppress(psycopg2.Error), closing(psycopg2.connect(database.dsn)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not stop.is_set():
                        channel = channels[number % len(channels)]
                        cursor.execute("select pg_notify(%s, %s)", (channel, payload(number)))
                        sent.append(number)
                        number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


@contextmanager
def port_kept(server: embedded.Server) -> Iterator[None]:
    """Whatever starts it again starts it on the same port."""
    server._port_asked = server.port
    try:
        yield
    finally:
        if server.pid is None:
            server.start()
        server._port_asked = None


def listen_address(server: Server, channel: str) -> str:
    return server.address("listen/") + quote(channel, safe="")


@asynccontextmanager
async def raw(server: Server, channel: str, **options: Any) -> AsyncIterator[websockets.ClientConnection]:
    async with websockets.connect(listen_address(server, channel), compression=None, **options) as relay:
        yield relay


async def received(relay: websockets.ClientConnection) -> Any:
    return await asyncio.wait_for(relay.recv(), PATIENCE)


def get(server: Server, path: str, headers: dict[str, str] | None = None) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of a plain GET. path: as it is written on the wire, from the root."""
    parts = urlsplit(server.url)
    with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


class TestOnAndOff:
    async def test_the_answers(self, shared: tuple[Server, Database]) -> None:
        server, _ = shared
        async with Client(server.address()) as client:
            assert await client.call("rpc.on", "people", "room.7", "nobody", "rpc.on", "", "room.*", "open") == {
                "people": "ok",
                "room.7": "ok",
                "nobody": "not listed",
                "rpc.on": "this name is reserved",
                "": "a channel name cannot be empty",
                "room.*": "this is a pattern; subscribe to exact names",
                "open": "this name is reserved",
            }
            assert await client.call("rpc.on", channels=["people"]) == {"people": "ok"}
            assert await client.call("rpc.on", "people", "people") == {"people": "ok"}
            assert await client.call("rpc.off", "people", "nobody") == {"people": "ok", "nobody": "not subscribed"}
            assert await client.call("rpc.off", "people") == {"people": "not subscribed"}
            assert await client.call("rpc.on") == {}
            for wrong in ({"channel": ["people"]}, {"channels": "people"}, [7], {"channels": ["people"], "more": 1}):
                reply = await client.request("rpc.on", wrong)
                assert reply["error"]["code"] == -32602, wrong

    async def test_after_off_nothing_comes(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        async with Client(server.address()) as client, Client(server.address()) as other:
            for each in (client, other):
                assert await each.call("rpc.on", "people", "room.1") == {"people": "ok", "room.1": "ok"}
            assert await client.call("rpc.off", "people") == {"people": "ok"}
            notify(database, "people", "1")
            notify(database, "room.1", "2")
            assert (await client.event())["method"] == "room.1"
            assert (await other.event())["params"] == {"channel": "people", "payload": "1"}
            assert await client.call("rpc.on", "people") == {"people": "ok"}
            notify(database, "people", "3")
            assert (await client.event())["params"]["payload"] == "3"

    async def test_in_a_batch_the_answer_comes_before_the_events(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        with writer(database, ["room.b"]):
            for _ in range(10):
                async with websockets.connect(server.address(), max_queue=None) as connection:
                    batch = [
                        {"jsonrpc": "2.0", "method": "rpc.on", "params": ["room.b"], "id": 1},
                        {"jsonrpc": "2.0", "method": "doze", "params": [0.01], "id": 2},
                    ]
                    await connection.send(json.dumps(batch))
                    first = json.loads(await received(connection))
                    assert isinstance(first, list)
                    assert {reply["id"]: reply["result"] for reply in first} == {1: {"room.b": "ok"}, 2: "awake"}
                    assert json.loads(await received(connection))["method"] == "room.b"


class TestPayloads:
    async def test_as_they_are(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        large = json.dumps({"k": "x" * 7990})
        assert len(large) == 7999 or len(large) > 7990
        payloads = {
            "": "",
            "plain": "plain",
            "null": "null",
            "7": "7",
            '"quoted"': '"quoted"',
            '{"a": 1.10}': {"a": 1.1},
            " \n[1, 2]": [1, 2],
            "{broken": "{broken",
            '{"a": NaN}': '{"a": NaN}',
            "[" * 5000: "[" * 5000,
            'ü☃𝄞\u2028\x01\x7f\\"\t\r\n': 'ü☃𝄞\u2028\x01\x7f\\"\t\r\n',
            "x" * 7999: "x" * 7999,
            "☃" * 2666: "☃" * 2666,
        }
        async with Client(server.address()) as client, raw(server, "people") as relay:
            await client.call("rpc.on", "people")
            notify(database, "people", *payloads)
            for payload, expected in payloads.items():
                event = await client.event()
                assert event == {
                    "jsonrpc": "2.0",
                    "method": "people",
                    "params": {"channel": "people", "payload": expected},
                }
                assert await received(relay) == payload

    async def test_json_is_not_rewritten(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        exact = '{"n": 12345678901234567890.123456789012345678, "n": 1e400, "s": "\\u00e4\\/"}'
        async with websockets.connect(server.address()) as connection:
            await connection.send('{"jsonrpc":"2.0","method":"rpc.on","params":["people"],"id":1}')
            await received(connection)
            notify(database, "people", exact)
            assert exact in await received(connection)

    async def test_the_rule_of_the_channel(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        async with Client(server.address()) as client:
            await client.call("rpc.on", "text", "json")
            for channel, payload, expected in (
                ("text", '{"a":1}', '{"a":1}'),
                ("json", '{"a":1}', {"a": 1}),
                ("json", "7", 7),
                ("json", "null", None),
                ("json", '"s"', "s"),
                ("json", "not json", "not json"),
                ("json", "", ""),
            ):
                notify(database, channel, payload)
                assert (await client.event())["params"] == {"channel": channel, "payload": expected}


class TestNames:
    async def test_whatever_postgresql_can_name(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        async with Client(server.address()) as client:
            assert await client.call("rpc.on", *NAMES) == dict.fromkeys(NAMES, "ok")
            for name in NAMES:
                notify(database, name, "x")
                event = await client.event()
                assert (event["method"], event["params"]["channel"]) == (name, name)
            # Exactly this name: PostgreSQL folds unquoted ones to small letters.
            database.execute("notify mixed; notify people, 'small'")
            await client.call("rpc.on", "people")
            database.execute("notify PEOPLE, 'folded'")
            assert (await client.event())["params"]["payload"] == "folded"

    async def test_globs_and_limits(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        too_long = "room." + "x" * 59
        asked = ["room.", "room.a", "room.a.b", "deep.a.b", "deep.", "deepa", "Room.a", "room.\n", too_long,
                 "room.a\0b", "room." + "x" * 58]  # fmt: skip
        async with Client(server.address()) as client:
            assert await client.call("rpc.on", *asked) == {
                "room.": "ok",
                "room.a": "ok",
                "room.a.b": "not listed",
                "deep.a.b": "ok",
                "deep.": "ok",
                "deepa": "not listed",
                "Room.a": "not listed",
                "room.\n": "ok",
                too_long: "the name has 64 bytes; PostgreSQL's limit is 63",
                "room.a\0b": "a channel name cannot hold the character NUL",
                "room." + "x" * 58: "ok",
            }
            notify(database, "room." + "x" * 58, "longest")
            assert (await client.event())["params"]["payload"] == "longest"


class TestOrder:
    async def test_each_channel_keeps_its_order_under_load(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        channels = ["room.x", "room.y", "deep.z"]
        each = 334

        def write(channel: str) -> None:
            notify(database, channel, *map(str, range(each)))

        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(server.address())) for _ in range(20)]
            relays = [await stack.enter_async_context(raw(server, channel)) for channel in channels]
            for client in clients:
                assert await client.call("rpc.on", *channels) == dict.fromkeys(channels, "ok")
            await asyncio.gather(*(asyncio.to_thread(write, channel) for channel in channels))
            for client in clients:
                heard: dict[str, list[str]] = {channel: [] for channel in channels}
                for _ in range(each * len(channels)):
                    params = (await client.event())["params"]
                    heard[params["channel"]].append(params["payload"])
                assert heard == {channel: list(map(str, range(each))) for channel in channels}
                assert client.events.empty()
            for relay in relays:
                assert [await received(relay) for _ in range(each)] == list(map(str, range(each)))

    async def test_ok_comes_before_the_first_event_in_a_storm(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        channels = [f"room.s{i}" for i in range(5)]

        async def subscribe(turn: int) -> None:
            async with websockets.connect(server.address(), compression=None, max_queue=None) as connection:
                name = channels[turn % len(channels)]
                await connection.send(f'{{"jsonrpc":"2.0","method":"rpc.on","params":["{name}"],"id":1}}')
                assert json.loads(await received(connection)).get("result") == {name: "ok"}
                numbers = [int(json.loads(await received(connection))["params"]["payload"]) for _ in range(5)]
                first = numbers[0]
                assert numbers == list(range(first, first + 25, 5))  # none is missing after the first

        with writer(database, channels):
            for start in range(0, 60, 20):
                await asyncio.gather(*(subscribe(turn) for turn in range(start, start + 20)))

    async def test_ok_comes_first_where_listen_and_notify_arrive_together(
        self, database: Database, tmp_path: Path
    ) -> None:
        async with Proxy(database.server.port) as proxy:
            folder = tmp_path
            rest = f"database: {{dsn: '${{TEST_DSN}}', listen_dsn: '{proxy.dsn(database.dsn)}'}}\n" + CHANNELS
            async with in_thread(folder, database.dsn, rest) as server, contextlib.AsyncExitStack() as stack:
                for turn in range(40):
                    name = f"room.{turn}"
                    # They stay open: an UNLISTEN's answer would be held as well.
                    connection = await stack.enter_async_context(websockets.connect(server.address(), compression=None))
                    proxy.hold()
                    await connection.send(f'{{"jsonrpc":"2.0","method":"rpc.on","params":["{name}"],"id":1}}')
                    await proxy.until(lambda: b"LISTEN\0" in proxy.held and b"Z\0\0\0\5I" in proxy.held)
                    notify(database, name, "first", "second")
                    await proxy.until(lambda name=name: f"{name}\0second\0".encode() in proxy.held)  # type: ignore[misc]
                    proxy.release()
                    got = [json.loads(await received(connection)) for _ in range(3)]
                    assert got[0]["result"] == {name: "ok"}
                    assert [event["params"]["payload"] for event in got[1:]] == ["first", "second"]

    async def test_listen_and_unlisten_follow_the_subscribers(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        pattern = r'((?:un)?listen) "(people|room\.[^"]*)"'
        async with Proxy(embedded_database.server.port) as proxy:
            rest = f"database: {{dsn: '${{TEST_DSN}}', listen_dsn: '{proxy.dsn(embedded_database.dsn)}'}}\n" + CHANNELS
            async with in_thread(tmp_path, embedded_database.dsn, rest) as server:
                async with Client(server.address()) as first:
                    await first.call("rpc.on", "people", "room.1")
                    async with Client(server.address()) as second, raw(server, "people"):
                        await second.call("rpc.on", "people")
                        await second.call("rpc.off", "people")
                    await first.call("rpc.on", "room.2")  # behind whatever the others' end led to
                    assert proxy.statements(pattern) == [
                        ("listen", "people"),
                        ("listen", "room.1"),
                        ("listen", "room.2"),
                    ]
                    await first.call("rpc.off", "room.1")
                    await proxy.until(lambda: ("unlisten", "room.1") in proxy.statements(pattern))
                await proxy.until(lambda: len(proxy.statements(pattern)) == 6)
                assert sorted(proxy.statements(pattern)[3:]) == [
                    ("unlisten", "people"), ("unlisten", "room.1"), ("unlisten", "room.2"),
                ]  # fmt: skip
                async with Client(server.address()) as again:
                    assert await again.call("rpc.on", "people") == {"people": "ok"}
                    notify(embedded_database, "people", "x")
                    assert (await again.event())["params"]["payload"] == "x"


@asynccontextmanager
async def in_thread(folder: Path, dsn: str, rest: str, **options: Any) -> AsyncIterator[Server]:
    """`serving`, begun and ended beside this event loop, in which the proxy lives that the server connects to."""
    context = serving(folder, dsn, rest, **options)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    except BaseException:
        await asyncio.to_thread(context.__exit__, *sys.exc_info())
        raise
    await asyncio.to_thread(context.__exit__, None, None, None)


class TestRelay:
    async def test_payloads_are_verbatim(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        async with raw(server, "people") as relay:
            notify(database, "people", "", '{"a":  1}', "ü")
            assert [await received(relay) for _ in range(3)] == ["", '{"a":  1}', "ü"]
            await relay.send("its words are ignored")
            await relay.send(b"\xff")
            notify(database, "people", "still here")
            assert await received(relay) == "still here"

    async def test_names_are_percent_encoded(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        for name in (*NAMES, "deep.a/b", "deep. ", "deep.+", "deep.?#&"):
            async with raw(server, name) as relay:
                notify(database, name, "x")
                assert await received(relay) == "x"

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("nobody", "requested channel 'nobody' is not listed"),
            ("room.a.b", "requested channel 'room.a.b' is not listed"),
            ("", "requested channel '' is refused: a channel name cannot be empty"),
            (
                "room." + "x" * 59,
                f"requested channel 'room.{'x' * 59}' is refused: the name has 64 bytes; PostgreSQL's limit is 63",
            ),
            ("room.%00", "requested channel 'room.\\0' is refused: a channel name cannot hold the character NUL"),
            ("room.*", "requested channel 'room.*' is refused: this is a pattern; subscribe to exact names"),
        ],
    )
    def test_what_cannot_be_heard_is_refused_before_the_upgrade(
        self, shared: tuple[Server, Database], path: str, words: str
    ) -> None:
        for headers in ({}, UPGRADE):
            status, body, got = get(shared[0], f"/listen/{path}", headers)
            assert (status, body) == (403, words)
            assert got["content-type"] == "text/plain; charset=utf-8"

    def test_a_name_that_is_not_utf8_is_refused(self, shared: tuple[Server, Database]) -> None:
        status, body, _ = get(shared[0], "/listen/room.%ff", UPGRADE)
        assert status == 403
        assert "surrogate" in body or "UTF-8" in body

    def test_without_an_upgrade(self, shared: tuple[Server, Database]) -> None:
        for path in ("/listen/people", "/rpc"):
            status, _, _ = get(shared[0], path)
            assert status == 400
            status, _, _ = get(shared[0], path, {**UPGRADE, "Sec-WebSocket-Version": "8"})
            assert status == 426

    async def test_clients_that_leave_before_the_upgrade_leave_nothing(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        async with Proxy(embedded_database.server.port) as proxy:
            rest = f"database: {{dsn: '${{TEST_DSN}}', listen_dsn: '{proxy.dsn(embedded_database.dsn)}'}}\n" + CHANNELS
            async with in_thread(tmp_path, embedded_database.dsn, rest) as server:
                proxy.hold()
                lines = "".join(f"{key}: {value}\r\n" for key, value in UPGRADE.items())
                parts = urlsplit(server.url)
                for reset in (False, True):
                    plain = socket.create_connection((str(parts.hostname), parts.port))
                    plain.sendall(
                        f"GET /listen/room.gone{reset} HTTP/1.1\r\nHost: {parts.netloc}\r\n{lines}\r\n".encode()
                    )
                    await proxy.until(lambda: b'listen "room.gone' in proxy.sent)
                    if reset:
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    plain.close()
                status, _, _ = await asyncio.to_thread(get, server, "/health/live")
                assert status == 200
                proxy.release()
                # One that was given up before its LISTEN was sent needs no UNLISTEN.
                await proxy.until(
                    lambda: (
                        bool(given_up := proxy.statements(r'unlisten "room\.gone(\w+)"'))
                        and set(given_up) == set(proxy.statements(r'\blisten "room\.gone(\w+)"'))
                    )
                )
                async with raw(server, "people") as relay:
                    notify(embedded_database, "people", "x")
                    assert await received(relay) == "x"
                # `serving` looks for tracebacks in the log.


class TestAddresses:
    async def test_rpc_is_also_at_the_root(self, shared: tuple[Server, Database]) -> None:
        server, database = shared
        assert get(server, "/")[2]["content-type"].startswith("text/html")
        async with Client(server.address("")) as client:
            assert await client.call("echo", "x") == "x"
            await client.call("rpc.on", "people")
            notify(database, "people", "y")
            assert (await client.event())["params"]["payload"] == "y"

    def test_health(self, shared: tuple[Server, Database]) -> None:
        server, _ = shared
        assert get(server, "/health/live")[:2] == (200, "ok\n")
        status, body, _ = get(server, "/health/ready")
        assert (status, json.loads(body)) == (200, {"ready": True})
        assert get(server, "/nothing")[0] == 404
        assert get(server, "/rpc/")[0] == 404

    async def test_origins(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = "server: {port: 0, allowed_origins: ['https://app.example.com']}\n" + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            host = urlsplit(server.url).netloc
            for path in ("rpc", "", "listen/people"):
                for origin in (f"http://{host}", "https://app.example.com", "https://APP.example.com", None):
                    async with websockets.connect(server.address(path), origin=origin):  # type: ignore[arg-type]
                        pass
                for origin in (
                    "https://evil.example.com",
                    "http://app.example.com",
                    "https://app.example.com:444",
                    "https://app.example.com.evil.com",
                    f"http://{host}0",
                    "null",
                ):
                    with pytest.raises(websockets.InvalidStatus) as caught:
                        await websockets.connect(server.address(path), origin=origin)  # type: ignore[arg-type]
                    assert caught.value.response.status_code == 403, origin
                with pytest.raises(websockets.InvalidStatus):
                    await websockets.connect(
                        server.address(path),
                        origin=f"http://{host}",  # type: ignore[arg-type]
                        additional_headers={"Sec-Fetch-Site": "cross-site"},
                    )

    async def test_base_path(self, embedded_database: Database, tmp_path: Path) -> None:
        prepare(embedded_database)
        rest = "server: {port: 0, base_path: /api/v1/}\n" + FUNCTIONS + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            assert server.url.endswith("/api/v1/")
            for path in ("rpc", ""):
                async with Client(server.address(path)) as client:
                    assert await client.call("echo", "x") == "x"
            async with raw(server, "people") as relay:
                notify(embedded_database, "people", "y")
                assert await received(relay) == "y"
            assert get(server, "/api/v1/health/ready")[0] == 200
            status, _, headers = get(server, "/api/v1")
            assert (status, headers["location"]) == (302, "/api/v1/")
            for path in ("/", "/rpc", "/health/live", "/listen/people", "/api/v1x/"):
                assert get(server, path)[0] == 404


class TestSlowConsumers:
    async def test_a_client_that_does_not_read_is_closed_and_the_others_go_on(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        rest = "limits: {send_buffer: 256KiB}\n" + CHANNELS
        count = 2500
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            async with Client(server.address()) as good, raw(server, "people", max_queue=None) as good_relay:
                slow = []
                for path in ("rpc", "listen/people"):
                    each = await websockets.connect(server.address(path), compression=None)
                    if path == "rpc":
                        await each.send('{"jsonrpc":"2.0","method":"rpc.on","params":["people"],"id":1}')
                        await received(each)
                    each.transport.pause_reading()
                    slow.append(each)
                await good.call("rpc.on", "people")
                before = memory(server)
                # 20 MB: more than the kernel takes for a socket that is not read.
                await asyncio.to_thread(
                    notify, embedded_database, "people", *(f"{i}:" + "x" * 7900 for i in range(count))
                )
                for i in range(count):
                    assert (await good.event())["params"]["payload"].startswith(f"{i}:")
                    assert (await received(good_relay)).startswith(f"{i}:")
                server.wait_for("reads too slowly")
                assert memory(server) - before < 30 << 20
                for each in slow:
                    each.transport.resume_reading()
                    with contextlib.suppress(websockets.ConnectionClosed):
                        async for _ in each:
                            pass
                    assert each.close_code in (4408, 1006)
                assert await good.call("rpc.on", "people") == {"people": "ok"}
                assert get(server, "/health/ready")[0] == 200


def memory(server: Server) -> int:
    """Resident, in bytes."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class TestTheDatabaseIsAway:
    async def test_at_start_and_all_works_when_it_comes(self, database: Database, tmp_path: Path) -> None:
        prepare(database)
        rest = "limits: {batch: 2000, message_size: 1MiB}\n" + FUNCTIONS + CHANNELS
        with port_kept(database.server):
            database.server.stop()
            with serving(tmp_path, database.dsn, rest, ready=False) as server:
                server.wait_for("the database is unavailable")
                server.wait_for("no LISTEN connection")
                assert get(server, "/health/live")[0] == 200
                status, body, _ = get(server, "/health/ready")
                assert status == 503
                ready = json.loads(body)
                assert ready["ready"] is False
                assert set(ready) == {"ready", "database", "listener"}
                assert (
                    ready["database"] == ready["listener"] == "unavailable"
                )  # why is for the log: it may hold parts of the DSN
                async with Client(server.address()) as client:
                    before = time.monotonic()
                    with pytest.raises(RpcError) as caught:
                        await client.call("echo", "x")
                    assert caught.value.code == -32001
                    assert caught.value.data == {"retry_after": 1}
                    assert "unavailable" in (await client.call("rpc.on", "people"))["people"]
                    assert time.monotonic() - before < 1
                    batch = [{"jsonrpc": "2.0", "method": "echo", "params": ["x"], "id": i} for i in range(1500)]
                    await client.send(json.dumps(batch))
                    replies = json.loads(await client.frame())
                    assert {reply["error"]["code"] for reply in replies} == {-32001}
                    assert len(replies) == 1500
                    assert get(server, "/listen/people", UPGRADE)[0] == 503
                    database.server.start()
                    server.wait_for("connected to the database")
                    server.wait_for("LISTEN connection open")
                    await until_ready(server)
                    assert await client.call("echo", "x") == "x"
                    assert await client.call("rpc.on", "people") == {"people": "ok"}
                    notify(database, "people", "y")
                    assert (await client.event())["params"]["payload"] == "y"

    async def test_a_batch_whose_waiting_members_are_refused_at_once(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        """The functions are known: each refusal starts the next waiting member, which is refused at once as well."""
        prepare(embedded_database)
        rest = "limits: {batch: 2000, message_size: 1MiB}\n" + FUNCTIONS
        with port_kept(embedded_database.server), serving(tmp_path, embedded_database.dsn, rest) as server:
            embedded_database.server.stop()
            server.wait_for("the database is unavailable")
            async with Client(server.address()) as client:
                batch = [{"jsonrpc": "2.0", "method": "echo", "params": ["x"], "id": i} for i in range(1500)]
                await client.send(json.dumps(batch))
                replies = json.loads(await client.frame())
                assert {reply["error"]["code"] for reply in replies} == {-32001}
                assert sorted(reply["id"] for reply in replies) == list(range(1500))

    def test_a_wrong_password_is_said_in_words_and_never_shown(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        right = urlsplit(embedded_database.dsn).password
        dsn = embedded_database.dsn.replace(str(right), "hunter2secret")
        with serving(tmp_path, dsn, CHANNELS, ready=False) as server:
            server.wait_for("the database is unavailable.*password authentication failed")
            server.wait_for("no LISTEN connection.*password authentication failed")
            assert "hunter2secret" not in server.log
            body = get(server, "/health/ready")[1]
            assert "hunter2secret" not in body

    async def test_a_restart_is_told_as_a_gap_before_anything_newer(self, database: Database, tmp_path: Path) -> None:
        prepare(database)
        with port_kept(database.server), serving(tmp_path, database.dsn, FUNCTIONS + CHANNELS) as server:
            async with Client(server.address()) as client, raw(server, "people") as relay:
                await client.call("rpc.on", "people", "room.1")
                notify(database, "people", "before")
                assert (await client.event())["params"]["payload"] == "before"
                assert await received(relay) == "before"
                mark = len(server.log)
                database.server.stop()
                server.wait_for("no LISTEN connection", after=mark)
                assert client.events.empty()
                # Asked while it is away: a reason at once, also on a channel that others wait to hear again.
                async with Client(server.address()) as late:
                    assert "unavailable" in (await late.call("rpc.on", "people"))["people"]
                assert await client.call("rpc.on", "people") == {"people": "ok"}
                with pytest.raises(RpcError) as caught:
                    await client.call("echo", "x")
                assert caught.value.code == -32001
                with writer(database, ["people"]) as sent:
                    database.server.start()
                    server.wait_for("LISTEN connection open", after=mark)
                    first = await client.event()
                    assert first["method"] == "rpc.gap"
                    assert sorted(first["params"]["channels"]) == ["people", "room.1"]
                    assert first["params"]["reason"]
                    numbers = [int((await client.event())["params"]["payload"]) for _ in range(20)]
                assert numbers == list(range(numbers[0], numbers[0] + 20))
                assert sent
                with pytest.raises(websockets.ConnectionClosed):
                    await received(relay)
                assert relay.close_code == 1012
                server.wait_for("connected to the database", after=mark)
                assert await client.call("echo", "x") == "x"
                assert await client.call("rpc.off", "room.1") == {"room.1": "ok"}

    async def test_the_listeners_backend_is_terminated_again_and_again(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        with serving(tmp_path, embedded_database.dsn, CHANNELS) as server:
            async with Client(server.address()) as client:
                await client.call("rpc.on", "people")
                for turn in range(3):
                    mark = len(server.log)
                    embedded_database.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where datname = current_database() and pid <> pg_backend_pid() and query ilike '%listen%'"
                    )
                    server.wait_for("LISTEN connection open", after=mark)
                    assert (await client.event())["method"] == "rpc.gap"
                    notify(embedded_database, "people", str(turn))
                    assert (await client.event())["params"]["payload"] == str(turn)

    async def test_a_connection_that_is_lost_while_the_functions_are_read(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        """At start as later: the server tries again."""
        prepare(embedded_database)
        cuts = 0

        def cut(data: bytes) -> bool:
            nonlocal cuts
            cuts += b"pg_proc" in data
            return b"pg_proc" in data and cuts <= 2

        async with (
            Proxy(embedded_database.server.port, on_sent=cut) as proxy,
            in_thread(tmp_path, proxy.dsn(embedded_database.dsn), FUNCTIONS + CHANNELS) as server,
        ):
            await until_ready(server)
            assert cuts > 2
            async with Client(server.address()) as client:
                assert await client.call("echo", "x") == "x"

    async def test_a_database_that_hangs_stops_nobody_who_does_not_need_it(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        """A cancel that is not answered must not stop the whole process, nor keep it from ending."""
        prepare(embedded_database)
        with serving(
            tmp_path, embedded_database.dsn, "database: {dsn: '${TEST_DSN}', statement_timeout: 1s}\n" + FUNCTIONS
        ) as server:
            async with Client(server.address()) as client:
                await client.call("echo", "x")
                await client.send('{"jsonrpc":"2.0","method":"doze","params":[60],"id":"slow"}')
                await client.call("echo", "x")
                postmaster = embedded_database.server.pid
                assert postmaster
                os.kill(postmaster, signal.SIGSTOP)
                try:
                    await client.send('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"slow"}}')
                    for _ in range(20):
                        assert await client.call("echo", "x") == "x"
                    assert (await asyncio.to_thread(get, server, "/health/live"))[0] == 200
                    server.process.terminate()
                    assert await asyncio.to_thread(server.process.wait, 25) == 0
                finally:
                    os.kill(postmaster, signal.SIGCONT)


async def until_ready(server: Server) -> None:
    """Nothing announces it."""
    async with asyncio.timeout(PATIENCE):
        while (await asyncio.to_thread(get, server, "/health/ready"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pgbouncer.needed
class TestTransactionPooler:
    async def test_the_log_says_that_no_events_come_through_it_and_calls_work(
        self, database: Database, tmp_path: Path
    ) -> None:
        prepare(database)
        with (
            pgbouncer.pgbouncer(database.dsn, tmp_path) as pooled,
            serving(tmp_path, pooled, FUNCTIONS + CHANNELS, ready=False) as server,
        ):
            server.wait_for("connected to the database")
            async with Client(server.address()) as client:
                assert await asyncio.gather(*(client.call("echo", str(i)) for i in range(30))) == list(
                    map(str, range(30))
                )
                assert sorted(await asyncio.gather(*(client.call("hit") for _ in range(30)))) == list(range(1, 31))
                server.wait_for("no LISTEN connection.*transaction pooler.*database.listen_dsn", patience=15)
                assert "unavailable" in (await client.call("rpc.on", "people"))["people"]
            status, body, _ = get(server, "/health/ready")
            assert status == 503
            assert json.loads(body)["listener"] == "unavailable"

    async def test_with_a_direct_listen_dsn_all_works(self, embedded_database: Database, tmp_path: Path) -> None:
        prepare(embedded_database)
        with pgbouncer.pgbouncer(embedded_database.dsn, tmp_path) as pooled:
            rest = "database: {dsn: '${TEST_DSN}', listen_dsn: '${DIRECT}', statement_timeout: 500ms}\n"
            environ = {"DIRECT": embedded_database.dsn}
            with serving(tmp_path, pooled, rest + FUNCTIONS + CHANNELS, environ=environ) as server:
                async with Client(server.address()) as client:
                    assert await client.call("rpc.on", "people") == {"people": "ok"}
                    notify(embedded_database, "people", "x")
                    assert (await client.event())["params"]["payload"] == "x"
                    assert await client.call("echo", "x") == "x"
                    with pytest.raises(RpcError) as caught:
                        await client.call("doze", 30)
                    assert caught.value.code == -32002
                    await client.send('{"jsonrpc":"2.0","method":"doze","params":[30],"id":"slow"}')
                    await client.call("echo", "x")
                    await client.send('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"slow"}}')
                    assert json.loads(await client.frame())["error"]["code"] in (-32800, -32002)
                    assert await client.call("echo", "x") == "x"
                assert get(server, "/health/ready")[0] == 200


class TestStopping:
    async def test_calls_in_flight_end_and_sockets_are_closed_with_1012(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        prepare(embedded_database)
        with serving(tmp_path, embedded_database.dsn, FUNCTIONS + CHANNELS) as server:
            async with Client(server.address()) as client, raw(server, "people") as relay:
                call = asyncio.create_task(client.call("doze", 0.5))
                assert await client.call("echo", "x") == "x"
                server.process.terminate()
                server.wait_for("stopping: SIGTERM")
                with pytest.raises(RpcError) as caught:
                    await client.call("echo", "late")
                assert caught.value.code == -32001
                with pytest.raises(OSError):  # noqa: PT011 - refused
                    get(server, "/health/live")
                assert await call == "awake"
                assert await client.closed() == 1012
                with pytest.raises(websockets.ConnectionClosed):
                    await received(relay)
                assert relay.close_code == 1012
            assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0

    async def test_large_replies_are_sent_before_the_close(self, embedded_database: Database, tmp_path: Path) -> None:
        embedded_database.execute(
            "create function big(n int) returns text stable language sql as "
            "$$ select repeat('x', n) from pg_sleep(0.3) $$"
        )
        with serving(tmp_path, embedded_database.dsn, "functions: {big: }\n") as server:
            async with Client(server.address()) as client:
                size = 8 << 20
                calls = [asyncio.create_task(client.call("big", size)) for _ in range(4)]
                await asyncio.sleep(0)
                with pytest.raises(RpcError):
                    await client.call("none")  # the server has got the others
                server.process.terminate()
                assert [len(await call) for call in calls] == [size] * 4
                assert await client.closed() == 1012
            assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0

    async def test_a_second_signal_ends_it_at_once(self, embedded_database: Database, tmp_path: Path) -> None:
        prepare(embedded_database)
        with serving(tmp_path, embedded_database.dsn, FUNCTIONS) as server:
            async with Client(server.address()) as client:
                call = asyncio.create_task(client.call("doze", 60))
                assert await client.call("echo", "x") == "x"
                server.process.send_signal(signal.SIGTERM)
                server.wait_for("stopping: SIGTERM")
                before = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.process.wait, PATIENCE)
                assert time.monotonic() - before < 2
                await asyncio.gather(call, return_exceptions=True)

    def test_a_port_that_is_taken(self, embedded_database: Database, tmp_path: Path) -> None:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            file = tmp_path / "config.yaml"
            file.write_text(f"database: {{dsn: '${{TEST_DSN}}'}}\nserver: {{port: {port}}}\n")
            ended = subprocess.run(
                [sys.executable, str(ROOT / "server.py"), "--config", str(file)],
                env={**os.environ, "TEST_DSN": embedded_database.dsn},
                capture_output=True,
                text=True,
                timeout=30,
            )
        assert ended.returncode == 71
        assert str(port) in ended.stderr
        assert "Traceback" not in ended.stderr
