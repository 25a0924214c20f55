"""Cancels the statement that runs on a connection (https://www.postgresql.org/docs/current/libpq-cancel.html).

Owns the calls to libpq, because psycopg2's cancel() holds the GIL while it waits for the server: a server that hangs
would stop this whole process, whichever thread calls it. Must not know when or why a call is cancelled.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import psycopg2

# The handle of psycopg2's own library finds the libpq that belongs to it.
_LIBPQ = ctypes.CDLL(psycopg2._psycopg.__file__)
_LIBPQ.PQgetCancel.argtypes, _LIBPQ.PQgetCancel.restype = [ctypes.c_void_p], ctypes.c_void_p
_LIBPQ.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
_LIBPQ.PQfreeCancel.argtypes, _LIBPQ.PQfreeCancel.restype = [ctypes.c_void_p], None


def canceller(raw: Any) -> Callable[[], None]:
    """A function that cancels what runs now on a psycopg2 connection. It blocks, so call it in a thread; never raises.

    Use the connection for nothing else until it has returned, or it cancels that instead.
    """
    handle = _LIBPQ.PQgetCancel(raw.pgconn_ptr)

    def cancel() -> None:
        _LIBPQ.PQcancel(handle, ctypes.create_string_buffer(256), 256)  # where this fails, the call runs on
        _LIBPQ.PQfreeCancel(handle)

    return cancel
