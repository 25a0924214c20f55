"""Asking PostgreSQL to cancel what runs on a connection (https://www.postgresql.org/docs/current/libpq-cancel.html).

Owns the way past psycopg2: its own cancel() holds Python's lock while it waits for the server, so that one server that
hangs would stop this whole process, whatever thread it is called in. Must not know when or why a call is cancelled.
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
    """What asks the server to cancel what runs now on a psycopg2 connection. It blocks: for a thread. It never raises.

    The connection must not be used for anything else until that has returned, or that is cancelled instead.
    """
    handle = _LIBPQ.PQgetCancel(raw.pgconn_ptr)

    def cancel() -> None:
        _LIBPQ.PQcancel(handle, ctypes.create_string_buffer(256), 256)  # one that failed leaves the call running
        _LIBPQ.PQfreeCancel(handle)

    return cancel
