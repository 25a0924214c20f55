"""Taking connections, also where no descriptor is left for them.

Owns the way from a listening socket to Tornado's server. Must not know what is asked on a connection. With `reading`
and `outbox` it has every use of Tornado's internals; tests/integration/test_outbox.py tells when Tornado changes.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer

from pgrpc.web.sockets import frame_reader

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
        server._handlers[each.fileno()] = _accept(each, partial(_take, server), cannot)


def _take(server: HTTPServer, connection: socket.socket, address: Any) -> None:
    """What Tornado does with a connection, but for the kind of its stream where that is plain."""
    if server.ssl_options is not None:
        server._handle_connection(connection, address)
    else:
        stream = frame_reader.Stream(
            connection, max_buffer_size=server.max_buffer_size, read_chunk_size=server.read_chunk_size
        )
        server.handle_stream(stream, address)


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
