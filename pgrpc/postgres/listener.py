"""The LISTEN connection of the process: keeps PostgreSQL's channels the same as those that subscribers want.

Owns that connection's life: opened, tested before it is used, probed while it is open, reopened for ever. Must not know
the subscribers: it is given the channels to LISTEN on, and reports to its sink what took effect, arrived or was lost.

Everything that one read of the socket brings is handled in one step, without awaiting: first the LISTEN that has ended
(its subscribers get their "ok"), then the notifications. So no event precedes its "ok", and none is stuck behind it.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

import psycopg2

from pgrpc import observe
from pgrpc.core.channels.notification import Notification
from pgrpc.postgres import backoff, connect, connection, notify_probe, quoting, sqlstate

_BATCH = 200
"""Channels in one message: 10,000 take 50 round trips, and one message delays an event by little."""

_REPORT_AGAIN = 10.0
"""Seconds after which a new reason for the same outage is reported too."""


class Sink(Protocol):
    """Receives what happens on the LISTEN connection."""

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def listen_refused(self, name: str, reason: str) -> None: ...
    def listen_lost(self, reason: str) -> None: ...
    def publish(self, batch: list[Notification]) -> None: ...


class _NoSink:
    """In place until a sink is set."""

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None: ...
    def listen_refused(self, name: str, reason: str) -> None: ...
    def listen_lost(self, reason: str) -> None: ...
    def publish(self, batch: list[Notification]) -> None: ...


class Listener:
    """sink: receives events and changes; set before `run`. probe_interval: seconds between two probes by NOTIFY.

    always: channels to LISTEN on from the start.
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
        self.sink: Sink = _NoSink()
        self._probe_interval = probe_interval
        self._probe = notify_probe.NotifyProbe(connector)
        self._always = frozenset(always)
        self._wanted = set(always)
        self._active: set[str] = set()  # LISTEN is in effect, on this connection
        self._changed: dict[str, None] = {}
        self._pending_relisten: set[str] = set()  # active before the connection was lost, not yet again
        self._conn: connection.Connection | None = None
        self._gap: str | None = None
        self._batch = _BATCH
        self._probe_due = False
        self._reported_at = 0.0
        self._reported = ""
        self.down: str | None = "not connected yet"
        """Why no events are received, or None."""

    def listen(self, name: str) -> None:
        """LISTEN on a channel; the sink is called when it is in effect, or at once if there is no connection."""
        if self._conn is None:
            self.sink.listen_refused(name, "unavailable: no connection to the database; try again")
            return
        self._wanted.add(name)
        self._changed[name] = None
        self._reconcile()

    def unlisten(self, name: str) -> None:
        self._wanted.discard(name)
        if self._conn is not None:  # otherwise `_resume` starts from what is wanted
            self._changed[name] = None
            self._reconcile()

    async def run(self) -> None:
        """Keep the connection open, for ever. Only cancelling ends it."""
        wait = backoff.Backoff()
        was_up = False
        while True:
            conn = None
            try:
                conn = await self._connector.connect()
                lost = self._probe.attach(conn, self._publish)
                await self._probe.test(conn)
                if lost.done():
                    raise lost.result()
                self._resume(conn, "the connection to the database was lost" if was_up else None)
                was_up = True
                wait.reset()
                await self._probe.watch(lost, self._probe_interval, self._send_probe)
            except (connect.CannotConnect, notify_probe.Unusable) as error:
                self._went_down(str(error))
            except psycopg2.Error as error:
                self._went_down(sqlstate.reason(error))
            finally:
                if conn is not None:
                    conn.on_notified = None
                    conn.close()
            await asyncio.sleep(wait.next())

    def _publish(self, batch: list[Notification]) -> None:
        self.sink.publish(batch)

    def _send_probe(self) -> None:
        self._probe_due = True
        self._reconcile()

    def _resume(self, conn: connection.Connection, gap: str | None) -> None:
        self._conn = conn
        self._gap = gap
        self._active.clear()
        self._changed = dict.fromkeys(self._wanted)
        self._pending_relisten = set(self._wanted)
        if self._pending_relisten:
            self.down = "connected, but LISTEN is not yet in effect on every channel"
        else:
            self._came_up()
        self._reconcile()

    def _came_up(self) -> None:
        self.down = None
        channels = len(self._wanted - self._always)
        self._observe(observe.ListenerUp() if self._gap is None else observe.ListenerUpAgain(channels))

    def _went_down(self, reason: str) -> None:
        now = time.monotonic()
        changed = reason != self._reported and now > self._reported_at + _REPORT_AGAIN
        if self._conn is not None or self.down == "not connected yet" or changed:
            self._reported, self._reported_at = reason, now
            self._observe(observe.ListenerDown(reason))
        self.down = reason
        if self._conn is not None:
            self._conn = None
            self.sink.listen_lost("unavailable: the connection to the database was lost; try again")

    def _reconcile(self) -> None:
        """Send the next LISTEN and UNLISTEN statements, unless some are in flight."""
        conn = self._conn
        if conn is None or not conn.idle:
            return
        if self._probe_due:
            self._probe_due = False
            self._send(conn, self._probe.sql, [], [])
            return
        listen: list[str] = []
        unlisten: list[str] = []
        active: list[str] = []  # unwanted and wanted again before UNLISTEN was sent
        while self._changed and len(listen) + len(unlisten) < self._batch:
            name = next(iter(self._changed))
            del self._changed[name]
            if name in self._wanted:
                (active if name in self._active else listen).append(name)
            elif name in self._active:
                unlisten.append(name)
        if listen or unlisten:
            statements = [f"listen {quoting.channel(name)}" for name in listen] + [
                f"unlisten {quoting.channel(name)}" for name in unlisten
            ]
            self._send(conn, "; ".join(statements), listen, unlisten)
        else:
            self._batch = _BATCH
        if active:
            self.sink.listen_active(active)

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
        self._active.difference_update(unlisten)
        self._active.update(listen)
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
        """One statement failed, and with it all of its message: send them one by one, to refuse only that one."""
        if len(listen) + len(unlisten) > 1:
            self._batch = 1
            self._changed = dict.fromkeys((*listen, *unlisten)) | self._changed
            return
        for name in listen:
            reason = sqlstate.message(error)
            if name in self._pending_relisten and name in self._wanted:
                # It has subscribers, who rely on its events: reconnect until LISTEN is in effect again.
                conn.drop(error)
                return
            self._observe(observe.ListenRefused(name, reason))
            self._wanted.discard(name)
            self.sink.listen_refused(name, f"the database refused: {reason}")
