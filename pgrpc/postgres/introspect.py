"""What the database says of the listed functions and roles: its catalog -> core/functions' routines, pgtypes, roles.

Owns reading the catalog, and names as SQL writes them. Must not know what may be called, or how.
"""

import asyncio
import json
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from typing import Any, Generic, TypeVar

import psycopg2
import psycopg2.errors

from pgrpc.core.functions import pgtypes, privileges, roles, routines, suggestions
from pgrpc.postgres import connect, connection, sqlstate

_SQL = resources.files(__package__)
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = re.compile(rf"\s*(?:({_IDENTIFIER})\s*\.\s*)?({_IDENTIFIER})\s*(\(.*\))?\s*", re.DOTALL)


_PATIENCE = 30.0
"""Seconds for the reading of the whole catalog."""

_SEARCHED = 10
"""Functions that do not exist for which close names are compared: each takes some milliseconds."""

_OFFERED = 3
"""Names offered in place of one."""

Entry = TypeVar("Entry")
"""What the caller knows a function by."""


class Found(Generic[Entry]):
    """encoding: of the database, such as "UTF8". roles: those asked about, and those that the login role may become.

    routines: entry -> what its function names. faults: entry -> why that cannot be read. similar: entry whose function
    does not exist -> the functions that could be meant, as the file would have them. visible: the same entry -> the
    only one of them, where its name is enough to find it.
    """

    def __init__(self, encoding: str, login: roles.Login, known: Mapping[str, roles.Role]) -> None:
        self.encoding = encoding
        self.login = login
        self.roles = known
        self.routines: dict[Entry, list[routines.Routine]] = {}
        self.faults: dict[Entry, str | privileges.Missing] = {}
        self.similar: dict[Entry, list[str]] = {}
        self.visible: dict[Entry, str] = {}


async def read(
    connector: connect.Connector,
    functions: Mapping[Entry, str],
    named: Collection[str] = (),
    anonymous: str | None = None,
) -> Found[Entry]:
    """functions: entry -> function as the file has it: a name, schema.name, or either with its argument types.

    named: roles to look for. anonymous: the role whose privileges to write are looked at.
    Raises connect.CannotConnect, also where the connection is lost on the way.
    """
    conn = await connector.connect()
    try:
        async with asyncio.timeout(_PATIENCE):
            # Compiling the queries below took 1.1 s of PostgreSQL 15, running them 15 ms.
            await conn.fetch("set jit = off")
            rows = await conn.fetch("select pg_catalog.current_setting('server_encoding')")
            login, known = await _roles(conn, named, anonymous)
            found: Found[Entry] = Found(str(rows[0][0]), login, known)
            await _functions(conn, functions, found)
            return found
    except TimeoutError as error:
        raise connect.CannotConnect(f"the catalog could not be read within {_PATIENCE:g} s") from error
    except psycopg2.Error as error:
        raise connect.CannotConnect(f"the catalog could not be read: {sqlstate.reason(error)}") from error
    finally:
        conn.close()


async def _roles(
    conn: connection.Connection, named: Collection[str], anonymous: str | None
) -> tuple[roles.Login, dict[str, roles.Role]]:
    described = await _json(conn, "roles.sql", {"roles": list(named), "anonymous": anonymous})
    known = {}
    for row in described["roles"]:
        row |= {"given": row["given"] or {}, "writes": tuple(row["writes"] or ())}
        row["timeout"] = await _seconds(conn, row["given"].get("statement_timeout", "0"))
        known[row["name"]] = roles.Role(**row)
    return roles.Login(described["login"], described["is_superuser"], tuple(described["owns"])), known


async def _seconds(conn: connection.Connection, given: str) -> float | None:
    """Of a timeout as ALTER ROLE takes it; None for no limit. PostgreSQL itself says how long that is."""
    setting = "idle_in_transaction_session_timeout"  # of the same unit, and nothing waits for it
    rows = await conn.fetch(
        f"select pg_catalog.set_config('{setting}', %s, true); "
        f"select setting from pg_catalog.pg_settings where name = '{setting}'",
        (given,),
    )
    return int(str(rows[0][0])) / 1000 or None


