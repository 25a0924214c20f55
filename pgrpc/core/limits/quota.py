"""The places that one socket takes of those that `limits.connections` and `connections_per_address` allow.

Owns which limits a socket counts for. Must not know how it is counted, nor how a client is told.
"""

from pgrpc.core.limits import counts, settings


class Quota:
    __slots__ = ("_counts", "_taken")

    def __init__(self, counted: counts.Counts) -> None:
        self._counts = counted
        self._taken: tuple[str, ...] = ()

    def acquire(self, limits: settings.Limits, address: str) -> str | None:
        """Count one more, until release(); or why it may not be. What was taken by then is to be given back too."""
        for key, most, whose in (
            (f"address {address}", limits.connections_per_address, "this address"),
            ("all", limits.connections, "the server"),
        ):
            if most is not None:
                if not self._counts.acquire(key, most):
                    return f"{whose} has as many connections as it may"
                self._taken += (key,)
        return None

    def release(self) -> None:
        """Once is enough."""
        taken, self._taken = self._taken, ()
        for key in taken:
            self._counts.release(key)
