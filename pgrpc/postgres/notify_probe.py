"""Whether a NOTIFY comes back on a LISTEN connection: the self-test before it is used, the probe while it is open.

Owns the probe's channel, and the message for a connection on which no events arrive. Must not know which channels
clients subscribe to.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import psycopg2

from pgrpc.core.channels.notification import Notification
from pgrpc.postgres import connect, connection, quoting, sqlstate

SELF_TEST = 5.0
"""Seconds within which a NOTIFY must come back."""


class Unusable(Exception):
    """The connection is open, but events do not arrive on it; str() names the likely cause."""


class NotifyProbe:
    """connector: opens the second connection, on which the first self-test sends its NOTIFY."""

    def __init__(self, connector: connect.Connector) -> None:
        self._connector = connector
        # Random, so that no other NOTIFY can be mistaken for ours.
        self._channel = f"pgrpc.{secrets.token_hex(12)}"
        self._came_back = asyncio.Event()
        self._is_tested = False
        self._any_received = False  # since it was last set to False

    @property
    def sql(self) -> str:
        """The statement that sends the probe on the LISTEN connection itself."""
        return f"notify {quoting.channel(self._channel)}"

    def attach(
        self, conn: connection.Connection, publish: Callable[[list[Notification]], None]
    ) -> "asyncio.Future[psycopg2.Error]":
        """Pass the connection's notifications, without the probe's, to `publish`. The future ends when it is lost."""
        lost: asyncio.Future[psycopg2.Error] = asyncio.get_running_loop().create_future()

        def closed(error: psycopg2.Error) -> None:
            lost.set_result(error)
            self._came_back.set()  # ends `test` and `watch`

        def notified(batch: list[Notification]) -> None:
            self._any_received = True
            if any(notification.channel == self._channel for notification in batch):
                self._came_back.set()
                batch = [notification for notification in batch if notification.channel != self._channel]
            if batch:
                publish(batch)

        conn.on_closed = closed
        conn.on_notified = notified
        return lost

    async def test(self, conn: connection.Connection) -> None:
        """LISTEN here, NOTIFY on another connection: a transaction pooler accepts both and delivers nothing.

        Raises Unusable, connect.CannotConnect, psycopg2.Error.
        """
        try:
            async with asyncio.timeout(SELF_TEST):
                await conn.fetch(f"listen {quoting.channel(self._channel)}")
        except psycopg2.Error as error:
            if error.pgcode == "25006":
                raise Unusable(
                    "LISTEN is refused: this is a hot standby; set database.listen_dsn to the primary"
                ) from error
            raise
        except TimeoutError as error:
            raise Unusable(f"the database did not answer LISTEN within {SELF_TEST:g} s") from error
        # One test detects a pooler; later the server may have no second connection to spare.
        other = conn if self._is_tested else await self._connector.connect()
        try:
            self._came_back.clear()
            async with asyncio.timeout(SELF_TEST):
                await other.fetch("select pg_catalog.pg_notify(%s, '')", (self._channel,))
                await self._came_back.wait()
            self._is_tested = True
        except TimeoutError as error:
            raise Unusable(
                f"LISTEN was accepted, but a NOTIFY did not arrive within {SELF_TEST:g} s, as behind a transaction "
                "pooler; set database.listen_dsn to a direct connection"
            ) from error
        finally:
            if other is not conn:
                other.close()

    async def watch(self, lost: "asyncio.Future[psycopg2.Error]", interval: float, send: Callable[[], None]) -> None:
        """Probe every `interval` seconds until the connection is lost or does not answer: a dead one may stay open.

        send: sends `sql`, as soon as no other statement is running. Raises psycopg2.Error.
        """
        while True:
            done, _ = await asyncio.wait((lost,), timeout=interval)
            if done:
                raise lost.result()
            self._came_back.clear()
            send()
            self._any_received = True
            while not self._came_back.is_set():
                if not self._any_received:
                    raise psycopg2.OperationalError(f"the database has not answered for {interval:g} s")
                self._any_received = False  # any event is a sign of life: the probe may be late behind many of them
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await self._came_back.wait()


async def check(connector: connect.Connector) -> None:
    """Whether events would arrive on a connection of this DSN. Raises Unusable, connect.CannotConnect."""
    conn = await connector.connect()
    probe = NotifyProbe(connector)
    try:
        probe.attach(conn, lambda batch: None)
        await probe.test(conn)
    except psycopg2.Error as error:
        raise Unusable(sqlstate.reason(error)) from error
    finally:
        conn.on_notified = None
        conn.close()
