"""How many of each thing there are, such as open sockets of an address, against a limit.

Owns the interface, and the counts of a server that is one process. Must not know what is counted, nor how several
processes share their counts (pgrpc/shared).
"""

from typing import Protocol


class Counts(Protocol):
    def acquire(self, key: str, most: int) -> bool:
        """Count one more of `key`, unless there are `most` already; whether it was counted."""

    def release(self, key: str) -> None:
        """One that was taken is no more."""


class Local:
    """Counts of this process alone."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def acquire(self, key: str, most: int) -> bool:
        count = self._counts.get(key, 0)
        if count >= most:
            return False
        self._counts[key] = count + 1
        return True

    def release(self, key: str) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
