"""Binds the listening sockets: one set for each worker, all on the same address.

Owns how an address is bound. Must not know who accepts connections.
"""

import contextlib
import socket
from collections.abc import Sequence

from tornado.netutil import bind_sockets

Sockets = Sequence[socket.socket]
"""The sockets of one worker: a host name can have several addresses."""

_BACKLOG = 4096


def bind(host: str, port: int, workers: int = 1) -> list[Sockets]:
    """The sockets of each worker. Port 0: any free port, the same for all of them.

    Raises OSError if the address cannot be bound.
    """
    alone = bind_sockets(port, host, backlog=_BACKLOG)
    if workers == 1:
        return [alone]
    # With SO_REUSEPORT (socket(7)) alone, a second server of the same user would silently share our connections. So
    # bind once without it, which fails if the address is in use, and which finds the port if that is 0.
    port = alone[0].getsockname()[1]
    for each in alone:
        each.close()
    return [bind_sockets(port, host, backlog=_BACKLOG, reuse_port=True) for _ in range(workers)]


def pause(sockets: Sockets) -> None:
    """Accept no connections on these until listen(); waiting ones are reset, new ones go to the other workers."""
    for each in sockets:
        # A second shutdown would persist: connections that are accepted later would be closed from the beginning.
        if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with contextlib.suppress(OSError):  # only Linux does this
                each.shutdown(socket.SHUT_RDWR)


def listen(sockets: Sockets) -> None:
    """Listen for connections; may be called again."""
    for each in sockets:
        each.listen(_BACKLOG)
