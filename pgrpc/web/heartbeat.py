"""Pings every socket once in each server.ping_interval, and drops those that give no sign of life in time.

Owns when each is pinged: pinging thousands at one moment would hold up the loop. Tornado's own pings would close with
1000, which tells clients not to come back. Must not know what a sign of life is: each socket says.
"""

import asyncio
import gc

from pgrpc import observe
from pgrpc.web import context

_SLICES = 20
"""Parts of a ping interval, each with its share of the sockets."""

_GONE = 50
"""Connections that may have ended until what they have left is cleared away."""


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
        # What a connection leaves is a cycle, of Tornado's making. Python would gather these until they are a
        # quarter of all there is, and then hold up everybody for longer.
        gone += sum(each not in shared.sockets for each in sockets)
        sockets.clear()
        if gone > _GONE + len(shared.sockets) // 10:
            gone = 0
            gc.collect()
