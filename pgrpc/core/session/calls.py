"""The calls of one connection: those in flight, and those that wait in a queue.

Owns how many run at a time and in which order they start. Must not know what is called, nor the results.
"""

from collections import deque
from typing import Any

from pgrpc.core.session import effects


class Calls:
    """limit: how many may be in flight at a time."""

    # An idle connection must cost little memory: collections are created on first use.
    __slots__ = ("_limit", "_running", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: dict[effects.Ticket, None] | None = None
        self._waiting: deque[effects.Execute] | None = None

    @property
    def in_flight(self) -> int:
        return len(self._running or ())

    @property
    def waiting(self) -> int:
        return len(self._waiting or ())

    @property
    def is_free(self) -> bool:
        """Whether the next call starts at once."""
        return self.in_flight < self._limit and not self._waiting

    def has(self, ticket: effects.Ticket) -> bool:
        """Whether the call is in flight."""
        return ticket in (self._running or ())

    def start(self, execute: effects.Execute) -> list[effects.Effect]:
        """Start a call now, or queue it. The caller bounds how many wait."""
        if self._running is None:
            self._running = {}
        if self.is_free:
            self._running[execute.ticket] = None
            return [execute]
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(execute)
        return []

    def ended(self, ticket: effects.Ticket) -> list[effects.Effect]:
        """A call has ended: returns those that start now."""
        assert self._running is not None
        del self._running[ticket]
        started: list[effects.Effect] = []
        while self._waiting and len(self._running) < self._limit:
            execute = self._waiting.popleft()
            self._running[execute.ticket] = None
            started.append(execute)
        return started

    def cancel(self, key: Any) -> tuple[list[effects.Effect], list[effects.Ticket]]:
        """Cancel all calls with this id: returns effects for those that run, and the tickets of those that waited."""
        running: list[effects.Effect] = [
            effects.Cancel(ticket) for ticket in self._running or () if _named(ticket, key)
        ]
        dropped = [execute for execute in self._waiting or () if _named(execute.ticket, key)]
        for execute in dropped:
            assert self._waiting is not None
            self._waiting.remove(execute)
        return running, [execute.ticket for execute in dropped]

    def close(self) -> list[effects.Effect]:
        """Cancel all; those that run still end by `ended`."""
        self._waiting = None
        return [effects.Cancel(ticket) for ticket in self._running or ()]


def _named(ticket: effects.Ticket, key: Any) -> bool:
    """Whether a request has this id. 7 and "7" are different ids, and so are 1 and true."""
    return ticket.id is not None and type(ticket.key) is type(key) and ticket.key == key
