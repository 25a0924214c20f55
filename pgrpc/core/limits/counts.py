"""Counts things by key against a limit, such as the open connections of an address.

Owns the interface, and the counts of a server with one process. Must not know what is counted, nor how several
processes share their counts (server/shared_memory).
"""

from typing import Protocol


class Counts(Protocol):
    """How many of each key are in use."""

    def acquire(self, key: str, limit: int) -> bool:
        """Count one more of `key`; False, and nothing is counted, if there are `limit` already."""

    def release(self, key: str) -> None:
        """Count one less; the key must have been acquired."""


class Local:
    """Counts of this process alone."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def acquire(self, key: str, limit: int) -> bool:
        count = self._counts.get(key, 0)
        if count >= limit:
            return False
        self._counts[key] = count + 1
        return True

    def release(self, key: str) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
