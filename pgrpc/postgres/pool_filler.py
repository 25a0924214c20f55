"""Keeps the pool full.

Owns when connections for calls are opened, and how long to wait after a failure. Must not know calls: it says when a
connection has come, has gone, or could not be had while there was none.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import psycopg2

from pgrpc import observe
from pgrpc.postgres import backoff, connect, pool, prepared

PATIENCE = 5.0
"""Seconds after which a server that does not answer what takes no time is given up."""

_RETURN = 2.0
"""Seconds at most until calls are served again once the database is back."""


class Supply:
    """came: a connection was added. lost: one has ended. away: none is left, and why none can be had."""

    def __init__(
        self,
        connector: connect.Connector,
        connections: pool.Pool,
        observer: observe.Observer,
        came: Callable[[], None],
        lost: Callable[[psycopg2.Error], None],
        away: Callable[[str], None],
    ) -> None:
        self._connector = connector
        self._pool = connections
        self._observe = observer
        self._came = came
        self._tell_lost = lost
        self._away = away
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever. Only cancelling ends it."""
        wait = backoff.Backoff(_RETURN)  # calls are refused meanwhile
        short = False
        while True:
            if self._pool.size >= self._pool.places:
                short = False
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                conn = await self._connect()
            except connect.CannotConnect as error:
                size = self._pool.size
                if not size:
                    self._away(str(error))
                elif not short:
                    short = True
                    self._observe(observe.PoolShort(size, self._pool.places, str(error)))
                await asyncio.sleep(wait.next())
                continue
            if conn.closed_by is not None:  # it has ended already, and nobody would tell us any more
                await asyncio.sleep(wait.next())
                continue
            wait.reset()
            conn.on_closed = partial(self._lost, conn)
            self._pool.add(conn)
            self._came()

    async def _connect(self) -> prepared.Connection:
        conn = await self._connector.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                await conn.check_session()
        except BaseException as error:  # being cancelled is one
            conn.close()
            if not isinstance(error, psycopg2.Error | TimeoutError):
                raise
            raise connect.CannotConnect(f"connected, but the server does not answer: {error}") from error
        return conn

    def _lost(self, conn: prepared.Connection, error: psycopg2.Error) -> None:
        self._pool.forget(conn)
        self._wake.set()
        self._tell_lost(error)
