"""What a client may send: everything that is not a proper call is answered as such, and the socket stays open."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql, ws_client

SQL = """
create function add(a int, b int) returns int language sql as 'select a + b';
create function echo(a json) returns json language sql as 'select a';
create function sleeps(seconds float8) returns float8 language sql as 'select seconds from pg_sleep(seconds)';
"""
REST = """
database: {dsn: "${TEST_DSN}", pool_size: 8}
limits: {message_size: 300KiB}
functions:
  add:
  echo:
  sleeps:
"""


@pytest.fixture(scope="module")
def place(embedded_postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    """On one PostgreSQL: nothing of this depends on its version."""
    with served_sql.place(embedded_postgres, tmp_path_factory.mktemp("calls"), SQL, REST) as made:
        yield made


def request(params: str, key: str = '"x"', method: str = "echo") -> str:
    return f'{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":{key}}}'


async def answer(client: ws_client.Client, sent: str | bytes) -> Any:
    """The answer, after which the socket still works."""
    await client.send(sent)
    found = json.loads(await client.frame())
    assert await client.call("add", 1, 2) == 3
    assert client.raw.empty()
    return found


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "nonsense",
        "{",
        "[",
        '"',
        "[1,]",
        "{'a': 1}",
        "\ufeff{}",
        request("[1]") + "x",
        request("[1]") + request("[1]"),
        request("[NaN]"),
        request("[Infinity]"),
        request("[-Infinity]"),
        request("[01]"),
        request("[1.]"),
        request("[+1]"),
        request('["\n"]'),
        request('["\\x"]'),
        request("[" + "9" * 5000 + "]"),
        request("[1e9999999999999999999]"),
        b"\x00",
        b"\xff\xfe{}",
        b'{"jsonrpc":"2.0","method":"add","params":["\xff"],"id":1}',
        b'{"jsonrpc":"2.0","method":"add","params":["\xed\xa0\x80"],"id":1}',  # a surrogate in UTF-8's manner
        request("[1]").encode("utf-16"),
    ],
    ids=lambda sent: repr(sent[:20]),
)
async def test_what_is_not_json(place: served_sql.Place, sent: str | bytes) -> None:
    async with place.client() as client:
        found = await answer(client, sent)
        assert found == {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}


async def test_a_text_frame_that_is_not_utf_8(place: served_sql.Place) -> None:
    async with place.client() as client:
        await client.socket.send(b'{"jsonrpc":"2.0","method":"add","params":["\xff"],"id":1}', text=True)
        assert json.loads(await client.frame())["error"]["code"] == -32700
        assert await client.call("add", 1, 2) == 3


async def test_a_binary_frame_that_is_utf_8(place: served_sql.Place) -> None:
    async with place.client() as client:
        found = await answer(client, request('["é😀"]').encode())
        assert found["result"] == "é😀"


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("1", None),
        ("null", None),
        ('"text"', None),
        ("true", None),
        ("{}", None),
        ('{"id": 7}', 7),
        ('{"jsonrpc":"2.0","id":7}', 7),
        ('{"jsonrpc":"1.0","method":"add","params":[1,2],"id":7}', 7),
        ('{"jsonrpc":2.0,"method":"add","params":[1,2],"id":7}', 7),
        ('{"method":"add","params":[1,2],"id":7}', 7),
        ('{"jsonrpc":"2.0","method":null,"id":7}', 7),
        ('{"jsonrpc":"2.0","method":["add"],"id":7}', 7),
        ('{"jsonrpc":"2.0","method":"add","params":null,"id":7}', 7),
        ('{"jsonrpc":"2.0","method":"add","params":"x","id":7}', 7),
        ('{"jsonrpc":"2.0","method":"add","params":1,"id":7}', 7),
        ('{"jsonrpc":"2.0","method":"add","params":[1,2],"id":{}}', None),
        ('{"jsonrpc":"2.0","method":"add","params":[1,2],"id":[7]}', None),
        ('{"jsonrpc":"2.0","method":"add","params":[1,2],"id":true}', None),
    ],
)
async def test_what_is_no_request(place: served_sql.Place, sent: str, key: Any) -> None:
    async with place.client() as client:
        found = await answer(client, sent)
        assert (found["error"]["code"], found["id"]) == (-32600, key)


@pytest.mark.parametrize(
    "key", ["0", "-0", "1.0", "1e2", '""', '"é\\u00e9"', "null", "-9007199254740991", "9" * 60, '"\\ud800"', '"%s"']
)
async def test_an_id_is_echoed_as_it_came(place: served_sql.Place, key: str) -> None:
    async with place.client() as client:
        await client.send(request("[1]", key))
        assert await client.frame() == f'{{"jsonrpc":"2.0","result":1,"id":{key}}}'
        await client.send(request("[]", key))
        assert (await client.frame()).endswith(f',"id":{key}}}')


async def test_batches(place: served_sql.Place) -> None:
    async with place.client() as client:
        found = await answer(client, "[]")
        assert (found["error"]["code"], found["id"]) == (-32600, None)
        found = await answer(client, '[1, null, [], "x", {}]')
        assert [(one["error"]["code"], one["id"]) for one in found] == [(-32600, None)] * 5
        hundred = "[" + ",".join(request("[1]", str(n)) for n in range(100)) + "]"
        found = await answer(client, hundred)
        assert sorted(one["id"] for one in found) == list(range(100))
        assert all(one["result"] == 1 for one in found)
        found = await answer(client, hundred[:-1] + ",1]")
        assert (found["error"]["code"], found["id"]) == (-32600, None)
        assert "100" in found["error"]["message"]
        # All that are calls wait for each other: more than may be in flight, and none is refused.
        mixed = [request("[0.01]", str(n), "sleeps") for n in range(60)] + ["1", request("[]", '"m"', "nonsense")]
        found = await answer(client, "[" + ",".join(mixed) + "]")
        assert len(found) == 62
        assert sum("result" in one for one in found) == 60


async def test_calls_in_flight(place: served_sql.Place) -> None:
    async with place.client() as client:
        for n in range(32):
            await client.send(request("[0.3]", str(n), "sleeps"))
        await client.send(request("[1]", '"over"'))
        first = json.loads(await client.frame())
        assert (first["id"], first["error"]["code"], first["error"]["data"]) == ("over", -32006, {"limit": 32})
        async with place.client() as other:  # it is a limit of each connection
            await asyncio.wait_for(other.call("add", 1, 2), ws_client.PATIENCE)
        answered = {json.loads(await client.frame())["id"] for _ in range(32)}
        assert answered == set(range(32))
        assert await client.call("add", 1, 2) == 3


async def test_answers_come_in_the_order_in_which_they_are_ready(place: served_sql.Place) -> None:
    async with place.client() as client:
        await client.send(request("[0.3]", '"slow"', "sleeps"))
        await client.send(request("[1]", '"quick"'))
        assert [json.loads(await client.frame())["id"] for _ in range(2)] == ["quick", "slow"]


@pytest.mark.parametrize(
    ("params", "paths"),
    [
        ("[1]", ["/b"]),
        ("[1,2,3]", ["/2"]),
        ("{}", ["/a", "/b"]),
        ('{"a":1,"b":2,"c":3}', ["/c"]),
        ('["1",2]', ["/0"]),
        ("[1.5,2]", ["/0"]),
        ("[1,2147483648]", ["/1"]),
        ("[1,1e400]", ["/1"]),
        ("[1,1e-400]", ["/1"]),
        ("[true,null]", ["/0"]),
        ("[[],{}]", ["/0", "/1"]),
        ("[1e999999999,1]", ["/0"]),
        ("[" + "9" * 4000 + ",1]", ["/0"]),
    ],
)
async def test_params_that_do_not_fit(place: served_sql.Place, params: str, paths: list[str]) -> None:
    async with place.client() as client:
        found = await answer(client, request(params, method="add"))
        assert found["error"]["code"] == -32602
        assert sorted(fault["path"] for fault in found["error"]["data"]) == paths
        assert len(json.dumps(found)) < 1000


async def test_one_spelling_or_another(place: served_sql.Place) -> None:
    async with place.client() as client:
        assert (await answer(client, request("[1.0,2e0]", method="add")))["result"] == 3
        assert (await answer(client, request('{"\\u0061":1,"b":2}', method="\\u0061dd")))["result"] == 3
        assert (await answer(client, request("[1,null]", method="add")))["result"] is None


async def test_nesting(place: served_sql.Place) -> None:
    async with place.client() as client:
        deep = "[" * 200 + "]" * 200
        assert await served_sql.exact(client, "echo", f'{{"a":{deep}}}') == deep
        for depth in (257, 1_000, 5_000, 20_000, 100_000):
            for sent in ("[" * depth + "]" * depth, '{"a":' * (depth // 4) + "[" * depth, request("[" * depth)):
                found = await answer(client, sent)
                words = "Parse error: nested deeper than 256 levels" if len(sent) > 512 else "Parse error"
                assert found == {"jsonrpc": "2.0", "error": {"code": -32700, "message": words}, "id": None}
            assert await client.call("add", 1, 2) == 3


async def test_a_message_over_the_limit_closes(place: served_sql.Place) -> None:
    async with place.client() as client:
        size = 300 * 1024
        most = request('["' + "a" * (size - len(request('[""]'))) + '"]')
        assert len(most) == size
        await client.send(most)
        assert len(json.loads(await client.frame())["result"]) > size - 100
        await client.send(most + " ")
        assert await client.closed() == 1009
    async with place.client() as client:
        assert await client.call("add", 1, 2) == 3
