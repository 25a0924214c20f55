"""Whose request it is and whether it is for us: proxies, origins and hosts, on a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.databases import Database
from tests.support.pgrpc_server import Server, serving
from tests.support.ws_client import PATIENCE, Client, RpcError

CHANNELS = "channels: {people: }\n"


@contextlib.asynccontextmanager
async def asked(server: Server, path: str = "rpc", **headers: str) -> AsyncIterator[int]:
    """The status of a request for a WebSocket, which stays open meanwhile."""
    address = urlsplit(server.url)
    sent = {
        "Host": address.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"GET {address.path}{path} HTTP/1.1\r\n{lines}\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), PATIENCE)
        yield int(status.split()[1])
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def status(server: Server, path: str = "rpc", **headers: str) -> int:
    async with asked(server, path, **headers) as found:
        return found


class TestProxies:
    async def test_clients_of_a_trusted_proxy_are_told_apart(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = (
            "server: {port: 0, trusted_proxies: [127.0.0.1, 10.0.0.0/8]}\n"
            "limits: {connections_per_address: 1}\n" + CHANNELS
        )
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            async with (
                asked(server, X_Forwarded_For="198.51.100.7") as first,
                asked(server, X_Forwarded_For="198.51.100.8, 10.1.1.1") as second,
                asked(server, "listen/people", Forwarded='for="[2001:db8::1]:4711"') as third,
                asked(server) as proxy,
            ):
                assert (first, second, third, proxy) == (101, 101, 101, 101)
                for again in ("198.51.100.7", "203.0.113.9, 198.51.100.7", "198.51.100.8:99, 10.1.1.1, 10.2.2.2"):
                    assert await status(server, X_Forwarded_For=again) == 503
                assert await status(server, Forwarded="for=203.0.113.9, for=198.51.100.7") == 503
                # Two stories: the proxy's own address counts.
                assert await status(server, X_Forwarded_For="203.0.113.1", Forwarded="for=203.0.113.2") == 503
                assert await status(server, X_Forwarded_For="203.0.113.1, nonsense") == 503
                assert await status(server, X_Forwarded_For="203.0.113.1") == 101

    async def test_nobody_is_believed_where_none_is_listed(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = "server: {port: 0, trusted_proxies: [10.0.0.0/8]}\nlimits: {connections_per_address: 1}\n" + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            async with asked(server) as first:
                assert first == 101
                assert await status(server, X_Forwarded_For="198.51.100.7", Forwarded="for=198.51.100.7") == 503

    async def test_the_log_names_the_client_and_the_scheme_is_the_proxys(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        rest = "server: {port: 0, trusted_proxies: [127.0.0.1]}\n" + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            own = {"Host": "app.example", "X_Forwarded_For": "198.51.100.7"}
            assert await status(server, **own, Origin="https://app.example", X_Forwarded_Proto="https") == 101
            assert await status(server, **own, Origin="http://app.example", X_Forwarded_Proto="http") == 101
            assert await status(server, **own, Origin="http://app.example", X_Forwarded_Proto="https") == 403
            await asyncio.to_thread(
                server.wait_for, "refused 198.51.100.7: the origin 'http://app.example' is not listed"
            )

    async def test_functions_are_told_the_clients_address(self, embedded_database: Database, tmp_path: Path) -> None:
        embedded_database.execute(
            "create role edge_anon nologin; create function told() returns json stable language sql as "
            "$$ select current_setting('request.headers')::json $$"
        )
        rest = (
            "server: {port: 0, trusted_proxies: [127.0.0.1]}\n"
            "auth: {secret: a-secret-of-the-tests-that-is-long-enough, roles: [], anonymous_role: edge_anon}\n"
            "functions: {told: }\n"
        )
        headers = {"X-Forwarded-For": "6.6.6.6, 198.51.100.7", "X-Real-IP": "6.6.6.6"}
        try:
            with serving(tmp_path, embedded_database.dsn, rest) as server:
                async with Client(server.address(), additional_headers=headers) as client:
                    assert await client.call("told") == {"x-real-ip": "198.51.100.7"}
        finally:
            embedded_database.execute("drop owned by edge_anon; drop role edge_anon")


class TestLogins:
    async def test_an_address_may_not_try_one_token_after_the_other(
        self, embedded_database: Database, tmp_path: Path
    ) -> None:
        rest = (
            "server: {port: 0, trusted_proxies: [127.0.0.1]}\n"
            "auth: {secret: a-secret-of-the-tests-that-is-long-enough, roles: []}\n"
            "limits: {rates: {address: {logins: 3/min}}}\n" + CHANNELS
        )
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            one, other = (
                {"X_Forwarded_For": address, "Authorization": "Bearer a.b.c"}
                for address in ("198.51.100.7", "198.51.100.8")
            )
            found = [await status(server, path, **one) for path in ("rpc", "", "listen/people", "rpc", "rpc")]
            assert found == [401, 401, 401, 429, 429]
            assert await status(server, X_Forwarded_For="198.51.100.7") == 101  # without one, to log in later
            async with Client(server.address(), additional_headers={"X-Forwarded-For": "198.51.100.7"}) as client:
                with pytest.raises(RpcError) as caught:
                    await client.call("rpc.login", "a.b.c")
                assert caught.value.code == -32005
            assert await status(server, "surface.json", **one) == 429
            assert await status(server, **other) == 401
            neighbours = [f"2001:db8:0:1::{part}" for part in range(4)]
            found = [await status(server, X_Forwarded_For=each, Authorization="Bearer a.b.c") for each in neighbours]
            assert found == [401, 401, 401, 429]
            await asyncio.to_thread(server.wait_for, "too many logins from this address")


class TestOrigins:
    async def test_globs(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = 'server: {port: 0, allowed_origins: ["https://*.example.com"]}\n' + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            for path in ("rpc", "", "listen/people"):
                assert await status(server, path, Origin="https://a.example.com") == 101
                assert await status(server, path, Origin="https://a.example.com", Sec_Fetch_Site="cross-site") == 101
                for origin in ("https://a.b.example.com", "https://example.com", "http://a.example.com", "null"):
                    assert await status(server, path, Origin=origin) == 403

    async def test_every_origin_must_be_spelled_out(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = 'server: {port: 0, allowed_origins: ["*"]}\n' + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            for origin in ("https://evil.example", "null"):
                assert await status(server, Origin=origin, Sec_Fetch_Site="cross-site") == 101


class TestHosts:
    """A page whose name was made to lead here (DNS rebinding) asks for its own name, with our port."""

    async def test_on_a_loopback_address(self, embedded_database: Database, tmp_path: Path) -> None:
        with serving(tmp_path, embedded_database.dsn, CHANNELS) as server:
            port = urlsplit(server.url).port
            for path in ("rpc", "listen/people", "surface.json", "nothing"):
                assert (
                    await status(server, path, Host=f"evil.example:{port}", Origin=f"http://evil.example:{port}") == 421
                )
            for host in (f"localhost:{port}", f"app.localhost:{port}", f"[::1]:{port}", "app.example", "app.example:1"):
                assert await status(server, Host=host, Origin=f"http://{host}") == 101
            await asyncio.to_thread(
                server.wait_for, rf"the host name 'evil.example:{port}' is not listed in server.allowed_hosts"
            )

    async def test_listed(self, embedded_database: Database, tmp_path: Path) -> None:
        rest = 'server: {port: 0, host: 0.0.0.0, allowed_hosts: [App.example, "*.app.example"]}\n' + CHANNELS
        with serving(tmp_path, embedded_database.dsn, rest) as server:
            for host in ("app.example", "x.app.example:8443", "127.0.0.1", "192.0.2.7:80"):
                assert await status(server, Host=host) == 101
            for host in ("evil.example", "localhost", "app.example.evil.example"):
                assert await status(server, Host=host) == 421
