"""Probes the idle connections of the pool, which may be dead without being closed.

Owns these round trips and their timeout. Must not know calls.
"""

import time
from collections.abc import Callable
from functools import partial

import psycopg2

from pgrpc.postgres import connection, pool, pool_filler, prepared

_INTERVAL = 10.0
"""Seconds between two probes of a connection."""


class Probes:
    """freed: called when a connection is back in the pool."""

    def __init__(self, connections: pool.Pool, freed: Callable[[], None]) -> None:
        self._pool = connections
        self._freed = freed
        self._deadlines: dict[prepared.Connection, float] = {}
        self._next = time.monotonic() + _INTERVAL

    def check(self, now: float) -> None:
        """Call this every second or so: drops what has not answered in time, probes what is due.

        now: of time.monotonic.
        """
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline:
                conn.time_out()
        if now > self._next:
            self._next = now + _INTERVAL
            self._probe(now + pool_filler.TIMEOUT)

    def soon(self) -> None:
        """Probe at the next check: a server that does not answer on one connection may be gone for all."""
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
