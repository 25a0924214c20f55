"""Nothing of one call reaches the next, though both have the same connection; and cancelling hits only its call."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from pgrpc.demo import embedded
from tests.support import pgrpc_server, served_sql, ws_client

SETTINGS = {
    "request.jwt.claims": '{"sub": "admin"}',
    "my.own": "x",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "search_path": "evil, pg_temp",
    "role": "other",
    "session_authorization": "other",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "timezone": "Asia/Tokyo",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "escape_string_warning": "off",
    "bytea_output": "escape",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "-15",
    "lc_messages": "C",
    "row_security": "off",
    "session_replication_role": "replica",
    "check_function_bodies": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "xmloption": "document",
    "quote_all_identifiers": "on",
    "application_name": "mine",
    "work_mem": "64kB",
    "search_path ": "pg_catalog, evil",
}
LEFT_BEHIND = {
    "temporary table": "create temp table leftover (a int); insert into leftover values (1)",
    "temporary table as a type": "create temp table text (a int); create temp table int4 (); create temp table json ()",
    "temporary type": "create type pg_temp.int4 as enum ('x'); create domain pg_temp.json as pg_catalog.text",
    "temporary function": "create function pg_temp.to_json(a anyelement) returns int language sql as 'select 1'",
    "prepared statement": "prepare leftover as select 1",
    "cursor": "execute 'declare leftover cursor with hold for select 1'",
    "advisory lock": "perform pg_advisory_lock(4711)",
    "shared advisory lock": "perform pg_advisory_lock_shared(4712)",
    "listen": "listen leftover",
    "sequence": "perform nextval('ids')",
}
SQL = r"""
create role other;
create schema evil;
create sequence ids;
create table written (n int);
create function evil.secret_path() returns text language sql as $$select 'evil'$$;
create function public.state() returns json language plpgsql volatile set search_path from current as $$
declare
    value json;
    last_value text;
