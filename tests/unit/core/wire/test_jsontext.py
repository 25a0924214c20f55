"""JSON text: nothing is lost on the way in or out, and nothing passes that is not JSON."""

import json
import random
import time
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.wire import jsontext

DEEP = "[" * 100_000 + "]" * 100_000
AT_MOST = "[" * 256 + "]" * 256
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("null", None, id="null"),
        pytest.param(" \t\r\n true \n", True, id="white space around"),
        pytest.param('"\\u0041\\n\\ud83d\\ude00"', "A\n😀", id="escapes"),
        pytest.param('"\\ud800"', "\ud800", id="a lone surrogate"),
        pytest.param("-0", 0, id="an integer -0"),
        pytest.param("1.50", Decimal("1.50"), id="a fraction"),
        pytest.param("1e2", Decimal("1e2"), id="an exponent"),
        pytest.param(
            "0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827"), id="long"
        ),
        pytest.param("1e999999999999999999", Decimal("1e999999999999999999"), id="a huge exponent"),
        pytest.param("9" * 4300, int("9" * 4300), id="4,300 digits"),
        pytest.param('{"a":[1.5,{"b":{}}],"c":[]}', {"a": [Decimal("1.5"), {"b": {}}], "c": []}, id="nested"),
        pytest.param('{"a":1,"a":2}', {"a": 2}, id="of duplicates the last"),
    ],
)
def test_parse(text: str, value: Any) -> None:
    found = jsontext.parse(text)
    assert found == value
    assert type(found) is type(value)


def test_decimals_keep_their_spelling() -> None:
    assert str(jsontext.parse("1.50")) == "1.50"
    assert str(jsontext.parse("-0.0")) == "-0.0"


NOT_JSON = [
    pytest.param("", id="empty"),
    pytest.param("{", id="cut"),
    pytest.param("1 2", id="two values"),
    pytest.param("NaN", id="NaN"),
    pytest.param('{"a":[Infinity]}', id="Infinity"),
    pytest.param("-Infinity", id="-Infinity"),
    pytest.param("\ufeff{}", id="byte order mark"),
    pytest.param('"\x01"', id="control character in a string"),
    pytest.param('"a\nb"', id="newline in a string"),
    pytest.param("{}\x0b", id="white space that is not JSON's"),
    pytest.param("'a'", id="single quotes"),
    pytest.param("{a:1}", id="name without quotes"),
    pytest.param("[1,]", id="comma too many"),
    pytest.param("01", id="leading zero"),
    pytest.param("+1", id="plus"),
    pytest.param("1.", id="no digits after the point"),
    pytest.param(".5", id="no digits before the point"),
    pytest.param("1\u0661", id="digits that are not ASCII"),
    pytest.param("1.\u0661", id="fraction that is not ASCII"),
    pytest.param('"\\u00\uff14\uff11"', id="escape that is not ASCII"),
    pytest.param('"\\x41"', id="unknown escape"),
    pytest.param(DEEP, id="nested 100,000 deep"),
]


@pytest.mark.parametrize("text", NOT_JSON)
def test_not_json(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the type is the promise, not the words
        jsontext.parse(text)
    assert not jsontext.is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 257 + "]" * 257, id="one level too many"),
        pytest.param('{"a":' * 257 + "1" + "}" * 257, id="objects"),
        pytest.param('[{"a":' * 129 + "1" + "}]" * 129, id="both"),
        pytest.param("[" * 100_000, id="never closed"),
        pytest.param('["]]]]","]\\"]]",' * 257 + "1" + "]" * 257, id="brackets in strings close nothing"),
        pytest.param('["\\\\",' * 257 + "1" + "]" * 257, id="strings that end in a backslash"),
        pytest.param("[]" * 20 + "[" * 300 + "]" * 300, id="more than one value"),
        pytest.param('["\ud800é😀",' * 257 + "1" + "]" * 257, id="other characters"),
        pytest.param(DEEP, id="100,000"),
    ],
)
def test_what_is_nested_too_deep(text: str) -> None:
    """No Python is asked to recurse into it: each gives up elsewhere, if at all."""
    begin = time.process_time()
    for take in (jsontext.check_depth, jsontext.parse):
        with pytest.raises(jsontext.TooDeep, match=r"^nested deeper than 256 levels$"):
            take(text)
    assert not jsontext.is_valid(text)
    assert time.process_time() - begin < 0.25


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(AT_MOST, id="256 levels"),
        pytest.param(f"[{AT_MOST[1:-1]},1]", id="256 levels and more"),
        pytest.param("[" + "[]," * 20_000 + "[]]", id="many beside each other"),
        pytest.param(json.dumps(["[" * 10_000, '"[{' * 10_000, "\\[" * 10_000, "\\"]), id="brackets in strings"),
        pytest.param(json.dumps({"[" * 300: "é\ud800" * 300}, ensure_ascii=False), id="brackets in names"),
        pytest.param("[" * 200 + "1.5" + "]" * 200 + " " * 1000, id="a long text"),
    ],
)
def test_what_is_not(text: str) -> None:
    jsontext.check_depth(text)
    assert jsontext.parse(text) == json.loads(text, parse_float=Decimal)
    assert jsontext.is_valid(text)


