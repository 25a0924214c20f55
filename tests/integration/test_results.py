"""What each kind of result looks like, `numbers: string`, and results of any text and size."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql, ws_client

SQL = r"""
create type pair as (a int, b text);
create type wide as (n int8, d numeric);
create type deep as (w wide, ws wide[], ns int8[], t text, ds numeric[]);
create domain wide_domain as wide;
create domain id as int8 check (value > 0);
create domain ids as id[];
create table people (id int8 primary key, name text not null);
insert into people values (1, 'Ann'), (9007199254740993, 'Bob');
create view names as select name from people;

create function scalar() returns int language sql as 'select 1';
create function nothing() returns int language sql as 'select null::int';
create function no_row() returns int language sql as 'select 1 where false';
create function nought() returns void language sql as '';
create function nought_plpgsql() returns void language plpgsql as 'begin return; end';
create function composite() returns pair language sql as $$select 1, 'x'$$;
create function null_composite() returns pair language sql as 'select null::pair';
create function composite_of_nulls() returns pair language sql as 'select null::int, null::text';
create function row_of_table() returns people language sql as 'select * from people order by id limit 1';
create function no_row_of_table() returns people language sql as 'select * from people where false';
create function some_record() returns record language sql as $$select 1 as a, 'x' as b$$;
create function out_one(out a int) language sql as 'select 1';
create function out_two(out a int, out "B b" text) language sql as $$select 1, 'x'$$;
create function out_strict(inout a int, out b int) language sql strict as 'select a, a';
create function out_composite(out a pair) language sql as $$select (1, 'x')::pair$$;
create function out_set(out a int, out b text) returns setof record language sql
    as $$values (1, 'x'), (null, null)$$;
create function out_set_one(out a int) returns setof int language sql as 'values (1), (null)';
create function table_one() returns table (a int) language sql as 'values (1), (null)';
create function table_two() returns table (a int, b text) language sql as $$values (1, 'x'), (2, null)$$;
create function table_none() returns table (a int, b text) language sql as 'select 1, null where false';
create function table_one_none() returns table (a int) language sql as 'select 1 where false';
create function set_of() returns setof int language sql as 'values (1), (null), (3)';
create function set_of_none() returns setof int language sql as 'select 1 where false';
create function set_of_pairs() returns setof pair language sql
    as $$values ((1, 'x')::pair), (null::pair), ((null, null)::pair)$$;
create function set_of_rows() returns setof people language sql as 'select * from people order by id';
create function set_of_names() returns setof names language sql as 'select * from names order by 1';
create function set_of_records() returns setof record language sql
    as $$select 1 as a, 'x' as b union all select 2, 'y'$$;
create function set_of_json() returns setof json language sql
    as $$values ('1.10'::json), ('null'), (null), ('{"a":1e400}')$$;
create function array_of_pairs() returns pair[] language sql as $$select array[(1, 'x')::pair, null]$$;
create function some_json(a json) returns json language sql as 'select a';
create function null_json() returns json language sql as 'select null::json';
create function json_null() returns json language sql as $$select 'null'::json$$;
create function some_text(a text) returns text language sql as 'select a';
create function formatted() returns json language sql as $$select E'{\n  "a" : [ 1 ,\t2 ]\n}'::json$$;
create function twice() returns json language sql as $$select '{"a":1,"a":2}'::json$$;

create table calls (n int);
create function counted() returns table (a int8, b pair, c numeric) language plpgsql as
    'begin insert into calls values (1); return query select 1::int8, (1, $$x$$)::pair, 1.5; end';
create function counted_pair() returns wide language plpgsql as
    'begin insert into calls values (1); return (1, 1.5)::wide; end';

create function exact_scalar() returns int8 language sql as 'select 9007199254740993';
create function exact_numeric() returns numeric language sql as 'select 1.10';
create function exact_null() returns int8 language sql as 'select null::int8';
create function exact_small() returns int language sql as 'select 7';
create function exact_domain() returns id language sql as 'select 9007199254740993::id';
create function exact_ids() returns ids language sql as 'select array[1, 2]::ids';
create function exact_array() returns int8[] language sql as 'select array[[1, null], [9007199254740993, 2]]';
create function exact_wide() returns wide language sql as 'select 1::int8, 1.10';
create function exact_null_wide() returns wide language sql as 'select null::wide';
create function exact_wide_domain() returns wide_domain language sql as 'select (1, 1.10)::wide';
create function exact_deep() returns deep language sql
    as $$select (1, 1.10)::wide, array[(2, 2.20)::wide, null], array[3, null]::int8[], 'x', array[1.0]$$;
