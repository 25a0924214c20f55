"""Counts one connection against `limits.connections` and `limits.connections_per_address`.

Owns which limits a connection counts for. Must not know how it is counted, nor how a client is refused.
"""

from pgrpc.core.limits import counts, settings


class Quota:
    """Of one connection."""

    __slots__ = ("_acquired", "_counts")

    def __init__(self, counted: counts.Counts) -> None:
        self._counts = counted
        self._acquired: tuple[str, ...] = ()

    def acquire(self, limits: settings.Limits, address: str) -> str | None:
        """Count this connection until `release`, which is needed in any case. Returns why it is refused, or None."""
        for key, limit, reason in (
            (f"address {address}", limits.connections_per_address, "too many connections from this address"),
            ("all", limits.connections, "too many connections to this server"),
        ):
            if limit is not None:
                if not self._counts.acquire(key, limit):
                    return reason
                self._acquired += (key,)
        return None

    def release(self) -> None:
        """Stop counting this connection; may be called again."""
        acquired, self._acquired = self._acquired, ()
        for key in acquired:
            self._counts.release(key)
