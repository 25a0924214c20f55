"""pgrpc.postgres.database, .pool and .queue: the admission gate, and what becomes of calls when things go wrong."""

import asyncio
import os
import random
import select
import signal
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg2
import pytest

from pgrpc import config, observe
from pgrpc.core.functions import allowlist, catalog
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import backoff, connect, database, fair_queue, health, introspect, jobs, pool_filler, prepared
from tests.support.databases import Database
from tests.support.tcp_proxy import Proxy

PATIENCE = 30.0

SQL = """
create sequence calls;
create function hit(i int) returns int volatile language sql as $$ select nextval('calls'); select i $$;
create function echo(i int) returns int stable language sql as $$ select i $$;
create function doze(s float8) returns text volatile language sql as $$ select 'awake' from pg_sleep(s) $$;
create function wait(i int) returns int volatile language plpgsql as
    $$ begin perform nextval('calls'), pg_advisory_lock(7); return i; end $$;
create function pid() returns int stable language sql as $$ select pg_backend_pid() $$;
create function twice(i int) returns int immutable language sql as $$ select 2 * i $$;
create function denied(i int) returns int immutable language plpgsql as
    $$ begin if i % 3 = 0 then raise 'no'; end if; return i; end $$;
create function forget() returns int immutable language plpgsql as $$ begin deallocate all; return 0; end $$;
create function big(n int) returns text stable language sql as $$ select repeat('x', n) $$;
"""
METHODS = ("hit", "echo", "doze", "wait", "pid", "big", "twice", "denied", "forget")


class Calls:
    """A Database that runs, and what it observed."""

    def __init__(self, made: database.Database, functions: catalog.Catalog) -> None:
        self.made = made
        self._functions = functions
        self.answers: list[tuple[Any, jobs.Result]] = []

    def call(self, method: str, *params: Any) -> catalog.Call:
        return self._functions.bind(method, list(params))

    def submit(self, method: str, *params: Any, client: Hashable = "client", name: Any = None) -> jobs.Job:
        """The answer goes to `answers`, under `name`."""
        done = lambda result: self.answers.append((name, result))  # noqa: E731
        return self.made.submit(self.call(method, *params), identity.NOBODY, client, done)

    def begin(
        self, method: str, *params: Any, client: Hashable = "client"
    ) -> "tuple[jobs.Job, asyncio.Future[jobs.Result]]":
        """The answer is the future's; a second one would raise."""
        future: asyncio.Future[jobs.Result] = asyncio.get_running_loop().create_future()
        return self.made.submit(self.call(method, *params), identity.NOBODY, client, future.set_result), future

    async def run(self, method: str, *params: Any) -> jobs.Result:
        return await asyncio.wait_for(self.begin(method, *params)[1], PATIENCE)


class Observed:
    def __init__(self) -> None:
        self.all: list[observe.Observation] = []
        self._changed = asyncio.Condition()
        self._told: set[asyncio.Task[None]] = set()

    def __call__(self, observation: observe.Observation) -> None:
        self.all.append(observation)
        task = asyncio.ensure_future(self._tell())
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def count(self, kind: type) -> int:
        return sum(isinstance(each, kind) for each in self.all)

    async def until(self, kind: type, count: int = 1) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.count(kind) >= count)


@asynccontextmanager
async def serving(
    base: Database,
    *,
    pool_size: int = 2,
    queue_size: int = 100,
    timeout: float = 10.0,  # noqa: ASYNC109
    dsn: str | None = None,
    connector: connect.Connector | None = None,
    observed: Observed | None = None,
    reset: bool | None = None,
) -> AsyncIterator[Calls]:
    base.execute(SQL)
    found = await introspect.read(connect.Connector(base.dsn, PATIENCE), {method: method for method in METHODS})
    listed = [config.Function(method, method, reset=reset) for method in METHODS]
    functions, problems = allowlist.build(listed, found.routines, {}, frozenset((found.login.name,)))
    assert not found.faults
    assert not problems
    observed = observed or Observed()
    made = database.Database(
        connector or connect.Connector(dsn or base.dsn, 2),
        observed,
        pool_size=pool_size,
        queue_size=queue_size,
        statement_timeout=timeout,
        result_size=1 << 20,
    )
    running = asyncio.create_task(made.run())
    await observed.until(observe.DatabaseUp)
    try:
        yield Calls(made, functions)
        assert not running.done(), running
        assert not observed.count(observe.Bug), observed.all
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nothing announces, such as the state of a backend."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def full(calls: Calls, size: int) -> bool:
    return bool(calls.made._pool.size == size)


