"""The SQL of a call, as steps: each yields one message for the server and is sent its rows.

Owns every text that a call sends to PostgreSQL. Names come from the catalog and are quoted, values are parameters:
nothing that a client wrote is ever part of the text. Must not know connections or tasks.

A function is one message, so one round trip, and one implicit transaction
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT). It begins with the prologue
of whoever calls: a statement that fails there keeps the rest from being run.
"""

import re
from collections.abc import Generator
from functools import lru_cache

import psycopg2

from pgrpc.core.functions import catalog, pgtypes, routines
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import connection, prepared, prologue, quoting, sqlstate

Steps = Generator[prepared.Message, connection.Rows, str]
"""Returns the result as JSON text. psycopg2.Error is thrown in where a statement failed; raises errors.*."""

CLEAN = prepared.Message(
    # DISCARD ALL but for DISCARD PLANS, which would have every function planned anew:
    # https://www.postgresql.org/docs/current/sql-discard.html
    f"{prologue.RESET}set local statement_timeout = 5000; close all; deallocate all; unlisten *; "
    "select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp"
)
"""Leaves nothing behind of what a function may have made for the session."""


def needs_session(call: catalog.Call, caller: identity.Identity) -> bool:
    """Whether the messages of this call must reach the same session of the server, or it would run as somebody else."""
    return call.routine.kind == "procedure" and caller.role is not None


