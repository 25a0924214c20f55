"""Looks at the connections that nobody uses: they may be dead without being closed.

Owns the round trips that show it. Must not know calls.
"""

import time
from collections.abc import Callable
from functools import partial

import psycopg2

from pgrpc.postgres import connection, pool, pool_filler, prepared

_INTERVAL = 10.0
"""Seconds between two looks."""


class Probes:
    """freed: called when a connection is back in the pool."""

    def __init__(self, connections: pool.Pool, freed: Callable[[], None]) -> None:
        self._pool = connections
        self._freed = freed
        self._deadlines: dict[prepared.Connection, float] = {}
        self._next = time.monotonic() + _INTERVAL

    def look(self, now: float) -> None:
        """To be called every second or so. Gives up what has not answered in time. now: of time.monotonic."""
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline:
                conn.give_up()
        if now > self._next:
            self._next = now + _INTERVAL
            self._probe(now + pool_filler.PATIENCE)

    def soon(self) -> None:
        """At the next look: a server that has not answered one connection may be gone for all."""
        self._next = 0.0

    def _probe(self, deadline: float) -> None:
        free = []
        while (conn := self._pool.acquire()) is not None:
            free.append(conn)
        for conn in free:
            self._deadlines[conn] = deadline
            try:
                conn.run("select 1", None, partial(self._probed, conn))
            except psycopg2.Error as error:
                conn.drop(error)
                self._probed(conn, error)

    def _probed(self, conn: prepared.Connection, outcome: connection.Outcome) -> None:
        self._deadlines.pop(conn, None)
        self._pool.release(conn)
        self._freed()
