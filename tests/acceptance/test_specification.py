"""The examples of the JSON-RPC 2.0 specification (section 7), each over a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql

SQL = """
create function subtract(minuend int, subtrahend int) returns int language sql as 'select minuend - subtrahend';
create function sum(variadic terms int[]) returns int language sql as 'select sum(t)::int from unnest(terms) t';
create function get_data() returns json language sql as $$select '["hello", 5]'::json$$;
create function update(variadic int[]) returns void language sql as '';
create table heard (n int);
create function notify_hello(int) returns void language sql as 'insert into heard values ($1)';
create function notify_sum(variadic int[]) returns void language sql as '';
"""
FUNCTIONS = """
functions:
  subtract:
  sum: {function: public.sum}  # there is an aggregate of that name
  get_data:
  update:
  notify_hello:
  notify_sum:
"""
CASES = json.loads(Path(__file__).with_name("jsonrpc_spec_examples.json").read_text())["cases"]


@pytest.fixture(scope="module")
def place(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served_sql.Place]:
    with served_sql.place(postgres, tmp_path_factory.mktemp("specification"), SQL, FUNCTIONS) as made:
        yield made


def comparable(answer: Any) -> Any:
    """Without what the specification leaves open: the order of a batch, error.data, more words in a message."""
    if isinstance(answer, list):
        return sorted(map(comparable, answer), key=json.dumps)
    if "error" in answer:
        answer = answer | {"error": answer["error"]["code"]}
    return answer


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
async def test_example(place: served_sql.Place, case: dict[str, Any]) -> None:
    async with place.client() as client:
        await client.send(case["in"])
        if case["out"] is not None:
            answer, expected = json.loads(await client.frame()), json.loads(case["out"])
            assert comparable(answer) == comparable(expected)
            for error in [one["error"] for one in (answer if isinstance(answer, list) else [answer]) if "error" in one]:
                words = {-32700: "Parse error", -32600: "Invalid Request", -32601: "Method not found"}
                assert error["message"].startswith(words[error["code"]])
        # Nothing else was sent: the next frame of all is the answer to the next request.
        await client.send('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": "next"}')
        assert json.loads(await client.frame()) == {"jsonrpc": "2.0", "result": 19, "id": "next"}
        assert client.events.empty()
        assert client.raw.empty()


async def test_a_notification_is_carried_out(place: served_sql.Place) -> None:
    place.database.execute("truncate heard")
    async with place.client() as client:
        await client.send('{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}')
        await client.send('[{"jsonrpc": "2.0", "method": "notify_hello", "params": [8]}]')
        for _ in range(200):
            await client.call("subtract", 1, 1)
            if len(place.database.execute("select n from heard")) == 2:
                break
    assert place.database.execute("select n from heard order by n") == [(7,), (8,)]
