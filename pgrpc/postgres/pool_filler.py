"""Keeps the pool full: opens connections to the database, and reconnects with backoff.

Owns when connections for calls are opened, and how long to wait after a failure. Must not know calls: callbacks report
when a connection was opened, was lost, or could not be opened while there was none.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import psycopg2

from pgrpc import observe
from pgrpc.postgres import backoff, connect, pool, prepared

TIMEOUT = 5.0
"""Seconds in which the server must answer a statement that takes no time, or the connection is dropped."""

_RETURN = 2.0
"""Seconds at most until calls are served again once the database is back."""


class PoolFiller:
    """opened: called when a connection was added. lost: when one has ended.

    unavailable: when none is left and none can be opened, with the reason.
    """

    def __init__(
        self,
        connector: connect.Connector,
        connections: pool.Pool,
        observer: observe.Observer,
        opened: Callable[[], None],
        lost: Callable[[psycopg2.Error], None],
        unavailable: Callable[[str], None],
    ) -> None:
        self._connector = connector
        self._pool = connections
        self._observe = observer
        self._on_opened = opened
        self._on_lost = lost
        self._on_unavailable = unavailable
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Fill the pool, for ever. Only cancelling ends it."""
        wait = backoff.Backoff(_RETURN)  # calls are refused meanwhile
        short = False
        while True:
            if self._pool.size >= self._pool.limit:
                short = False
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                conn = await self._connect()
            except connect.CannotConnect as error:
                size = self._pool.size
                if not size:
                    self._on_unavailable(str(error))
                elif not short:
                    short = True
                    self._observe(observe.PoolShort(size, self._pool.limit, str(error)))
                await asyncio.sleep(wait.next())
                continue
            if conn.closed_by is not None:  # it has ended already, so on_closed would never be called
                await asyncio.sleep(wait.next())
                continue
            wait.reset()
            conn.on_closed = partial(self._lost, conn)
            self._pool.add(conn)
            self._on_opened()

    async def _connect(self) -> prepared.Connection:
        conn = await self._connector.connect()
        try:
            async with asyncio.timeout(TIMEOUT):
                await conn.check_session()
        except BaseException as error:  # CancelledError too
            conn.close()
            if not isinstance(error, psycopg2.Error | TimeoutError):
                raise
            raise connect.CannotConnect(f"connected, but the server does not answer: {error}") from error
        return conn

    def _lost(self, conn: prepared.Connection, error: psycopg2.Error) -> None:
        self._pool.forget(conn)
        self._wake.set()
        self._on_lost(error)
