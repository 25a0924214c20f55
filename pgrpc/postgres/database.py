"""Calls on pooled connections, behind an admission gate.

Owns the life of each call: queued -> running -> answered -> its connection cleaned
and given back. Must not know sockets or sessions: a call comes with a callback that is called exactly once.

Callbacks, not tasks: a task, a cursor and a pool context for each call cost 60 to 70 us of about 300.
A call whose fate is unknown is answered so, and never repeated.
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
"""Seconds beyond statement_timeout after which a server that does not answer is given up."""


_NOT_YET = "not connected yet"

_NO_SESSION = {
    "sqlstate": "0A000",
    "message": "a procedure cannot be called as a role through a pooler: it needs a direct connection",
}


class Database:
    """pool_size: connections. queue_size: calls that may wait for one. result_size: bytes of one result.

    statement_timeout: seconds, of calls that have none of their own.
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
        self._supply = pool_filler.Supply(connector, self._pool, observer, self._supplied, self._lost, self._went_down)
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
        """The roles that calls may run as, and the function that is called before each."""
        self._prologues.learn(known, hook)

    async def run(self) -> None:
        """Keep the pool full, and give up what does not answer, for ever. Only cancelling ends it."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._supply.run()
        finally:
            sweeper.cancel()

    def _supplied(self) -> None:
        if self.down is not None and not self._closing:
            self.down = None
            self._observe(observe.DatabaseUp(self._pool.size))
        self._dispatch()

    def refuse(self) -> None:
        """Take no more calls."""
        self._closing = True
        self.down = "the server is stopping"

    async def drain(self, patience: float) -> None:
        """Take no more calls, and let those in flight end; at most `patience` seconds."""
        self.refuse()
        if self.in_flight:
            self._idle = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._idle.wait()

    async def close(self) -> None:
        """End every connection; calls in flight are answered."""
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
        """Have a call made as `caller`; `done` is called once, at once where it cannot be made."""
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
        """Cancel a call, in PostgreSQL too; one that has ended already stays as it is."""
        if job.done is None:
            return
        if job.conn is None:
            self._queue.remove(job.client, job)
            self._answer(job, errors.Cancelled())
        elif not job.cancel_asked:
            job.cancel_asked = job.cancel_runs = True
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
        """The next step of a call, after its last one came to `outcome`."""
        conn = job.conn
        assert conn is not None
        try:
            if outcome is None:
                statement = next(job.steps)
            elif isinstance(outcome, psycopg2.Error):
                statement = job.steps.throw(self._cause(job, conn, outcome))
            else:
                statement = job.steps.send(outcome)
            # The timeout is each statement's, and a hook is one of its own.
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
        """What a failed statement means, where only the job knows: who cancelled it, whether the connection is gone."""
        if isinstance(error, psycopg2.errors.QueryCanceled):
            if job.cancel_asked:
                return errors.Cancelled()
            if time.monotonic() - job.started >= 0.9 * job.timeout:
                return errors.Timeout(job.timeout)
        if conn.closed_by is not None and error.pgcode is None:
            return errors.Unavailable(sqlstate.FATE_UNKNOWN, retry_after=None)
        return error

    def _end(self, job: jobs.Job, result: jobs.Result) -> None:
        self._answer(job, result)
        # While a cancel is on its way the connection stays out: it would hit the cleaning, or the next call.
        if not job.cancel_runs:
            self._clean(job)

    def _clean(self, job: jobs.Job) -> None:
        """Make the connection of an answered call fit for the next one."""
        conn = job.conn
        assert conn is not None
        if conn.idle and (job.call.reset or not conn.is_sound):
            job.deadline = time.monotonic() + 2 * _GRACE
            try:
                conn.send(statements.CLEAN, partial(self._cleaned, job))
            except psycopg2.Error as error:
                conn.drop(error)
            else:
                return
        self._release(job)

    def _cleaned(self, job: jobs.Job, outcome: connection.Outcome) -> None:
        conn = job.conn
        assert conn is not None
        conn.forget_prepared()
        if isinstance(outcome, psycopg2.Error) or not conn.is_sound:
            conn.close()
        self._release(job)

    def _cancel_in_thread(self, job: jobs.Job, cancel: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Cancelling blocks: libpq opens a connection for it. A daemon, since a database that hangs must not keep
        this process from ending; never more than one for each connection.
        """
        cancel()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._cancel_returned, job)

    def _cancel_returned(self, job: jobs.Job) -> None:
        job.cancel_runs = False
        if job.done is None:
            self._clean(job)

    def _release(self, job: jobs.Job) -> None:
        assert job.conn is not None
        del self._running[job]
        self._pool.release(job.conn)
        self._dispatch()
        self._tell_idle()

    def _answer(self, job: jobs.Job, result: jobs.Result) -> None:
        done, job.done = job.done, None
        if done is not None:
            try:
                done(result)
            except Exception as error:
                self._observe(observe.Bug("the end of a call", error))
        self._tell_idle()

    def _tell_idle(self) -> None:
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
        """Give up servers that do not answer: statement_timeout is theirs to keep, but one may hang or be cut off."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for job in list(self._running):
                if job.conn is not None and now > job.deadline:
                    job.conn.give_up()
                    self._probes.soon()
            self._probes.look(now)
