"""Which error is which, and what an error may tell."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import databases, pgrpc_server, served_sql

SQL = r"""
create type mood as enum ('sad', 'happy');
create domain even as int check (value % 2 = 0);
create table people (
    id int primary key, secret text default 'hidden row', age int constraint adult check (age >= 18),
    born date not null default now(), boss int constraint boss_exists references people deferrable initially deferred
);
insert into people (id, age) values (1, 20);
create table closed (secret text);

create function raises(code text, message text, detail text default null, hint text default null) returns void
language plpgsql as $$begin
    if detail is null then raise exception '%', message using errcode = code;
    elsif hint is null then raise exception '%', message using errcode = code, detail = raises.detail;
    else raise exception '%', message using errcode = code, detail = raises.detail, hint = raises.hint; end if;
end$$;
create function add_person(id int, age int, boss int default null) returns void language sql
    as 'insert into people (id, age, boss) values (id, age, boss)';
create function add_unborn() returns void language sql as 'insert into people values (5, null, 20, null)';
create function divide(a int, b int) returns int language sql as 'select a / b';
create function closed() returns setof closed language sql as 'select * from closed';
create function own_code() returns void language plpgsql as
    $$begin raise exception 'mine' using errcode = 'ZZ999', constraint = 'c', table = 't', column = 'x'; end$$;
create function sleeps(seconds float8) returns void language sql as 'select pg_sleep(seconds)';
create function bad_sql() returns void language plpgsql as $$begin execute 'select nonsense from nowhere'; end$$;
create function bad_cast(a text) returns int language plpgsql as 'begin return a::int; end';
create function bad_cast_sql(a text) returns int language sql as 'select a::int';
create function bad_date(a text) returns date language sql as 'select a::date';
create function bad_even(a int) returns even language plpgsql as 'begin return a; end';
create function bad_overflow(a int) returns int2 language sql as 'select a::int2';
create function warns() returns int language plpgsql as $$
begin raise warning 'careful'; raise notice 'n'; return 1; end$$;
create function takes(m mood default 'sad', d date default null, e even default 0, n numeric default 0,
    f float8 default 0) returns text language sql as 'select m::text';
-- Not repeat(), for which PostgreSQL 14 says XX000.
create function no_memory() returns text language sql as $$select lpad('x', 1073741824)$$;
create function endless(n int) returns int language plpgsql as 'begin return endless(n + 1); end';
create function ends_itself() returns void language sql as 'select pg_terminate_backend(pg_backend_pid())';

create role web login password 'web-secret';
create function not_granted_inside() returns int language plpgsql
    as 'begin perform count(*) from closed; return 1; end';
"""
REST = """
database: {dsn: "${TEST_DSN}", statement_timeout: 400ms}
functions:
  raises:
  add_person:
  add_unborn:
  divide:
  closed:
  own_code:
  sleeps:
  quick: {function: sleeps, timeout: 50ms}
  patient: {function: sleeps, timeout: 3s}
  bad_sql:
  bad_cast:
  bad_cast_sql:
  bad_date:
  bad_even:
  bad_overflow:
  warns:
  takes:
  no_memory:
  endless:
  not_granted_inside:
  ends_itself:
channels:
  people:
