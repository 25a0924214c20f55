"""Owns a bare Tornado server with the package's own reading and outbox, and a client that sees every byte."""

import asyncio
import base64
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from pgrpc.core.wire import ws_frames
from pgrpc.web import acceptor
from pgrpc.web.sockets import frame_reader, outbox

PATIENCE = 30.0
LIMIT = 1 << 20
MAX_MESSAGE = 8 << 20
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Handler(WebSocketHandler):
    """A socket with an outbox, and nothing else."""

    def initialize(self, opened: "asyncio.Queue[Handler]", limit: int) -> None:
        self.opened = opened
        self.outbox = outbox.Outbox(limit, self)
        self.overflows = 0
        self.dropped: list[list[str]] = []
        self.heard: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.pause: asyncio.Future[None] | None = None

    def check_origin(self, origin: str) -> bool:
        return True

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        plain = super().get_websocket_protocol()
        return plain and frame_reader.Protocol(self, False, plain.params)  # type: ignore[attr-defined]

    def open(self, *args: str, **kwargs: str) -> None:
        assert isinstance(self.ws_connection, WebSocketProtocol13)
        self.stream = self.ws_connection.stream
        self.outbox.open(self.stream)
        self.opened.put_nowait(self)

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        self.heard.put_nowait(message)
        return self.pause

    def before_close(self) -> None:
        self.outbox.send_joined()
        self.outbox.close()

    def on_close(self) -> None:
        self.outbox.close()
        self.closed.set()

    def too_slow(self) -> None:
        self.overflows += 1
        self.end(4408)

    def gap_frame(self, channels: list[str]) -> bytes:
        self.dropped.append(channels)
        return ws_frames.text("gap:" + ",".join(channels))

    def end(self, code: int) -> None:
        self.outbox.close()
        self.close(code, "the end")

    def small_buffer(self) -> None:
        """As little as the kernel allows, so that sends are partial."""
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame. Its mask changes nothing."""
    size = len(payload)
    long = struct.pack("!Q", size) if size > 0xFFFF else struct.pack("!H", size) if size > 125 else b""
    return bytes((first, 0x80 | {0: size, 2: 126, 8: 127}[len(long)])) + long + bytes(4) + payload


class Peer:
    """A WebSocket client that reads only when told to, and checks what it reads byte by byte."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, early: bytes = b"") -> None:
        self._port = port
        self._context = context
        self._early = early

    async def __aenter__(self) -> Self:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=plain, limit=1024, ssl=self._context, server_hostname="localhost" if self._context else None
        )
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            + self._early
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame. Fails on anything that is not a frame of a server's."""
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80, "a frame is whole, and uses no extension"
            assert size < 128, "a server does not mask"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            assert first & 0xF in (TEXT, CLOSE, PING, PONG)
            return first & 0xF, await self.reader.readexactly(size)

    async def text(self) -> str:
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload[:100])
        return payload.decode()

    async def nothing_more(self) -> None:
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""

    def send(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        self.writer.write(masked(0x80 | opcode, payload))

    def reset(self) -> None:
        """Vanish without a word: the server gets RST."""
        plain = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    def __init__(self, port: int, opened: "asyncio.Queue[Handler]", context: ssl.SSLContext | None) -> None:
        self._port = port
        self._opened = opened
        self._context = context

    @asynccontextmanager
    async def connected(self, early: bytes = b"") -> AsyncIterator[tuple[Handler, Peer]]:
        """early: what the client sends right behind its request."""
        async with Peer(self._port, self._context, early) as peer:
            handler = await asyncio.wait_for(self._opened.get(), PATIENCE)
            yield handler, peer
        await asyncio.wait_for(handler.closed.wait(), PATIENCE)


@asynccontextmanager
async def serving(
    limit: int = LIMIT, tls: tuple[Path, Path] | None = None, kind: type[Handler] = Handler
) -> AsyncIterator[Server]:
    opened: asyncio.Queue[Handler] = asyncio.Queue()
    theirs = ours = None
    if tls is not None:
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(*tls)
        theirs = ssl.create_default_context(cafile=tls[0])
    routes: list[Any] = [("/", kind, {"opened": opened, "limit": limit})]
    server = HTTPServer(Application(routes, websocket_max_message_size=MAX_MESSAGE), ssl_options=ours)
    sockets = bind_sockets(0, "127.0.0.1")
    acceptor.accept(server, sockets, pytest.fail)
    try:
        yield Server(sockets[0].getsockname()[1], opened, theirs)
    finally:
        server.stop()
        await server.close_all_connections()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
