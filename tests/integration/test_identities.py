"""Nothing of one identity is visible to the next on the same connection, however its call ends."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.core.wire import errors
from pgrpc.demo import embedded
from tests.support import databases, role_calls
from tests.support.role_calls import ADMIN, ANON, LOGIN, USER, somebody

LEAVING = {
    "claims of the session": "perform set_config('request.jwt.claims', '{\"sub\": \"evil\"}', false)",
    "claims of the transaction": "perform set_config('request.jwt.claims', '{\"sub\": \"evil\"}', true)",
    "headers": "perform set_config('request.headers', '{\"x\": \"evil\"}', false)",
    "another role": f"set role {ADMIN}",
    "another role by set_config": f"perform set_config('role', '{ADMIN}', false)",
    "another role for the transaction": f"set local role {ADMIN}",
    "the login role": "reset role",
    "no role": "set role none",
    "the login role's session": "set session authorization default",
    "the login role by name": f"set session authorization {LOGIN}",
    "a superuser": "set session authorization postgres",
    "row security": "set row_security = off",
    "search path": "perform set_config('search_path', 'pg_temp, evil', false)",
    "timeout": "perform set_config('statement_timeout', '1', false)",
    "read only": "set default_transaction_read_only = on",
    "isolation": "set default_transaction_isolation = serializable",
    "temporary table": "create temp table notes (body text); insert into notes values ('evil')",
    "temporary function": "create function pg_temp.claims() returns json language sql as 'select ''{}''::json'",
    "prepared statement": "prepare pgrpc_0 as select 'evil'; prepare evil as select 1",
    "advisory lock": "perform pg_advisory_lock(815)",
    "listen": "listen evil",
    "cursor": "execute 'declare evil cursor with hold for select 1'",
    "sequence": "perform nextval('app.ids')",
}
SQL = f"""
create schema app;
grant usage on schema app to {ANON}, {USER}, {ADMIN};
create sequence app.ids;
grant usage on sequence app.ids to public;
create function app.state() returns json language plpgsql volatile as $$
declare
    last_value text;
