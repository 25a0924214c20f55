"""How arguments reach a function: by name, by position, left out, spread; and names of every kind."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql

SQL = r"""
create function three(a int, b text default 'b', c json default '"c"') returns json language sql
    as 'select json_build_array(a, b, c)';
create function nought() returns text language sql as $$select 'nought'$$;
create function spread(variadic terms int[]) returns json language sql as 'select to_json(terms)';
create function led(a int, b int, variadic rest int[]) returns json language sql
    as 'select json_build_object(''a'', a, ''b'', b, ''rest'', rest)';
create function open_end(a int default 1, variadic rest int[] default '{7}') returns json language sql
    as 'select json_build_object(''a'', a, ''rest'', rest)';
create function texts(variadic terms text[]) returns int language sql as 'select cardinality(terms)';
create function documents(variadic terms json[]) returns json language sql as 'select to_json(terms)';
create function unnamed(int, text default 'x', text default 'y') returns json language sql
    as 'select json_build_array($1, $2, $3)';
create function half_named(int, a int default 5, b int default 6) returns json language sql
    as 'select json_build_array($1, a, b)';
create function late_unnamed(a int default 5, int default 6) returns json language sql
    as 'select json_build_array(a, $2)';
create function inout_first(inout a int, b int, out c int) language sql as 'select a + 1, a + b';
create function strictly(a int) returns text language sql strict as $$select 'called'$$;

create function surface(radius float8) returns text language sql as $$select 'circle'$$;
create function surface(width float8, height float8) returns text language sql as $$select 'rectangle'$$;
create function surface(width float8, height float8, depth float8) returns text language sql as $$select 'box'$$;
create function named(a int, b int default 0) returns text language sql as $$select 'ab'$$;
create function named(c text) returns text language sql as $$select 'c'$$;
create function one(a int) returns text language sql as $$select 'integer'$$;
create function one(a text) returns text language sql as $$select 'text'$$;

create schema "Odd 50% ""sch\";
create type "Odd 50% ""sch\"."my 'type' %s" as ("Col %(x)s ""q'" int, "é\" text);
create type "Odd 50% ""sch\"."en%um" as enum ('%s', 'a\b');
create domain "Odd 50% ""sch\"."do'main" as "Odd 50% ""sch\"."my 'type' %s";
create function "Odd 50% ""sch\"."F %s 'n' ""x"" é\"(
    "Arg %s" int, "it's \ ""q"" é" "Odd 50% ""sch\"."my 'type' %s",
    "en%%" "Odd 50% ""sch\"."en%um" default '%s', "select" "Odd 50% ""sch\"."do'main"[] default null,
    out "Out %s" text, out "o'ut\ ""q" "Odd 50% ""sch\"."my 'type' %s"
) language sql as $$select "Arg %s" || ' ' || "en%%", "it's \ ""q"" é"$$;
create function "100%"() returns text language sql as $$select 'all'$$;
create function "100%out"(out "a%" int8, out "b%%" int8) language sql as 'select 1, 2';
create procedure "50% done"(inout "a%" int8) language plpgsql as 'begin end';
create procedure "no % arguments"() language plpgsql as 'begin end';
"""
REST = r"""
functions:
  three:
  nought:
  spread:
  led:
  open_end:
  texts:
  documents:
  unnamed:
  half_named:
  late_unnamed:
  inout_first:
  strictly:
  surface:
  named:
  one: {function: one(integer)}
  "'; drop table people; --": {function: nought}
  odd: {function: '"Odd 50% ""sch\"."F %s ''n'' ""x"" é\"'}
  all: {function: '"100%"'}
  all_exact: {function: '"100%out"', numbers: string}
  done: {function: '"50% done"'}
  done_exact: {function: '"50% done"', numbers: string}
  nothing: {function: '"no % arguments"'}