async def _functions(conn: connection.Connection, functions: Mapping[Entry, str], found: Found[Entry]) -> None:
    entries = list(functions)
    wanted = []
    for number, entry in enumerate(entries):
        text = functions[entry]
        match = _NAME.fullmatch(text)
        if match is None:
            found.faults[entry] = f"{text!r} is not a function name: write name, schema.name or schema.name(types)"
            continue
        schema, name, arguments = match.groups()
        row: dict[str, Any] = {"entry": number, "schema": schema and _fold(schema), "name": _fold(name)}
        if arguments is not None:
            try:
                row["oid"] = await _oid(conn, text, [name for name in found.roles if found.roles[name].may_set])
            except psycopg2.errors.InsufficientPrivilege:
                lacking = [name for name in found.roles if found.roles[name].may_set] or [found.login.name]
                on = privileges.quoted(row["schema"])
                found.faults[entry] = privileges.Missing("USAGE", "schema", on, tuple(sorted(lacking)))
                continue
            except psycopg2.Error as error:
                if conn.closed_by is not None:
                    raise
                found.faults[entry] = f"{text!r}: {error.diag.message_primary}"
                continue
        wanted.append(row)
    callers = [found.login.name, *found.roles]
    described = await _json(conn, "routines.sql", {"roles": list(dict.fromkeys(callers)), "functions": wanted})
    oids = sorted({oid for row in described for oid in [*row["types"], row["returns"]]})
    types = _Types(await _json(conn, "types.sql", oids))
    for row in described:
        found.routines.setdefault(entries[row["entry"]], []).append(_routine(row, types))
    missing = {entries[row["entry"]]: row for row in wanted if entries[row["entry"]] not in found.routines}
    if missing:
        await _similar_functions(conn, missing, found)


async def _similar_functions(
    conn: connection.Connection, missing: Mapping[Entry, Mapping[str, Any]], found: Found[Entry]
) -> None:
    """What was probably meant by entries whose function does not exist."""
    known = await _json(conn, "similar.sql", [row["name"] for row in missing.values()])
    for number, (entry, row) in enumerate(missing.items()):
        close = _similar(row, known, search=number < _SEARCHED)
        offered = {each["sql"] + (f"({each['arguments']})" if "oid" in row else ""): each for each in close}
        if offered:
            found.similar[entry] = list(offered)[:_OFFERED]
        names = {each["name"] for each in close if each["is_visible"]}
        if len(offered) == len(names) == 1 and names == set(map(privileges.quoted, names)):
            (found.visible[entry],) = names


def _similar(
    wanted: Mapping[str, Any], known: Sequence[Mapping[str, Any]], *, search: bool
) -> Sequence[Mapping[str, Any]]:
    """Functions of the same name elsewhere, or in another case; with `search`, the one of the closest name."""
    name = wanted["name"].lower()
    same = [row for row in known if row["name"].lower() == name]
    if not same and search:
        within = [row for row in known if wanted["schema"] is None or row["schema"] == wanted["schema"]]
        close = suggestions.near(name, dict.fromkeys(row["name"] for row in within or known), limit=len(known))
        same = [row for row in within or known if row["name"] == close]
    return same


async def _oid(conn: connection.Connection, signature: str, others: Collection[str]) -> int:
    """Of the function; 0 where there is none. Raises psycopg2.Error.

    others: roles to look as, where the login role may not look into a schema.
    """
    sql = "select coalesce(pg_catalog.to_regprocedure(%s)::pg_catalog.oid, 0)"
    try:
        rows = await conn.fetch(sql, (signature,))
    except psycopg2.errors.InsufficientPrivilege:
        for role in others:
            try:
                rows = await conn.fetch(f"set local role %s; {sql}", (role, signature))
                break
            except psycopg2.errors.InsufficientPrivilege:
                pass
        else:
            raise
    return int(str(rows[0][0]))


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
        frozenset(row["executable_by"]),
        row["is_public"],
        row["is_open_definer"],
        row["description"],
        frozenset(row["lacks_usage"]),
        frozenset(row["lacks_execute"]),
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
