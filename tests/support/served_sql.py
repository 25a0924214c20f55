"""A server of the functions that a module's tests call, on a database of its own, and calls whose text stays exact.

Owns setting both up. Must not know what is called.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgrpc.demo import embedded
from tests.support import databases, pgrpc_server, ws_client

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A running server and the database behind it."""

    server: pgrpc_server.Server
    database: databases.Database

    def client(self, **options: Any) -> ws_client.Client:
        return ws_client.Client(self.server.address(), **options)


@contextmanager
def database(
    postgres: embedded.Server, sql: str, options: str = "", *, roles: str = ""
) -> Iterator[databases.Database]:
    """A database that holds what `sql` makes. roles: of those the ones that are the whole server's, to be dropped."""
    name = f"calls_{next(_numbers)}"
    admin = databases.Database(postgres.dsn(), postgres)
    admin.execute(f"create database {name} {options}")
    try:
        made = databases.Database(postgres.dsn(name), postgres)
        made.execute(sql)
        try:
            yield made
        finally:
            if roles:
                made.execute(f"drop owned by {roles} cascade; drop role {roles}")
    finally:
        admin.execute(f"drop database if exists {name} with (force)")


@contextmanager
def place(postgres: embedded.Server, folder: Path, sql: str, rest: str) -> Iterator[Place]:
    """Serve what `sql` makes; rest: the configuration below `database` and `server`."""
    with database(postgres, sql) as made, pgrpc_server.serving(folder, made.dsn, rest) as server:
        yield Place(server, made)


def listed(*methods: str) -> str:
    """The `functions` section that lists these methods under their own names."""
    return "functions:\n" + "".join(f"  {json.dumps(method)}:\n" for method in methods)


async def exact(client: ws_client.Client, method: str, params: str) -> str:
    """The result as JSON text, of params as JSON text: no number passes through a float on the way."""
    await client.send(f'{{"jsonrpc":"2.0","method":{json.dumps(method)},"params":{params},"id":"exact"}}')
    frame = await client.frame()
    start, end = '{"jsonrpc":"2.0","result":', ',"id":"exact"}'
    assert frame.startswith(start), frame
    assert frame.endswith(end), frame
    return frame[len(start) : -len(end)]


async def refused(client: ws_client.Client, method: str, params: Any = None) -> ws_client.RpcError:
    """The error of a call that must not succeed."""
    reply = await client.request(method, params)
    assert "error" in reply, reply
    return ws_client.RpcError(reply["error"])


def paths(error: ws_client.RpcError) -> list[str]:
    """Where in the parameters the faults of an InvalidParams are."""
    assert error.code == -32602, (error, error.data)
    return [fault["path"] for fault in error.data]
