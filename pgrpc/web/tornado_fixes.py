"""What Tornado 6.6 does otherwise than we need.

Owns every use of Tornado's internals besides `outbox`; each has its reason, and a test that tells when Tornado changes.
"""

import asyncio
import socket
from asyncio import Future
from collections.abc import Callable, Iterable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.websocket import WebSocketHandler, WebSocketProtocol13


def is_cross_origin(handler: WebSocketHandler) -> bool:
    """Whether Tornado will refuse the upgrade for its origin: asked before anything is done for the client."""
    return handler._check_cross_origin(handler.check_origin) is not None


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
            take(connection, address)

    def stop() -> None:
        if later is not None:
            later.cancel()
        loop.remove_reader(listening.fileno())

    begin()
    return stop


class Protocol(WebSocketProtocol13):
    """Text frames come as bytes.

    Tornado drops the connection, without a close frame, on text that is not UTF-8; a JSON-RPC client is told
    -32700 instead, and stays connected.
    """

    def _handle_message(self, opcode: int, data: bytes) -> "Future[None] | None":
        return super()._handle_message(_BINARY if opcode == _TEXT else opcode, data)
