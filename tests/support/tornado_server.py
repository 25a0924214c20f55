"""A bare Tornado server with the package's own frame reader and outbox.

Owns that server. Must not know what is sent.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from pgrpc.core.wire import ws_frames
from pgrpc.web import acceptor
from pgrpc.web.sockets import frame_reader, outbox
from tests.support.ws_client import PATIENCE
from tests.support.ws_raw import StreamPeer

LIMIT = 1 << 20
MAX_MESSAGE = 8 << 20


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


class Server:
    def __init__(self, port: int, opened: "asyncio.Queue[Handler]", context: ssl.SSLContext | None) -> None:
        self._port = port
        self._opened = opened
        self._context = context

    @asynccontextmanager
    async def connected(self, early: bytes = b"") -> AsyncIterator[tuple[Handler, StreamPeer]]:
        """early: what the client sends right behind its request."""
        async with StreamPeer(self._port, self._context, early) as peer:
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
