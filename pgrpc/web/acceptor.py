"""Accepts connections, and pauses when the process has no file descriptor left.

Owns the way from a listening socket to Tornado's server. Must not know what is requested on a connection. All use of
Tornado's internals is here, in `sockets/frame_reader` and in `sockets/outbox`; tests/integration/test_outbox.py fails
when Tornado changes what they rely on.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer

from pgrpc.web.sockets import frame_reader

_BATCH = 128
"""Connections that are accepted in a row."""

_PAUSE = 0.5
"""Seconds until the next attempt when no descriptor is left."""


def accept(server: HTTPServer, sockets: Iterable[socket.socket], failed: Callable[[str], None]) -> None:
    """As Tornado's add_sockets. If no descriptor is left, calls `failed` with the reason and tries again soon.

    Tornado does not catch this OSError, so the loop would log its traceback again and again, as fast as it can.
    """
    for each in sockets:
        server._sockets[each.fileno()] = each
        server._handlers[each.fileno()] = _accept(each, partial(_handle, server), failed)


def _handle(server: HTTPServer, connection: socket.socket, address: Any) -> None:
    """As Tornado handles a connection, but without TLS its stream is a frame_reader.Stream."""
    if server.ssl_options is not None:
        server._handle_connection(connection, address)
    else:
        stream = frame_reader.Stream(
            connection, max_buffer_size=server.max_buffer_size, read_chunk_size=server.read_chunk_size
        )
        server.handle_stream(stream, address)


def _accept(
    listening: socket.socket, handle: Callable[[socket.socket, Any], None], failed: Callable[[str], None]
) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    later: asyncio.TimerHandle | None = None

    def begin() -> None:
        loop.add_reader(listening.fileno(), ready)

    def ready() -> None:
        nonlocal later
        for _ in range(_BATCH):
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # the client has closed it already
                continue
            except OSError as error:
                failed(error.strerror or str(error))
                loop.remove_reader(listening.fileno())
                later = loop.call_later(_PAUSE, begin)
                return
            try:
                handle(connection, address)
            except OSError:  # with TLS: the client has sent something, and closed it already
                connection.close()

    def stop() -> None:
        if later is not None:
            later.cancel()
        loop.remove_reader(listening.fileno())

    begin()
    return stop
