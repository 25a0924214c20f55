"""The SQL of a call, as steps: each yields one message for the server and is sent its rows.

Owns which messages a call takes, and in which order. Must not know connections or tasks.

A function is one message, so one round trip, and one implicit transaction
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT). It begins with the prologue
of whoever calls: a statement that fails there keeps the rest from being run.
"""

import re
from collections.abc import Generator

import psycopg2

from pgrpc.core.functions import catalog, signatures
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors
from pgrpc.postgres import call_sql, connection, prepared, prologue, quoting, sqlstate

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
    sql = call_sql.select(call.routine, call.names, call.all_scalars, call.numbers == "string", result_size)
    try:
        # What is cleared after a call would take the prepared statements with it.
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, not call.reset, caller.role)
    except psycopg2.Error as error:
        yield from _unconvertible(call, caller, start, error)
        raise _refusal(error, result_size) from error
    return "null" if call_sql.is_void(call.routine) else _text(rows)


def _procedure(call: catalog.Call, caller: identity.Identity, prologues: prologue.Prologues, result_size: int) -> Steps:
    """CALL takes no subquery, and its row cannot be made JSON in place, so: arguments to text, CALL, row to JSON.

    CALL stands alone in its message, and the settings are the session's, because a procedure may commit.
    """
    routine = call.routine
    texts = ", ".join(f"_.{quoting.identifier(name)}::pg_catalog.text" for name in call.names) or "null"
    try:
        sql = f"select {texts}{call_sql.from_arguments(routine, call.names, call.all_scalars)}"
        start = prologues.of_session(call, caller)
        rows = yield prepared.Message(sql, call.arguments, start, prologues.hook, role=caller.role)
    except psycopg2.Error as error:
        yield from _unconvertible(call, caller, prologues.of_transaction(call, caller), error)
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
    """The CALL itself. texts: of the arguments given."""
    routine = call.routine
    values = dict(zip(call.names, texts, strict=False))
    passed = []
    first = routine.inputs[: signatures.by_position(routine, call.names)]
    places = (n for n, a in enumerate(routine.arguments, 1) if a in first or (a.mode == "out" and a.name[0] == "$"))
    positional = max(places, default=0)
    for place, argument in enumerate(routine.arguments):
        target = f"{quoting.identifier(argument.name)} => " if place >= positional else ""
        if argument.name in values:
            keyword = "variadic " if argument.mode == "variadic" else ""
            passed.append(f"{keyword}{target}%s::{call_sql.type_sql(argument.type)}")
        elif argument.mode == "out":
            passed.append(f"{target}null")
    return prepared.Message(f"call {call_sql.routine_name(routine)}({', '.join(passed)})", tuple(values.values()))


def _row(call: catalog.Call, result_size: int) -> str:
    """The row that a procedure has returned, sent back as parameters, as JSON."""
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
            sql = f"select 1{call_sql.from_arguments(call.routine, (name,), call.all_scalars)}"
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