begin
    begin last_value := lastval(); exception when others then last_value := null; end;
    insert into written values (1);
    select json_build_object(
        'settings', (select json_object_agg(name, setting) from pg_settings
            where name !~ '^(transaction_|in_hot|seed)'),
        'claims', nullif(current_setting('request.jwt.claims', true), ''),
        'own', nullif(current_setting('my.own', true), ''),
        'user', current_user, 'session_user', session_user, 'role', current_setting('role'),
        'read_only', current_setting('transaction_read_only'), 'isolation', current_setting('transaction_isolation'),
        'temporary', (select json_agg(relname) from pg_class where relnamespace = pg_my_temp_schema()),
        'temporary_types', (select json_agg(typname) from pg_type where typnamespace = pg_my_temp_schema()),
        'temporary_functions', (select json_agg(proname) from pg_proc where pronamespace = pg_my_temp_schema()),
        'prepared', (select json_agg(name) from pg_prepared_statements),
        'cursors', (select json_agg(name) from pg_cursors where name = 'leftover'),
        'locks', (select json_agg(objid) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
        'listening', (select json_agg(c) from pg_listening_channels() c),
        'last_value', last_value
    ) into value;
    return value;
end$$;
create function path() returns text language sql volatile as $$select current_setting('search_path')$$;
create function backend() returns int language sql as 'select pg_backend_pid()';
create function echo(a text, b bytea default '\x00ff', c float8 default 0.1) returns json language sql
    as 'select json_build_array(a, b, c)';
create function set_volatile(name text, value text) returns text language sql
    as 'select set_config(name, value, false)';
create function set_stable(name text, value text) returns text language sql stable
    as 'select set_config(name, value, false)';
create function set_and_fail(name text, value text) returns text language plpgsql as
    $$begin perform set_config(name, value, false); raise exception 'failed'; end$$;
create function sleeps(seconds float8) returns void language sql as 'select pg_sleep(seconds)';
create function quick(n int) returns int language sql stable as 'select n';
create function locks_and_sleeps() returns void language plpgsql as $$begin
    perform pg_advisory_lock(4713);
    create temp table leftover (a int);
    perform set_config('my.own', 'x', false);
    perform pg_sleep(30);
end$$;
create procedure commits_and_sleeps() language plpgsql as $$begin
    perform pg_advisory_lock(4714);
    create temp table leftover (a int);
    perform set_config('my.own', 'x', false);
    commit;
    perform pg_sleep(30);
end$$;
""" + "".join(
    f"create function leave_{n}(fail bool) returns void language plpgsql as $f$begin {action}; "
    "if fail then raise exception 'failed'; end if; end$f$;"
    for n, action in enumerate(LEFT_BEHIND.values())
)
METHODS = (
    "state", "path", "backend", "echo", "set_volatile", "set_stable", "set_and_fail", "sleeps", "quick",
    "locks_and_sleeps", "commits_and_sleeps",
)  # fmt: skip
REST = "database: {dsn: '${TEST_DSN}', pool_size: 1, statement_timeout: 9s}\n" + served_sql.listed(
    *METHODS, *(f"leave_{n}" for n in range(len(LEFT_BEHIND)))
)


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.database(postgres, SQL, roles="other") as made:
        made.execute("grant all on written, ids to public")
        with pgrpc_server.serving(tmp_path_factory.mktemp("isolation"), made.dsn, REST) as server:
            yield served_sql.Place(server, made)


@pytest.mark.parametrize("how", ["set_volatile", "set_stable", "set_and_fail"])
@pytest.mark.parametrize("name", SETTINGS)
async def test_settings(place: served_sql.Place, how: str, name: str) -> None:
    async with place.client() as client:
        before = await client.call("state")
        path = await client.call("path")
        await client.request(how, [name.strip(), SETTINGS[name]])  # whatever it says
        assert await client.call("echo", "é\\' \"") == ["é\\' \"", "\\x00ff", 0.1]
        await client.request(how, [name.strip(), SETTINGS[name]])
        assert await client.call("path") == path
        await client.request(how, [name.strip(), SETTINGS[name]])
        assert await client.call("state") == before


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("what", LEFT_BEHIND)
async def test_what_lasts_as_long_as_a_session(place: served_sql.Place, what: str, fail: bool) -> None:
    method = f"leave_{[*LEFT_BEHIND].index(what)}"
    async with place.client() as client:
        before = await client.call("state")
        backend = await client.call("backend")
        reply = await client.request(method, [fail])
        assert ("error" in reply) == fail, reply
        if fail:
            assert reply["error"]["message"] == "failed"
        assert await client.call("state") == before
        assert await client.call("echo", "a") == ["a", "\\x00ff", 0.1]
        again = await client.request(method, [fail])  # which would fail, were anything of it still there
        assert again.get("error", {}).get("message") == reply.get("error", {}).get("message")
        assert await client.call("backend") == backend


@pytest.mark.parametrize("method", ["locks_and_sleeps", "commits_and_sleeps"])
async def test_a_cancelled_call_leaves_nothing(place: served_sql.Place, method: str) -> None:
    async with place.client() as client:
        before = await client.call("state")
        await begin(client, method, [], 1)
        await sleeping(place, 1)
        await cancel(client, 1)
        assert json.loads(await client.frame())["error"]["code"] == -32800
        assert await client.call("state") == before


async def begin(client: ws_client.Client, method: str, params: list[object], key: object) -> None:
    await client.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": f"c{key}"}))


async def cancel(client: ws_client.Client, key: object) -> None:
    await client.send(json.dumps({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": f"c{key}"}}))


async def sleeping(place: served_sql.Place, number: int) -> None:
    """Wait until so many calls are asleep in the database."""
    found = [(-1,)]
    for _ in range(250):
        found = place.database.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and wait_event = 'PgSleep' and state = 'active'"
        )
        if found == [(number,)]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{found[0][0]} are asleep, not {number}")


async def test_cancel(place: served_sql.Place) -> None:
    async with place.client() as client:
        backend = await client.call("backend")
        await begin(client, "sleeps", [30], 1)
        await begin(client, "sleeps", [30], 2)  # waits for the connection
        await sleeping(place, 1)
        await cancel(client, 2)
        assert json.loads(await client.frame()) == {
            "jsonrpc": "2.0",
            "error": {"code": -32800, "message": "Cancelled"},
            "id": "c2",
        }
        await cancel(client, "unknown")
        await cancel(client, 1)
        answer = json.loads(await client.frame())
        assert (answer["id"], answer["error"]["code"]) == ("c1", -32800)
        await sleeping(place, 0)
        assert await client.call("quick", 1) == 1
        assert await client.call("backend") == backend
        await cancel(client, 1)  # long gone
        assert await client.call("quick", 2) == 2
        assert client.raw.empty()


async def test_every_call_of_the_id_is_cancelled(place: served_sql.Place) -> None:
    async with place.client() as client:
        for _ in range(3):
            await begin(client, "sleeps", [30], "same")
        await begin(client, "quick", [5], "other")
        await cancel(client, "same")
        answers = [json.loads(await client.frame()) for _ in range(4)]
        assert sorted(answer["id"] for answer in answers) == ["cother", "csame", "csame", "csame"]
        assert [answer["error"]["code"] for answer in answers if "error" in answer] == [-32800] * 3
        await sleeping(place, 0)


@pytest.mark.parametrize("method", ["sleeps", "quick"])
async def test_a_cancel_hits_no_other_call(place: served_sql.Place, method: str) -> None:
    """Whatever the race between the cancel and the call's end comes to, the next call is unharmed, and soon."""
    async with place.client() as client:
        for n in range(100):
            await begin(client, method, [30 if method == "sleeps" else n], n)
            await cancel(client, n)
            assert await client.call("quick", n) == n
            answer = json.loads(await client.frame())
            assert answer["id"] == f"c{n}"
            if method == "sleeps":
                assert answer["error"]["code"] == -32800
            else:
                assert answer.get("result") == n or answer["error"]["code"] == -32800


async def test_closing_the_socket_cancels_its_calls(place: served_sql.Place) -> None:
    async with place.client() as client:
        await begin(client, "sleeps", [30], 1)
        await sleeping(place, 1)
    await sleeping(place, 0)
    async with place.client() as client:
        assert await client.call("quick", 1) == 1


async def test_a_lost_client_s_calls_are_cancelled(place: served_sql.Place) -> None:
    async with place.client() as client:
        await begin(client, "sleeps", [30], 1)
        await begin(client, "sleeps", [30], 2)
        await sleeping(place, 1)
        client.socket.transport.abort()
    await sleeping(place, 0)
