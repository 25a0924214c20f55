from decimal import Decimal
from typing import Any

import pytest

from pgrpc.compat.postgresql2websocket import sql_call
from pgrpc.core.wire import errors
from tests.support.sql_mutations import mutations

TAKEN: dict[str, tuple[str, Any]] = {
    "select add(1, 2)": ("add", [1, 2]),
    "select add(1, 2);": ("add", [1, 2]),
    " SELECT\n\tADD ( 1 , 2 ) ; ": ("add", [1, 2]),
    "select now()": ("now", []),
    # Names: of built-ins too, since only what is listed can be called.
    **{f"select {name}(1)": (name, [1]) for name in (
        "date_add", "format", "lower", "coalesce", "concat", "left", "extract", "substring", "count", "position",
        "generate_series", "unnest", "json_agg", "date", "text", "uuid", "if", "any", "row", "values", "lateral",
        "convert", "trim", "string", "number", "struct", "map", "variadic", "greatest", "int4",
    )},
    'select "Add"(1)': ("Add", [1]),
    'select "my ""method"""(1)': ('my "method"', [1]),
    'select "select"(1)': ("select", [1]),
    "select ÄDD(1)": ("Ädd", [1]),  # PostgreSQL folds ASCII only
    "select auction.place_bid(1)": ("auction.place_bid", [1]),
    'select Auction."Place_Bid"(1)': ("auction.Place_Bid", [1]),
    # Constants
    "select f(-1, - 2, -1.50, 007)": ("f", [-1, -2, Decimal("-1.50"), 7]),
    "select f(1.5, .5, 5., 1e3, 1.5E-3, -.5)": ("f", [*map(Decimal, ("1.5", ".5", "5", "1e3", "1.5E-3", "-.5"))]),
    "select f(123456789012345678901234567890.12345678901234567890)":
        ("f", [Decimal("123456789012345678901234567890.12345678901234567890")]),
    "select f(-123456789012345678901234567890.12345678901234567890)":
        ("f", [Decimal("-123456789012345678901234567890.12345678901234567890")]),
    "select f(9223372036854775808)": ("f", [2**63]),
    "select f(null, NULL, true, False)": ("f", [None, None, True, False]),
    "select f('it''s', '', '\"', 'a\nb', 'a\\''b')": ("f", ["it's", "", '"', "a\nb", "a\\'b"]),
    "select f('-- no comment', '/* nor */ this', 'x; drop table y')":
        ("f", ["-- no comment", "/* nor */ this", "x; drop table y"]),
    r"select f(E'a\'b\n\x41\u00e9\\', e'it''s')": ("f", ["a'b\nAé\\", "it's"]),
    "select f($$it's$$, $x$a $$ b$x$)": ("f", ["it's", "a $$ b"]),
    "select f(' \u00a0\u2028 ', E'\u00a0', $$\u3000$$)": ("f", [" \u00a0\u2028 ", "\u00a0", "\u3000"]),
    "select f(array[1, null], ARRAY['a'], array[]::int[])": ("f", [[1, None], ["a"], []]),
    "select f(array[array[1, 2], array[3, 4]], array[[1], [2]])": ("f", [[[1, 2], [3, 4]], [[1], [2]]]),
    # Casts
    "select f('2024-02-29'::date, cast('1 day' as interval), timestamptz '2024-02-29 12:00Z')":
        ("f", ["2024-02-29", "1 day", "2024-02-29 12:00Z"]),
    "select f(1::int, -1::bigint, 2::numeric, 1.5::double precision, true::bool, null::uuid, null::int[])":
        ("f", [1, -1, 2, Decimal("1.5"), True, None, None]),
    "select f('2024-02-29T12:00:00.5'::timestamp, '2024-02-29'::timestamp::date, '12:00'::time, null::date)":
        ("f", ["2024-02-29T12:00:00.5", "2024-02-29", "12:00", None]),
    "select f('x'::character varying, 'x'::timestamp with time zone, 'x'::text::uuid, '{}'::jsonb)":
        ("f", ["x", "x", "x", "{}"]),
    "select f(array[1, 2]::bigint[], array[array['a']]::text[][])": ("f", [[1, 2], [["a"]]]),
    # Named
    'select f(a => 1, "B" => -2, C => null)': ("f", {"a": 1, "B": -2, "c": None}),
    "select f(a := 1, b := array[1])": ("f", {"a": 1, "b": [1]}),
    "select f(a => '2024-02-29'::date, b => cast(1 as int), c => array[1])":
        ("f", {"a": "2024-02-29", "b": 1, "c": [1]}),
    # Comments are none of it
    "select /* a /* b */ c */ f(1) -- d": ("f", [1]),
    "select f(1); -- d": ("f", [1]),
    "select f(1) /* d */ ; /* e */\n": ("f", [1]),
}  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_takes_one_call_with_constants(text: str) -> None:
    query = sql_call.read(text)
    method, params = TAKEN[text]
    assert (query.method, query.params) == (method, params)
    assert [type(p) for p in query.params] == [type(p) for p in params]
    assert str(query.params) == str(params)  # Decimals keep their digits
    assert not query.spread


