"""The messages that make a call, as a generator: it yields each message for the server, and is sent its rows.

Owns which messages a call needs, and their order. Must not know connections or tasks.

A function needs one message, so one round trip, and one implicit transaction
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT). It begins with the caller's
prologue: if a statement of that fails, the call does not run.
"""

import re
from collections.abc import Generator

import psycopg2

from pgrpc.core.functions import catalog, signatures
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import call_sql, connection, prepared, prologue, quoting, sqlstate

Steps = Generator[prepared.Message, connection.Rows, str]
"""Returns the result as JSON text. When a statement fails, throw its psycopg2.Error in; raises errors.RpcError."""

RESET = prepared.Message(
    # DISCARD ALL without DISCARD PLANS, so that functions keep their plans:
    # https://www.postgresql.org/docs/current/sql-discard.html
    f"{prologue.RESET}set local statement_timeout = 5000; close all; deallocate all; unlisten *; "
    "select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp"
)
"""Resets what a function may have left in the session: settings, cursors, prepared statements, LISTEN, locks, ..."""


def needs_session(call: catalog.Call, caller: identity.Identity) -> bool:
    """Whether all messages of this call must reach one session of the server, which a role set by SET requires."""
    return call.routine.kind == "procedure" and caller.role is not None


def steps(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    """The messages that make the call as `caller`. result_size: bytes; a larger result fails in the database."""
    make = _procedure if call.routine.kind == "procedure" else _function
    return make(call, caller, prologues, result_size)


def _function(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    start = prologues.of_transaction(call, caller)
    sql = call_sql.select(call.routine, call.names, call.all_scalars, call.numbers == "string", result_size)
    try:
        # Resetting the session after the call would also drop the prepared statement.
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, not call.reset, caller.role)
    except psycopg2.Error as error:
        yield from _check_conversions(call, caller, start, error)
        raise _refusal(error, result_size) from error
    return "null" if call_sql.is_void(call.routine) else _text(rows)


def _procedure(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    """Three messages, as CALL accepts no subquery and its row is no expression: arguments to text, CALL, row to JSON.

    CALL is alone in its message, and the settings are the session's, because a procedure may commit.
    """
    routine = call.routine
    texts = ", ".join(f"_.{quoting.identifier(name)}::pg_catalog.text" for name in call.names) or "null"
    try:
        sql = f"select {texts}{call_sql.from_arguments(routine, call.names, call.all_scalars)}"
        start = prologues.of_session(call, caller)
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, role=caller.role)
    except psycopg2.Error as error:
        yield from _check_conversions(call, caller, prologues.of_transaction(call, caller), error)
        raise sqlstate.translate(error) from error
    try:
        rows = yield _call(call, rows[0])
    except psycopg2.Error as error:
        raise sqlstate.translate(error) from error
    if not routine.outputs:
        return "null"
    whole = _row(call, result_size)
    try:
        rows = yield prepared.Message(whole, rows[0])
    except psycopg2.Error as error:
        raise _refusal(error, result_size, "; the procedure has run and is not undone") from error
    return _text(rows)


def _call(call: catalog.Call, texts: tuple[str | None, ...]) -> prepared.Message:
    """The CALL. texts: the arguments as text, in the order of call.names."""
    routine = call.routine
    values = dict(zip(call.names, texts, strict=False))
    passed = []
    first = routine.inputs[: signatures.by_position(routine, call.names)]
    numbers = (n for n, a in enumerate(routine.arguments, 1) if a in first or (a.mode == "out" and a.name[0] == "$"))
    positional = max(numbers, default=0)
    for index, argument in enumerate(routine.arguments):
        target = f"{quoting.identifier(argument.name)} => " if index >= positional else ""
        if argument.name in values:
            keyword = "variadic " if argument.mode == "variadic" else ""
            passed.append(f"{keyword}{target}%s::{call_sql.type_sql(argument.type)}")
        elif argument.mode == "out":
            passed.append(f"{target}null")
    return prepared.Message(f"call {call_sql.routine_name(routine)}({', '.join(passed)})", tuple(values.values()))


def _row(call: catalog.Call, result_size: int) -> str:
    """SQL that turns the row of a procedure, sent back as parameters, into JSON."""
    routine = call.routine
    columns = {
        a.name: call_sql.numbers_as_text(a.type, f"r.{quoting.identifier(a.name)}")
        if call.numbers == "string"
        else f"r.{quoting.identifier(a.name)}"
        for a in routine.outputs
    }
    value = f"pg_catalog.to_json({columns.popitem()[1]})" if len(columns) == 1 else call_sql.json_object(columns)
    row = ", ".join(f"%s::{call_sql.type_sql(a.type)} as {quoting.identifier(a.name)}" for a in routine.outputs)
    return call_sql.limited(f"select {value}::pg_catalog.text as t from (select {row} offset 0) r", result_size)


def _check_conversions(
    call: catalog.Call, caller: identity.Identity, start: str, error: psycopg2.Error
) -> Generator[prepared.Message, connection.Rows, None]:
    """Raise InvalidParams if PostgreSQL could not convert an argument to its type.

    Functions raise the same SQLSTATEs, and so does the prologue (22023: no such role); so this runs the prologue, and
    then each conversion, alone.
    """
    if not sqlstate.may_be_conversion(error):
        return
    try:
        yield prepared.Message("select 1", None, start, role=caller.role)
    except psycopg2.Error as failed:
        raise sqlstate.not_started(failed) from failed
    faults = []
    for index, (name, position) in enumerate(zip(call.names, call.positions, strict=True)):
        try:
            sql = f"select 1{call_sql.from_arguments(call.routine, (name,), call.all_scalars)}"
            arguments = call.arguments[index : index + 1] if call.all_scalars else call.arguments
            yield prepared.Message(sql, arguments, start, role=caller.role)
        except psycopg2.Error as failed:
            faults.append(errors.Fault(position, "postgresql", sqlstate.message(failed)))
    if faults:
        raise errors.InvalidParams(faults[: errors.MAX_FAULTS])


_TOO_LARGE = re.compile(r"pgrpc\.result_of_([0-9]+)_bytes")


def _refusal(error: psycopg2.Error, result_size: int, kept: str = "") -> errors.RpcError:
    """The error for the client. kept: words for what is not rolled back."""
    too_large = _TOO_LARGE.search(sqlstate.message(error)) if error.pgcode == "42704" else None
    if too_large is None:
        return sqlstate.translate(error)
    message = f"the result has {too_large[1]} bytes, the limit is {result_size}{kept}"
    return errors.DatabaseRefused({"sqlstate": "54000", "message": message})


def _text(rows: connection.Rows) -> str:
    return rows[0][0] or "null"
