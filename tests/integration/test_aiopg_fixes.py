"""pgrpc.postgres.connection, .pool and .connecting: each fault of aiopg 1.4.0 that they mend.

A test whose name begins with `test_aiopg_still` runs plain aiopg and expects the fault. When one of these fails,
aiopg has mended it, and our fix can go.
"""

import asyncio
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import aiopg
import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from pgrpc.core.channels.notification import Notification
from pgrpc.postgres import cancellation, connect, connection, pool, prepared
from tests.support.databases import Database
from tests.support.free_ports import free_port
from tests.support.tcp_proxy import Proxy

PATIENCE = 30.0
LOST = psycopg2.OperationalError("lost")


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[prepared.Connection]:
    conn = await connect.Connector(dsn, PATIENCE).connect()
    try:
        yield conn
    finally:
        conn.close()


@asynccontextmanager
async def plain(dsn: str, **options: Any) -> AsyncIterator[aiopg.Connection]:
    """aiopg's own connection."""
    conn = await aiopg.connect(dsn, timeout=PATIENCE, enable_hstore=False, **options)
    try:
        yield conn
    finally:
        conn.close()


async def plainly(conn: aiopg.Connection, sql: str, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109
    async with conn.cursor() as cursor:
        await cursor.execute(sql, timeout=timeout)


@contextmanager
def descriptors_used_up() -> Iterator[None]:
    """Whatever is opened inside has a descriptor over 1,023, which select() cannot watch."""
    held: list[int] = []
    try:
        while not held or held[-1] < 1100:
            held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nothing announces, such as the state of a backend."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def backend(conn: aiopg.Connection) -> int:
    return int(conn.raw.get_backend_pid())


def terminate(database: Database, conn: aiopg.Connection) -> None:
    """End its backend, and return when the farewell is in the socket; the event loop has not seen it yet."""
    database.execute("select pg_terminate_backend(%s)", backend(conn))
    readable(conn)


def readable(conn: aiopg.Connection) -> None:
    """Wait, holding the event loop, until something has arrived."""
    poll = select.poll()
    poll.register(conn.raw.fileno(), select.POLLIN)
    assert poll.poll(PATIENCE * 1000)


class TestDescriptorsOver1023:
    async def test_an_error_of_sql_ends_its_statement_only(self, database: Database) -> None:
        with descriptors_used_up():
            async with connected(database.dsn) as conn:
                assert conn.raw.fileno() > 1023
                with pytest.raises(psycopg2.errors.DivisionByZero):
                    await asyncio.wait_for(conn.fetch("select 1 / 0"), PATIENCE)
                assert await conn.fetch("select 1") == [("1",)]

    async def test_the_end_of_a_connection_is_noticed_while_a_statement_runs(self, database: Database) -> None:
        with descriptors_used_up():
            async with connected(database.dsn) as conn:
                assert conn.raw.fileno() > 1023
                running = asyncio.ensure_future(conn.fetch("select pg_sleep(60)"))
                await until(lambda: database.execute(ACTIVE, backend(conn)) == [("active",)])
                database.execute("select pg_terminate_backend(%s)", backend(conn))
                with pytest.raises(psycopg2.OperationalError, match="terminating connection"):
                    await asyncio.wait_for(running, PATIENCE)
                assert conn.closed_by is not None

    async def test_the_loss_of_an_idle_listening_connection_is_told(self, database: Database) -> None:
        with descriptors_used_up():
            async with connected(database.dsn) as conn:
                assert conn.raw.fileno() > 1023
                lost: asyncio.Future[psycopg2.Error] = asyncio.get_running_loop().create_future()
                conn.on_closed = lost.set_result
                await conn.fetch("listen c")
                database.execute("select pg_terminate_backend(%s)", backend(conn))
                assert isinstance(await asyncio.wait_for(lost, PATIENCE), psycopg2.Error)

    async def test_aiopg_still_never_ends_a_statement_that_fails(self, embedded_database: Database) -> None:
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
        with descriptors_used_up():
            async with plain(embedded_database.dsn) as conn:
                # It never ends; or, where the answer is there at once, the fault comes out instead of the error.
                with pytest.raises((asyncio.TimeoutError, ValueError)) as caught:
                    await plainly(conn, "select 1 / 0", timeout=0.3)
        assert any(isinstance(fault, ValueError) for fault in [*faults, caught.value])


ACTIVE = "select state from pg_stat_activity where pid = %s"


class TestCancelledByTheServer:
    async def test_a_timeout_is_an_error_of_psycopg2(self, database: Database) -> None:
        async with connected(database.dsn) as conn:
            with pytest.raises(psycopg2.errors.QueryCanceled) as caught:
                await conn.fetch("set statement_timeout = 20; select pg_sleep(60)")
            assert caught.value.pgcode == "57014"
            assert await conn.fetch("select 1") == [("1",)]

    async def test_a_cancel_is_an_error_of_psycopg2(self, database: Database) -> None:
        async with connected(database.dsn) as conn:
            running = asyncio.ensure_future(conn.fetch("select pg_sleep(60)"))
            await until(lambda: database.execute(ACTIVE, backend(conn)) == [("active",)])
            await asyncio.to_thread(cancellation.canceller(conn.raw))
            with pytest.raises(psycopg2.errors.QueryCanceled):
                await running
            assert await conn.fetch("select 1") == [("1",)]

    async def test_aiopg_still_takes_it_for_the_task_being_cancelled(self, embedded_database: Database) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with plain(embedded_database.dsn) as conn:
            with pytest.raises(asyncio.CancelledError):
                await plainly(conn, "set statement_timeout = 20; select pg_sleep(60)")


class TestAnErrorInTheMiddle:
    async def test_leaves_the_connection_usable_and_nothing_of_it_behind(self, database: Database) -> None:
        database.execute("create table t (i int unique deferrable initially deferred)")
        async with connected(database.dsn) as conn:
            for failing in (
                "insert into t values (1); select 1 / 0; insert into t values (2)",
                "insert into t values (3), (3); select 5",  # fails at the implicit commit
                "select 1; selec",
                "set local role nobody_of_this_name; select 1",
            ):
                with pytest.raises(psycopg2.Error):
                    await conn.fetch(failing)
                assert conn.raw.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
                assert await conn.fetch("select count(*) from t") == [("0",)]

    async def test_notifications_still_come_after_an_error(self, database: Database) -> None:
        async with connected(database.dsn) as conn:
            heard: asyncio.Queue[list[Notification]] = asyncio.Queue()
            conn.on_notified = heard.put_nowait
            await conn.fetch("listen c")
            with pytest.raises(psycopg2.errors.DivisionByZero):
                await conn.fetch("select 1 / 0")
            database.execute("notify c, 'x'")
            assert await asyncio.wait_for(heard.get(), PATIENCE) == [("c", "x")]

    async def test_aiopg_still_closes_its_queue_of_notifications(self, embedded_database: Database) -> None:
        async with plain(embedded_database.dsn) as conn:
            await plainly(conn, "listen c")
            with pytest.raises(psycopg2.errors.DivisionByZero):
                await plainly(conn, "select 1 / 0")
            embedded_database.execute("notify c, 'x'")
            with pytest.raises(psycopg2.errors.DivisionByZero):
                await conn.notifies.get()

    async def test_what_cannot_be_sent_is_raised_and_leaves_it_usable(self, embedded_database: Database) -> None:
        async with connected(embedded_database.dsn) as conn:
            for parameter in ("a\0b", "\ud800"):
                with pytest.raises(ValueError):  # noqa: PT011 - NUL, or a UnicodeEncodeError, which is one
                    await conn.fetch("select %s", (parameter,))
                assert await conn.fetch("select 1") == [("1",)]

    async def test_only_one_statement_runs_at_a_time(self, embedded_database: Database) -> None:
        async with connected(embedded_database.dsn) as conn:
            running = asyncio.ensure_future(conn.fetch("select 1"))
            await asyncio.sleep(0)
            with pytest.raises(AssertionError):
                await conn.fetch("select 2")
            assert await running == [("1",)]


def holding(proxy: Proxy, *marks: bytes) -> Callable[[], bool]:
    return lambda: all(mark in proxy.held for mark in marks)


class TestNotificationsInsideAReading:
    async def test_those_beside_several_results_come_at_once(self, database: Database) -> None:
        """Without our extra poll they stay inside psycopg2 until something else arrives, maybe for ever."""
        async with Proxy(database.server.port) as proxy, connected(proxy.dsn(database.dsn)) as conn:
            heard: list[tuple[str, str]] = []
            conn.on_notified = heard.extend
            await conn.fetch("listen c")
            for turn in range(10):
                # The second statement waits on a lock, so that the NOTIFY arrives beside the results.
                with closing(psycopg2.connect(database.dsn)) as other, other.cursor() as cursor:
                    cursor.execute("select pg_advisory_lock(1)")
                    proxy.hold()
                    running = asyncio.ensure_future(
                        conn.fetch("select 1; select pg_advisory_lock(1); select pg_advisory_unlock(1); select 2")
                    )
                    await until(
                        lambda: (
                            database.execute("select wait_event from pg_stat_activity where pid = %s", backend(conn))
                            == [("advisory",)]
                        )
                    )
                    database.execute(f"notify c, '{turn}'")
                    cursor.execute("select pg_advisory_unlock(1)")
                await proxy.until(holding(proxy, f"c\0{turn}\0".encode()))
                proxy.release()
                assert await running == [("2",)]
                assert heard == [("c", str(turn))]
                heard.clear()

    async def test_the_end_of_listen_comes_before_the_notification_in_the_same_reading(
        self, database: Database
    ) -> None:
        async with Proxy(database.server.port) as proxy, connected(proxy.dsn(database.dsn)) as conn:
            for turn in range(20):
                order: list[Any] = []
                both = asyncio.Event()

                def heard(batch: list[Notification], order: list[Any] = order, both: asyncio.Event = both) -> None:
                    order.extend(batch)
                    both.set()

                conn.on_notified = heard
                proxy.hold()
                conn.run(f"listen c{turn}", None, order.append)
                await proxy.until(holding(proxy, b"LISTEN\0", b"Z\0\0\0\5I"))
                database.execute(f"notify c{turn}, 'x'")
                await proxy.until(holding(proxy, f"c{turn}\0x\0".encode()))
                proxy.release()
                await asyncio.wait_for(both.wait(), PATIENCE)
                assert order == [[], (f"c{turn}", "x")]

    async def test_aiopg_still_gives_the_notification_first_or_keeps_it(self, embedded_database: Database) -> None:
        wrong = 0
        dsn = embedded_database.dsn
        async with Proxy(embedded_database.server.port) as proxy, plain(proxy.dsn(dsn)) as conn:
            for turn in range(10):
                order: list[str] = []

                async def hear(order: list[str] = order) -> None:
                    await conn.notifies.get()
                    order.append("event")

                hearing = asyncio.ensure_future(hear())
                proxy.hold()
                listening = asyncio.ensure_future(plainly(conn, f"listen c{turn}"))
                await proxy.until(holding(proxy, b"LISTEN\0", b"Z\0\0\0\5I"))
                embedded_database.execute(f"notify c{turn}, 'x'")
                await proxy.until(holding(proxy, f"c{turn}\0x\0".encode()))
                proxy.release()
                await listening
                order.append("ok")
                wrong += order[0] == "event"
                if not hearing.done():  # kept inside until the next activity, or only not delivered yet
                    await asyncio.wait((hearing,), timeout=0.05)
                    wrong += not hearing.done()
                    await plainly(conn, "select 1")
                await asyncio.wait_for(hearing, PATIENCE)
        assert wrong

    async def test_a_statement_run_by_the_end_of_another_ends_though_its_answer_is_there_at_once(
        self, embedded_database: Database
    ) -> None:
        """The extra poll takes in that answer: it must not be the last that anybody looks at it."""
        async with connected(embedded_database.dsn) as conn:
            conn.on_notified = lambda batch: None
            for sql in ("select 2", "select 1 / 0"):
                second: asyncio.Future[connection.Outcome] = asyncio.get_running_loop().create_future()

                def first_done(
                    outcome: connection.Outcome,
                    sql: str = sql,
                    second: "asyncio.Future[connection.Outcome]" = second,
                ) -> None:
                    conn.run(sql, None, second.set_result)
                    if not second.done():
                        readable(conn)  # as if this process had been put aside for a moment

                conn.run("select 1", None, first_done)
                outcome = await asyncio.wait_for(second, PATIENCE)
                assert outcome == [("2",)] or isinstance(outcome, psycopg2.errors.DivisionByZero)

    async def test_what_came_before_the_end_of_the_connection_is_heard(self, database: Database) -> None:
        async with Proxy(database.server.port) as proxy, connected(proxy.dsn(database.dsn)) as conn:
            told: list[Any] = []
            ended = asyncio.Event()
            conn.on_notified = told.extend

            def closed(error: psycopg2.Error) -> None:
                told.append("closed")
                ended.set()

            conn.on_closed = closed
            await conn.fetch("listen c")
            proxy.hold()
            database.execute("notify c, 'x'")
            await proxy.until(holding(proxy, b"c\0x\0"))
            database.execute("select pg_terminate_backend(%s)", backend(conn))
            await proxy.until(holding(proxy, b"57P01"))
            proxy.release()
            await asyncio.wait_for(ended.wait(), PATIENCE)
            assert told == [("c", "x"), "closed"]


async def pool_of(dsn: str, size: int) -> pool.Pool:
    made = pool.Pool(size)
    connector = connect.Connector(dsn, PATIENCE)
    for _ in range(size):
        conn = await connector.connect()
        conn.on_closed = lambda error, conn=conn: made.forget(conn)
        made.add(conn)
    return made


def end(each: pool.Pool) -> None:
    for conn in each.connections():
        conn.close()


class TestPool:
    async def test_dead_connections_are_never_handed_out(self, database: Database) -> None:
        made = await pool_of(database.dsn, 3)
        first, second, third = made.connections()
        terminate(database, first)
        terminate(database, second)
        # In this very turn of the loop: nothing has told the pool yet.
        assert first.closed_by is None
        assert made.acquire() is third
        assert made.acquire() is None
        assert made.size == 1
        assert isinstance(first.closed_by, psycopg2.Error)
        assert await third.fetch("select 1") == [("1",)]
        end(made)

    async def test_a_connection_that_ended_before_it_was_added_is_not_handed_out(
        self, embedded_database: Database
    ) -> None:
        made = pool.Pool(1)
        async with connected(embedded_database.dsn) as conn:
            conn.close()
            made.add(conn)
            assert made.acquire() is None

    async def test_a_closed_connection_that_comes_back_leaves_its_place(self, embedded_database: Database) -> None:
        made = await pool_of(embedded_database.dsn, 1)
        conn = made.acquire()
        assert conn is not None
        conn.drop(LOST)
        made.release(conn)
        assert made.size == 0
        end(made)

    async def test_one_that_still_runs_something_is_closed_when_it_comes_back(
        self, embedded_database: Database
    ) -> None:
        made = await pool_of(embedded_database.dsn, 1)
        conn = made.acquire()
        assert conn is not None
        outcomes: list[connection.Outcome] = []
        conn.run("select pg_sleep(60)", None, outcomes.append)
        made.release(conn)
        assert made.size == 0
        assert isinstance(outcomes[0], psycopg2.Error)

    async def test_aiopg_still_lets_a_waiter_starve_when_a_closed_connection_comes_back(
        self, embedded_database: Database
    ) -> None:
        async with aiopg.create_pool(embedded_database.dsn, minsize=1, maxsize=1, enable_hstore=False) as theirs:
            conn = await theirs.acquire()
            waiting = asyncio.ensure_future(theirs.acquire())
            await asyncio.sleep(0)
            conn.close()
            await theirs.release(conn)
            assert theirs.size == 0
            await asyncio.wait((waiting,), timeout=0.2)
            assert not waiting.done()
            await theirs.clear()  # which wakes it
            await theirs.release(await asyncio.wait_for(waiting, PATIENCE))

    async def test_aiopg_still_makes_everybody_wait_while_it_connects(self, embedded_database: Database) -> None:
        async with (
            Proxy(embedded_database.server.port) as proxy,
            aiopg.create_pool(
                proxy.dsn(embedded_database.dsn), minsize=1, maxsize=3, enable_hstore=False, timeout=PATIENCE
            ) as theirs,
        ):
            proxy.delay()
            free = await theirs.acquire()
            connects = asyncio.ensure_future(theirs.acquire())
            await proxy.until(lambda: proxy.dialled == 2)
            released = asyncio.ensure_future(_given_back(theirs, free))
            taken = asyncio.ensure_future(theirs.acquire())
            await asyncio.wait((taken,), timeout=0.2)
            assert not taken.done()  # though one is free
            proxy.undelay()
            await released
            for each in (connects, taken):
                await theirs.release(await each)

    async def test_aiopg_still_hands_out_a_connection_that_died_in_the_same_turn(
        self, embedded_database: Database
    ) -> None:
        async with aiopg.create_pool(embedded_database.dsn, minsize=1, maxsize=1, enable_hstore=False) as theirs:
            async with theirs.acquire() as conn:
                pass
            terminate(embedded_database, conn)
            again = await theirs.acquire()
            assert again is conn
            with pytest.raises(psycopg2.Error):
                await plainly(again, "select 1")
            again.close()
            await theirs.release(again)


async def _given_back(theirs: aiopg.Pool, conn: aiopg.Connection) -> None:
    await theirs.release(conn)


def login(dsn: str) -> str:
    """The DSN's user, password and database in libpq's other form."""
    parts = urlsplit(dsn)
    return f"user={parts.username} password={parts.password} dbname={parts.path[1:]}"


class TestConnecting:
    async def test_a_dead_first_host(self, database: Database) -> None:
        port = database.server.port
        parameters = login(database.dsn)
        for hosts in (
            f"host=127.0.0.1,127.0.0.1 port={free_port()},{port}",
            f"host=::1,127.0.0.1 port={port}",
            f"hostaddr=127.0.0.1,127.0.0.1 port={free_port()},{port}",
            f"host=no-such-host.invalid,127.0.0.1 port={port}",
        ):
            async with connected(f"{parameters} {hosts}") as conn:
                assert await asyncio.wait_for(conn.fetch("select 1"), PATIENCE) == [("1",)]

    async def test_a_name_of_several_addresses_of_which_the_first_is_dead(
        self, embedded_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def both(host: str, *_: Any, **__: Any) -> list[Any]:
            assert host == "localhost"
            return [(socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
        dsn = f"{login(embedded_database.dsn)} host=localhost port={embedded_database.server.port}"
        async with connected(dsn) as conn:
            assert await asyncio.wait_for(conn.fetch("select 1"), PATIENCE) == [("1",)]

    async def test_a_host_that_never_answers_is_left_after_the_timeout(self, embedded_database: Database) -> None:
        async with Proxy(embedded_database.server.port) as dead:
            dead.delay()
            hosts = f"host=127.0.0.1,127.0.0.1 port={dead.port},{embedded_database.server.port}"
            before = time.monotonic()
            conn = await connect.Connector(f"{login(embedded_database.dsn)} {hosts}", 0.2).connect()
            assert 0.2 <= time.monotonic() - before < 2
            conn.close()

    async def test_a_socket_that_changes_while_connecting_is_followed(self, embedded_database: Database) -> None:
        """sslmode=prefer: where TLS fails, libpq goes on with a new socket, without TLS."""
        async with Proxy(embedded_database.server.port, torn_tls=1) as proxy:
            dsn = f"{login(embedded_database.dsn)} host=127.0.0.1 port={proxy.port} sslmode=prefer gssencmode=disable"
            async with connected(dsn) as conn:
                assert proxy.dialled == 2
                assert await asyncio.wait_for(conn.fetch("select 1"), PATIENCE) == [("1",)]
                with pytest.raises(psycopg2.errors.DivisionByZero):
                    await asyncio.wait_for(conn.fetch("select 1 / 0"), PATIENCE)

    async def test_a_refused_connection_is_said_at_once(self, embedded_database: Database) -> None:
        """libpq has closed the socket by then: to stop watching it is an error, which must not stay unseen."""
        dsn = f"{login(embedded_database.dsn)} host=127.0.0.1 port={free_port()}"
        with pytest.raises(connect.CannotConnect, match="refused"):
            await asyncio.wait_for(connect.Connector(dsn, 60).connect(), PATIENCE)

    async def test_aiopg_still_watches_the_first_socket_of_several_hosts(self, embedded_database: Database) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        hosts = f"host=127.0.0.1,127.0.0.1 port={free_port()},{embedded_database.server.port}"
        with pytest.raises((OSError, psycopg2.Error, asyncio.TimeoutError)):
            await aiopg.connect(f"{login(embedded_database.dsn)} {hosts}", timeout=0.5, enable_hstore=False)

    async def test_what_is_wrong_is_said_for_each_host_without_the_password(self, embedded_database: Database) -> None:
        password = urlsplit(embedded_database.dsn).password
        assert password
        dsn = f"{login(embedded_database.dsn)} host=no-such-host.invalid,127.0.0.1 port={free_port()}"
        with pytest.raises(connect.CannotConnect) as caught:
            await connect.Connector(dsn, 5).connect()
        assert "no-such-host.invalid" in str(caught.value)
        assert "refused" in str(caught.value)
        assert password not in str(caught.value)

    async def test_a_failed_attempt_leaves_no_descriptor_open(self, embedded_database: Database) -> None:
        async with Proxy(embedded_database.server.port) as silent:
            silent.delay()
            connector = connect.Connector(silent.dsn(embedded_database.dsn), 0.05)
            with pytest.raises(connect.CannotConnect):
                await connector.connect()
            silent.cut()
            await silent.until(lambda: True)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                with pytest.raises(connect.CannotConnect):
                    await connector.connect()
                silent.cut()
            assert len(os.listdir("/proc/self/fd")) <= before + 1

    async def test_a_bad_dsn_is_refused_without_being_shown(self) -> None:
        with pytest.raises(connect.BadDsn) as caught:
            connect.Connector("postgresql://u:geheim@[::1/x", 1)
        assert "geheim" not in str(caught.value)
