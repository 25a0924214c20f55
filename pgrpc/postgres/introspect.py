"""What the database says of the listed functions: pg_proc and pg_type -> core/routines and core/pgtypes.

Owns the reading of the catalog and of names as SQL writes them. Must not know what may be called, or how.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import psycopg2

from pgrpc.core import pgtypes, routines
from pgrpc.postgres import connecting, connection, refusals

_SQL = resources.files(__package__)
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = re.compile(rf"\s*(?:({_IDENTIFIER})\s*\.\s*)?({_IDENTIFIER})\s*(\(.*\))?\s*", re.DOTALL)


_PATIENCE = 30.0
"""Seconds for the reading of the whole catalog."""


class Found:
    """encoding: of the database, such as "UTF8".

    routines: method -> what its function names. faults: method -> why that cannot be read.
    """

    def __init__(self) -> None:
        self.encoding = ""
        self.routines: dict[str, list[routines.Routine]] = {}
        self.faults: dict[str, str] = {}


async def read(connector: connecting.Connector, functions: Mapping[str, str]) -> Found:
    """functions: method -> function as the file has it: a name, schema.name, or either with its argument types.

    Raises connecting.CannotConnect, also where the connection is lost on the way.
    """
    conn = await connector.connect()
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _read(conn, functions)
    except TimeoutError as error:
        raise connecting.CannotConnect(f"the catalog could not be read within {_PATIENCE:g} s") from error
    except psycopg2.Error as error:
        raise connecting.CannotConnect(f"the catalog could not be read: {refusals.reason(error)}") from error
    finally:
        conn.close()


async def _read(conn: connection.Connection, functions: Mapping[str, str]) -> Found:
    found = Found()
    rows = await conn.fetch("select pg_catalog.current_setting('server_encoding')")
    found.encoding = str(rows[0][0])
    wanted = []
    for method, text in functions.items():
        match = _NAME.fullmatch(text)
        if match is None:
            found.faults[method] = f"{text!r} is not a function's name as SQL writes it: name, schema.name, name(types)"
            continue
        schema, name, arguments = match.groups()
        entry = {"method": method, "schema": schema and _fold(schema), "name": _fold(name), "signature": None}
        if arguments is not None:
            try:
                await conn.fetch("select pg_catalog.to_regprocedure(%s)", (text,))
            except psycopg2.Error as error:
                if conn.closed_by is not None:
                    raise
                found.faults[method] = f"{text!r}: {error.diag.message_primary}"
                continue
            entry["signature"] = text
        wanted.append(entry)
    described = await _json(conn, "routines.sql", wanted)
    oids = sorted({oid for row in described for oid in [*row["types"], row["returns"]]})
    types = _Types(await _json(conn, "types.sql", oids))
    for row in described:
        found.routines.setdefault(row["method"], []).append(_routine(row, types))
    return found


async def _json(conn: connection.Connection, file: str, parameter: Any) -> Any:
    sql = (_SQL / file).read_text(encoding="utf-8")
    rows = await conn.fetch(sql, (json.dumps(parameter),))
    return json.loads(str(rows[0][0]))


def _fold(identifier: str) -> str:
    """As SQL does: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.lower()


_KINDS: Mapping[str, Any] = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window"}
_VOLATILITIES: Mapping[str, Any] = {"i": "immutable", "s": "stable", "v": "volatile"}
_MODES: Mapping[str, Any] = {"i": "in", "o": "out", "b": "inout", "v": "variadic", "t": "table"}


def _routine(row: dict[str, Any], types: "_Types") -> routines.Routine:
    oids: list[int] = row["types"]
    modes = [_MODES[mode] for mode in row["modes"] or "i" * len(oids)]
    names = row["names"] or [""] * len(oids)
    inputs = [index for index, mode in enumerate(modes) if mode in ("in", "inout", "variadic")]
    with_default = set(inputs[len(inputs) - row["defaults"] :])
    arguments = tuple(
        routines.Argument(names[i] or f"${i + 1}", types[oids[i]], modes[i], i in with_default)
        for i in range(len(oids))
    )
    return routines.Routine(
        row["schema"],
        row["name"],
        row["signature"],
        _KINDS[row["kind"]],
        arguments,
        types[row["returns"]],
        row["returns_set"],
        _VOLATILITIES[row["volatility"]],
        row["may_execute"],
        row["description"],
    )


class _Types:
    """Types by oid, each built when first asked for. (A type cannot contain itself: PostgreSQL refuses that.)"""

    _kinds: Mapping[str, Any] = {
        "b": "base", "c": "composite", "d": "domain", "e": "enum", "p": "pseudo", "r": "range", "m": "multirange",
    }  # fmt: skip

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = {row["oid"]: row for row in rows}
        self._built: dict[int, pgtypes.Type] = {}

    def __getitem__(self, oid: int) -> pgtypes.Type:
        if oid not in self._built:
            row = self._rows[oid]
            self._built[oid] = pgtypes.Type(
                oid,
                row["sql"],
                row["name"],
                "array" if row["is_array"] else self._kinds[row["kind"]],
                self[row["of"]] if row["of"] else None,
                row["typmod"],
                row["not_null"],
                tuple(row["labels"] or ()),
                tuple(
                    pgtypes.Attribute(name, self[of], typmod)
                    for name, of, typmod in (row["attributes"] or () if row["kind"] == "c" else ())
                ),
            )
        return self._built[oid]
