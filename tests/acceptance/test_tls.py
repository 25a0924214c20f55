"""https and wss: a real server, real certificates."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import websockets

from tests.support import certificates
from tests.support.databases import Database
from tests.support.pgrpc_server import Server, serving
from tests.support.ws_client import PATIENCE, Client

REST = """
server: {port: 0, tls: {certificate: localhost.pem, key: localhost.key}}
functions: {add: }
channels: {people: }
"""


@contextmanager
def secured(database: Database, folder: Path, limits: str = "send_buffer: 16MiB") -> Iterator[Server]:
    certificates.make(folder)
    database.execute("create function add(a int, b int) returns int language sql immutable as 'select a + b'")
    with serving(folder, database.dsn, f"{REST}limits: {{{limits}}}\n") as server:
        yield server


def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def port(server: Server) -> int:
    found = urlsplit(server.url).port
    assert found is not None
    return found


async def test_https_and_wss(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusted = trust(tmp_path / "localhost.pem")
        assert (await asyncio.to_thread(urlopen, server.url, context=trusted)).status == 200
        async with Client(server.address(), ssl=trusted, origin=server.url.rstrip("/")) as client:
            assert await client.call("add", 1, 2) == 3
            assert await client.call("rpc.on", "people") == {"people": "ok"}
            embedded_database.execute("notify people, 'x'")
            assert (await client.event())["params"] == {"channel": "people", "payload": "x"}
        trusted.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("localhost", port(server), ssl=trusted)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.close()


async def test_pages_without_tls_are_another_origin(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path) as server:
        plain = f"http://127.0.0.1:{port(server)}"
        with pytest.raises(websockets.InvalidStatus, match="403"):
            await Client(server.address(), ssl=trust(tmp_path / "localhost.pem"), origin=plain).__aenter__()
        await asyncio.to_thread(server.wait_for, r"refused 127.0.0.1: the origin 'http://127.0.0.1:\d+' is not listed")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_older_tls_is_refused(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path) as server:
        old = trust(tmp_path / "localhost.pem")
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", port(server), ssl=old)


async def test_sighup_gives_new_connections_the_new_certificate(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path) as server:
        old = trust(tmp_path / "localhost.pem")
        async with Client(server.address(), ssl=old) as before:
            new = trust(certificates.make(tmp_path)[0])
            server.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(server.wait_for, "reloaded the certificate")
            async with Client(server.address(), ssl=new) as after:
                assert await after.call("add", 1, 2) == 3
            with pytest.raises(ssl.SSLCertVerificationError):
                await Client(server.address(), ssl=old).__aenter__()
            assert await before.call("add", 1, 2) == 3


async def test_a_broken_pair_is_told_and_the_old_one_kept(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path) as server:
        trusted = trust(tmp_path / "localhost.pem")
        shutil.copy(certificates.make(tmp_path, "other")[0], tmp_path / "localhost.pem")
        server.process.send_signal(signal.SIGHUP)
        words = "could not reload the certificate, .*: the key does not match the certificate"
        await asyncio.to_thread(server.wait_for, words)
        async with Client(server.address(), ssl=trusted) as client:
            assert await client.call("add", 1, 2) == 3


async def test_sighup_does_not_end_a_server_without_tls(embedded_database: Database, tmp_path: Path) -> None:
    with serving(tmp_path, embedded_database.dsn, "channels: {people: }\n") as server:
        async with Client(server.address()) as client:
            server.process.send_signal(signal.SIGHUP)
            assert await client.call("rpc.on", "people") == {"people": "ok"}
            assert server.process.poll() is None


async def test_who_does_not_speak_tls_is_let_go_without_a_word(embedded_database: Database, tmp_path: Path) -> None:
    with secured(embedded_database, tmp_path, "handshake_timeout: 1s") as server:
        for said in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
            writer.write(said)
            try:
                async with asyncio.timeout(PATIENCE):  # a silent one after limits.handshake_timeout
                    await reader.read()
            except ConnectionError:
                pass
            writer.close()
        # It has sent something, and is gone before it was accepted.
        os.kill(server.process.pid, signal.SIGSTOP)
        for _ in range(3):
            gone = socket.create_connection(("127.0.0.1", port(server)))
            gone.sendall(b"hello")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
        os.kill(server.process.pid, signal.SIGCONT)
        async with Client(server.address(), ssl=trust(tmp_path / "localhost.pem")) as client:
            assert await client.call("add", 1, 2) == 3
        assert "SSL" not in server.told
        assert "rror" not in server.told


async def test_fan_out_is_complete_and_in_order_beside_a_client_that_reads_late(
    embedded_database: Database, tmp_path: Path
) -> None:
    count = 400
    with secured(embedded_database, tmp_path) as server:
        trusted = trust(tmp_path / "localhost.pem")

        async def hear(client: Client) -> list[int]:
            return [(await client.event())["params"]["payload"]["number"] for _ in range(count)]

        async with (
            Client(server.address(), ssl=trusted) as first,
            Client(server.address(), ssl=trusted) as second,
            Client(server.address(), ssl=trusted) as slow,
        ):
            for client in (first, second, slow):
                assert await client.call("rpc.on", "people") == {"people": "ok"}
            slow.socket.transport.pause_reading()
            filling = "x" * 7000
            statement = f"""do $do$ begin for i in 1..{count} loop
                perform pg_notify('people', json_build_object('number', i, 'filling', '{filling}')::text);
            end loop; end $do$"""
            await asyncio.to_thread(embedded_database.execute, statement)
            assert await hear(first) == await hear(second) == list(range(1, count + 1))
            slow.socket.transport.resume_reading()
            assert await hear(slow) == list(range(1, count + 1))
