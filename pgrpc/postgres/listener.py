"""The one LISTEN connection of the process: the channels wanted vs the channels that PostgreSQL knows of.

Owns that connection's life: opened again for ever, tried before it is trusted, probed while it stands. Must not
know who listens: it is told which channels are wanted, and tells what took effect, was heard, or was lost.

Everything that one reading of the socket brings is handled in one step, without awaiting: first the LISTEN that has
ended (its subscribers get their "ok"), then the notifications. So no event can come before its "ok", nor be stuck.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

import psycopg2

from pgrpc import observe
from pgrpc.core.channels.notification import Notification
from pgrpc.postgres import backoff, connect, connection, sqlstate

_AT_ONCE = 200
"""Channels in one message: 10,000 take 50 round trips, and what is joined delays nobody by much."""

_TELL_AGAIN = 10.0
"""Seconds after which a new reason for the same outage is reported too."""

SELF_TEST = 5.0
"""Seconds within which a NOTIFY must come back."""


class Sink(Protocol):
    """Who is told."""

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def listen_refused(self, name: str, reason: str) -> None: ...
    def listen_lost(self, reason: str) -> None: ...
    def publish(self, batch: list[Notification]) -> None: ...


class _Nobody:
    """Until a sink is set."""

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def listen_refused(self, name: str, reason: str) -> None: ...
    def listen_lost(self, reason: str) -> None: ...
    def publish(self, batch: list[Notification]) -> None: ...


class Unusable(Exception):
    """The connection stands, but events do not arrive on it; str() names the likely cause."""


class Listener:
    """sink: who is told; set before `run`. probe_interval: seconds between two round trips through NOTIFY.

    always: channels wanted from the start.
    """

    def __init__(
        self,
        connector: connect.Connector,
        observer: observe.Observer,
        *,
        probe_interval: float = 10.0,
        always: Iterable[str] = (),
    ) -> None:
        self._connector = connector
        self._observe = observer
        self.sink: Sink = _Nobody()
        self._probe_interval = probe_interval
        # Nobody else can know the name, so nobody else's NOTIFY can be taken for ours.
        self._probe_channel = f"pgrpc.{secrets.token_hex(12)}"
        self._probe_seen = asyncio.Event()
        self._always = frozenset(always)
        self._wanted = set(always)
        self._heard: set[str] = set()  # by PostgreSQL, on this connection
        self._changed: dict[str, None] = {}
        self._pending_relisten: set[str] = set()  # heard before the connection was lost, and not yet again
        self._conn: connection.Connection | None = None
        self._gap: str | None = None
        self._at_once = _AT_ONCE
        self._probe_due = False
        self._tested = False
        self._told_at = 0.0
        self._told = ""
        self._arrived = False  # anything, since this was last asked
        self.down: str | None = "not connected yet"
        """Why no events are heard, or None."""

    def listen(self, name: str) -> None:
        """Have LISTEN take effect; the sink is told when it has, or at once where it cannot."""
        if self._conn is None:
            self.sink.listen_refused(name, "unavailable: no connection to the database; try again")
            return
        self._wanted.add(name)
        self._changed[name] = None
        self._reconcile()

    def unlisten(self, name: str) -> None:
        self._wanted.discard(name)
        if self._conn is not None:  # otherwise what is wanted then is begun anew
            self._changed[name] = None
            self._reconcile()

    async def run(self) -> None:
        """Keep listening, for ever. Only cancelling ends it."""
        wait = backoff.Backoff()
        was_up = False
        while True:
            conn = None
            try:
                conn = await self._connector.connect()
                lost = self._attach(conn)
                await self.test(conn)
                if lost.done():
                    raise lost.result()
                self._resume(conn, "the connection to the database was lost" if was_up else None)
                was_up = True
                wait.reset()
                await self._watch(conn, lost)
            except (connect.CannotConnect, Unusable) as error:
                self._went_down(str(error))
            except psycopg2.Error as error:
                self._went_down(sqlstate.reason(error))
            finally:
                if conn is not None:
                    conn.on_notified = None
                    conn.close()
            await asyncio.sleep(wait.next())

    async def check(self) -> None:
        """Whether events would arrive. Raises Unusable, connect.CannotConnect."""
        conn = await self._connector.connect()
        try:
            self._attach(conn)
            await self.test(conn)
        except psycopg2.Error as error:
            raise Unusable(sqlstate.reason(error)) from error
        finally:
            conn.on_notified = None
            conn.close()

    def _attach(self, conn: connection.Connection) -> "asyncio.Future[psycopg2.Error]":
        """Hear what comes on the connection; the future is done when it is lost."""
        lost: asyncio.Future[psycopg2.Error] = asyncio.get_running_loop().create_future()

        def closed(error: psycopg2.Error) -> None:
            lost.set_result(error)
            self._probe_seen.set()  # whoever waits for a probe need not wait on

        conn.on_closed = closed
        conn.on_notified = self._notified
        return lost

    async def test(self, conn: connection.Connection) -> None:
        """LISTEN here, NOTIFY from elsewhere: a pooler accepts both, and delivers nothing.

        Raises Unusable, connecting.CannotConnect, psycopg2.Error.
        """
        try:
            async with asyncio.timeout(SELF_TEST):
                await conn.fetch(f"listen {_quote(self._probe_channel)}")
        except psycopg2.Error as error:
            if error.pgcode == "25006":
                raise Unusable(
                    "LISTEN is refused: this is a hot standby; give database.listen_dsn the primary"
                ) from error
            raise
        except TimeoutError as error:
            raise Unusable(f"the database did not answer LISTEN within {SELF_TEST:g} s") from error
        # Once is enough to know a pooler; later there may be no room for a second connection.
        other = conn if self._tested else await self._connector.connect()
        try:
            self._probe_seen.clear()
            async with asyncio.timeout(SELF_TEST):
                await other.fetch("select pg_catalog.pg_notify(%s, '')", (self._probe_channel,))
                await self._probe_seen.wait()
            self._tested = True
        except TimeoutError as error:
            raise Unusable(
                f"LISTEN was accepted, but a NOTIFY did not arrive within {SELF_TEST:g} s: a transaction pooler? "
                "Give database.listen_dsn a direct connection"
            ) from error
        finally:
            if other is not conn:
                other.close()

    async def _watch(self, conn: connection.Connection, lost: "asyncio.Future[psycopg2.Error]") -> None:
        """Until the connection is lost, or does not answer: a dead one need not be closed. Raises psycopg2.Error."""
        while True:
            done, _ = await asyncio.wait((lost,), timeout=self._probe_interval)
            if done:
                raise lost.result()
            self._probe_seen.clear()
            self._probe_due = True
            self._reconcile()
            self._arrived = True
            while not self._probe_seen.is_set():
                if not self._arrived:
                    raise psycopg2.OperationalError(f"the database has not answered for {self._probe_interval:g} s")
                self._arrived = False  # whatever comes is a sign of life: the probe may be late behind many events
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._probe_interval):
                        await self._probe_seen.wait()

    def _resume(self, conn: connection.Connection, gap: str | None) -> None:
        self._conn = conn
        self._gap = gap
        self._heard.clear()
        self._changed = dict.fromkeys(self._wanted)
        self._pending_relisten = set(self._wanted)
        if self._pending_relisten:
            self.down = "connected, but not every channel is heard yet"
        else:
            self._came_up()
        self._reconcile()

    def _came_up(self) -> None:
        self.down = None
        self._observe(observe.ListenerUp(len(self._wanted - self._always), self._gap is not None))

    def _went_down(self, reason: str) -> None:
        now = time.monotonic()
        changed = reason != self._told and now > self._told_at + _TELL_AGAIN
        if self._conn is not None or self.down == "not connected yet" or changed:
            self._told, self._told_at = reason, now
            self._observe(observe.ListenerDown(reason))
        self.down = reason
        if self._conn is not None:
            self._conn = None
            self.sink.listen_lost("unavailable: the connection to the database was lost; try again")

    def _reconcile(self) -> None:
        """Send the next message that brings what PostgreSQL knows nearer to what is wanted, if none is on its way."""
        conn = self._conn
        if conn is None or not conn.idle:
            return
        if self._probe_due:
            self._probe_due = False
            self._send(conn, f"notify {_quote(self._probe_channel)}", [], [])
            return
        listen: list[str] = []
        unlisten: list[str] = []
        heard_already: list[str] = []  # given up and wanted again before anything was sent
        while self._changed and len(listen) + len(unlisten) < self._at_once:
            name = next(iter(self._changed))
            del self._changed[name]
            if name in self._wanted:
                (heard_already if name in self._heard else listen).append(name)
            elif name in self._heard:
                unlisten.append(name)
        if listen or unlisten:
            statements = [f"listen {_quote(name)}" for name in listen] + [
                f"unlisten {_quote(name)}" for name in unlisten
            ]
            self._send(conn, "; ".join(statements), listen, unlisten)
        else:
            self._at_once = _AT_ONCE
        if heard_already:
            self.sink.listen_active(heard_already)

    def _send(self, conn: connection.Connection, sql: str, listen: list[str], unlisten: list[str]) -> None:
        def done(outcome: connection.Outcome) -> None:
            if self._conn is not conn:
                return
            if not isinstance(outcome, psycopg2.Error):
                self._took_effect(listen, unlisten)
            elif conn.closed_by is None:
                self._failed(conn, outcome, listen, unlisten)
            self._reconcile()

        try:
            conn.run(sql, None, done)
        except (psycopg2.Error, UnicodeError) as error:
            conn.drop(error if isinstance(error, psycopg2.Error) else psycopg2.DataError(str(error)))

    def _took_effect(self, listen: list[str], unlisten: list[str]) -> None:
        self._heard.difference_update(unlisten)
        self._heard.update(listen)
        if self._pending_relisten:
            self._pending_relisten.difference_update((*listen, *unlisten))
            if self._pending_relisten.isdisjoint(self._wanted):
                self._pending_relisten.clear()
                self._came_up()
        if listen:
            self.sink.listen_active(listen, self._gap)

    def _failed(
        self, conn: connection.Connection, error: psycopg2.Error, listen: list[str], unlisten: list[str]
    ) -> None:
        """All of a message failed together: send them one by one, so that only the culprit is refused."""
        if len(listen) + len(unlisten) > 1:
            self._at_once = 1
            self._changed = dict.fromkeys((*listen, *unlisten)) | self._changed
            return
        for name in listen:
            reason = sqlstate.message(error)
            if name in self._pending_relisten and name in self._wanted:
                # Its subscribers believe that they hear it: begin anew, until they do.
                conn.drop(error)
                return
            self._observe(observe.ListenRefused(name, reason))
            self._wanted.discard(name)
            self.sink.listen_refused(name, f"the database refused: {reason}")

    def _notified(self, batch: list[Notification]) -> None:
        self._arrived = True
        if any(notification.channel == self._probe_channel for notification in batch):
            self._probe_seen.set()
            batch = [notification for notification in batch if notification.channel != self._probe_channel]
        if batch:
            self.sink.publish(batch)


def _quote(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
