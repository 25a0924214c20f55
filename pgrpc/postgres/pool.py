"""aiopg's pool, without waiting inside it.

Owns which connections are free and which are lent. Must not open connections (the database's supervisor does) nor
let anybody wait (the gate in front of it does). That mends what aiopg 1.4.0 gets wrong: waiters that are never
woken when a closed connection comes back or another waiter is cancelled, everybody standing still while one
connection is being opened under the pool's lock, and dead connections handed out.
"""

from collections import deque
from collections.abc import Iterable

import aiopg

from pgrpc.postgres import prepared


class Pool(aiopg.Pool):
    _free: deque[prepared.Connection]  # type: ignore[assignment]
    _used: set[prepared.Connection]  # type: ignore[assignment]

    def __init__(self, maxsize: int) -> None:
        self.places = maxsize
        super().__init__(
            "",
            0,
            maxsize,
            0,
            enable_json=False,
            enable_hstore=False,
            enable_uuid=False,
            echo=False,
            on_connect=None,
            pool_recycle=-1,
        )

    def add(self, conn: prepared.Connection) -> None:
        """A connection that was opened for the pool."""
        self._free.append(conn)

    def acquire(self) -> prepared.Connection | None:  # type: ignore[override]  # aiopg's own waits
        """Lend a free connection that is alive; None where there is none. Never waits."""
        # The one used last: its server process is still warm, which gives a tenth more calls.
        while self._free:
            conn = self._free.pop()
            if conn.is_alive():
                self._used.add(conn)
                return conn
        return None

    def release(self, conn: prepared.Connection) -> None:  # type: ignore[override]
        """The end of a loan, cleaned. A connection that is closed or not idle is dropped."""
        self._used.discard(conn)
        if self._closing or not conn.idle:
            conn.close()
        else:
            self._free.append(conn)

    def forget(self, conn: prepared.Connection) -> None:
        """A connection that has ended, wherever it was."""
        self._used.discard(conn)
        if conn in self._free:
            self._free.remove(conn)

    def connections(self) -> Iterable[prepared.Connection]:
        return [*self._free, *self._used]