begin
    begin last_value := lastval(); exception when others then last_value := null; end;
    return json_build_object(
        'current_user', current_user, 'session_user', session_user, 'role', current_setting('role'),
        'claims', nullif(current_setting('request.jwt.claims', true), ''),
        'headers', nullif(current_setting('request.headers', true), ''),
        'settings', (select json_object_agg(name, setting) from pg_settings where name !~ '^(in_hot|seed)'),
        'temporary', (select json_agg(relname) from pg_class where relnamespace = pg_my_temp_schema()),
        'functions', (select json_agg(proname) from pg_proc where pronamespace = pg_my_temp_schema()),
        'prepared', (select json_agg(name) from pg_prepared_statements),
        'cursors', (select json_agg(name) from pg_cursors where name = 'evil'),
        'locks', (select json_agg(objid) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
        'listening', (select json_agg(c) from pg_listening_channels() c),
        'last_value', last_value
    );
end$$;
create function app.me(pause float8 default 0, fail bool default false) returns json language plpgsql volatile as $$
begin
    perform set_config('my.own', current_setting('request.jwt.claims'), false), pg_sleep(pause);
    if fail then raise exception '%', current_user; end if;
    return json_build_array(current_user, current_setting('request.jwt.claims')::json ->> 'sub');
end$$;
create function app.me_kept() returns json language sql stable
    as $$select json_build_array(current_user, current_setting('request.jwt.claims')::json ->> 'sub',
        nullif(current_setting('my.own', true), ''))$$;
create function app.backend() returns int language sql stable as 'select pg_backend_pid()';
create procedure app.commits(n int) language plpgsql as $$
begin
    commit;
    perform set_config('request.jwt.claims', '{{"sub": "evil"}}', false), set_config('my.own', 'evil', false);
    set role {ADMIN};
    commit;
    if n = 1 then raise exception 'failed'; elsif n = 2 then perform pg_sleep(60); end if;
end$$;
""" + "".join(
    f"""
create function app.leave_{n}(how text) returns text language plpgsql as $f$begin
    {action};
    if how = 'fail' then raise exception 'failed'; elsif how = 'hang' then perform pg_sleep(60); end if;
    return current_user;
end$f$;
"""
    for n, action in enumerate(LEAVING.values())
)
FUNCTIONS: dict[str, dict[str, Any]] = {
    name: {"function": f"app.{name}"}
    for name in ("state", "me", "backend", "commits", *(f"leave_{n}" for n in range(len(LEAVING))))
}
FUNCTIONS["me_kept"] = {"function": "app.me_kept", "reset": False}
FUNCTIONS |= {f"hasty_{n}": {"function": f"app.leave_{n}", "timeout": 0.05} for n in range(len(LEAVING))}

ANN, NOBODY = somebody(USER, "ann", **{"request.headers": '{"x": "ann"}'}), somebody(ANON)
BOSS = somebody(ADMIN, "boss")


@pytest.fixture(scope="module")
def made(postgres: embedded.Server) -> Iterator[databases.Database]:
    with role_calls.prepared(postgres, SQL) as database:
        database.execute(f"grant temporary on database {database.dsn.rpartition('/')[2]} to public")
        yield database


@pytest.fixture
def given(made: databases.Database) -> Any:
    return role_calls.configured(role_calls.login_dsn(made), FUNCTIONS)


async def cancelled(calls: role_calls.Acting, made: databases.Database, method: str, *params: Any) -> None:
    """Begin a call as ANN, and cancel it once it hangs in the database."""
    job, done = calls.begin(ANN, method, *params)
    asleep = "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    async with asyncio.timeout(role_calls.PATIENCE):
        while not done.done() and not made.execute(asleep):  # noqa: ASYNC110, PostgreSQL tells nobody
            await asyncio.sleep(0.01)
    calls.made.cancel(job)
    assert isinstance(await asyncio.wait_for(done, role_calls.PATIENCE), errors.RpcError)


@pytest.mark.parametrize("how", ["return", "fail", "time out", "cancel"])
async def test_what_a_call_leaves(made: databases.Database, given: Any, how: str) -> None:
    async with role_calls.acting(given) as calls:
        before = [await calls.run(who, "state") for who in (NOBODY, BOSS)]
        backend = await calls.run(NOBODY, "backend")
        for number, what in enumerate(LEAVING):
            if how == "time out":
                await calls.outcome(ANN, f"hasty_{number}", "hang")
            elif how == "cancel":
                await cancelled(calls, made, f"leave_{number}", "hang")
            else:
                await calls.outcome(ANN, f"leave_{number}", how)
            assert [await calls.run(who, "state") for who in (NOBODY, BOSS)] == before, what
        assert await calls.run(NOBODY, "backend") == backend


@pytest.mark.parametrize("how", [0, 1, 2])
async def test_what_a_procedure_leaves(made: databases.Database, given: Any, how: int) -> None:
    async with role_calls.acting(given) as calls:
        before = [await calls.run(who, "state") for who in (NOBODY, BOSS)]
        if how == 2:
            await cancelled(calls, made, "commits", how)
        else:
            assert isinstance(await calls.outcome(ANN, "commits", how), errors.RpcError) == (how == 1)
        assert [await calls.run(who, "state") for who in (NOBODY, BOSS)] == before


async def test_a_function_can_become_the_login_role_for_the_rest_of_its_call(given: Any) -> None:
    """As with PostgREST: so the login role must be one that may do nothing."""
    async with role_calls.acting(given) as calls:
        for what, expected in (("the login role", LOGIN), ("no role", LOGIN), ("another role", ADMIN)):
            assert await calls.run(ANN, f"leave_{[*LEAVING].index(what)}", "return") == expected
        with pytest.raises(errors.Forbidden):
            await calls.run(ANN, f"leave_{[*LEAVING].index('a superuser')}", "return")


async def test_many_at_a_time(given: Any) -> None:
    randomness = random.Random(7)
    people = [somebody(randomness.choice((ANON, USER, ADMIN)), f"s{n}") for n in range(300)]
    async with role_calls.acting(given, pool_size=2) as calls:

        async def ask(number: int) -> None:
            who = people[number]
            sub = who.claims["sub"]
            match number % 6:
                case 0:
                    outcome = await calls.outcome(who, "me", 0, True)
                    assert isinstance(outcome, errors.DatabaseRefused)
                    assert outcome.message == who.role
                case 1:
                    assert isinstance(await calls.outcome(who, f"hasty_{number % 3}", "hang"), errors.Timeout)
                case 2:
                    job, done = calls.begin(who, "me", 60)
                    await asyncio.sleep(0)
                    calls.made.cancel(job)
                    assert isinstance(await asyncio.wait_for(done, role_calls.PATIENCE), errors.Cancelled)
                case 3:
                    assert await calls.run(who, "me") == [who.role, sub]
                case _:
                    assert await calls.run(who, "me_kept") == [who.role, sub, None]

        await asyncio.gather(*(ask(number) for number in range(len(people))))