def test_deep_or_not_is_what_python_would_say() -> None:
    """At random: the depth that is counted in the text is that of the value."""

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return (isinstance(value, list | dict)) + max(map(depth, inner), default=0)

    chosen = random.Random(1)
    deep = 0
    for _ in range(300):
        value: Any = chosen.choice([1, "]", "\\", '"'])
        for _ in range(chosen.randrange(240, 275)):
            beside = chosen.choice([1, "[{", '\\"]', [], {"}": "["}, ["\\"]])
            value = chosen.choice([[value], [beside, value], {"]\\": value, '"[': beside}])
        text = json.dumps(value)
        if depth(value) > 256:
            deep += 1
            with pytest.raises(jsontext.TooDeep):
                jsontext.parse(text)
        else:
            assert jsontext.parse(text) == value
    assert 100 < deep < 200


@pytest.mark.parametrize("text", [DIGITS, f"[{DIGITS}]", "1e" + "9" * 19], ids=["digits", "inside", "exponent"])
def test_numbers_that_python_cannot_hold_are_json_all_the_same(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        jsontext.parse(text)
    assert jsontext.is_valid(text)


@pytest.mark.parametrize(
    "text",
    ["null", " [1, 2.5e3] ", '{"a":1,"a":{"a":2}}', '"\x7f\u2028"', "-0", '"\\ud800"'],
    ids=["null", "space", "duplicates", "not control characters", "-0", "lone surrogate"],
)
def test_valid(text: str) -> None:
    assert jsontext.is_valid(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "null", id="null"),
        pytest.param([True, False, 0, -1, ""], '[true,false,0,-1,""]', id="plain"),
        pytest.param('"\\\n\x01\u2028é😀', '"\\"\\\\\\n\\u0001\u2028é😀"', id="a string"),
        pytest.param(Decimal("1.50"), "1.50", id="a decimal"),
        pytest.param(Decimal("1e400"), "1E+400", id="beyond a float"),
        pytest.param({"a": [1, Decimal("0.10")], "b": {}}, '{"a":[1,0.10],"b":{}}', id="a decimal inside"),
        pytest.param(
            [{"k\n": {"x": [Decimal("-0.0"), None, True, "é\0"]}}, []],
            '[{"k\\n":{"x":[-0.0,null,true,"é\\u0000"]}},[]]',
            id="a decimal beside all the others",
        ),
        pytest.param(2**200, str(2**200), id="a huge integer"),
    ],
)
def test_dump(value: Any, text: str) -> None:
    assert jsontext.dump(value) == text
    assert jsontext.parse(text) == value
    assert jsontext.is_valid(text)


@pytest.mark.parametrize(
    "value", [None, 0, -(2**70), '\x00\x1f\x7f\u2028é😀\ud800"\\/', {"ä": [{}, [], ""]}, [[1], True]]
)
@pytest.mark.parametrize("there", [True, False])
def test_dump_writes_what_the_documented_encoder_writes(
    monkeypatch: pytest.MonkeyPatch, value: Any, there: bool
) -> None:
    """The one that is kept is not documented; a Python may not have it."""
    if not there:
        monkeypatch.setattr("json.encoder.c_make_encoder", None)
    plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    assert "".join(jsontext._encoder_kept(plain)(value, 0)) == plain.encode(value)


@pytest.mark.parametrize("number", ["1e2", "1E-400", "0e-7", "-0.0", "123456789012345678901234567890.123456789", "1.0"])
def test_a_number_stays_the_same_number(number: str) -> None:
    (back,) = jsontext.parse(jsontext.dump([jsontext.parse(number)]))
    assert back.as_tuple() == Decimal(number).as_tuple()