def test_the_column_is_the_last_part_of_the_name() -> None:
    assert sql_call.read('select auction."Place"(1)').column == "Place"
    assert sql_call.read("select ADD(1)").column == "add"


def test_from_spreads_the_result_into_columns() -> None:
    assert sql_call.read("select * from f(1, 'x');") == sql_call.Query("f", [1, "x"], "f", True)
    assert sql_call.read('select * from Auction."F"(a => 1)') == sql_call.Query("auction.F", {"a": 1}, "F", True)


REFUSED = (
    "select f(-'x')", "select f(-null::int)", "select f(-true::bool)",
    "", ";", " ", "select", "select 1", "select 'x'", "select null", "select *", "select add", "select f(1) g(2)",
    # more than one statement
    "select f(1); select f(2)", "select f(1);;", "; select f(1)", "select f(1); drop table t", "select f(1) ; -- x\n x",
    # other statements
    "insert into t values (1)", "update t set a = 1", "delete from t", "drop table t", "truncate t", "call f(1)",
    "do $$ begin end $$", "copy t to program 'true'", "create table t ()", "set role postgres", "begin", "commit",
    "prepare x as select 1", "execute x", "explain select f(1)", "table t", "values (1)", "listen x", "notify x",
    "vacuum", "grant all on t to u", "from f(1)", "with x as (select 1) select f(1)", "(select f(1))",
    "select f(1) union select f(2)", "select f(1) union all select 1", "select f(1) into t",
    # more than the call
    "select f(1), f(2)", "select f(1), 1", "select f(1),", "select f(1) as x", "select f(1) x", "select f(1)::text",
    "select f(1) + 1", "select -f(1)", "select not f(1)", "select f(1) from t", "select f(1) from f(2)",
    "select f(1) where true", "select f(1) limit 1", "select f(1) order by 1", "select f(1) for update",
    "select f(1) group by 1", "select f(1) having true", "select f(1) offset 1", "select f(1) fetch first row only",
    "select distinct f(1)", "select all f(1)", "select (f(1))", "select (f(1)).*", "select (f(1)).x", "select f(1).x",
    "select f(1)[1]", "select f(1)(2)", "select f(1) over ()", "select f(1) filter (where true)",
    "select f(1) within group (order by 1)", "select f(1) collate x", "select f(1) at time zone 'x'",
    "select cast(f(1) as int)", "select case when true then f(1) end", "select exists (select f(1))",
    "select array(select f(1))", "select array[f(1)]", "select row(f(1)) x", "select f(1) is null", "select {fn f(1)}",
    "select a.b.f(1)", "select a.b.c.f(1)", "select f.*(1)", "select current_user", "select current_date",
    "select * from t", "select * from f(1) t", "select * from f(1) as t (a int)", "select * from f(1), g(2)",
    "select * from f(1) join g(2) on true", "select * from f(1) with ordinality", "select * from lateral f(1)",
    "select * from rows from (f(1))", "select * from only f(1)", "select * from (select f(1))", "select * from f(1) *",
    "select * from f(1) where true", "select * from f(1) limit 1", "select * from f(1) tablesample system (1)",
    "select * from a.b.f(1)", "select a..f(1)", "select .f(1)", "select a.f.(1)",
    "select f.* from f(1)", "select a from f(1)", "select *, 1 from f(1)",
    "select * except (a) from f(1)", "select count(*) from f(1)", "select f(1) from", "select from f(1)",
    # arguments that are no constants
    "select f(g(1))", "select f(f(1))", "select f((select 1))", "select f(select 1)", "select f((1))",
    "select f(1 + 1)",
    "select f('a' || 'b')", "select f('a' 'b')", "select f(x)", "select f(x.y)", "select f(*)", "select f(t.*)",
    "select f(current_user)", "select f(now())", "select f(session_user)", "select f(row(1, 2))", "select f((1, 2))",
    "select f(case when true then 1 end)", "select f(not true)", "select f(- -1)", "select f(-'1')", "select f(-null)",
    "select f(-true)", "select f(+1)", "select f(1 as x)", "select f(x = 1)", "select f(1 < 2)", "select f(a -> 1)",
    "select f(array(select 1))", "select f(array[x])", "select f(array[g(1)])", "select f(array[1][1])",
    "select f('x'[1])", "select f(exists (select 1))", "select f(distinct 1)", "select f(all 1)",
    "select f(1 order by 1)", "select f(variadic array[1])", "select f(1 collate x)", "select f(interval '1 day')",
    "select f($1)", "select f(?)", "select f(%s)", "select f(:a)", "select f(@a)", "select f(array)", "select f(as)",
    # arguments that are missing, or there twice, or named and not
    "select f(1,)", "select f(,1)", "select f(1,,2)", "select f(1 2)", "select f(array[1,])", "select f(1, b => 2)",
    "select f(a => 1, 2)", "select f(a => 1, A => 2)", "select f(a =>)", "select f(=> 1)", "select f(a => b => 1)",
    "select f(a := b := 1)", "select f(1 => 2)", "select f('a' => 2)", "select f(a.b => 1)", "select f(a => (1))",
    "select f(a => g(1))", "select f(a => (select 1))", "select f(a => 1 + 1)",
    # strings and numbers of other kinds
    "select f(U&'\\0041')", "select f(N'x')", "select f(B'01')", "select f(X'ff')", "select f(0x1f)", "select f(1_000)",
    "select f(0b1)", "select f(1e)", "select f(1e999999999999999999999)", f"select f({'9' * 5000})", "select f(1.2.3)",
    "select f(\uff11)", "select f(1x)", "select f(1 .5)", "select f(..5)", "select f(.)", "select f(5 .)",
    # casts that say more than a type, or another one
    "select f('t'::regclass)", "select f('f'::regproc)", "select f(cast('t' as regclass))", "select f(1::oid)",
    "select f('x'::mood)", "select f('x'::public.mood)", "select f('x'::pg_catalog.int4)", "select f('x'::varchar(3))",
    "select f(1::numeric(5, 2))", "select f('x'::char)", 'select f(\'x\'::"char")', "select f('x'::name)",
    "select f('x'::timestamp(3))", "select f('x'::xml)", "select f(1::text)", "select f(1.5::int)",
    "select f(true::int)", "select f(1::boolean)", "select f(1::int[])", "select f('{1}'::int[])",
    "select f(array[1]::int)", "select f(array[1.5]::int[])", "select f(array['x']::regclass[])",
    "select f('2024-02-29 12:00'::date)", "select f('2024-02-29 12:00+02'::timestamp)", "select f('12:00+02'::time)",
    "select f('2024-02-29 12:00'::timestamp::date)", "select f(array['2024-02-29 12:00']::date[])",
    "select f(0.1::real)", "select f('0.1'::float4)",
    "select f(null::regclass)", "select f('x'::text::regclass)", "select f('x'::int::record)",
    # what cannot be read
    "select f('x)", 'select "f(1)', "select f($$x)", "select f(1", "select f 1)", "select f(1))", "select f[1](2)",
    "select f(1) /*", "select f(E'\\')", "select f(1]", "\ufeffselect f(1)", "\0", "select\0f(1)", "select f(1)\0",
    "select null(1)", "select true(1)", "select select(1)", "select from(1)", "select as(1)", "select cast(1)",
)  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises((errors.ParseError, errors.InvalidRequest)) as refusal:
        sql_call.read(text)
    assert len(refusal.value.message) < 250
    assert "\x1b" not in refusal.value.message


def test_a_refusal_says_what_to_write_and_what_is_wrong() -> None:
    with pytest.raises(errors.InvalidRequest) as refusal:
        sql_call.read("select f(1); select f(2)")
    assert refusal.value.message == (
        "Invalid Request: write `select function(constants)` or `select * from function(constants)`: "
        "only one select is allowed"
    )
    with pytest.raises(errors.ParseError, match="cannot be parsed as SQL"):
        sql_call.read("select f('x)")


# Mutations


def _is_constant(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_constant, value))
    return value is None or type(value) in (bool, int, Decimal, str)


def test_whatever_is_sent_only_names_and_constants_come_out() -> None:
    refused = 0
    for text in mutations([*TAKEN, *REFUSED], 10_000):
        try:
            query = sql_call.read(text)
        except (errors.ParseError, errors.InvalidRequest):
            refused += 1
            continue
        values = query.params.values() if isinstance(query.params, dict) else query.params
        assert type(query.method) is str
        assert query.method
        assert all(map(_is_constant, values)), text
    assert 5_000 < refused < 10_000  # both happen
