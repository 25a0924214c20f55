"""A TCP proxy in front of PostgreSQL: holds bytes back, lets them go together, delays or cuts connections.

Owns what happens on the way between a client and its server. Must not know the client. It lives in the test's event
loop, so what goes through it must not block that loop.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

PATIENCE = 30.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.held = bytearray()


class Proxy:
    """`async with Proxy(port) as proxy:` and connect to `proxy.dsn(dsn)`.

    sent: all that clients have sent. held: what of the servers' answers is held back now. dialled: how many clients
    have connected. on_sent: told of each piece that a client sends; True cuts that connection off, unsent.
    torn_tls: how many connections are offered TLS, and closed when the client begins it.
    """

    def __init__(
        self,
        port: int,
        *,
        on_sent: Callable[[bytes], bool] = lambda data: False,
        torn_tls: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.sent = bytearray()
        self.dialled = 0
        self.port = 0
        self._host = host
        self._to = port
        self._on_sent = on_sent
        self._torn_tls = torn_tls
        self._links: list[_Link] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._holding = False
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()
        await asyncio.sleep(0)  # a transport that is closed ends in the loop's next turn

    def dsn(self, dsn: str) -> str:
        """The same DSN (a URL) by way of this proxy."""
        parts = urlsplit(dsn)
        login, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}@{self._host}:{self.port}"))

    @property
    def held(self) -> bytes:
        return b"".join(bytes(link.held) for link in self._links)

    def hold(self) -> None:
        """Keep back what the servers send from now on."""
        self._holding = True

    def release(self) -> None:
        """Let go what was held: of each connection all of it at once."""
        self._holding = False
        for link in self._links:
            if link.held and not link.client.is_closing():
                link.client.write(bytes(link.held))
            link.held.clear()

    def delay(self) -> None:
        """New connections are accepted, and then nothing happens on them."""
        self._open.clear()

    def undelay(self) -> None:
        self._open.set()

    def cut(self, *, reset: bool = True) -> None:
        """End every connection; with RST, or as an orderly close."""
        for link in self._links:
            for writer in (link.client, link.server):
                if writer is not None:
                    if reset:
                        writer.get_extra_info("socket").setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                        writer.transport.abort()
                    else:
                        writer.close()
        self._links.clear()

    def statements(self, pattern: str) -> list[Any]:
        """What in the text that clients have sent so far fits the pattern, as re.findall has it."""
        return re.findall(pattern, self.sent.decode("utf-8", "replace"))

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until this is true; it is asked anew with every piece of data and every connection."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(true)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        link = _Link(writer)
        self._links.append(link)
        self.dialled += 1
        await self._tell()
        try:
            await self._open.wait()
            if self.dialled <= self._torn_tls:
                assert await reader.readexactly(8) == _SSL_REQUEST
                writer.write(b"S")
                await reader.read(1)
                return
            back, link.server = await asyncio.open_connection(self._host, self._to)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(link, reader))
                both.create_task(self._back(link, back))
        except (OSError, ExceptionGroup, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (link.client, link.server):
                if each is not None:
                    each.transport.abort() if self._holding else each.close()
            if link in self._links:
                self._links.remove(link)
            await self._tell()

    async def _forward(self, link: _Link, reader: asyncio.StreamReader) -> None:
        assert link.server is not None
        while data := await reader.read(1 << 16):
            self.sent += data
            if self._on_sent(data):
                link.client.transport.abort()
                raise ConnectionAbortedError
            link.server.write(data)
            await link.server.drain()
            await self._tell()
        raise ConnectionAbortedError  # one side's end is the other's

    async def _back(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            if self._holding:
                link.held += data
            else:
                link.client.write(data)
                await link.client.drain()
            await self._tell()
        raise ConnectionAbortedError