create function exact_deep_nulls() returns deep language sql
    as 'select null::wide, null::wide[], null::int8[], null, null::numeric[]';
create function exact_wides() returns wide[] language sql as 'select array[(1, 1.10)::wide, null]';
create function exact_empty() returns wide[] language sql as $$select '{}'::wide[]$$;
create function exact_two_dimensions() returns wide[] language sql
    as 'select array[[(1, 1.10)::wide], [(2, null)::wide]]';
create function exact_set() returns setof int8 language sql as 'values (1::int8), (null)';
create function exact_set_of_wide() returns setof wide language sql as 'values ((1, 1.10)::wide), (null)';
create function exact_rows() returns setof people language sql as 'select * from people order by id';
create function exact_table() returns table (a int8, b wide, c text) language sql
    as $$values (1::int8, (2, 3.0)::wide, 'x')$$;
create function exact_table_one() returns table (a int8) language sql as 'values (1::int8), (null)';
create function exact_out_one(out a int8) language sql as 'select 1';
create function exact_out(inout a int8, out b numeric, out c int) language sql as 'select a, 1.10, 2';
create function exact_none() returns table (a int8, b int8) language sql as 'select 1, 1 where false';
create function exact_special() returns numeric[] language sql as $$select array['NaN', 'Infinity']::numeric[]$$;
create function exact_range() returns int8range language sql as $$select '[1,5)'::int8range$$;

