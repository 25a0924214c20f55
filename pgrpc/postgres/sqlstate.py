"""PostgreSQL's errors -> JSON-RPC errors: what each SQLSTATE means for a client.

Owns this mapping (https://www.postgresql.org/docs/current/errcodes-appendix.html), and which of an error's fields
clients receive: never the statement, its position or its context. Must not know calls.
"""

import psycopg2
import psycopg2.errors

from pgrpc.core.wire import errors

_UNAVAILABLE = ("57P01", "57P02", "57P03", "57P05", "53300")  # shutting down, starting up, too many connections
_CONVERSIONS = (
    *("23502", "23514"),  # a domain's constraints
    *("42601", "54000"),  # not a tsquery or jsonpath; too long for one
    *("42P01", "42704", "42883", "42703", "42602", "3F000"),  # names no table, type, role, function, schema: regclass
)
FATE_UNKNOWN = "the connection to the database was lost while the call ran; it may or may not have taken effect"


def translate(error: psycopg2.Error) -> errors.RpcError:
    """The error for the client. The caller handles a cancelled statement first: it knows who cancelled it."""
    sqlstate = error.pgcode
    # A function, or a foreign server behind it, may raise any SQLSTATE; only a lost connection is FATAL.
    fatal = error.diag.severity_nonlocalized != "ERROR"
    if sqlstate is None or (fatal and sqlstate.startswith("08")):
        return errors.Unavailable(FATE_UNKNOWN, retry_after=None)
    if fatal and sqlstate in _UNAVAILABLE:
        return errors.Unavailable()
    fields = _fields(error, sqlstate)
    if sqlstate == "42501":
        return errors.Forbidden(fields["message"], fields)
    return errors.DatabaseRefused(fields)


def not_started(error: psycopg2.Error) -> errors.RpcError:
    """The error for a prologue that failed: the role was dropped or revoked, or has an invalid setting."""
    refused = translate(error)
    return errors.Forbidden(refused.message, refused.data) if isinstance(refused, errors.DatabaseRefused) else refused


def _fields(error: psycopg2.Error, sqlstate: str) -> dict[str, str]:
    diagnostics = error.diag
    fields = {"sqlstate": sqlstate, "message": message(error)}
    if diagnostics.constraint_name:
        fields["constraint"] = diagnostics.constraint_name
    # PostgreSQL's own DETAIL can contain rows that the client may not see ("Failing row contains (...)"):
    # clients receive only what the function itself raised.
    if diagnostics.source_function == "exec_stmt_raise":
        if diagnostics.message_detail:
            fields["detail"] = diagnostics.message_detail
        if diagnostics.message_hint:
            fields["hint"] = diagnostics.message_hint
    return fields


def message(error: psycopg2.Error) -> str:
    """PostgreSQL's primary message."""
    return error.diag.message_primary or "the database gave no reason"


def may_be_conversion(error: psycopg2.Error) -> bool:
    """Whether converting a JSON value to the type of an argument can raise this."""
    return error.pgcode is not None and (error.pgcode[:2] == "22" or error.pgcode in _CONVERSIONS)


def reason(error: psycopg2.Error) -> str:
    """One line for the log: why a connection was lost or could not be opened."""
    return next(iter(str(error).splitlines()), "the connection was closed")
