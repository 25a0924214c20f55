"""Every type in and out: what a function returns is taken back, and nothing changes on the way."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.core.functions import pgtypes
from pgrpc.demo import embedded
from tests.support import every_type, served_sql

# type -> (a value, what it comes back as)
OTHER_SPELLINGS: list[tuple[str, str, str]] = [
    ("int2", "1.0", "1"),
    ("int4", "1e2", "100"),
    ("int4", "-0", "0"),
    ("int4", "-0.0", "0"),
    ("int8", '"9223372036854775807"', "9223372036854775807"),
    ("int8", '"-9223372036854775808"', "-9223372036854775808"),
    ("int8", "9.223372036854775807e18", "9223372036854775807"),
    ("numeric", '"1.10"', "1.10"),
    ("numeric", '"-123456789012345678901234567890.5"', "-123456789012345678901234567890.5"),
    ("numeric", "1e400", "1" + "0" * 400),
    ("numeric", "1e-20", "0." + "0" * 19 + "1"),
    ("numeric", "2", "2"),
    ("amount", '"2.5"', "2.50"),
    ("oid", "26", '"26"'),
    ("uuid", '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
    ("timestamptz", '"2024-01-01T02:00:00+02:00"', '"2024-01-01T00:00:00+00:00"'),
    ("timestamptz", '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00+00:00"'),
    ("timestamp", '"2024-01-01 00:00:00"', '"2024-01-01T00:00:00"'),
    ("interval", '"PT1H"', '"01:00:00"'),
    ("money", "12.5", '"$12.50"'),
    ("bytea", r'"\\xFF"', r'"\\xff"'),
    ("int4range", '"[1,2]"', '"[1,3)"'),
    ("jsonb", "1e400", "1" + "0" * 400),
    ("jsonb", '{"b":1,"a":2}', '{"a": 2, "b": 1}'),
    ("pair", '{"b":"xyz"}', '{"a":null,"b":"xyz"}'),
    ("pair", "{}", '{"a":null,"b":null}'),
    ("json", "null", "null"),
    ("nested", '{"n":"9007199254740993"}', '{"p":null,"ps":null,"n":9007199254740993,"m":null,"when":null}'),
]
ARRAYS = [
    ("int4", "[[1,2],[3,null]]"),
    ("int4", "[[[1],[2]]]"),
    ("int8", "[[9007199254740993],[null]]"),
    ("text", '[["a,b","{}"],["\\"",null]]'),
    ("json", "[1e400,null]"),
    ("numeric", "[1.10,null]"),
    ("pair", '[[{"a":1,"b":"x"}],[null]]'),
    ("mood", '[["sad"]]'),
]


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    methods = [f"{kind}_{every_type.slug(of)}" for of in every_type.SCALARS for kind in ("echo", "many")]
    sql = (
        every_type.SQL + "do $$begin execute format('alter database %I set timezone = utc', current_database()); end$$"
    )
    rest = served_sql.listed(*methods, "echo_kept", "echo_must", "special")
    with served_sql.place(postgres, tmp_path_factory.mktemp("types"), sql, rest) as made:
        yield made


@pytest.mark.parametrize("of", every_type.SCALARS)
async def test_round_trip(place: served_sql.Place, of: str) -> None:
    async with place.client() as client:
        for value in every_type.SCALARS[of]:
            result = await served_sql.exact(client, f"echo_{every_type.slug(of)}", f'{{"a":{value}}}')
            assert same(result, value)
            assert await served_sql.exact(client, f"echo_{every_type.slug(of)}", f"[{result}]") == result
            if not value.startswith("["):  # PostgreSQL would take it for another dimension
                many = await served_sql.exact(client, f"many_{every_type.slug(of)}", f"[[{value},null]]")
                assert same(many, f"[{value},null]")
                assert await served_sql.exact(client, f"many_{every_type.slug(of)}", f"[{many}]") == many
        assert await client.call(f"echo_{every_type.slug(of)}", None) is None
        assert await client.call(f"many_{every_type.slug(of)}", None) is None
        assert await client.call(f"many_{every_type.slug(of)}", []) == []


def same(found: str, sent: str) -> bool:
    """Whether two JSON texts say the same, numbers digit for digit (but for the spelling of an exponent)."""

    def exact(text: str) -> Any:
        return json.loads(text, parse_int=str, parse_float=lambda digits: digits.replace("+", "").lower())

    left, right = exact(found), exact(sent)
    assert left == right
    return True


@pytest.mark.parametrize(("of", "sent", "back"), OTHER_SPELLINGS)
async def test_other_spellings(place: served_sql.Place, of: str, sent: str, back: str) -> None:
    async with place.client() as client:
        assert await served_sql.exact(client, f"echo_{every_type.slug(of)}", f"[{sent}]") == back


@pytest.mark.parametrize(("of", "value"), ARRAYS)
async def test_arrays(place: served_sql.Place, of: str, value: str) -> None:
    async with place.client() as client:
        same(await served_sql.exact(client, f"many_{every_type.slug(of)}", f"[{value}]"), value)


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("'NaN'::float8", "NaN"),
        ("'-Infinity'::float4", "-Infinity"),
        ("'NaN'::numeric", "NaN"),
        ("'infinity'::date", "infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        ("'10000-01-01'::timestamp", "10000-01-01T00:00:00"),
    ],
)
async def test_what_json_has_no_form_for_comes_as_text(place: served_sql.Place, sql: str, result: str) -> None:
    body = f"select to_json(v) from (select {sql}) _(v)"
    place.database.execute(f"create or replace function special() returns json language sql as $${body}$$")
    async with place.client() as client:
        assert await client.call("special") == result


async def test_a_table_s_row(place: served_sql.Place) -> None:
    async with place.client() as client:
        row = {"id": 1, "name": "abc", "amount": 1.5}
        assert await client.call("echo_kept", row) == row
        error = await served_sql.refused(client, "echo_kept", [{"id": 1, "name": "abcd"}])
        assert served_sql.paths(error) == ["/0/name"]


@pytest.mark.parametrize(
    ("of", "value", "path"),
    [
        ("bool", 1, "/a"),
        ("int2", 32768, "/a"),
        ("int4", 2147483648, "/a"),
        ("int4", 1.5, "/a"),
        ("int4", "1", "/a"),
        ("int4", True, "/a"),
        ("int8", 9223372036854775808, "/a"),
        ("int8", "9223372036854775808", "/a"),
        ("int8", "1.5", "/a"),
        ("int8", "", "/a"),
        ("numeric", "1,5", "/a"),
        ("numeric", "", "/a"),
        ("text", 1, "/a"),
        ("text", {}, "/a"),
        ("char(1)", 1, "/a"),
        ("float8", "NaN", "/a"),
        ("numeric", "Infinity", "/a"),
        ("date", "infinity", "/a"),
        ("timestamptz", "-infinity", "/a"),
        ("bytea", "abc", "/a"),
        ("bytea", "\\x0", "/a"),
        ("bit(1)", "2", "/a"),
        ("uuid", "nonsense", "/a"),
        ("date", "2024-02-30", "/a"),
        ("date", "01/02/2024", "/a"),
        ("timestamp", "now", "/a"),
        ("timestamp", "2024-13-01T00:00:00", "/a"),
        ("timestamptz", "2024-01-01T00:00:00", "/a"),
        ("time", "25:00:00", "/a"),
        ("interval", "soon", "/a"),
        ("float8", "1.5", "/a"),
        ("jsonpath", "$[", "/a"),
        ("inet", "1.2.3", "/a"),
        ("macaddr", "x", "/a"),
        ("point", "x", "/a"),
        ("tsquery", "a b", "/a"),
        ("oid", -1, "/a"),
        ("oid", "x", "/a"),
        ("pg_lsn", "x", "/a"),
        ("pg_lsn", {}, "/a"),
        ("regclass", "nosuch", "/a"),
        ("regtype", "nosuch", "/a"),
        ("regrole", "nosuch", "/a"),
        ("int4range", "[2,1]", "/a"),
        ("int4range", "x", "/a"),
        ("int4multirange", "{[2,1]}", "/a"),
        ("mood", "happy", "/a"),
        ("mood", "", "/a"),
        ("short", "abcdef", "/a"),
        ("even", 3, "/a"),
        ("even", 1.5, "/a"),
        ("amount", 12345.5, "/a"),
        ("amount", -1, "/a"),
        ("tags", ["a", "b", "c"], "/a"),
        ("tags", ["a", 1], "/a/1"),
        ("must", None, "/a"),
        ("pair", {"a": 1, "c": 2}, "/a/c"),
        ("pair", [1, "x"], "/a"),
        ("pair", {"b": "abcd"}, "/a/b"),
        ("nested", {"p": {"a": "x"}}, "/a/p/a"),
        ("nested", {"ps": [{"a": 1}, {"a": 1.5}]}, "/a/ps/1/a"),
        ("nested", {"m": ["sad", "happy"]}, "/a/m/1"),
        ("nested", {"when": "2024-02-30"}, "/a/when"),
    ],
)
async def test_what_is_no_such_value(place: served_sql.Place, of: str, value: Any, path: str) -> None:
    async with place.client() as client:
        error = await served_sql.refused(client, f"echo_{every_type.slug(of)}", {"a": value})
        assert served_sql.paths(error) == [path]
        error = await served_sql.refused(client, f"echo_{every_type.slug(of)}", [value])
        assert served_sql.paths(error) == ["/0" + path[2:]]


@pytest.mark.parametrize(
    ("of", "value", "path"),
    [
        ("int4", [1, "x"], "/a/1"),
        ("int4", [[1], ["x"]], "/a/1/0"),
        ("int4", [[1], [2, 3]], "/a"),
        ("int4", [1, [2]], "/a"),
        ("int4", 1, "/a"),
        ("int4", "{1,2}", "/a"),
        ("mood", ["happy"], "/a/0"),
        ("pair", [{"a": 1}, {"b": 1}], "/a/1/b"),
        ("even", [2, 3], "/a"),
    ],
)
async def test_what_is_no_such_array(place: served_sql.Place, of: str, value: Any, path: str) -> None:
    async with place.client() as client:
        assert served_sql.paths(await served_sql.refused(client, f"many_{every_type.slug(of)}", {"a": value})) == [path]


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1e131073", '"1e131073"'])  # beyond float8, beyond numeric
async def test_out_of_range(place: served_sql.Place, text: str) -> None:
    of = "numeric" if "131073" in text else "float8"
    async with place.client() as client:
        await client.send(f'{{"jsonrpc":"2.0","method":"echo_{of}","params":{{"a":{text}}},"id":"x"}}')
        error = json.loads(await client.frame())["error"]
    assert (error["code"], error["data"][0]["path"]) == (-32602, "/a")


@pytest.mark.parametrize(
    ("name", "oid", "longest"),
    [
        ("bool", 16, ["false"]),
        ("int2", 21, ["-32768"]),
        ("int4", 23, ["-2147483648"]),
        ("int8", 20, ["-9223372036854775808"]),
        ("oid", 26, ["4294967295"]),
        ("float4", 700, ["-1.1754945e-38", "-Infinity", "-1.23456789e-40"]),
        ("float8", 701, ["-2.2250738585072014e-308", "-Infinity"]),
        ("uuid", 2950, ["00000000-0000-0000-0000-000000000000"]),
        ("date", 1082, ["5874897-12-31", "4714-11-24 BC", "-infinity"]),
        ("time", 1083, ["23:59:59.999999"]),
        ("timetz", 1266, ["23:59:59.999999-15:59:59"]),
        ("timestamp", 1114, ["294276-12-31 23:59:59.999999", "4714-11-24 00:00:00.000001 BC"]),
        ("timestamptz", 1184, ["294276-12-31 23:59:59.999999", "4714-11-24 00:00:00.000001 BC"]),
    ],
)
async def test_no_value_is_longer_than_the_bound(
    place: served_sql.Place, name: str, oid: int, longest: list[str]
) -> None:
    """Beyond it a result would not be limited."""
    bound = pgtypes.longest(pgtypes.Type(oid, f"pg_catalog.{name}", name, "base"))
    assert bound is not None
    sql = "select set_config('timezone', 'America/Metlakatla', true), octet_length(to_json(%s::{})::text)".format
    as_it_is = [place.database.execute(sql(name), value)[0][1] for value in longest]
    as_text = [place.database.execute(sql(f"{name}::text"), value)[0][1] for value in longest if name == "int8"]
    most = max(as_it_is + as_text)
    assert most <= bound <= most + 12
