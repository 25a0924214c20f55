"""The pool of database connections: aiopg's, without waiting inside it.

Owns which connections are free and which are in use. It never opens a connection (pool_filler does) and nobody waits
for one in it (the queue of calls does). That avoids three faults of aiopg 1.4.0: waiters that are never woken when a
closed connection is released or another waiter is cancelled; all of them blocked while one connection is being opened
under the pool's lock; and dead connections that are acquired.
"""

from collections import deque
from collections.abc import Iterable

import aiopg

from pgrpc.postgres import prepared


class Pool(aiopg.Pool):
    _free: deque[prepared.Connection]  # type: ignore[assignment]
    _used: set[prepared.Connection]  # type: ignore[assignment]

    def __init__(self, maxsize: int) -> None:
        self.limit = maxsize
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
        """Add a connection that was just opened; it is free."""
        self._free.append(conn)

    def acquire(self) -> prepared.Connection | None:  # type: ignore[override]  # aiopg's own waits
        """Take a free connection that is alive; None where there is none. Never waits."""
        # The one that was used last: its server process is still warm, which gives 10 % more calls.
        while self._free:
            conn = self._free.pop()
            if conn.is_alive():
                self._used.add(conn)
                return conn
        return None

    def release(self, conn: prepared.Connection) -> None:  # type: ignore[override]
        """Return a connection to the pool; one that is closed or not idle is dropped."""
        self._used.discard(conn)
        if self._closing or not conn.idle:
            conn.close()
        else:
            self._free.append(conn)

    def forget(self, conn: prepared.Connection) -> None:
        """Remove a connection that has ended, free or in use."""
        self._used.discard(conn)
        if conn in self._free:
            self._free.remove(conn)

    def connections(self) -> Iterable[prepared.Connection]:
        return [*self._free, *self._used]
