"""What functions a database has, whoever may call them: for `pgrpc init`, which lists them.

Owns the query. Must not know which can be called.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg2

from pgrpc.postgres import connect, sqlstate

_SQL = resources.files(__package__) / "discover.sql"
_LIMIT = 30.0
"""Seconds for the reading of all of them."""


@dataclass(frozen=True, slots=True)
class Function:
    """signature: "add(a integer, b integer DEFAULT 1) returns integer". types: "integer,integer".

    is_visible: found without its schema.
    """

    schema: str
    name: str
    signature: str
    types: str
    is_visible: bool
    description: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """role: the login role. bodies: each function's text, and the arguments of each trigger that calls it."""

    database: str
    role: str
    functions: Sequence[Function]
    bodies: Sequence[tuple[str, Sequence[Sequence[str]]]]


async def read(connector: connect.Connector) -> Found:
    """Raises connect.CannotConnect, also where the connection is lost on the way."""
    conn = await connector.connect()
    try:
        async with asyncio.timeout(_LIMIT):
            rows = await conn.fetch(_SQL.read_text(encoding="utf-8"))
    except TimeoutError as error:
        raise connect.CannotConnect(f"the functions could not be read within {_LIMIT:g} s") from error
    except psycopg2.Error as error:
        raise connect.CannotConnect(f"the functions could not be read: {sqlstate.reason(error)}") from error
    finally:
        conn.close()
    found = json.loads(str(rows[0][0]))
    return Found(
        found["database"],
        found["role"],
        [Function(**row) for row in found["functions"]],
        [(body["text"], body["triggers"]) for body in found["bodies"]],
    )
