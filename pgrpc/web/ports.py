"""The listening sockets: one set for each worker, all on one address.

Owns how an address is bound. Must not know who accepts.
"""

import contextlib
import socket
from collections.abc import Sequence

from tornado.netutil import bind_sockets

Sockets = Sequence[socket.socket]
"""Of one worker: a host can have several addresses."""

_BACKLOG = 4096


def bind(host: str, port: int, workers: int = 1) -> list[Sockets]:
    """For each worker its own. Port 0: any free one, the same for all.

    Raises OSError where the address cannot be had.
    """
    alone = bind_sockets(port, host, backlog=_BACKLOG)
    if workers == 1:
        return [alone]
    # With SO_REUSEPORT (socket(7)) alone a second server of the same user would share our connections, and nobody would
    # be told: so the address must be free for one that does not share. Its port is the number, where 0 was asked for.
    port = alone[0].getsockname()[1]
    for each in alone:
        each.close()
    return [bind_sockets(port, host, backlog=_BACKLOG, reuse_port=True) for _ in range(workers)]


def pause(sockets: Sockets) -> None:
    """Take no connections on these until listen(); those that wait are reset, new ones go to the other workers."""
    for each in sockets:
        # A second shutdown would stay in effect: what is accepted later would be at its end from the beginning.
        if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with contextlib.suppress(OSError):  # only Linux does this
                each.shutdown(socket.SHUT_RDWR)


def listen(sockets: Sockets) -> None:
    """Also where they listen already."""
    for each in sockets:
        each.listen(_BACKLOG)