create function large(bytes int) returns text language sql as $$select repeat('0123456789abcdef', bytes / 16)$$;
create function many(rows int) returns setof pair language sql as $$select n, 'é' from generate_series(1, rows) n$$;
"""
PLAIN: dict[str, Any] = {
    "scalar": 1,
    "nothing": None,
    "no_row": None,
    "nought": None,
    "nought_plpgsql": None,
    "composite": {"a": 1, "b": "x"},
    "null_composite": None,
    "composite_of_nulls": {"a": None, "b": None},
    "row_of_table": {"id": 1, "name": "Ann"},
    "no_row_of_table": None,
    "some_record": {"a": 1, "b": "x"},
    "out_one": 1,
    "out_two": {"a": 1, "B b": "x"},
    "out_composite": {"a": 1, "b": "x"},
    "out_set": [{"a": 1, "b": "x"}, {"a": None, "b": None}],
    "out_set_one": [1, None],
    "table_one": [{"a": 1}, {"a": None}],
    "table_two": [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
    "table_none": [],
    "table_one_none": [],
    "set_of": [1, None, 3],
    "set_of_none": [],
    "set_of_pairs": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
    "set_of_rows": [{"id": 1, "name": "Ann"}, {"id": 9007199254740993, "name": "Bob"}],
    "set_of_names": [{"name": "Ann"}, {"name": "Bob"}],
    "set_of_records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "array_of_pairs": [{"a": 1, "b": "x"}, None],
    "null_json": None,
    "json_null": None,
}
EXACT: dict[str, Any] = {
    "exact_scalar": "9007199254740993",
    "exact_numeric": "1.10",
    "exact_null": None,
    "exact_small": 7,
    "exact_domain": "9007199254740993",
    "exact_ids": ["1", "2"],
    "exact_array": [["1", None], ["9007199254740993", "2"]],
    "exact_wide": {"n": "1", "d": "1.10"},
    "exact_null_wide": None,
    "exact_wide_domain": {"n": "1", "d": "1.10"},
    "exact_deep": {
        "w": {"n": "1", "d": "1.10"},
        "ws": [{"n": "2", "d": "2.20"}, None],
        "ns": ["3", None],
        "t": "x",
        "ds": ["1.0"],
    },
    "exact_deep_nulls": {"w": None, "ws": None, "ns": None, "t": None, "ds": None},
    "exact_wides": [{"n": "1", "d": "1.10"}, None],
    "exact_empty": [],
    "exact_two_dimensions": [[{"n": 1, "d": 1.1}], [{"n": 2, "d": None}]],  # the form is kept, the numbers are not
    "exact_set": ["1", None],
    "exact_set_of_wide": [{"n": "1", "d": "1.10"}, None],
    "exact_rows": [{"id": "1", "name": "Ann"}, {"id": "9007199254740993", "name": "Bob"}],
    "exact_table": [{"a": "1", "b": {"n": "2", "d": "3.0"}, "c": "x"}],
    "exact_table_one": [{"a": "1"}, {"a": None}],
    "exact_out_one": "1",
    "exact_none": [],
    "exact_special": ["NaN", "Infinity"],
    "exact_range": "[1,5)",
}
OTHERS = (
    "some_json", "some_text", "formatted", "twice", "counted", "counted_pair", "set_of_json", "out_strict", "many",
)  # fmt: skip
REST = (
    "limits: {send_buffer: 1MiB, result_size: 21MiB, message_size: 1MiB}\n"
    + served_sql.listed(*PLAIN, *OTHERS, "large")
    + "".join(f"  {name}: {{numbers: string}}\n" for name in [*EXACT, "exact_out"])
    + "".join(f"  exact_{name}: {{function: {name}, numbers: string}}\n" for name in ("counted", "counted_pair"))
)


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.place(postgres, tmp_path_factory.mktemp("results"), SQL, REST) as made:
        yield made


@pytest.mark.parametrize(("method", "result"), [*PLAIN.items(), *EXACT.items()])
async def test_shape(place: served_sql.Place, method: str, result: Any) -> None:
    async with place.client() as client:
        assert await client.call(method) == result


async def test_numbers_are_strings_in_both_directions(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await client.call("exact_out", "9007199254740993") == {"a": "9007199254740993", "b": "1.10", "c": 2}
        assert await client.call("exact_out", None) == {"a": None, "b": "1.10", "c": 2}


async def test_a_strict_function_that_is_not_called_gives_null(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await client.call("out_strict", None) is None


@pytest.mark.parametrize("method", ["counted", "counted_pair", "exact_counted", "exact_counted_pair"])
async def test_a_function_runs_once(place: served_sql.Place, method: str) -> None:
    place.database.execute("truncate calls")
    async with place.client() as client:
        await client.call(method)
    assert place.database.execute("select count(*) from calls") == [(1,)]


async def test_json_is_spliced_in_as_it_is(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert await served_sql.exact(client, "formatted", "[]") == '{\n  "a" : [ 1 ,\t2 ]\n}'
        assert await served_sql.exact(client, "twice", "[]") == '{"a":1,"a":2}'
        parts = await served_sql.exact(client, "set_of_json", "[]")
        assert parts.replace(" ", "").replace("\n", "") == '[1.10,null,null,{"a":1e400}]'


@pytest.mark.parametrize(
    "text",
    ["\u2028\u2029", "😀🏳️‍🌈", "</script><script>alert(1)</script>", "\x01\x1f\x7f\x85", '\\"', "\r\n", "\ufeff\ufffe"],
)
async def test_any_text(place: served_sql.Place, text: str) -> None:
    async with place.client() as client:
        assert await client.call("some_text", text) == text
        assert await client.call("some_json", text) == text
        assert await client.call("some_json", {text: [text]}) == {text: [text]}


async def test_a_result_that_is_much_larger_than_the_send_buffer(place: served_sql.Place) -> None:
    size = 20 * 1024 * 1024
    async with place.client() as client:
        large = await client.call("large", size)
        assert len(large) == size
        assert large == "0123456789abcdef" * (size // 16)
        many = await client.call("many", 100_000)
        assert many[:2] == [{"a": 1, "b": "é"}, {"a": 2, "b": "é"}]
        assert len(many) == 100_000
        assert await client.call("scalar") == 1


async def test_a_result_over_the_limit_is_refused(place: served_sql.Place) -> None:
    async with place.client() as client:
        with pytest.raises(ws_client.RpcError) as refused:
            await client.call("large", 22 * 1024 * 1024)
        assert refused.value.code == -32000
        limit = 21 * 1024 * 1024
        assert str(limit) in refused.value.message
        assert json.dumps(refused.value.data)
        # The limit itself: the text and its two quotes.
        assert len(await client.call("large", limit - 16)) == limit - 16
        assert (await served_sql.refused(client, "large", [limit])).code == -32000
        assert await client.call("scalar") == 1