"""


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.place(postgres, tmp_path_factory.mktemp("arguments"), SQL, REST) as made:
        yield made


TYPE = 'it\'s \\ "q" é'


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("three", [1, "x", None], [1, "x", None]),
        ("three", [1], [1, "b", "c"]),
        ("three", [1, None], [1, None, "c"]),
        ("three", [None], [None, "b", "c"]),
        ("three", {"a": 1, "c": [2]}, [1, "b", [2]]),
        ("three", {"c": {"d": 1}, "a": 1, "b": "x"}, [1, "x", {"d": 1}]),
        ("nought", None, "nought"),
        ("nought", [], "nought"),
        ("nought", {}, "nought"),
        ("'; drop table people; --", [], "nought"),
        ("spread", [1, 2, 3], [1, 2, 3]),
        ("spread", [[1, 2, 3]], [1, 2, 3]),
        ("spread", {"terms": [1, 2]}, [1, 2]),
        ("spread", [], []),
        ("spread", [None, 1], [None, 1]),
        ("spread", [1.0, 2], [1, 2]),
        ("led", [1, 2, 3, 4], {"a": 1, "b": 2, "rest": [3, 4]}),
        ("led", [1, 2, [3, 4]], {"a": 1, "b": 2, "rest": [3, 4]}),
        ("led", [1, 2], {"a": 1, "b": 2, "rest": []}),
        ("led", {"rest": [3], "a": 1, "b": 2}, {"a": 1, "b": 2, "rest": [3]}),
        ("open_end", [], {"a": 1, "rest": [7]}),
        ("open_end", [2], {"a": 2, "rest": [7]}),
        ("open_end", [2, 3, 4], {"a": 2, "rest": [3, 4]}),
        ("open_end", {"a": 2, "rest": [9]}, {"a": 2, "rest": [9]}),
        ("open_end", {"a": 2}, {"a": 2, "rest": [7]}),
        ("texts", ["a", "b"], 2),
        ("documents", [{"a": 1}, "x", 1.5, None], [{"a": 1}, "x", 1.5, None]),
        ("unnamed", [1], [1, "x", "y"]),
        ("unnamed", [1, "b", "c"], [1, "b", "c"]),
        ("unnamed", {"$1": 1, "$2": "b"}, [1, "b", "y"]),
        ("half_named", [1, 2, 3], [1, 2, 3]),
        ("half_named", {"$1": 1, "b": 3}, [1, 5, 3]),
        ("half_named", {"$1": 1, "a": 3}, [1, 3, 6]),
        ("late_unnamed", [1, 2], [1, 2]),
        ("late_unnamed", [1], [1, 6]),
        ("late_unnamed", [], [5, 6]),
        ("late_unnamed", {"a": 1}, [1, 6]),
        ("inout_first", [1, 2], {"a": 2, "c": 3}),
        ("inout_first", {"b": 2, "a": 1}, {"a": 2, "c": 3}),
        ("strictly", [None], None),
        ("surface", {"radius": 1}, "circle"),
        ("surface", {"height": 1, "width": 2}, "rectangle"),
        ("surface", [1], "circle"),
        ("surface", [1, 2], "rectangle"),
        ("surface", [1, 2, 3], "box"),
        ("named", {"a": 1}, "ab"),
        ("named", {"c": "x"}, "c"),
        ("named", [1, 2], "ab"),
        ("one", [1], "integer"),
        ("all", [], "all"),
        ("all_exact", [], {"a%": "1", "b%%": "2"}),
        ("done", [1], 1),
        ("done_exact", {"a%": 1}, "1"),
        ("nothing", [], None),
    ],
)
async def test_arguments(place: served_sql.Place, method: str, params: Any, result: Any) -> None:
    async with place.client() as client:
        reply = await client.request(method, params)
        assert reply.get("result", reply) == result


async def test_names_of_every_kind(place: served_sql.Place) -> None:
    value = {"Col %(x)s \"q'": 1, "é\\": "x"}
    out = {"Out %s": "1 a\\b", "o'ut\\ \"q": value}
    async with place.client() as client:
        given: dict[str, Any] = {"Arg %s": 1, TYPE: value, "en%%": "a\\b", "select": [value, None]}
        assert await client.call("odd", **given) == out
        assert await client.call("odd", *given.values()) == out
        assert await client.call("odd", 1, value) == out | {"Out %s": "1 %s"}
        error = await served_sql.refused(client, "odd", given | {"select": [{"x": 1}]})
        assert served_sql.paths(error) == ["/select/0/x"]


@pytest.mark.parametrize(
    ("method", "params", "paths"),
    [
        ("three", [], ["/a"]),
        ("three", {}, ["/a"]),
        ("three", [1, "b", 3, 4, 5], ["/3", "/4"]),
        ("three", {"a": 1, "d": 2, "e/~": 3}, ["/d", "/e~1~0"]),
        ("three", {"A": 1}, ["/A", "/a"]),
        ("three", ["x", 1], ["/0", "/1"]),
        ("three", {"a": "x", "b": 1}, ["/a", "/b"]),
        ("nought", [1], ["/0"]),
        ("nought", {"a": 1}, ["/a"]),
        ("spread", [1, "x"], ["/1"]),
        ("spread", [[1, "x"]], ["/0/1"]),
        ("spread", {"terms": [1, "x"]}, ["/terms/1"]),
        ("spread", {}, ["/terms"]),
        ("led", [1, 2, "x", 4, "y"], ["/2", "/4"]),
        ("led", [1, 2, [3, "x"]], ["/2/1"]),
        ("led", [1], ["/b", "/rest"]),
        ("led", [], ["/a", "/b", "/rest"]),
        ("led", [[1], 2], ["/0"]),
        ("led", {"a": 1, "b": 2}, ["/rest"]),
        ("unnamed", [], ["/$1"]),
        ("unnamed", ["x"], ["/0"]),
        ("unnamed", {"$1": 1, "$3": "c"}, ["/$2"]),
        ("late_unnamed", {"$2": 1}, ["/a"]),
        ("open_end", {"rest": [9]}, ["/a"]),
        ("surface", {"radius": 1, "width": 2}, [""]),
        ("surface", [1, 2, 3, 4], [""]),
        ("surface", [], [""]),
        ("named", [1], [""]),
        ("three", [1, "a\0b"], ["/1"]),
        ("three", {"a": 1, "c": {"x": ["\0"]}}, ["/c/x/0"]),
        ("three", {"a": 1, "c": {"\0": 1}}, ["/c"]),
        ("three", [1, "\ud800"], ["/1"]),
        ("three", {"a": 1, "b": "x\udfff"}, ["/b"]),
        ("three", {"a": 1, "\ud800": 1}, ["/\ud800"]),
        ("texts", ["a", "b\0"], ["/1"]),
    ],
)
async def test_what_does_not_fit(place: served_sql.Place, method: str, params: Any, paths: list[str]) -> None:
    async with place.client() as client:
        assert sorted(served_sql.paths(await served_sql.refused(client, method, params))) == sorted(paths)


async def test_every_fault_is_told_but_not_too_many(place: served_sql.Place) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, "spread", ["x"] * 1000)
        assert served_sql.paths(error) == [f"/{i}" for i in range(20)]
        error = await served_sql.refused(client, "three", {f"x{i}": i for i in range(1000)})
        assert len(served_sql.paths(error)) == 20
        error = await served_sql.refused(client, "texts", ["\0"] * 1000)
        assert len(served_sql.paths(error)) == 20


async def test_nothing_that_is_sent_becomes_sql(place: served_sql.Place) -> None:
    place.database.execute("create table people (name text)")
    evil = "'; drop table people; --"
    async with place.client() as client:
        for text in (evil, "\\" + evil, '"' + evil, "%s" + evil, "$$" + evil, "a' || pg_sleep(9) || '", "\\'" + evil):
            assert await client.call("three", 1, text, text) == [1, text, text]
            assert await client.call("three", 1, "", {text: [text]}) == [1, "", {text: [text]}]
            assert await client.call("documents", text) == [text]
            if text != evil:  # which is listed
                assert (await served_sql.refused(client, text)).code == -32601
            served_sql.paths(await served_sql.refused(client, "three", {"a": 1, text: 1}))
            served_sql.paths(await served_sql.refused(client, "three", [text]))
            assert (await client.call("rpc.on", text))[text] == "not listed"
            assert (await client.call("rpc.off", text))[text] == "not subscribed"
    assert place.database.execute("select count(*) from people") == [(0,)]
    place.database.execute("drop table people")


async def test_large_arguments(place: served_sql.Place) -> None:
    async with place.client() as client:
        numbers = list(range(8000))
        assert await client.call("spread", *numbers) == numbers
        document = json.loads("[" * 90 + "]" * 90)
        assert await client.call("three", 1, "b", document) == [1, "b", document]
