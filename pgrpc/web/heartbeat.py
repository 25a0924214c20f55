"""Pings every socket once per server.ping_interval, and drops clients that do not answer in time.

Owns when each socket is pinged: pinging thousands at once would block the loop. Tornado's own pings would close with
1000, after which clients do not reconnect. Must not know what counts as an answer: each socket decides.
"""

import asyncio
import gc

from pgrpc import observe
from pgrpc.web import context

_SLICES = 20
"""Parts of a ping interval, in each of which a share of the sockets is pinged."""

_CLOSED = 50
"""Closed connections after which garbage is collected."""


async def run(shared: context.Context) -> None:
    """For ever."""
    pause = shared.server.ping_interval / _SLICES
    timeout = shared.server.ping_timeout or shared.server.ping_interval
    gone = 0
    while True:
        sockets = list(shared.sockets)
        size = max(1, -(-len(sockets) // _SLICES))
        for start in range(0, _SLICES * size, size):
            dropped = [s for s in sockets[start : start + size] if s in shared.sockets and not s.check_alive()]
            if dropped:
                shared.observe(observe.Unresponsive(len(dropped), timeout))
            await asyncio.sleep(pause)
        # A closed connection is a reference cycle, because of Tornado. Python would collect these only when they are a
        # quarter of all objects, and then block the loop for longer.
        gone += sum(each not in shared.sockets for each in sockets)
        sockets.clear()
        if gone > _CLOSED + len(shared.sockets) // 10:
            gone = 0
            gc.collect()
