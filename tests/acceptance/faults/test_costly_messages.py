"""A small message that is costly to refuse: the other clients hardly wait for it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrpc.demo import embedded
from tests.support import databases, pgrpc_server
from tests.support.ws_client import Client

SQL = """
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function doc(v jsonb) returns int language sql immutable as 'select 1';
"""
LISTED = "functions: {add: , doc: }\nchannels: {people: , 'room.*': }\n"
WAIT = 0.010
"""Seconds, at best of several attempts: the machine may be busy with something else."""

NAMES = ",".join(f'"n{i}"' for i in range(7_000))
MEMBERS = ",".join(f'"n{i}":1' for i in range(5_500))


def request(method: str, params: str, identifier: int = 1) -> str:
    return f'{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":{identifier}}}'


def many(item: str, size: int = 59_000) -> str:
    return "[" + ",".join([item] * (size // (len(item) + 1))) + "]"


@pytest.fixture(scope="module")
def server(
    embedded_postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pgrpc_server.Server]:
    folder: Path = tmp_path_factory.mktemp("costly")
    with databases.new_database(embedded_postgres) as database:
        database.execute(SQL)
        with pgrpc_server.serving(folder, database.dsn, LISTED, debug=False) as running:
            yield running


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(request("add", many("1")), id="too many values"),
        pytest.param(request("add", many("[]")), id="too many arrays"),
        pytest.param(many("1"), id="a batch of numbers"),
        pytest.param(many("[]"), id="a batch of arrays"),
        pytest.param("[" * 29_000 + "]" * 29_000, id="brackets"),
        pytest.param(request("add", f"{{{MEMBERS}}}"), id="unknown parameters"),
        pytest.param(request("rpc.on", f"[{NAMES}]"), id="channels to subscribe to"),
        pytest.param(request("rpc.off", f"[{NAMES}]"), id="channels to unsubscribe from"),
        pytest.param(request("rpc.on", many("1")), id="channels that are no names"),
        pytest.param(request("doc", f"[{many(chr(34) + chr(92) + 'u0000' + chr(34))}]"), id="NUL"),
    ],
)
async def test_others_do_not_wait(server: pgrpc_server.Server, message: str) -> None:
    assert len(message) < 64 * 1024
    async with Client(server.address()) as sender, Client(server.address()) as other:
        waits = [await _longest_wait(sender, other, message) for _ in range(10)]
        assert min(waits) < WAIT, waits


async def _longest_wait(sender: Client, other: Client, message: str) -> float:
    """What the other waits for its longest ping until the answer is there."""
    for _ in range(20):
        await other.request("rpc.ping")
    answer = asyncio.create_task(_answer(sender, message))
    longest = 0.0
    while not answer.done():
        began = time.perf_counter()
        await other.request("rpc.ping")
        longest = max(longest, time.perf_counter() - began)
    await answer
    return longest


async def _answer(sender: Client, message: str) -> None:
    await sender.send(message)
    reply = await sender.frame()
    assert '"error"' in reply
