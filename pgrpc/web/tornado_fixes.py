"""What Tornado 6.6 does otherwise than we need.

Owns every use of Tornado's internals besides `outbox`; each has its reason, and a test that tells when Tornado changes.
"""

import asyncio
import socket
from asyncio import Future
from collections.abc import Callable, Iterable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.websocket import WebSocketProtocol13

_TEXT, _BINARY = 0x1, 0x2

_AT_ONCE = 128
"""Connections that are accepted in a row."""

_PAUSE = 0.5
"""Seconds until the next try where no descriptor is left."""


def accept(server: HTTPServer, sockets: Iterable[socket.socket], cannot: Callable[[str], None]) -> None:
    """What add_sockets does, also where no descriptor is left: `cannot` is told why, and it is tried again soon.

    Tornado lets the OSError out, which the loop logs with its traceback, again and again as fast as it can.
    """
    for each in sockets:
        server._sockets[each.fileno()] = each
        server._handlers[each.fileno()] = _accept(each, server._handle_connection, cannot)


def _accept(
    listening: socket.socket, take: Callable[[socket.socket, Any], None], cannot: Callable[[str], None]
) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    later: asyncio.TimerHandle | None = None

    def begin() -> None:
        loop.add_reader(listening.fileno(), ready)

    def ready() -> None:
        nonlocal later
        for _ in range(_AT_ONCE):
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # gone again already
                continue
            except OSError as error:
                cannot(error.strerror or str(error))
                loop.remove_reader(listening.fileno())
                later = loop.call_later(_PAUSE, begin)
                return
            try:
                take(connection, address)
            except OSError:  # with TLS: it has sent something, and is gone again already
                connection.close()

    def stop() -> None:
        if later is not None:
            later.cancel()
        loop.remove_reader(listening.fileno())

    begin()
    return stop


_READ_AT_ONCE = 64 * 1024
"""Bytes asked of a stream at one time: as many as Tornado takes from the socket."""


class Protocol(WebSocketProtocol13):
    """Text frames come as bytes, and are read by what has arrived instead of by their parts.

    Tornado drops the connection, without a close frame, on text that is not UTF-8; a JSON-RPC client is told
    -32700 instead, and stays connected.
    """

    __slots__ = ("_arrived", "_taken")  # two more in its dictionary would cost 1.5 kB

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._arrived = b""
        self._taken = 0

    async def _read_bytes(self, n: int) -> bytes:
        # Tornado asks its stream three times for a small frame, 5 us each; cutting here what has come costs 0.5.
        if len(self._arrived) - self._taken < n:
            rest, self._arrived, self._taken = self._arrived[self._taken :], b"", 0
            missing = n - len(rest)
            more = await self.stream.read_bytes(max(missing, _READ_AT_ONCE), partial=missing <= _READ_AT_ONCE)
            while len(more) < missing:
                more += await self.stream.read_bytes(_READ_AT_ONCE, partial=True)
            self._arrived = rest + more
        data = self._arrived[self._taken : self._taken + n]
        self._taken += n
        if self._taken == len(self._arrived):
            self._arrived, self._taken = b"", 0
        self._wire_bytes_in += n
        return data

    def _handle_message(self, opcode: int, data: bytes) -> "Future[None] | None":
        return super()._handle_message(_BINARY if opcode == _TEXT else opcode, data)