@pytest.mark.parametrize("innermost", ["1", "1.5"], ids=["an integer", "a decimal"])
def test_what_was_parsed_can_be_written_however_deep_it_is(innermost: str) -> None:
    for text in (AT_MOST[:256] + innermost + AT_MOST[256:], '{"a":' * 256 + innermost + "}" * 256):
        assert jsontext.dump(jsontext.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        pytest.param("[]", [], id="none"),
        pytest.param(" [ \n]", [], id="none, with space"),
        pytest.param('[1.50,"a,]",{"x":[1,2]},[[]]]', ["1.50", '"a,]"', '{"x":[1,2]}', "[[]]"], id="all kinds"),
        pytest.param(' [ 1 ,\t"\\u0041"\r\n, null ] ', ["1", '"\\u0041"', "null"], id="space"),
    ],
)
def test_elements(text: str, sources: list[str]) -> None:
    assert list(jsontext.elements(text)) == sources


@pytest.mark.parametrize(
    ("text", "source"),
    [
        pytest.param('{"id":1.50}', "1.50", id="alone"),
        pytest.param('{"a":{"id":1},"id":2,"b":[{"id":3}]}', "2", id="not the nested ones"),
        pytest.param('{"id":1,"id":"\\u0041","x":"id"}', '"\\u0041"', id="of several the last"),
        pytest.param(' { "x" : "id" , "\\u0069d" :\n -0 } ', "-0", id="an escaped name"),
        pytest.param('{"id":{"id":[]}}', '{"id":[]}', id="an object"),
        pytest.param('{"}":"]","id":7}', "7", id="brackets in strings"),
    ],
)
def test_member(text: str, source: str) -> None:
    assert jsontext.member(text, "id") == source


@pytest.mark.parametrize(
    ("text", "indented"),
    [
        pytest.param('{"a" : 1, "b":[true,null]}', '{\n\t"a": 1,\n\t"b": [\n\t\ttrue,\n\t\tnull\n\t]\n}', id="nested"),
        pytest.param(" [\t{} , [ ] ]\n", "[\n\t{},\n\t[]\n]", id="empty ones stay in their line"),
        pytest.param('{"a":{"b":[{}]}}', '{\n\t"a": {\n\t\t"b": [\n\t\t\t{}\n\t\t]\n\t}\n}', id="deeper"),
        pytest.param('["{,}: [\\"]", "\\u00e9\\\\"]', '[\n\t"{,}: [\\"]",\n\t"\\u00e9\\\\"\n]', id="strings"),
        pytest.param(f"[1.50,-0,1E400,{DIGITS}]", f"[\n\t1.50,\n\t-0,\n\t1E400,\n\t{DIGITS}\n]", id="numbers"),
        pytest.param('{"a":1,"a":2}', '{\n\t"a": 1,\n\t"a": 2\n}', id="duplicates"),
        pytest.param(' "a" ', '"a"', id="a string"),
        pytest.param("null", "null", id="a word"),
    ],
)
def test_indent(text: str, indented: str) -> None:
    assert jsontext.indent(text) == indented
    assert jsontext.indent(indented) == indented


@pytest.mark.parametrize("text", ["", "hello", "{", "[1,]", '{"a":NaN}', DEEP, "[" * 257 + "]" * 257])
def test_what_cannot_be_indented(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not JSON, or nested deeper than 256 levels$"):
        jsontext.indent(text)


def test_members_are_names_and_values_as_they_are_written() -> None:
    assert list(jsontext.members('{ "a" : 1.50 ,"\\u0062":[1, {"c":"}"}],"a":null}')) == [
        ('"a"', "1.50"),
        ('"\\u0062"', '[1, {"c":"}"}]'),
        ('"a"', "null"),
    ]
    assert list(jsontext.members(" {}")) == []


def test_digits_do_not_matter_to_what_is_cut_out() -> None:
    assert list(jsontext.elements(f"[{DIGITS}]")) == [DIGITS]
    assert list(jsontext.members(f'{{"a":{DIGITS}}}')) == [('"a"', DIGITS)]


def test_what_is_nested_too_deep_is_not_cut_out() -> None:
    with pytest.raises(RecursionError):
        list(jsontext.elements(f"[{DEEP}]"))


def test_results_may_be_nested_deeper_than_what_clients_send() -> None:
    deep = "[" * 500 + "]" * 500
    assert list(jsontext.elements(f"[{deep},1]")) == [deep, "1"]
    assert list(jsontext.members(f'{{"a":{deep}}}')) == [('"a"', deep)]