async def up(calls: Calls) -> None:
    await until(lambda: calls.made.down is None)


def farewells(calls: Calls) -> None:
    """Wait, holding the event loop, until every connection's socket has something to say."""
    for conn in calls.made._pool.connections():
        poll = select.poll()
        poll.register(conn.raw.fileno(), select.POLLIN)
        assert poll.poll(PATIENCE * 1000)


WAITING = "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"


def hold_back(base: Database) -> "psycopg2.extensions.connection":
    """The lock that wait() waits for."""
    conn = psycopg2.connect(base.dsn)
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(7)")
    return conn


def kill_all(base: Database) -> None:
    base.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'pgrpc' and datname = current_database()"
    )


class TestQueue:
    def test_clients_take_turns_and_keep_their_own_order(self) -> None:
        waiting: fair_queue.FairQueue[str] = fair_queue.FairQueue(100)
        for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
            waiting.put(item[0], item)
        assert [waiting.get() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
        assert not waiting

    def test_its_bound_and_removal(self) -> None:
        waiting: fair_queue.FairQueue[str] = fair_queue.FairQueue(2)
        waiting.put("a", "a1")
        assert not waiting.is_full
        waiting.put("a", "a2")
        assert waiting.is_full
        assert waiting.remove("a", "a1")
        assert not waiting.remove("a", "a1")
        assert not waiting.remove("b", "a2")
        assert waiting.get() == "a2"
        assert not waiting.remove("a", "a2")

    async def test_a_client_with_hundreds_of_calls_does_not_starve_another(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1, queue_size=1000) as calls:
            ends = [calls.begin("echo", i, client="greedy")[1] for i in range(300)]
            modest = calls.begin("echo", -1, client="modest")[1]
            assert await asyncio.wait_for(modest, PATIENCE) == "-1"
            assert sum(end.done() for end in ends) <= 3
            assert await asyncio.gather(*ends) == [str(i) for i in range(300)]

    async def test_the_connection_that_was_used_last_is_used_next(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=3, reset=False) as calls:
            await until(lambda: full(calls, 3))
            assert len({await calls.run("pid") for _ in range(5)}) == 1

    async def test_a_full_queue_is_told_at_once(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1, queue_size=2) as calls:
            lock = hold_back(embedded_database)
            ends = [calls.begin("wait", i)[1] for i in range(3)]
            _, refused = calls.begin("wait", 9)
            assert refused.done()
            error = refused.result()
            assert isinstance(error, errors.Unavailable)
            assert error.data == {"retry_after": 1}
            lock.close()
            assert await asyncio.gather(*ends) == ["0", "1", "2"]
            assert await calls.run("hit", 1) == "1"
        assert embedded_database.execute("select last_value from calls") == [(4,)]


class TestTheDatabaseGoesAway:
    async def test_nothing_waits_while_it_is_away(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backoff, "CAP", 0.2)
        observed = Observed()
        async with serving(database, observed=observed) as calls:
            # In a thread: the server waits for clients that are logging in, and they live in this loop.
            await asyncio.to_thread(database.server.stop)
            await observed.until(observe.DatabaseDown)
            for _ in range(3):
                _, end = calls.begin("echo", 1)
                assert isinstance(end.result(), errors.Unavailable)
            assert calls.made.down
            assert observed.count(observe.DatabaseDown) == 1
            # The port may be another's by now, so the server gets the old one.
            port = database.server.port
            database.server._port_asked = port
            try:
                database.server.start()
            finally:
                database.server._port_asked = None
            await observed.until(observe.DatabaseUp, 2)
            assert calls.made.down is None
            assert await calls.run("echo", 2) == "2"

    async def test_every_backend_is_terminated_while_calls_run(self, database: Database) -> None:
        observed = Observed()
        async with serving(database, pool_size=3, observed=observed) as calls:
            await until(lambda: full(calls, 3))
            lock = hold_back(database)
            for i in range(10):
                calls.submit("wait", i, name=i)
            await until(lambda: database.execute(WAITING) == [(3,)])
            kill_all(database)
            await until(lambda: len(calls.answers) == 10 or database.execute(WAITING) == [(3,)])
            lost = [result for _, result in calls.answers if isinstance(result, errors.Unavailable)]
            assert len(lost) >= 3
            assert len(lost) == len(calls.answers)  # nobody has the lock, so none can have succeeded
            lock.close()
            await until(lambda: len(calls.answers) == 10)
            assert sorted(name for name, _ in calls.answers) == list(range(10))
            done = [result for _, result in calls.answers if isinstance(result, str)]
            # Each call ran at most once: those that were lost while they ran, and those that came after.
            ran = database.execute("select last_value from calls")[0][0]
            assert ran == 3 + len(done)
            await up(calls)
            assert await calls.run("echo", 5) == "5"
            await until(lambda: full(calls, 3))
            assert await calls.run("echo", 6) == "6"
            assert len(calls.answers) == 10

    async def test_they_die_idle_in_the_very_turn_of_a_call(self, database: Database) -> None:
        async with serving(database, pool_size=2) as calls:
            for turn in range(5):
                await until(lambda: full(calls, 2))
                kill_all(database)
                farewells(calls)
                result = await calls.run("hit", turn)
                # Either nobody was asked, or the call waited for a new connection: it never meets a dead one.
                if isinstance(result, errors.RpcError):
                    assert isinstance(result, errors.Unavailable)
                    assert "may or may not" not in result.message
                else:
                    assert result == str(turn)

    async def test_a_connection_that_ends_as_soon_as_it_is_open_is_replaced(self, embedded_database: Database) -> None:
        class Unlucky(connect.Connector):
            tries = 0

            async def connect(self) -> prepared.Connection:
                conn = await super().connect()
                self.tries += 1
                if self.tries <= 3:
                    conn.drop(psycopg2.OperationalError("ended at once"))
                return conn

        connector = Unlucky(embedded_database.dsn, 2)
        async with serving(embedded_database, pool_size=1, connector=connector) as calls:
            assert await calls.run("echo", 1) == "1"
            assert await calls.run("echo", 2) == "2"

    async def test_a_new_connection_that_hangs_does_not_hold_up_the_others(self, embedded_database: Database) -> None:
        async with Proxy(embedded_database.server.port) as proxy:
            dsn = proxy.dsn(embedded_database.dsn)
            async with serving(embedded_database, pool_size=2, connector=connect.Connector(dsn, PATIENCE)) as calls:
                await until(lambda: full(calls, 2))
                proxy.delay()
                dialled = proxy.dialled
                pid = int(str(await calls.run("pid")))
                embedded_database.execute("select pg_terminate_backend(%s)", pid)
                await proxy.until(lambda: proxy.dialled > dialled)  # it is being replaced, and that hangs
                for i in range(50):
                    assert await calls.run("echo", i) == str(i)
                assert calls.made._pool.size == 1
                proxy.undelay()
                await until(lambda: full(calls, 2))

    async def test_a_reply_that_is_cut_off_is_of_unknown_fate_and_not_repeated(
        self, embedded_database: Database
    ) -> None:
        async with Proxy(embedded_database.server.port) as proxy:
            dsn = proxy.dsn(embedded_database.dsn)
            async with serving(embedded_database, pool_size=1, dsn=dsn) as calls:
                proxy.hold()
                _, end = calls.begin("hit", 1)
                await proxy.until(lambda: b"hit" in proxy.sent and b"SELECT 1" in proxy.held)
                proxy.cut()
                result = await asyncio.wait_for(end, PATIENCE)
                assert isinstance(result, errors.Unavailable)
                assert "may or may not have taken effect" in result.message
                proxy.release()
                await up(calls)
                assert await calls.run("hit", 2) == "2"
        assert embedded_database.execute("select last_value from calls") == [(2,)]


class TestCancel:
    async def test_a_queued_call_never_runs(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1) as calls:
            lock = hold_back(embedded_database)
            _, first = calls.begin("wait", 1)
            job, second = calls.begin("wait", 2)
            _, third = calls.begin("wait", 3)
            calls.made.cancel(job)
            assert isinstance(second.result(), errors.Cancelled)
            calls.made.cancel(job)  # no harm
            lock.close()
            assert list(await asyncio.gather(first, third)) == ["1", "3"]
        assert embedded_database.execute("select last_value from calls") == [(2,)]

    async def test_a_running_call_is_cancelled_in_the_database(self, database: Database) -> None:
        async with serving(database, pool_size=1) as calls:
            lock = hold_back(database)
            job, end = calls.begin("wait", 1)
            await until(lambda: database.execute(WAITING) == [(1,)])
            calls.made.cancel(job)
            calls.made.cancel(job)
            assert isinstance(await asyncio.wait_for(end, PATIENCE), errors.Cancelled)
            assert database.execute(WAITING) == [(0,)]
            lock.close()
            assert await calls.run("echo", 1) == "1"
            calls.made.cancel(job)  # it has ended long ago
            assert await calls.run("echo", 2) == "2"

    @pytest.mark.parametrize("reset", [True, False])
    async def test_a_cancel_never_hits_the_next_call(self, embedded_database: Database, reset: bool) -> None:
        """The connection stays out until the cancel has returned, wherever in the call it arrives."""
        async with serving(embedded_database, pool_size=1, reset=reset) as calls:
            cancelled = 0
            for turn in range(200):
                job, end = calls.begin("doze", Decimal(turn % 5) / 1000)
                _, following = calls.begin("echo", turn)
                if turn % 2:
                    await asyncio.sleep(turn / 100_000)  # at every point of the call
                calls.made.cancel(job)
                result = await asyncio.wait_for(end, PATIENCE)
                assert result == '"awake"' or isinstance(result, errors.Cancelled)
                cancelled += isinstance(result, errors.Cancelled)
                assert await asyncio.wait_for(following, PATIENCE) == str(turn)
            assert cancelled > 0

    async def test_a_cancel_that_hangs_does_not_hold_up_the_loop(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=2) as calls:
            await until(lambda: full(calls, 2))
            lock = hold_back(embedded_database)
            job, end = calls.begin("wait", 1)
            await until(lambda: embedded_database.execute(WAITING) == [(1,)])
            postmaster = embedded_database.server.pid
            assert postmaster
            os.kill(postmaster, signal.SIGSTOP)  # nobody accepts connections, such as the cancel's
            try:
                calls.made.cancel(job)
                for i in range(20):
                    assert await calls.run("echo", i) == str(i)
                assert not end.done()
            finally:
                os.kill(postmaster, signal.SIGCONT)
            assert isinstance(await asyncio.wait_for(end, PATIENCE), errors.Cancelled)
            lock.close()


class TestTime:
    async def test_statement_timeout_holds(self, database: Database) -> None:
        async with serving(database, pool_size=1, timeout=0.2) as calls:
            before = time.monotonic()
            result = await calls.run("doze", 30)
            assert isinstance(result, errors.Timeout)
            assert result.data == {"timeout": 0.2, "sqlstate": "57014"}
            assert time.monotonic() - before < 5
            assert await calls.run("echo", 1) == "1"

    async def test_somebody_elses_cancel_is_no_timeout(self, database: Database) -> None:
        async with serving(database, pool_size=1) as calls:
            lock = hold_back(database)
            _, end = calls.begin("wait", 1)
            await until(lambda: database.execute(WAITING) == [(1,)])
            database.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'advisory'")
            result = await asyncio.wait_for(end, PATIENCE)
            assert isinstance(result, errors.DatabaseRefused)
            assert result.data["sqlstate"] == "57014"
            lock.close()

    async def test_a_server_that_does_not_answer_is_given_up(
        self, embedded_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "_GRACE", 0.2)
        async with serving(embedded_database, pool_size=1, timeout=0.3) as calls:
            pid = int(str(await calls.run("pid")))
            os.kill(pid, signal.SIGSTOP)
            try:
                results = await asyncio.gather(calls.run("echo", 1), calls.run("echo", 2))
                assert isinstance(results[0], errors.Unavailable)
                assert results[1] == "2" or isinstance(results[1], errors.Unavailable)
                await up(calls)
                assert await calls.run("echo", 3) == "3"  # on a new connection
            finally:
                os.kill(pid, signal.SIGCONT)

    async def test_when_one_is_given_up_the_idle_ones_are_looked_at(
        self, embedded_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What took one connection has often taken all of them: not each call has to find that out by waiting."""
        monkeypatch.setattr(database, "_GRACE", 0.2)
        monkeypatch.setattr(pool_filler, "TIMEOUT", 0.2)
        monkeypatch.setattr(health, "_INTERVAL", 3600)
        async with serving(embedded_database, pool_size=3, timeout=0.3) as calls:
            await until(lambda: full(calls, 3))
            before = set(calls.made._pool.connections())
            pids = [conn.raw.get_backend_pid() for conn in before]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                assert isinstance(await calls.run("echo", 1), errors.Unavailable)
                await until(lambda: full(calls, 3) and before.isdisjoint(calls.made._pool.connections()))
                assert await calls.run("echo", 2) == "2"
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)


class TestEnd:
    async def test_drain_lets_calls_end_and_takes_no_more(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1) as calls:
            lock = hold_back(embedded_database)
            ends = [calls.begin("wait", i)[1] for i in range(3)]
            draining = asyncio.create_task(calls.made.drain(PATIENCE))
            await asyncio.sleep(0)
            _, refused = calls.begin("echo", 1)
            assert isinstance(refused.result(), errors.Unavailable)
            assert not draining.done()
            lock.close()
            await asyncio.wait_for(draining, PATIENCE)
            assert [end.result() for end in ends] == ["0", "1", "2"]

    async def test_drain_takes_no_more_though_a_connection_is_opened_meanwhile(
        self, embedded_database: Database
    ) -> None:
        observed = Observed()
        async with serving(embedded_database, pool_size=1, observed=observed) as calls:
            await calls.made.drain(0)
            before = list(calls.made._pool.connections())
            kill_all(embedded_database)
            await until(lambda: full(calls, 1) and list(calls.made._pool.connections()) != before)
            _, refused = calls.begin("echo", 1)
            assert isinstance(refused.result(), errors.Unavailable)

    async def test_drain_is_impatient(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1) as calls:
            lock = hold_back(embedded_database)
            _, end = calls.begin("wait", 1)
            await asyncio.wait_for(calls.made.drain(0.05), PATIENCE)
            assert not end.done()
            await calls.made.close()
            assert isinstance(end.result(), errors.Unavailable)
            lock.close()

    async def test_close_answers_what_runs_and_what_waits(self, embedded_database: Database) -> None:
        async with serving(embedded_database, pool_size=1) as calls:
            lock = hold_back(embedded_database)
            for i in range(3):
                calls.submit("wait", i, name=i)
            await calls.made.close()
            assert sorted(name for name, _ in calls.answers) == [0, 1, 2]
            assert all(isinstance(result, errors.Unavailable) for _, result in calls.answers)
            _, late = calls.begin("echo", 1)
            assert isinstance(late.result(), errors.Unavailable)
            lock.close()

    async def test_a_result_that_is_too_big_does_not_leave_the_database(self, database: Database) -> None:
        async with serving(database, pool_size=1) as calls:
            result = await calls.run("big", 1 << 20)  # and two quotes
            assert isinstance(result, errors.DatabaseRefused)
            assert result.data["sqlstate"] == "54000"
            assert len(str(await calls.run("big", (1 << 20) - 2))) == 1 << 20

    async def test_an_answer_that_makes_the_next_call_at_once(self, embedded_database: Database) -> None:
        """As a session does with the members of a batch that wait."""
        async with serving(embedded_database, pool_size=1) as calls:
            finished = asyncio.get_running_loop().create_future()

            def done(left: int, result: jobs.Result) -> None:
                assert result == str(left)
                if left:
                    calls.made.submit(calls.call("echo", left - 1), identity.NOBODY, "client", partial(done, left - 1))
                else:
                    finished.set_result(None)

            calls.made.submit(calls.call("echo", 50), identity.NOBODY, "client", partial(done, 50))
            await asyncio.wait_for(finished, PATIENCE)


class TestPrepared:
    """Statements that a connection keeps prepared: nobody can tell, whatever comes between."""

    async def test_calls_of_all_kinds_in_any_order(self, database: Database) -> None:
        chance = random.Random(7)
        async with serving(database, pool_size=1) as calls:
            for turn in range(200):
                method = chance.choice(("twice", "twice", "denied", "hit", "forget"))
                result = await calls.run(method, *(() if method == "forget" else (turn,)))
                if method == "denied" and turn % 3 == 0:
                    assert isinstance(result, errors.DatabaseRefused)
                    assert result.data["sqlstate"] == "P0001"
                elif method == "forget":
                    # A non-volatile function may not do that; where PostgreSQL lets it, the next ones must not suffer.
                    assert result == "0" or isinstance(result, errors.DatabaseRefused)
                else:
                    assert result == str(2 * turn if method == "twice" else turn)

    async def test_a_function_is_changed_under_its_prepared_statement(self, database: Database) -> None:
        async with serving(database, pool_size=1) as calls:
            assert [await calls.run("twice", 5) for _ in range(3)] == ["10"] * 3
            database.execute(
                "create or replace function twice(i int) returns int immutable language sql as 'select 3 * i'"
            )
            assert await calls.run("twice", 5) == "15"
