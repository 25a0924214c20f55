"""What sqlglot gets to see of a text, and how long it may take. What comes out of it: test_sql_call."""

import time

import pytest
import sqlglot.errors

from pgrpc.compat.postgresql2websocket import sql_call, sql_grammar
from pgrpc.core.wire import errors


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with select"),
        ("drop table t", "does not begin with select"),
        ("select f(1) + 1", r"'\+' in line 1 is not supported"),
        ("select f(1)\n or true = g()", "'=' in line 2 is not supported"),
        ("select f(0x1f)", "'1f' in line 1 is not supported"),
        ("select f((select 1))", "only one select is allowed"),
        ("select f(1); g(2)", "nothing may follow the semicolon"),
        ("select f(1);;", "nothing may follow the semicolon"),
        ("select f(1,)", "something is missing before '\\)' in line 1"),
        ("select f(1),", "something is missing before ',' in line 1"),
        ("select f(,1)", "something is missing before ',' in line 1"),
        ("select f(as)", "something is missing before 'as' in line 1"),
        ("select f(1) *", "a \\* is allowed only after select"),
        ("select f('a' => 1)", "the name of an argument must be an identifier"),
        ("select f(array::int[1])", "array must be written array\\["),
        ("select f(public.array[1])", "array must be written array\\["),
        ("select array(1)", "array must be written array\\["),
        ("select as f(1)", "something is missing before 'as' in line 1"),
        ("select\u00a0f(1)", "a space character that SQL does not know as one"),
        ("select f(1,\u3000 2)", "a space character that SQL does not know as one"),
        ("select f(1)\u2028", "a space character that SQL does not know as one"),
        ("\x1cselect f(1)", "a space character that SQL does not know as one"),
    ],
)
def test_what_sqlglot_would_overlook_or_need_long_for_is_refused_before(text: str, why: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=why):
        sql_grammar.parse(text)


def test_sqlglot_reports_what_is_not_sql() -> None:
    with pytest.raises(sqlglot.errors.SqlglotError):
        sql_grammar.parse("select f('x)")


def test_no_word_is_special_but_those_of_the_form() -> None:
    (statement,) = sql_grammar.parse('select date_add(union => 1, "Where" := cast(1 as int), c => -1)')
    assert statement.expressions[0].sql("postgres") == 'DATE_ADD(union := 1, "Where" := CAST(1 AS INT), c := -1)'


def test_a_comment_is_no_statement() -> None:
    (statement,) = sql_grammar.parse("select f(1); -- done")
    assert statement.sql("postgres") == "SELECT F(1)"


def test_text_is_bounded() -> None:
    assert sql_call.read(f"select f('{'x' * (sql_grammar.MAX_CHARACTERS - 20)}')").method == "f"
    with pytest.raises(errors.InvalidRequest, match="the limit is 16384"):
        sql_call.read(f"select f('{'x' * sql_grammar.MAX_CHARACTERS}')")
    assert len(sql_call.read(f"select f({','.join('1' * 490)})").params) == 490
    with pytest.raises(errors.InvalidRequest, match="tokens; the limit is 1000"):
        sql_call.read(f"select f({','.join('1' * 500)})")


def test_nesting_is_bounded() -> None:
    deepest = sql_grammar.MAX_DEPTH - 1
    assert sql_call.read(f"select f({'array[' * deepest}{']' * deepest})").method == "f"
    with pytest.raises(errors.InvalidRequest, match="nested deeper than 5"):
        sql_call.read(f"select f({'array[' * (deepest + 1)}{']' * (deepest + 1)})")


@pytest.mark.parametrize(
    "piece",
    ["(", "[", "array[", "f(", "f(1).", "cast(", "- ", "::int", "a.", "a => ", "1,", "int ", "as ", "case when ",
     "not ", "select ", "(select ", "from ", "'", '"', "$$", "/*", ";"],
)  # fmt: skip
@pytest.mark.parametrize("start", ["select f(", "select * from f("])
def test_no_text_takes_long(start: str, piece: str) -> None:
    began = time.process_time()
    with pytest.raises(errors.RpcError):
        sql_call.read((start + piece * 16_384)[: sql_grammar.MAX_CHARACTERS])
    # sqlglot alone takes 12 s and more for f(1).f(1)..., and overflows the stack
    assert time.process_time() - began < 5
