"""JSON-RPC 2.0: every shape of the specification's examples, ids as they came, and what is no request."""

import json
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.wire import errors, jsonrpc

HEAD = '"jsonrpc":"2.0","method":"m"'


def one(data: str | bytes) -> jsonrpc.Message:
    message = jsonrpc.parse(data, 100)
    assert not isinstance(message, list)
    return message


def request(data: str | bytes) -> jsonrpc.Request:
    message = one(data)
    assert isinstance(message, jsonrpc.Request)
    return message


def many(data: str) -> list[jsonrpc.Message]:
    messages = jsonrpc.parse(data, 100)
    assert isinstance(messages, list)
    return messages


def shown(message: jsonrpc.Message) -> tuple[Any, ...]:
    if isinstance(message, jsonrpc.Request):
        return (message.method, message.params, message.id)
    return (message.error.code, message.id)


# The examples of https://www.jsonrpc.org/specification, section 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
            ("subtract", [42, 23], "1"),
            id="positional",
        ),
        pytest.param(
            '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
            ("subtract", {"subtrahend": 23, "minuend": 42}, "3"),
            id="named",
        ),
        pytest.param(
            '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}',
            ("update", [1, 2, 3, 4, 5], None),
            id="notification",
        ),
        pytest.param('{"jsonrpc": "2.0", "method": "foobar"}', ("foobar", [], None), id="notification without params"),
        pytest.param('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', ("foobar", [], '"1"'), id="string id"),
        pytest.param('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, "null"), id="invalid request"),
    ],
)
def test_example(text: str, expected: tuple[Any, ...]) -> None:
    assert shown(one(text)) == expected
    assert shown(one(text.encode())) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[1]", [(-32600, "null")], id="invalid batch, not empty"),
        pytest.param("[1,2,3]", [(-32600, "null")] * 3, id="invalid batch"),
        pytest.param(
            """[
                {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
                {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
                {"foo": "boo"},
                {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
                {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
            ]""",
            [
                ("sum", [1, 2, 4], '"1"'),
                ("notify_hello", [7], None),
                ("subtract", [42, 23], '"2"'),
                (-32600, "null"),
                ("foo.get", {"name": "myself"}, '"5"'),
                ("get_data", [], '"9"'),
            ],
            id="mixed batch",
        ),
    ],
)
def test_example_of_a_batch(text: str, expected: list[tuple[Any, ...]]) -> None:
    assert [shown(message) for message in many(text)] == expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', id="example"),
        pytest.param('[{"jsonrpc": "2.0", "method": "sum", "id": "1"}, {"jsonrpc": "2.0", "method"]', id="batch"),
        pytest.param("", id="empty"),
        pytest.param(f'{{{HEAD},"params":[NaN],"id":1}}', id="NaN"),
        pytest.param(f'{{{HEAD},"params":[-Infinity],"id":1}}', id="-Infinity"),
        pytest.param(f'{{{HEAD},"id":{"9" * 5000}}}', id="5,000 digits"),
        pytest.param(f"\ufeff{{{HEAD}}}", id="byte order mark"),
        pytest.param(f"\ufeff{{{HEAD}}}".encode(), id="byte order mark in bytes"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b'{"jsonrpc":"2.0","method":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b'{"jsonrpc":"2.0","method":"\xc0\xaf"}', id="overlong UTF-8"),
        pytest.param(f"{{{HEAD}}}".encode("utf-16"), id="UTF-16"),
    ],
)
def test_not_json(data: str | bytes) -> None:
    with pytest.raises(errors.ParseError) as caught:
        jsonrpc.parse(data, 100)
    assert caught.value.message == "Parse error"