def steps(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    """What makes the call as `caller`. result_size: bytes; a larger result is refused in the database."""
    make = _procedure if call.routine.kind == "procedure" else _function
    return make(call, caller, prologues, result_size)


def _function(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    start = prologues.of_transaction(call, caller)
    sql = _select(call.routine, call.names, call.all_scalars, call.numbers == "string", result_size)
    try:
        # What is cleared after a call would take the prepared statements with it.
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, not call.reset, caller.role)
    except psycopg2.Error as error:
        yield from _unconvertible(call, caller, start, error)
        raise _refusal(error, result_size) from error
    return "null" if _is_void(call.routine) else _text(rows)


def _procedure(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    """CALL takes no subquery, and its row cannot be made JSON in place, so: arguments to text, CALL, row to JSON.

    CALL stands alone in its message, and the settings are the session's, because a procedure may commit.
    """
    routine = call.routine
    texts = ", ".join(f"_.{quoting.identifier(name)}::pg_catalog.text" for name in call.names) or "null"
    try:
        sql = f"select {texts}{_from(routine, call.names, call.all_scalars)}"
        start = prologues.of_session(call, caller)
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, role=caller.role)
    except psycopg2.Error as error:
        yield from _unconvertible(call, caller, prologues.of_transaction(call, caller), error)
        raise sqlstate.translate(error) from error
    values = dict(zip(call.names, rows[0], strict=False))
    passed = []
    first = routine.inputs[: catalog.by_position(routine, call.names)]
    places = (n for n, a in enumerate(routine.arguments, 1) if a in first or (a.mode == "out" and a.name[0] == "$"))
    positional = max(places, default=0)
    for place, argument in enumerate(routine.arguments):
        target = f"{quoting.identifier(argument.name)} => " if place >= positional else ""
        if argument.name in values:
            keyword = "variadic " if argument.mode == "variadic" else ""
            passed.append(f"{keyword}{target}%s::{_sql(argument.type)}")
        elif argument.mode == "out":
            passed.append(f"{target}null")
    try:
        rows = yield prepared.Message(f"call {_name(routine)}({', '.join(passed)})", tuple(values.values()))
    except psycopg2.Error as error:
        raise sqlstate.translate(error) from error
    if not routine.outputs:
        return "null"
    columns = {
        a.name: _exact(a.type, f"r.{quoting.identifier(a.name)}")
        if call.numbers == "string"
        else f"r.{quoting.identifier(a.name)}"
        for a in routine.outputs
    }
    value = f"pg_catalog.to_json({columns.popitem()[1]})" if len(columns) == 1 else _object(columns)
    row = ", ".join(f"%s::{_sql(a.type)} as {quoting.identifier(a.name)}" for a in routine.outputs)
    whole = _limited(f"select {value}::pg_catalog.text as t from (select {row} offset 0) r", result_size)
    try:
        rows = yield prepared.Message(whole, rows[0])
    except psycopg2.Error as error:
        raise _refusal(error, result_size, "; the procedure has run and is not undone") from error
    return _text(rows)


def _unconvertible(
    call: catalog.Call, caller: identity.Identity, start: str, error: psycopg2.Error
) -> Generator[prepared.Message, connection.Rows, None]:
    """Raise InvalidParams where it was an argument that PostgreSQL could not take as its type.

    The same SQLSTATEs come from inside functions, and from the start (22023: no such role), so the start, and then
    each argument's conversion, is tried alone.
    """
    if not sqlstate.may_be_conversion(error):
        return
    try:
        yield prepared.Message("select 1", None, start, role=caller.role)
    except psycopg2.Error as failed:
        raise sqlstate.not_started(failed) from failed
    faults = []
    for place, (name, position) in enumerate(zip(call.names, call.positions, strict=True)):
        try:
            sql = f"select 1{_from(call.routine, (name,), call.all_scalars)}"
            arguments = call.arguments[place : place + 1] if call.all_scalars else call.arguments
            yield prepared.Message(sql, arguments, start, role=caller.role)
        except psycopg2.Error as failed:
            faults.append(errors.Fault(position, "postgresql", sqlstate.message(failed)))
    if faults:
        raise errors.InvalidParams(faults[: errors.MAX_FAULTS])


_TOO_LARGE = re.compile(r"pgrpc\.result_of_([0-9]+)_bytes")


def _refusal(error: psycopg2.Error, result_size: int, kept: str = "") -> errors.RpcError:
    """What the client is told. kept: what has taken effect all the same, in words."""
    found = _TOO_LARGE.search(sqlstate.message(error)) if error.pgcode == "42704" else None
    if found is None:
        return sqlstate.translate(error)
    message = f"the result has {found[1]} bytes, the limit is {result_size}{kept}"
    return errors.DatabaseRefused({"sqlstate": "54000", "message": message})


def _text(rows: connection.Rows) -> str:
    return rows[0][0] or "null"


@lru_cache(maxsize=4096)  # bounded: a function with many defaults has many sets of names
def _select(routine: routines.Routine, names: tuple[str, ...], all_scalars: bool, exact: bool, result_size: int) -> str:
    call = f"{_name(routine)}({_passed(routine, names)})"
    source = _from(routine, names, all_scalars)
    if _is_void(routine):
        return f"select {call}{source}"
    outputs = routine.outputs
    result = outputs[0].type if len(outputs) == 1 else routine.returns
    most = pgtypes.longest(result)
    if most is not None and most <= result_size and not routine.returns_set:
        # Nothing to be limited, and mentioned once: 8 % more calls than with the subqueries below.
        return f"select pg_catalog.to_json({_exact(result, call) if exact else call})::pg_catalog.text{source}"
    # `offset 0` keeps the planner from evaluating the function once for each mention of its result.
    if exact and len(outputs) > 1:
        # A record's columns can be named only in FROM.
        columns = {a.name: _exact(a.type, f"r.{quoting.identifier(a.name)}") for a in outputs}
        joined = f"{source or ' from (select) _'}, lateral {call} as r"
        value, rows = _object(columns), f"select r.*{joined} offset 0"
    else:
        value, rows = _exact(result, "r.r") if exact else "r.r", f"select {call} as r{source} offset 0"
        if len(outputs) == 1 and outputs[0].mode == "table":
            value = _object({outputs[0].name: value})
    json = f"coalesce(pg_catalog.json_agg({value}), '[]')" if routine.returns_set else f"pg_catalog.to_json({value})"
    return _limited(f"select {json}::pg_catalog.text as t from ({rows}) r", result_size)


def _limited(select: str, result_size: int) -> str:
    # Too large a result must fail inside the statement, so that nothing of the call stays: asking for a setting that
    # does not exist is an error that says its name.
    size = "pg_catalog.octet_length(t)"
    refuse = f"pg_catalog.current_setting('pgrpc.result_of_' || {size} || '_bytes')"
    return f"select case when {size} <= {result_size} then t else {refuse} end from ({select} offset 0) t"


def _exact(of: pgtypes.Type, value: str) -> str:
    """The SQL of a value in which int8 and numeric are strings of digits, at any depth."""
    if not _has_wide_numbers(of):
        return value
    match of.kind:
        case "composite":
            fields = {a.name: _exact(a.type, f"({value}).{quoting.identifier(a.name)}") for a in of.attributes}
            return f"case when {value} is not distinct from null then null else {_object(fields)} end"
        case "array":
            assert of.of is not None
            if not _is_composite(of.of):
                return f"{value}::pg_catalog.text[]"
            element = _exact(of.of, "e")
            # unnest in FROM would give the elements' columns instead. Of more dimensions only the form is kept.
            return (
                f"case when {value} is null then null when pg_catalog.array_ndims({value}) > 1 "
                f"then pg_catalog.to_json({value}) else (select coalesce(pg_catalog.json_agg({element}), '[]') "
                f"from (select pg_catalog.unnest({value}) as e offset 0) _e) end"
            )
        case "domain":
            assert of.of is not None
            return _exact(of.of, f"{value}::{_sql(of.of)}" if _is_composite(of.of) else value)
    return f"{value}::pg_catalog.text"


def _has_wide_numbers(of: pgtypes.Type) -> bool:
    if of.kind in ("domain", "array"):
        return of.of is not None and _has_wide_numbers(of.of)
    return of.oid in (pgtypes.INT8, pgtypes.NUMERIC) or any(_has_wide_numbers(a.type) for a in of.attributes)


def _is_composite(of: pgtypes.Type) -> bool:
    return of.kind == "composite" or (of.kind == "domain" and of.of is not None and _is_composite(of.of))


def _object(columns: dict[str, str]) -> str:
    return f"pg_catalog.json_build_object({', '.join(f'{quoting.literal(n)}, {sql}' for n, sql in columns.items())})"


def _passed(routine: routines.Routine, names: tuple[str, ...]) -> str:
    """The arguments of the call: by name, those by position first that need it."""
    positional = catalog.by_position(routine, names)
    written = []
    for place, argument in enumerate(routine.inputs):
        if argument.name not in names:
            continue
        keyword = "variadic " if argument.mode == "variadic" else ""
        target = f"{quoting.identifier(argument.name)} => " if place >= positional else ""
        written.append(f"{keyword}{target}_.{quoting.identifier(argument.name)}")
    return ", ".join(written)


def _from(routine: routines.Routine, names: tuple[str, ...], all_scalars: bool) -> str:
    """What has the arguments as the columns of `_`."""
    if not names:
        return ""
    given = [a for a in routine.inputs if a.name in names]
    if all_scalars:
        columns = ", ".join(f"%s::{_sql(a.type)} as {quoting.identifier(a.name)}" for a in given)
        return f" from (select {columns}) _"
    columns = ", ".join(f"{quoting.identifier(a.name)} {_sql(a.type)}" for a in given)
    return f" from pg_catalog.json_to_record(%s::pg_catalog.json) as _({columns})"


def _is_void(routine: routines.Routine) -> bool:
    return routine.returns.name == "void" and not routine.returns_set


def _name(routine: routines.Routine) -> str:
    return f"{quoting.identifier(routine.schema)}.{quoting.identifier(routine.name)}"


def _sql(of: pgtypes.Type) -> str:
    return of.sql.replace("%", "%%")
