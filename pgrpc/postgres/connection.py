"""One connection to PostgreSQL: aiopg's, with the bugs of aiopg 1.4.0 fixed.

Owns how a connection's socket is watched, and how one statement is run on it. Must not know calls, channels or pools.
All use of aiopg is here and in `pool`; each fix says which bug it is for, and tests/integration/test_aiopg_fixes.py
fails without it.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable
from typing import Any

import aiopg
import psycopg2
import psycopg2.extensions

from pgrpc.core.channels.notification import Notification

Rows = list[tuple[str | None, ...]]
"""Values as PostgreSQL writes them: nothing is converted to a Python number, date or list."""

Parameters = tuple[str | None, ...] | None

Outcome = Rows | psycopg2.Error
"""How a message ended: the rows of its last statement, [] where that returns none; or the error."""

Done = Callable[[Outcome], None]


_SENT_AT_ONCE = 8192
"""Bytes that a socket with an empty send buffer always accepts at once."""

_AS_TEXT = psycopg2.extensions.new_type(tuple(psycopg2.extensions.string_types), "AS_TEXT", lambda value, cursor: value)


class Connection(aiopg.Connection):
    """An open connection, or one that is being opened: await `opened`.

    closed_by: the reason, once the connection is closed, by either side; `on_closed` is called with it, once.
    on_notified: receives each batch of notifications, in order, after the statement that came with it has ended.
    """

    def __init__(self, dsn: str, **parameters: Any) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed_by: psycopg2.Error | None = None
        self.on_closed: Callable[[psycopg2.Error], None] | None = None
        self.on_notified: Callable[[list[Notification]], None] | None = None
        self._done: Done | None = None
        self._cursor: Any = None
        self._pending: select.poll | None = None  # tells whether the socket is readable
        self._was_polled = False  # since the loop last called `_ready`
        # hstore would cost a query for each connection; JSON would be parsed only to be serialized again.
        super().__init__(dsn, 0, enable_hstore=False, enable_json=False, enable_uuid=False, **parameters)
        self._advance()

    def run(self, sql: str, parameters: Parameters, done: Done) -> None:
        """Run one message of one or more statements; `done` receives the last one's rows, or the first error.

        Only one at a time. Raises psycopg2.Error if it could not be sent; then `done` is not called.
        """
        if self._done is not None:
            raise AssertionError("a statement is running on this connection already")
        cursor = self._cursor
        cursor.execute(sql, parameters)
        self._done = done
        if len(cursor.query) > _SENT_AT_ONCE:
            # Perhaps not all of it was sent. Check later, because `_ready` may run the next call from within this one.
            self._loop.call_soon(self._ready, self._weakref)

    async def fetch(self, sql: str, parameters: Parameters = None) -> Rows:
        """`run`, to await. Raises psycopg2.Error."""
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.run(sql, parameters, done)
        outcome = await future
        if isinstance(outcome, psycopg2.Error):
            raise outcome
        return outcome

    @property
    def idle(self) -> bool:
        return self._done is None and self.closed_by is None

    @property
    def is_sound(self) -> bool:
        """Whether text is still sent and read correctly: a function can change the encoding for the whole session."""
        status = self._conn.get_parameter_status
        return bool(status("client_encoding") == "UTF8" and status("standard_conforming_strings") == "on")

    def is_alive(self) -> bool:
        """Whether an idle connection can be used: reads what has arrived, such as the server's last message.

        aiopg's pool gives out connections that died in the same turn of the loop (AssertionError, or one lost call).
        """
        if self.closed_by is not None or self._pending is None:
            return False
        self._was_polled = True
        while not self._conn.closed and self._pending.poll(0):
            self._advance()
        if self._conn.notices and self.closed_by is None:
            # No statement is running, so this is the server's last message; the end of the connection follows it.
            self.drop(psycopg2.OperationalError(self._conn.notices[-1]))
        return self.closed_by is None

    def time_out(self) -> None:
        """Drop the connection because the server has not answered in time."""
        self.drop(psycopg2.OperationalError("the server does not answer"))

    def drop(self, error: psycopg2.Error) -> None:
        """Close the connection now; a statement that runs ends with `error`."""
        if self.closed_by is not None:
            return
        self.closed_by = error
        if not self._conn.closed or self._fileno is not None:
            self._unwatch()
            self._conn.close()
        if not self.opened.done():
            self.opened.set_exception(error)
        self._finish(error)
        if self.on_closed is not None:
            self.on_closed(error)

    def close(self) -> "asyncio.Future[None]":
        self.drop(psycopg2.OperationalError("the connection was closed by this server"))
        done: asyncio.Future[None] = self._loop.create_future()
        done.set_result(None)
        return done

    @staticmethod
    def _ready(weak_self: Any) -> None:
        # aiopg's method calls select() (ValueError for descriptors over 1,023, so the waiter never ends), closes its
        # queue of notifications for ever on any SQL error, and never delivers those that came with a result.
        self = weak_self()
        if self is not None:
            self._was_polled = False
            self._advance()
            if not self._was_polled and self._was_reset():
                # uvloop calls this only once for a socket that was reset (libuv's uv__poll_io): without this, the rest
                # of what has arrived, and the end, would stay unread.
                self._loop.call_soon(self._ready, self._weakref)

    def _was_reset(self) -> bool:
        if self._pending is None or self.closed_by is not None:
            return False
        return any(events & ~select.POLLIN for _, events in self._pending.poll(0))

    def _advance(self) -> None:
        """Read the socket and handle what arrived in one step: the statement's end, then the notifications."""
        connecting = not self.opened.done()
        try:
            state = self._conn.poll()
        except psycopg2.Error as error:
            # psycopg2 does not always notice that libpq has closed the socket. If its descriptor stayed registered, the
            # next connection with that number would not be watched, and its statements would never end.
            if self._conn.closed or connecting or self._conn.info.status != 0:
                self._notified()  # those that arrived before the end
                self.drop(error)
                return
            self._settled(error)
            return
        if self._conn.closed:
            self.drop(psycopg2.OperationalError("the connection was closed"))
            return
        if connecting:
            # libpq may continue on another socket (another address, or without TLS), even with the same number: aiopg
            # would watch the old one for ever.
            self._unwatch()
            self._fileno = self._conn.fileno()
            self._loop.add_reader(self._fileno, self._ready, self._weakref)
        self._watch_writable(state == psycopg2.extensions.POLL_WRITE)
        if state != psycopg2.extensions.POLL_OK:
            self._notified()
        elif connecting:
            psycopg2.extensions.register_type(_AS_TEXT, self._conn)
            self._cursor = self._conn.cursor()  # one for all statements: creating one costs more than a small fetch
            self._conn.notices.clear()
            self._pending = select.poll()  # not select(), which is limited to descriptors under 1,024
            self._pending.register(self._conn.fileno(), select.POLLIN)
            self.opened.set_result(None)
        else:
            self._settled(None)

    def _settled(self, error: psycopg2.Error | None) -> None:
        if self._done is not None and not self._conn.isexecuting():
            self._finish(error if error is not None else self._rows())
            if self.on_notified is not None and not self._conn.closed:
                # psycopg2 holds back notifications that it read along with the results of several statements: poll
                # again. And `done` may have sent the next statement, which may end by the same poll.
                self._advance()
                return
        self._notified()

    def _rows(self) -> Outcome:
        try:
            return self._cursor.fetchall() if self._cursor.description is not None else []
        except UnicodeDecodeError:  # a function changed client_encoding under its own result
            return psycopg2.DataError("the result is not in the encoding of this connection")

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._conn.notices.clear()  # any later notice belongs to no statement
            done(outcome)

    def _notified(self) -> None:
        notifies = self._conn.notifies
        if notifies:
            batch = [Notification(notify.channel, notify.payload) for notify in notifies]
            notifies.clear()
            if self.on_notified is not None:
                self.on_notified(batch)

    def _watch_writable(self, wanted: bool) -> None:
        if wanted != self._writing and self._fileno is not None:
            if wanted:
                self._loop.add_writer(self._fileno, self._ready, self._weakref)
            else:
                self._loop.remove_writer(self._fileno)
            self._writing = wanted

    def _unwatch(self) -> None:
        if self._fileno is not None:
            # libpq may have closed it already, which is an error for epoll; the loop removes it nevertheless.
            with contextlib.suppress(OSError):
                self._watch_writable(False)
            with contextlib.suppress(OSError):
                self._loop.remove_reader(self._fileno)
            self._fileno = None
            self._writing = False