@pytest.mark.parametrize("text", ["[]", " [\n] "], ids=["plain", "with space"])
def test_the_empty_batch(text: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        jsonrpc.parse(text, 100)


def test_a_batch_that_is_too_long_is_refused_before_its_members_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(jsonrpc, "_message", lambda value, text: read.append(value))
    with pytest.raises(errors.InvalidRequest, match=r"the batch has 30000 members, the limit is 100$"):
        jsonrpc.parse(f"[{','.join('1' * 30_000)}]", 100)
    assert read == []
    jsonrpc.parse(f"[{','.join('1' * 100)}]", 100)
    assert len(read) == 100


# Ids

IDS = [
    pytest.param("1", 1, id="1"),
    pytest.param("0", 0, id="0"),
    pytest.param("-0", 0, id="-0"),
    pytest.param("-9007199254740991", -9007199254740991, id="least safe integer"),
    pytest.param("9" * 400, int("9" * 400), id="400 digits"),
    pytest.param("1.50", Decimal("1.5"), id="1.50"),
    pytest.param("1e2", Decimal(100), id="1e2"),
    pytest.param("1E+2", Decimal(100), id="1E+2"),
    pytest.param("-0.0", Decimal(0), id="-0.0"),
    pytest.param("null", None, id="null"),
    pytest.param('""', "", id="empty string"),
    pytest.param('"7"', "7", id="digits"),
    pytest.param('"\\u0041"', "A", id="escape"),
    pytest.param('"\\/\\ud83d\\ude00"', "/😀", id="other escapes"),
    pytest.param('"\\ud800"', "\ud800", id="lone surrogate"),
    pytest.param('"é\u2028 \x7f"', "é\u2028 \x7f", id="not ASCII"),
    pytest.param('"a,]}"', "a,]}", id="brackets"),
]


@pytest.mark.parametrize(
    "template",
    [
        pytest.param('{%s,"id":%s}', id="plain"),
        pytest.param(' {\n"id"\t:\r %2$s  , %1$s } ', id="with space"),
        pytest.param('{"params":{"id":[9,{"id":"\\\\"}]},%s,"id":%s,"x":{"id":8}}', id="beside nested ids"),
        pytest.param('{"id":"\\u0042",%s,"id":%s}', id="after another of that name"),
        pytest.param('{%s,"\\u0069d":%s}', id="under an escaped name"),
        pytest.param('{%s,"x":"\\\\","id":%s}', id="beside a backslash"),
    ],
)
@pytest.mark.parametrize(("source", "key"), IDS)
def test_an_id_is_echoed_as_it_came(template: str, source: str, key: Any) -> None:
    text = template.replace("%1$s", HEAD).replace("%2$s", source)
    if "%s" in text:
        text %= (HEAD, source)
    found = request(text)
    assert (found.id, found.key) == (source, key)
    assert type(found.key) is type(key)
    (in_batch,) = many(f" [ {text} ] ")
    assert in_batch == found


def test_each_member_of_a_batch_has_its_own_id() -> None:
    sources = [str(p.values[0]) for p in IDS]
    text = " [ " + " ,\n ".join(f'{{ "id" : {s} , {HEAD} }}' for s in sources) + f" , {{{HEAD}}}, [1], 7 ] "
    assert [m.id for m in many(text)] == [*sources, None, "null", "null"]


@pytest.mark.parametrize("source", ["true", "false", "{}", '{"id":1}', "[]", "[1]"])
@pytest.mark.parametrize("template", ["{%s}", "[{%s}]"], ids=["alone", "in a batch"])
def test_no_such_id(template: str, source: str) -> None:
    found = jsonrpc.parse(template % f'{HEAD},"id":{source}', 100)
    message = found[0] if isinstance(found, list) else found
    assert shown(message) == (-32600, "null")


def test_an_id_of_null_is_not_a_notification() -> None:
    assert request(f'{{{HEAD},"id":null}}').id == "null"
    assert request(f"{{{HEAD}}}").id is None


# Requests that are none


@pytest.mark.parametrize(
    ("text", "identifier", "word"),
    [
        pytest.param('{"method":"m","id":1}', "1", "jsonrpc", id="no jsonrpc"),
        pytest.param('{"jsonrpc":2.0,"method":"m","id":1.50}', "1.50", "jsonrpc", id="jsonrpc is a number"),
        pytest.param('{"jsonrpc":"1.0","method":"m","id":"\\u0041"}', '"\\u0041"', "jsonrpc", id="jsonrpc 1.0"),
        pytest.param('{"jsonrpc":"2.0","id":0}', "0", "method", id="no method"),
        pytest.param('{"jsonrpc":"2.0","method":null,"id":1}', "1", "method", id="method is null"),
        pytest.param(f'{{{HEAD},"params":null,"id":1}}', "1", "params", id="params is null"),
        pytest.param(f'{{{HEAD},"params":"a","id":1}}', "1", "params", id="params is a string"),
        pytest.param(f'{{{HEAD},"params":0,"id":null}}', "null", "params", id="params is a number"),
        pytest.param(f'{{{HEAD},"params":false}}', "null", "params", id="no id either"),
        pytest.param("{}", "null", "jsonrpc", id="nothing"),
        pytest.param("1", "null", "object", id="a number"),
        pytest.param("null", "null", "object", id="null"),
        pytest.param('"a"', "null", "object", id="a string"),
    ],
)
def test_no_request(text: str, identifier: str, word: str) -> None:
    found = one(text)
    assert shown(found) == (-32600, identifier)
    assert isinstance(found, jsonrpc.Invalid)
    assert word in found.error.message


def test_of_duplicate_keys_the_last_counts() -> None:
    text = '{"jsonrpc":"1","jsonrpc":"2.0","method":"a","method":"b","params":[],"params":{"x":1},"id":1,"id":2}'
    assert shown(one(text)) == ("b", {"x": 1}, "2")


def test_params_keep_their_numbers() -> None:
    assert request(f'{{{HEAD},"params":[0.10,1e2,{"9" * 30}]}}').params == [
        Decimal("0.10"),
        Decimal(100),
        int("9" * 30),
    ]


@pytest.mark.parametrize("template", ["%s", "[%s]"], ids=["alone", "in a batch"])
@pytest.mark.parametrize("depth", [1, 250, 300, 1000, 100_000])
def test_nesting_is_bounded(template: str, depth: int) -> None:
    text = template % f'{{{HEAD},"params":{"[" * depth}{"]" * depth},"id":1.50}}'
    if depth <= 250:
        message = jsonrpc.parse(text, 100)
        assert (message[0] if isinstance(message, list) else message).id == "1.50"
    else:
        with pytest.raises(errors.ParseError) as caught:
            jsonrpc.parse(text, 100)
        assert caught.value.message == "Parse error: nested deeper than 256 levels"


# Replies


@pytest.mark.parametrize("identifier", ["1.50", '"\\u0041"', "null"])
@pytest.mark.parametrize("text", ["null", '{"a" :1.0}', '"\\u0041"'])
def test_result(identifier: str, text: str) -> None:
    reply = jsonrpc.result(identifier, text)
    assert reply == f'{{"jsonrpc":"2.0","result":{text},"id":{identifier}}}'
    assert json.loads(reply).keys() == {"jsonrpc", "result", "id"}


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        pytest.param(errors.MethodNotFound(), {"code": -32601, "message": "Method not found"}, id="without data"),
        pytest.param(
            errors.Unavailable(retry_after=2),
            {"code": -32001, "message": "The database is unavailable; try again", "data": {"retry_after": 2}},
            id="with data",
        ),
        pytest.param(
            errors.DatabaseRefused({"message": 'it\'s "é"\n\0'}),
            {"code": -32000, "message": 'it\'s "é"\n\0', "data": {"message": 'it\'s "é"\n\0'}},
            id="with characters to escape",
        ),
    ],
)
def test_error(fault: errors.RpcError, body: dict[str, Any]) -> None:
    assert json.loads(jsonrpc.error("7", fault)) == {"jsonrpc": "2.0", "error": body, "id": 7}


def test_notification() -> None:
    text = jsonrpc.notification('a"b', '{"x":1.50}')
    assert text == '{"jsonrpc":"2.0","method":"a\\"b","params":{"x":1.50}}'
    assert shown(one(text)) == ('a"b', {"x": Decimal("1.5")}, None)


def test_batch() -> None:
    assert jsonrpc.batch(["1"]) == "[1]"
    assert json.loads(jsonrpc.batch([jsonrpc.result("1", "2"), jsonrpc.result("3", "4")])) == [
        {"jsonrpc": "2.0", "result": 2, "id": 1},
        {"jsonrpc": "2.0", "result": 4, "id": 3},
    ]