"""


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.database(postgres, SQL, roles="web") as made:
        login = postgres.dsn(made.dsn.rpartition("/")[2], "web", "web-secret")
        made.execute("grant insert, select on people to web")
        with pgrpc_server.serving(tmp_path_factory.mktemp("errors"), login, REST) as server:
            yield served_sql.Place(server, databases.Database(made.dsn, postgres))
            assert "secret" not in server.log.replace("test-secret", "")


@pytest.mark.parametrize(
    ("params", "data"),
    [
        (["P0001", "plain"], {}),
        (["22P02", "like a conversion"], {}),
        (["23514", "like a domain's"], {}),
        (["42501", "denied by the function"], {}),
        (["57014", "like a timeout"], {}),
        (["08006", "like a lost connection"], {}),
        (["57P01", "like a shutdown"], {}),
        (["53300", "like too many connections"], {}),
        (["AB123", "own", "a detail"], {"detail": "a detail"}),
        (["AB123", "own\nlines é %s", "a detail", "a hint"], {"detail": "a detail", "hint": "a hint"}),
    ],
)
async def test_what_a_function_raises_is_told(place: served_sql.Place, params: list[str], data: dict[str, str]) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "raises", params)
        assert error.message == params[1]
        assert error.data == {"sqlstate": params[0], "message": params[1]} | data
        assert error.code == (-32003 if params[0] == "42501" else -32000)


@pytest.mark.parametrize(
    ("method", "params", "code", "data"),
    [
        ("add_person", [1, 20], -32000, {"sqlstate": "23505", "constraint": "people_pkey"}),
        ("add_person", [2, 17], -32000, {"sqlstate": "23514", "constraint": "adult"}),
        ("add_person", [3, 20, 99], -32000, {"sqlstate": "23503", "constraint": "boss_exists"}),
        ("add_unborn", [], -32000, {"sqlstate": "23502"}),
        ("divide", [1, 0], -32000, {"sqlstate": "22012", "message": "division by zero"}),
        ("closed", [], -32003, {"sqlstate": "42501", "message": "permission denied for table closed"}),
        ("not_granted_inside", [], -32003, {"sqlstate": "42501"}),
        ("own_code", [], -32000, {"sqlstate": "ZZ999", "message": "mine", "constraint": "c"}),
        ("bad_sql", [], -32000, {"sqlstate": "42P01"}),
        ("bad_cast", ["x"], -32000, {"sqlstate": "22P02"}),
        ("bad_cast_sql", ["x"], -32000, {"sqlstate": "22P02"}),
        ("bad_date", ["2024-02-30"], -32000, {"sqlstate": "22008"}),
        ("bad_even", [3], -32000, {"sqlstate": "23514", "constraint": "even_check"}),
        ("bad_overflow", [100000], -32000, {"sqlstate": "22003"}),
        ("no_memory", [], -32000, {"sqlstate": "54000"}),
        ("endless", [1], -32000, {"sqlstate": "54001"}),
        ("sleeps", [5], -32002, {"timeout": 0.4, "sqlstate": "57014"}),
        ("quick", [5], -32002, {"timeout": 0.05, "sqlstate": "57014"}),
    ],
)
async def test_what_postgresql_refuses(
    place: served_sql.Place, method: str, params: list[Any], code: int, data: dict[str, Any]
) -> None:
    async with place.client() as client:
        reply = await client.request(method, params)
        error = reply["error"]
        assert error["code"] == code, error
        assert error["data"] == error["data"] | data
        assert set(error["data"]) <= {"sqlstate", "message", "constraint", "timeout"}
        # Nothing of our SQL, of the function's, of the row, of where it happened.
        told = str(reply)
        assert not re.search(
            r"hidden row|json_to_record|pg_catalog|LINE |select|values|CONTEXT|\.c:|\bat character", told
        )
        assert await client.call("divide", 6, 3) == 2


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"m": "angry"}, "/m"),
        ({"d": "2024-02-30"}, "/d"),
        ({"e": 3}, "/e"),
        ({"m": "happy", "e": 3, "f": 1}, "/e"),
        (["sad", None, 3], "/2"),
    ],
)
async def test_an_argument_that_is_no_such_value(place: served_sql.Place, params: Any, path: str) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "takes", params)
        assert served_sql.paths(error) == [path]
        assert "LINE" not in str(error.data)


async def test_every_argument_that_only_postgresql_can_refuse_is_named(place: served_sql.Place) -> None:
    async with place.client() as client:
        text = '{"jsonrpc":"2.0","id":"x","method":"takes","params":{"f":1e400,"m":"sad","e":3,"n":1e200000}}'
        await client.send(text)
        frame = await client.frame()
        assert re.findall(r'"path":"(.*?)","rule":"(.*?)"', frame) == [
            ("/e", "postgresql"),
            ("/n", "postgresql"),
            ("/f", "postgresql"),
        ]


async def test_warnings_and_notices_go_nowhere(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await client.call("warns") == 1
        assert client.raw.empty()


async def test_a_function_s_own_timeout_may_be_longer(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await client.call("patient", 0.6) is None


async def test_a_call_whose_connection_ends_is_answered(place: served_sql.Place) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "ends_itself")
        assert error.code == -32001
        for _ in range(50):
            reply = await client.request("divide", [6, 3])
            if reply.get("result") == 2:
                break
            assert reply["error"]["code"] == -32001
            await asyncio.sleep(0.05)
        assert await client.call("divide", 6, 3) == 2


NO_METHODS = [
    *("nonsense", "pg_sleep", "Divide", "DIVIDE", "divide ", "public.divide", "add_person(int,int,int)", "people"),
    *("rpc.nonsense", "rpc.", "RPC.on", "$/nonsense", "", "__proto__", "closed\0", "\ud800"),
]


async def test_what_is_not_listed_does_not_exist(place: served_sql.Place) -> None:
    async with place.client() as client:
        words = set()
        for method in NO_METHODS:
            error = await served_sql.refused(client, method)
            assert (error.code, error.data) == (-32601, None)
            words.add(error.message)
        assert words == {"Method not found"}
