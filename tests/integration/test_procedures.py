"""Procedures: their arguments, what they give back, and transactions of their own."""

from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql

SQL = r"""
create type pair as (a int8, b text);
create domain short as varchar(3);
create table log (id int generated always as identity, line text unique);
create procedure plain(a int, b text default 'b') language sql as $$insert into log (line) values (a || b)$$;
create procedure without() language sql as $$insert into log (line) values ('without')$$;
create procedure back(inout a int, b int) language plpgsql as 'begin a := a + b; end';
create procedure outs(a int, out b int, out c text) language plpgsql as $$begin b := a + 1; c := 'c' || a; end$$;
create procedure ins_and_outs(inout a int8, inout p pair, out ps pair[], inout j json default '{"d":1.10}')
    language plpgsql as $$begin a := coalesce(a, 0) + 1; ps := array[p, null]; p.b := p.b || '!'; end$$;
create procedure spread(inout total int8, variadic terms int[]) language plpgsql
    as 'begin total := total + (select sum(t) from unnest(terms) t); end';
create procedure unnamed(int, inout int, text default 'x') language plpgsql as 'begin $2 := $1 + $2; end';
create procedure mixed(a int, inout int) language plpgsql as 'begin $2 := $2 * a; end';
create procedure commits(a text, fail bool default false) language plpgsql as $$
begin
    insert into log (line) values (a);
    commit;
    insert into log (line) values (a || ' again');
    if fail then raise exception 'no' using errcode = 'P1234', detail = 'because'; end if;
    rollback;
    insert into log (line) values (a || ' last');
end$$;
create procedure settings(out role_name text, out timeout text, out path text) language plpgsql as $$
begin
    role_name := current_user; timeout := current_setting('statement_timeout'); path := current_setting('search_path');
    perform set_config('statement_timeout', '0', false), set_config('search_path', 'nowhere', false);
    perform set_config('standard_conforming_strings', 'off', false);
end$$;
create procedure unsafe(inout a text) language plpgsql as $$
begin perform set_config('standard_conforming_strings', 'off', false), set_config('search_path', '', false); end$$;
create procedure sleeps() language plpgsql as 'begin commit; perform pg_sleep(30); end';
create procedure domains(inout a short) language plpgsql as 'begin end';
create procedure null_out(out a int) language plpgsql as 'begin end';
create procedure misuse() language plpgsql as $$begin perform 'x'::int; end$$;
"""
REST = """
database: {dsn: "${TEST_DSN}", pool_size: 1, statement_timeout: 7s}
functions:
  plain:
  without:
  back:
  outs:
  ins_and_outs:
  exact: {function: ins_and_outs, numbers: string}
  spread:
  unnamed:
  mixed:
  commits:
  settings:
  unsafe:
  sleeps: {timeout: 300ms}
  domains:
  null_out:
  misuse:
"""


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.place(postgres, tmp_path_factory.mktemp("procedures"), SQL, REST) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(place: served_sql.Place) -> None:
    place.database.execute("truncate log")


def log(place: served_sql.Place) -> list[str]:
    return [line for (line,) in place.database.execute("select line from log order by id")]


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("plain", [1], None),
        ("plain", {"b": "x", "a": 2}, None),
        ("without", [], None),
        ("back", [1, 2], 3),
        ("back", {"b": 1, "a": None}, None),
        ("outs", [1], {"b": 2, "c": "c1"}),
        ("outs", {"a": 1}, {"b": 2, "c": "c1"}),
        (
            "ins_and_outs",
            [1, {"a": 2, "b": "x"}],
            {"a": 2, "p": {"a": 2, "b": "x!"}, "ps": [{"a": 2, "b": "x"}, None], "j": {"d": 1.1}},
        ),
        ("ins_and_outs", {"a": None, "p": None, "j": [1]}, {"a": 1, "p": None, "ps": [None, None], "j": [1]}),
        ("ins_and_outs", ["1", None, None], {"a": 2, "p": None, "ps": [None, None], "j": None}),
        (
            "exact",
            [1, {"a": "2", "b": "x"}],
            {"a": "2", "p": {"a": "2", "b": "x!"}, "ps": [{"a": "2", "b": "x"}, None], "j": {"d": 1.1}},
        ),
        ("spread", [1, 2, 3], 6),
        ("spread", [1, [2, 3]], 6),
        ("spread", {"total": 1, "terms": [2]}, 3),
        ("unnamed", [1, 2], 3),
        ("unnamed", [1, 2, "y"], 3),
        ("mixed", [2, 3], 6),
        ("mixed", {"a": 2, "$2": 3}, 6),
        ("domains", ["abc"], "abc"),
        ("null_out", [], None),
        ("unsafe", ["\\'; drop table log; --"], "\\'; drop table log; --"),
    ],
)
async def test_call(place: served_sql.Place, method: str, params: Any, result: Any) -> None:
    async with place.client() as client:
        reply = await client.request(method, params)
        if "p" in (result if isinstance(result, dict) else ()) and reply.get("result", {}).get("p") == {
            "a": None,
            "b": None,
        }:
            result = result | {"p": {"a": None, "b": None}, "ps": reply["result"]["ps"]}  # plpgsql made a row of it
        assert reply.get("result", reply) == result
        assert (await client.request("back", [1, 1]))["result"] == 2


async def test_it_takes_effect(place: served_sql.Place) -> None:
    async with place.client() as client:
        await client.call("plain", 1)
        await client.call("plain", 2, "'); drop table log; --")
        await client.call("without")
    assert log(place) == ["1b", "2'); drop table log; --", "without"]


async def test_it_may_commit(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await client.call("commits", "a") is None
        assert log(place) == ["a", "a last"]
        error = await served_sql.refused(client, "commits", ["b", True])
        assert (error.code, error.message) == (-32000, "no")
        assert error.data == {"sqlstate": "P1234", "message": "no", "detail": "because"}
        assert log(place) == ["a", "a last", "b"]
        error = await served_sql.refused(client, "commits", ["b"])
        assert (error.code, error.data["sqlstate"]) == (-32000, "23505")
        assert error.data["constraint"] == "log_line_key"


async def test_settings_are_those_of_every_call(place: served_sql.Place) -> None:
    async with place.client() as client:
        first = await client.call("settings")
        assert first == {"role_name": "postgres", "timeout": "7s", "path": '"$user", public'}
        assert await client.call("settings") == first


async def test_timeout(place: served_sql.Place) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "sleeps")
        assert (error.code, error.data["timeout"]) == (-32002, 0.3)
        assert await client.call("back", 1, 2) == 3


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [("plain", ["x"], "/0"), ("domains", ["abcd"], "/0"), ("back", {"a": 1}, "/b"), ("without", [1], "/0")],
)
async def test_what_does_not_fit(place: served_sql.Place, method: str, params: Any, path: str) -> None:
    async with place.client() as client:
        assert served_sql.paths(await served_sql.refused(client, method, params)) == [path]


async def test_an_error_inside_is_not_one_of_the_arguments(place: served_sql.Place) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "misuse")
        assert (error.code, error.data["sqlstate"]) == (-32000, "22P02")
