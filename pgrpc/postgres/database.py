"""Runs calls on pooled connections, behind a bounded queue.

Owns the life of each call: queued -> running -> answered -> its connection reset and released. Must not know sockets or
sessions: a call comes with a callback that is called exactly once.

Callbacks, not tasks: a task, a cursor and a pool context for each call cost 60 to 70 us of about 300.
A call that may or may not have taken effect gets an error that says so, and is never repeated.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial

import psycopg2
import psycopg2.errors

from pgrpc import observe
from pgrpc.core.functions import catalog, roles, routines
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import (
    cancellation,
    connect,
    connection,
    fair_queue,
    health,
    jobs,
    pool,
    pool_filler,
    prepared,
    prologue,
    sqlstate,
    statements,
)

_GRACE = 5.0
"""Seconds beyond statement_timeout after which the connection to a server that does not answer is dropped."""


_NOT_YET = "not connected yet"

_NO_SESSION = {
    "sqlstate": "0A000",
    "message": "a procedure cannot be called as a role through a pooler: the server needs a direct connection",
}


class Database:
    """pool_size: connections. queue_size: calls that may wait for one. result_size: bytes of one result.

    statement_timeout: seconds, for calls without their own timeout.
    """

    def __init__(
        self,
        connector: connect.Connector,
        observer: observe.Observer,
        *,
        pool_size: int,
        queue_size: int,
        result_size: int,
        statement_timeout: float,
    ) -> None:
        self._observe = observer
        self._pool = pool.Pool(pool_size)
        self._filler = pool_filler.PoolFiller(
            connector, self._pool, observer, self._opened, self._lost, self._went_down
        )
        self._probes = health.Probes(self._pool, self._dispatch)
        self._queue: fair_queue.FairQueue[jobs.Job] = fair_queue.FairQueue(queue_size)
        self._result_size = result_size
        self._prologues = prologue.Prologues(statement_timeout)
        self._running: dict[jobs.Job, None] = {}
        self._closing = False
        self._idle: asyncio.Event | None = None
        self.down: str | None = _NOT_YET
        """Why no call can be made now, or None."""

    def learn(self, known: Mapping[str, roles.Role], hook: routines.Routine | None) -> None:
        """Set the roles that calls may run as, and the function to call before each call."""
        self._prologues.learn(known, hook)

    async def run(self) -> None:
        """Keep the pool full, and drop connections that do not answer, for ever. Only cancelling ends it."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._filler.run()
        finally:
            sweeper.cancel()

    def _opened(self) -> None:
        if self.down is not None and not self._closing:
            self.down = None
            self._observe(observe.DatabaseUp(self._pool.size))
        self._dispatch()

    def refuse(self) -> None:
        """Accept no more calls."""
        self._closing = True
        self.down = "the server is stopping"

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109
        """Accept no more calls, and wait at most `timeout` seconds for those in flight."""
        self.refuse()
        if self.in_flight:
            self._idle = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._idle.wait()

    async def close(self) -> None:
        """Close every connection; calls in flight get an error."""
        self._closing = True
        for conn in self._pool.connections():
            conn.close()
        self._pool.terminate()
        self._went_down("the server is stopping")

    @property
    def in_flight(self) -> int:
        return len(self._running) + len(self._queue)

    def submit(
        self, call: catalog.Call, caller: identity.Identity, client: Hashable, done: Callable[[jobs.Result], None]
    ) -> jobs.Job:
        """Make a call as `caller`. `done` is called once with the result; at once if the call cannot be made.

        client: calls with different ones take turns (fair_queue).
        """
        steps = statements.steps(call, caller, self._prologues, self._result_size)
        job = jobs.Job(call, caller, client, done, steps, self._prologues.timeout(call, caller))
        if self.down is not None:
            self._answer(job, errors.Unavailable())
        elif not self._queue and (conn := self._pool.acquire()) is not None:
            self._start(job, conn)
        elif self._queue.is_full:
            self._observe(observe.QueueFull(len(self._queue)))
            self._answer(job, errors.Unavailable("too many calls are waiting for the database; try again"))
        else:
            self._queue.put(client, job)
        return job

    def cancel(self, job: jobs.Job) -> None:
        """Cancel a call, in PostgreSQL too; has no effect on a call that has ended."""
        if job.done is None:
            return
        if job.conn is None:
            self._queue.remove(job.client, job)
            self._answer(job, errors.Cancelled())
        elif not job.cancel_requested:
            job.cancel_requested = job.cancel_runs = True
            loop = asyncio.get_running_loop()
            arguments = (job, cancellation.canceller(job.conn.raw), loop)
            threading.Thread(target=self._cancel_in_thread, args=arguments, name="cancel", daemon=True).start()

    def _dispatch(self) -> None:
        while self._queue and (conn := self._pool.acquire()) is not None:
            self._start(self._queue.get(), conn)

    def _start(self, job: jobs.Job, conn: prepared.Connection) -> None:
        job.conn = conn
        job.started = time.monotonic()
        self._running[job] = None
        if statements.needs_session(job.call, job.caller) and not conn.is_session:
            self._end(job, errors.DatabaseRefused(_NO_SESSION))
        else:
            self._advance(job, None)

    def _advance(self, job: jobs.Job, outcome: connection.Outcome | None) -> None:
        """Send the next message of a call; outcome: of the last one, None at first."""
        conn = job.conn
        assert conn is not None
        try:
            if outcome is None:
                statement = next(job.steps)
            elif isinstance(outcome, psycopg2.Error):
                statement = job.steps.throw(self._cause(job, conn, outcome))
            else:
                statement = job.steps.send(outcome)
            # statement_timeout is for each statement, and the hook is one more.
            job.deadline = time.monotonic() + job.timeout * (2 if self._prologues.hook else 1) + _GRACE
            conn.send(statement, partial(self._advance, job))
        except StopIteration as stop:
            self._end(job, stop.value)
        except errors.RpcError as error:
            self._end(job, error)
        except psycopg2.Error as error:  # the statement could not even be sent
            conn.drop(error)
            self._end(job, sqlstate.translate(error))
        except Exception as error:
            self._observe(observe.Bug("the steps of a call", error))
            conn.close()
            self._end(job, errors.InternalError())

    def _cause(self, job: jobs.Job, conn: prepared.Connection, error: psycopg2.Error) -> Exception:
        """The error of a call whose statement failed: a cancel, a timeout, a lost connection, or `error` itself."""
        if isinstance(error, psycopg2.errors.QueryCanceled):
            if job.cancel_requested:
                return errors.Cancelled()
            if time.monotonic() - job.started >= 0.9 * job.timeout:
                return errors.Timeout(job.timeout)
        if conn.closed_by is not None and error.pgcode is None:
            return errors.Unavailable(sqlstate.FATE_UNKNOWN, retry_after=None)
        return error

    def _end(self, job: jobs.Job, result: jobs.Result) -> None:
        self._answer(job, result)
        # While a cancel is in flight, keep the connection: it would cancel the reset, or the next call.
        if not job.cancel_runs:
            self._reset(job)

    def _reset(self, job: jobs.Job) -> None:
        """Reset the connection of an answered call, if needed, and release it."""
        conn = job.conn
        assert conn is not None
        if conn.idle and (job.call.reset or not conn.is_sound):
            job.deadline = time.monotonic() + 2 * _GRACE
            try:
                conn.send(statements.RESET, partial(self._was_reset, job))
            except psycopg2.Error as error:
                conn.drop(error)
            else:
                return
        self._release(job)

    def _was_reset(self, job: jobs.Job, outcome: connection.Outcome) -> None:
        conn = job.conn
        assert conn is not None
        conn.forget_prepared()
        if isinstance(outcome, psycopg2.Error) or not conn.is_sound:
            conn.close()
        self._release(job)

    def _cancel_in_thread(self, job: jobs.Job, cancel: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Cancelling blocks, as libpq opens a connection for it. The thread is a daemon, so that a database that hangs
        does not keep this process from ending; there is at most one for each connection.
        """
        cancel()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._cancel_returned, job)

    def _cancel_returned(self, job: jobs.Job) -> None:
        job.cancel_runs = False
        if job.done is None:
            self._reset(job)

    def _release(self, job: jobs.Job) -> None:
        assert job.conn is not None
        del self._running[job]
        self._pool.release(job.conn)
        self._dispatch()
        self._signal_idle()

    def _answer(self, job: jobs.Job, result: jobs.Result) -> None:
        done, job.done = job.done, None
        if done is not None:
            try:
                done(result)
            except Exception as error:
                self._observe(observe.Bug("the end of a call", error))
        self._signal_idle()

    def _signal_idle(self) -> None:
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    def _lost(self, error: psycopg2.Error) -> None:
        if not self._pool.size and not self._closing:
            self._went_down(sqlstate.reason(error))

    def _went_down(self, reason: str) -> None:
        if self.down in (None, _NOT_YET) and not self._closing:
            self._observe(observe.DatabaseDown(reason))
        self.down = reason
        while self._queue:
            self._answer(self._queue.get(), errors.Unavailable())

    async def _sweep(self) -> None:
        """Drop connections that do not answer in time: the server enforces statement_timeout, unless it hangs."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for job in list(self._running):
                if job.conn is not None and now > job.deadline:
                    job.conn.time_out()
                    self._probes.soon()
            self._probes.check(now)
